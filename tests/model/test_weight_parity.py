"""timm's SE-ResNets are torchvision's ResNets with our blocks: the same weights give the same outputs.

Norms and their statistics are moved first: a fresh network of timm's has zeros in the last norm of each branch, with
which a wrong layout passes too. In float64.
"""

import pytest
import torch

from senas.core.block import SEBlock
from senas.core.config import SEConfig
from senas.model.backbones import named
from senas.model.cost import params
from senas.model.sites import trace
from senas.model.surgery import insert

timm = pytest.importorskip("timm")
WIDTHS = {
    # timm rounds C / 16 to a multiple of 8.
    "seresnet18": {64: 8, 128: 8, 256: 16, 512: 32},
    "seresnet50": {256: 16, 512: 32, 1024: 64, 2048: 128},
}


def ours_with_their_weights(name, theirs):
    backbone = named(name.removeprefix("se"), classes=10, channels=3)
    traced = trace(backbone, (3, 64, 64))
    config = SEConfig({site.name: SEBlock(hidden=WIDTHS[name][site.output.channels]) for site in traced.sites})
    ours = insert(backbone.double(), config, traced)
    wanted = ours.state_dict()
    ours.load_state_dict({key: value.view_as(wanted[key]) for key, value in theirs.state_dict().items()})
    return ours


@pytest.mark.slow
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", WIDTHS)
def test_timms_weights_give_timms_outputs(name, training, randomise):
    theirs = randomise(timm.create_model(name, num_classes=10)).train(training)
    ours = ours_with_their_weights(name, theirs).train(training)
    x = torch.randn(4, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = theirs(x).detach()
    assert (ours(x) - expected).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize("name", WIDTHS)
def test_with_those_widths_there_are_as_many_parameters_as_in_timms(name):
    theirs = timm.create_model(name, num_classes=10)
    assert params(ours_with_their_weights(name, theirs)) == params(theirs)
