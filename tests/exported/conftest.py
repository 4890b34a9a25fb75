"""A small network with an SE configuration, as values, in memory and as an exported folder."""

import shutil

import pytest
import torch
import yaml
from hypothesis import settings

from senas.core.block import Activation, Gate, Placement, SEBlock, Squeeze
from senas.core.config import SEConfig
from senas.exported.folder import write
from senas.exported.package import Exported
from senas.model.backbones import named
from senas.model.sites import trace
from senas.model.surgery import insert

# The same examples on every machine; no deadline, because a busy machine is not a bug.
settings.register_profile("senas", deadline=None, derandomize=True)
settings.load_profile("senas")

SHAPE = (1, 8, 8)
BACKBONE = {"name": "resnet8", "classes": 5, "channels": 1, "width": 4}
CONFIG = SEConfig(
    {
        "layer1.0": SEBlock(hidden=2, placement=Placement.PRE),
        "layer3.0": SEBlock(
            hidden=3, squeeze=Squeeze.MAX, gate=Gate.TWICE_SIGMOID, activation=Activation.SILU, bias=False
        ),
    }
)
SCORES = {"val_loss": 0.123456789012345, "se_params": 100, "macs": 1e9}


@pytest.fixture(scope="module")
def traced():
    return trace(named(**BACKBONE), SHAPE)


@pytest.fixture(scope="module")
def exported():
    return Exported(
        config=CONFIG,
        backbone=BACKBONE,
        shape=SHAPE,
        mean=(0.1234567890123,),
        std=(0.3,),
        classes=("0", "yes", "Ünï: code", "T-shirt", "#4"),
        scores=SCORES,
        provenance={"study": "pilot", "trial": 3, "versions": {"torch": "2.13.0"}, "seeds": [0, 1]},
    )


@pytest.fixture(scope="module")
def net(traced):
    """A network that has seen a few batches, so that its running statistics are its own."""
    torch.manual_seed(0)
    net = insert(named(**BACKBONE), CONFIG, traced, seed=1)
    for _ in range(3):
        net(torch.randn(16, *SHAPE) * 2 + 1)
    return net.eval()


@pytest.fixture(scope="module")
def validation():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(700, *SHAPE, generator=generator), torch.randint(5, (700,), generator=generator)


@pytest.fixture(scope="module")
def written(tmp_path_factory, exported, traced, net, validation):
    folder = tmp_path_factory.mktemp("written") / "best"
    write(folder, exported, traced.sites, net, [validation])
    return folder


@pytest.fixture
def folder(tmp_path, written):
    """An export to look at, or to spoil."""
    return shutil.copytree(written, tmp_path / "best")


@pytest.fixture
def damaged(folder):
    """The folder, with other sections in its se.yaml; None takes one away."""

    def damage(**changes):
        plain = {**yaml.safe_load((folder / "se.yaml").read_text()), **changes}
        kept = {key: value for key, value in plain.items() if value is not None}
        (folder / "se.yaml").write_text(yaml.safe_dump(kept))
        return folder

    return damage
