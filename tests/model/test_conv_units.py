"""Convolutions with their activation, in networks without residual units: which are sites, and what each place is."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from senas.core.block import Placement, SEBlock
from senas.core.config import SEConfig
from senas.core.site import Place, stages
from senas.errors import SurgeryError
from senas.model.se import SqueezeExcitation
from senas.model.sites import trace
from senas.model.surgery import insert

P = Placement
EXAMPLE = (3, 8, 8)
ALL = [P.PRE, P.STANDARD, P.POST]


class Basic(nn.Module):
    """A convolution, a norm, and F.relu, as in torchvision's GoogLeNet; `norm` and `act` vary it."""

    def __init__(self, channels, width, norm=True, act=lambda x: F.relu(x, inplace=True)):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width) if norm else nn.Identity()
        self.act = act

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class Branches(nn.Module):
    """Two convolutions read one value; their outputs are concatenated, split, and one half goes on."""

    def __init__(self):
        super().__init__()
        self.stem = Basic(3, 4)
        self.left, self.right = Basic(4, 4), Basic(4, 6)
        self.last = nn.Sequential(nn.Conv2d(5, 5, 1), nn.ReLU(inplace=True))
        self.fc = nn.Linear(5, 5)

    def forward(self, x):
        x = self.stem(x)
        x, _ = torch.cat([self.left(x), self.right(x)], 1).chunk(2, 1)
        return self.fc(self.last(x).mean((2, 3)))

    def by_hand(self, x, gate):
        def basic(unit, site, x):
            y = unit.bn(unit.conv(gate(site, P.PRE, x)))
            return gate(site, P.POST, F.relu(gate(site, P.STANDARD, y)))

        x = basic(self.stem, "stem.conv", x)
        x, _ = torch.cat([basic(self.left, "left.conv", x), basic(self.right, "right.conv", x)], 1).chunk(2, 1)
        y = gate("last.0", P.STANDARD, self.last[0](gate("last.0", P.PRE, x)))
        return self.fc(gate("last.0", P.POST, F.relu(y)).mean((2, 3)))


SITES = ("stem.conv", "left.conv", "right.conv", "last.0")


@pytest.fixture(scope="module")
def branches():
    net = Branches().double()
    return net, trace(net, EXAMPLE)


def test_a_site_is_called_as_its_convolution_and_has_the_three_places(branches):
    assert {site.name: list(site.places) for site in branches[1].sites} == dict.fromkeys(SITES, ALL)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("placement", ALL)
@pytest.mark.parametrize("where", [*((site,) for site in SITES), SITES], ids=[*SITES, "all"])
def test_a_placement_is_where_a_residual_unit_would_have_it(branches, where, placement, training):
    backbone, traced = branches
    config = SEConfig({site: SEBlock(hidden=2, placement=placement) for site in where})
    net = insert(backbone, config, traced).train(training)

    def gate(site, place, value):
        owner, _, last = site.rpartition(".")
        block = getattr(net.get_submodule(owner), f"se_{last}", None)
        return block(value) if block is not None and place is placement else value

    def differentiated(forward):
        x = torch.randn(4, *EXAMPLE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        y = forward(x.requires_grad_())
        return y, *torch.autograd.grad(y.square().sum(), [x, *net.parameters()])

    torch.testing.assert_close(differentiated(net), differentiated(lambda x: Branches.by_hand(net, x, gate)))


def test_blocks_are_children_beside_their_convolutions_and_a_sequential_keeps_its_keys(branches):
    backbone, traced = branches
    net = insert(backbone, SEConfig.everywhere(traced.sites), traced)
    assert {name for name, module in net.named_modules() if isinstance(module, SqueezeExcitation)} == {
        *("stem.se_conv", "left.se_conv", "right.se_conv", "last.se_0")
    }
    assert list(net.last._modules) == ["0", "1", "se_0"]
    assert [key for key in net.state_dict() if ".se_" not in key] == list(backbone.state_dict())


def test_places_have_the_shape_of_what_a_block_would_see():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    (site,) = trace(net, (3, 8, 12)).sites
    assert site.places == {P.PRE: Place(3, 8, 12), P.STANDARD: Place(4, 4, 6), P.POST: Place(4, 4, 6)}
    assert site.output == Place(4, 4, 6)


ACTIVATIONS = {
    "ReLU": nn.ReLU(),
    "in place": nn.ReLU(inplace=True),
    "LeakyReLU": nn.LeakyReLU(),
    "PReLU": nn.PReLU(),
    "SiLU": nn.SiLU(),
    "Mish": nn.Mish(),
    "Tanh": nn.Tanh(),
    "F.relu": F.relu,
    "F.silu": F.silu,
    "F.gelu": F.gelu,
    "torch.tanh": torch.tanh,
    "method": lambda x: x.relu(),
    "method in place": lambda x: x.relu_(),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_any_usual_activation_ends_a_unit(name):
    net = nn.Sequential(Basic(3, 4, act=ACTIVATIONS[name]), nn.Flatten(), nn.Linear(256, 2))
    (site,) = trace(net, EXAMPLE).sites
    assert list(site.places) == ALL


class FunctionalNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.scale = nn.Conv2d(3, 4, 1), nn.Parameter(torch.ones(4))

    def forward(self, x):
        y = F.group_norm(self.conv(x), 2, self.scale)
        return F.relu(y)


def test_a_functional_norm_belongs_to_the_unit():
    net = nn.Sequential(FunctionalNorm(), nn.Flatten(), nn.Linear(256, 2))
    (unit,) = trace(net, EXAMPLE).units
    assert unit.cuts[P.STANDARD].source != unit.cuts[P.PRE].readers[0]  # behind the norm, not behind the convolution


class NormAct(nn.BatchNorm2d):
    """As timm's BatchNormAct2d: a norm that activates too."""

    def __init__(self, channels):
        super().__init__(channels)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(super().forward(x))


def test_behind_a_norm_that_activates_too_there_is_no_standard_place():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), NormAct(4), nn.Conv2d(4, 2, 1))
    (site,) = trace(net, EXAMPLE).sites
    assert list(site.places) == [P.PRE, P.POST]


def test_a_convolution_whose_output_somebody_else_reads_too_is_no_unit():
    class Peeked(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.fc = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Linear(8, 2)

        def forward(self, x):
            y = self.one(x)
            z = F.relu(self.two(F.relu(y)))
            return self.fc(torch.cat([y, z], 1).mean((2, 3)))

    assert [site.name for site in trace(Peeked(), EXAMPLE).sites] == ["two"]


def test_the_convolution_that_classifies_is_no_unit():
    features = [nn.Conv2d(3, 4, 1), nn.ReLU()]
    classifier = [nn.Dropout(0.5), nn.Conv2d(4, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    assert [site.name for site in trace(nn.Sequential(*features, *classifier), EXAMPLE).sites] == ["0"]


def test_a_convolution_that_is_called_twice_is_two_sites():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 2)

        def forward(self, x):
            return self.fc(F.relu(self.conv(F.relu(self.conv(x)))).mean((2, 3)))

    traced = trace(Twice(), EXAMPLE)
    assert [site.name for site in traced.sites] == ["conv", "conv-2"]
    net = insert(Twice(), SEConfig({"conv": SEBlock(hidden=1), "conv-2": SEBlock(hidden=2)}), traced)
    assert (net.se_conv.block.hidden, net.se_conv_.block.hidden) == (1, 2)


def test_a_network_with_a_residual_unit_has_no_convolutions_among_its_sites():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.conv, self.fc = Basic(3, 4), nn.Conv2d(4, 4, 1), nn.Linear(4, 2)

        def forward(self, x):
            x = self.stem(x)
            return self.fc((x + self.conv(x)).mean((2, 3)))

    assert [site.name for site in trace(Residual(), EXAMPLE).sites] == ["network"]


def test_without_any_unit_a_network_is_refused_in_one_line_that_says_the_way_out():
    with pytest.raises(SurgeryError, match=r"\ASequential has no site: .*backbone\.modules=\[\.\.\.\].*\Z"):
        trace(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(256, 2)), EXAMPLE)


def test_stages_of_a_plain_network_are_runs_of_equal_output_shape():
    def pair(channels, width):
        return [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]

    net = nn.Sequential(*pair(3, 4), nn.MaxPool2d(2), *pair(4, 4), *pair(4, 6), nn.Flatten(), nn.Linear(96, 2))
    found = [[site.name for site in stage] for stage in stages(trace(net, EXAMPLE).sites)]
    assert found == [["0", "2"], ["5", "7"], ["9", "11"]]
