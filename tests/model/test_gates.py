"""The gates of a network that surgery made: found again by site, watched, and replaced by constants."""

import pytest
import torch
from torch import nn
from torchvision.ops import SqueezeExcitation

from senas.core.block import Gate, Placement, SEBlock, Squeeze
from senas.core.config import SEConfig
from senas.model.cifar import CifarResNet
from senas.model.gates import gate_paths, implied, instead, watched, without
from senas.model.sites import trace
from senas.model.surgery import insert

EXAMPLE = (3, 8, 8)
MIXED = SEConfig(
    {
        "layer1.0": SEBlock(hidden=2, placement=Placement.PRE),
        "layer2.0": SEBlock(hidden=3, placement=Placement.POST, gate=Gate.HARD_SIGMOID),
        "layer3.0": SEBlock(hidden=4, placement=Placement.IDENTITY),
    }
)


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return CifarResNet(8, classes=4, channels=3).eval()


@pytest.fixture(scope="module")
def traced(backbone):
    return trace(backbone, EXAMPLE)


@pytest.fixture(scope="module")
def net(backbone, traced):
    return insert(backbone, MIXED, traced)


@pytest.fixture(scope="module")
def paths(backbone, traced):
    return gate_paths(backbone, MIXED, traced)


def images():
    return torch.randn(5, *EXAMPLE, generator=torch.Generator().manual_seed(3))


def test_each_sites_path_is_that_of_its_own_block(net, paths):
    assert list(paths) == ["layer1.0", "layer2.0", "layer3.0"]
    for site, path in paths.items():
        assert net.get_submodule(path).block == MIXED[site]


def test_a_path_is_that_of_insert_where_the_backbone_has_the_name_already(backbone, traced):
    backbone = CifarResNet(8, classes=4, channels=3)
    backbone.get_submodule("layer1.0").se = nn.Identity()
    net = insert(backbone, MIXED, traced)
    path = gate_paths(backbone, MIXED, traced)["layer1.0"]
    assert net.get_submodule(path).block == MIXED["layer1.0"]


def test_what_is_seen_is_what_the_block_did(net, paths):
    given = {}
    handles = [
        net.get_submodule(path).register_forward_hook(lambda _, args, y, site=site: given.update({site: (args[0], y)}))
        for site, path in paths.items()
    ]
    with watched(net, paths) as seen, torch.no_grad():
        net(images())
    for handle in handles:
        handle.remove()
    for site, (x, y) in given.items():
        assert torch.equal(seen[site].squeezed, x.mean((2, 3)))
        assert torch.equal(x * seen[site].gates[:, :, None, None], y)


def test_of_a_local_gate_the_factors_of_every_location_are_seen(backbone, traced):
    config = SEConfig({"layer2.0": SEBlock(hidden=3, squeeze=Squeeze.LOCAL)})
    local, given = insert(backbone, config, traced), []
    paths = gate_paths(backbone, config, traced)
    local.get_submodule(paths["layer2.0"]).register_forward_hook(lambda _, args, y: given.append((args[0], y)))
    with watched(local, paths) as seen, torch.no_grad():
        local(images())
    ((x, y),) = given
    assert torch.equal(seen["layer2.0"].squeezed, x.mean((2, 3)))
    assert torch.equal(x * seen["layer2.0"].gates, y)
    assert seen["layer2.0"].gates.std((2, 3)).min() > 0


def test_watching_changes_no_output_and_ends_with_the_context(net, paths):
    before = net(images())
    with watched(net, paths) as seen:
        assert torch.equal(net(images()), before)
        kept = dict(seen)
    net(images()[:2])
    assert len(kept) == 3
    assert all(seen[site] is kept[site] for site in kept)


def test_a_gate_replaced_by_what_it_was_for_an_image_gives_the_same_output(net, paths):
    image = images()[:1]
    with watched(net, paths) as seen, torch.no_grad():
        before = net(image)
    with instead(net, paths, {site: each.gates[0] for site, each in seen.items()}), torch.no_grad():
        assert torch.allclose(net(image), before, atol=1e-6)
        assert not torch.allclose(net(images()[1:2] * 3), before, atol=1e-3)
    assert torch.equal(net(image), before)


def test_without_any_gate_the_network_is_the_backbone(net, backbone, paths):
    with instead(net, paths, dict.fromkeys(paths)), torch.no_grad():
        assert torch.equal(net(images()), backbone(images()))


def test_a_copy_without_a_block_computes_what_the_network_does_where_it_is_bypassed(net, paths):
    bare = without(net, paths, ["layer2.0"])
    with instead(net, paths, {"layer2.0": None}), torch.no_grad():
        assert torch.equal(bare(images()), net(images()))
    assert not torch.equal(bare(images()), net(images()))
    assert not isinstance(net.get_submodule(paths["layer2.0"]), nn.Identity)  # it is a copy


class InPlace(SqueezeExcitation):
    """torchvision's, but what it is given is what it changes."""

    def forward(self, x):
        return x.mul_(self._scale(x))


@pytest.mark.parametrize("kind", [SqueezeExcitation, InPlace])
def test_the_factors_of_a_block_that_is_not_ours_are_read_off_its_output_for_dead_channels_too(kind):
    torch.manual_seed(0)
    theirs, given = kind(3, 2), images()
    given[1, 2] = 0.0
    factors = theirs._scale(given).flatten(1)
    assert factors[1, 2] < 0.9
    with watched(nn.Sequential(theirs), {"only": "0"}) as seen, torch.no_grad():
        scaled = theirs(given.clone())
    assert torch.allclose(seen["only"].gates, factors, atol=1e-6)
    assert torch.allclose(scaled, given * factors[:, :, None, None])


def test_instead_of_a_block_that_works_in_place_a_constant_scales_what_it_was_given():
    torch.manual_seed(0)
    net, given = nn.Sequential(nn.Conv2d(3, 3, 1), InPlace(3, 2)).eval(), images()
    constant = torch.tensor([0.5, 1.0, 2.0])
    with torch.no_grad(), instead(net, {"only": "1"}, {"only": constant}):
        assert torch.equal(net(given), net[0](given) * constant[:, None, None])
    assert isinstance(net[1], InPlace)


def test_of_a_channel_that_is_zero_the_factor_is_taken_for_one():
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    x[0, 1] = 0.0
    factors = torch.rand(2, 3, dtype=torch.float64)
    found = implied(x, x * factors[:, :, None, None])
    factors[0, 1] = 1.0
    assert torch.allclose(found, factors, atol=1e-12)
