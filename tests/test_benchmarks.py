"""The plain script that senas is measured against does the same work."""

import importlib.util
import random
from pathlib import Path

import pytest
import torch

from senas.core.block import Placement
from senas.core.space import Axes, search_space
from senas.model.backbones import named
from senas.model.sites import trace
from senas.model.surgery import insert

SCRIPT = Path(__file__).parents[1] / "studies" / "benchmarks" / "plain.py"
BACKBONE = {"name": "resnet20", "classes": 10, "channels": 1}
PLACEMENTS = (Placement.STANDARD, Placement.PRE, Placement.POST)  # of the default space


@pytest.fixture(scope="module")
def plain():
    spec = importlib.util.spec_from_file_location("plain", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def traced():
    return trace(named(**BACKBONE), (1, 28, 28))


@pytest.fixture(scope="module")
def space(traced):
    return search_space(traced.sites, Axes(reduction=(4, 16), placement=PLACEMENTS))


def test_the_plain_script_searches_the_default_space(plain, space):
    asked = {}
    space.draw(lambda name, options: asked.setdefault(name, options)[0])
    assert list(asked) == plain.SITES
    assert all(set(options) == set(plain.CHOICES) for options in asked.values())
    everywhere = plain.ResNet(dict.fromkeys(plain.SITES, "r4 standard"))
    assert everywhere.se_parameters() == space.largest_params


@pytest.mark.parametrize("seed", range(3))
def test_the_plain_script_s_networks_compute_what_those_of_senas_do(plain, space, traced, seed):
    rng, choices = random.Random(seed), {}
    config = space.draw(lambda name, options: choices.setdefault(name, rng.choice(options)))
    ours = insert(named(**BACKBONE), config, traced, 0).eval()
    theirs = plain.ResNet(choices).eval()
    mine, weights = ours.state_dict(), theirs.state_dict()
    for blocks in (False, True):  # in the order of the sites, within each the order of the layers
        names = [sorted((n for n in of if (".se." in n) == blocks), key=_site) for of in (mine, weights)]
        for name, other in zip(*names, strict=True):
            weights[other].copy_(mine[name].reshape(weights[other].shape))
    images = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        torch.testing.assert_close(theirs(images), ours(images))


def _site(name):
    """Of `layer2.1.conv1.weight` and of `units.4.conv1.weight`: 4; of what comes before the units -1, after them 9."""
    kind, number, *_ = name.split(".")
    if kind == "units":
        return int(number)
    if kind.startswith("layer"):
        return 3 * (int(kind.removeprefix("layer")) - 1) + int(number)
    return 9 if kind == "fc" else -1
