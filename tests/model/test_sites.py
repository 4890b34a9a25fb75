"""Which sites the known backbones have: names, how many, and what an SE block would find at each placement."""

import copy

import pytest
import torch
from torch import nn

from senas.core.backbone import Backbone
from senas.core.block import Placement
from senas.core.site import Place, stages
from senas.errors import ConfigError
from senas.model.backbones import NAMES, input_channels, named
from senas.model.cifar import CIFAR_DEPTHS, CifarResNet
from senas.model.cost import params
from senas.model.sites import trace

P = Placement


def sites(name, side):
    return trace(named(name, classes=10, channels=3), (3, side, side)).sites


@pytest.mark.parametrize(
    ("name", "units"), [("resnet18", (2, 2, 2, 2)), ("resnet34", (3, 4, 6, 3)), ("resnet50", (3, 4, 6, 3))]
)
def test_torchvisions_networks_have_a_site_a_unit_in_the_order_of_the_network(name, units):
    expected = [f"layer{stage}.{unit}" for stage, count in enumerate(units, 1) for unit in range(count)]
    assert [site.name for site in sites(name, 64)] == expected


@pytest.mark.parametrize("depth", CIFAR_DEPTHS)
def test_a_cifar_network_of_6n_plus_2_layers_has_3n_sites(depth):
    n = (depth - 2) // 6
    found = trace(named(f"resnet{depth}", classes=10, channels=3, width=2), (3, 8, 8)).sites
    assert [site.name for site in found] == [f"layer{stage}.{unit}" for stage in (1, 2, 3) for unit in range(n)]


@pytest.mark.parametrize(
    ("name", "side", "widths"),
    [
        ("resnet18", 224, [64, 128, 256, 512]),
        ("resnet34", 224, [64, 128, 256, 512]),
        ("resnet50", 224, [256, 512, 1024, 2048]),
        ("resnet20", 32, [16, 32, 64]),
    ],
)
def test_stages_have_the_widths_and_sides_of_he_et_al(name, side, widths):
    first = 56 if side == 224 else side
    outputs = [stage[0].output for stage in stages(sites(name, side))]
    assert outputs == [Place(width, first >> i, first >> i) for i, width in enumerate(widths)]


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet20"])
def test_every_placement_is_offered_in_the_order_in_which_a_unit_computes(name):
    assert {tuple(site.places) for site in sites(name, 32)} == {tuple(P)}


def test_at_a_transition_pre_sees_what_the_unit_before_gave_out():
    found = sites("resnet50", 224)
    before = Place(64, 56, 56)
    for site in found:
        assert site.places[P.PRE] == before
        before = site.output


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet20"])
def test_the_other_outer_places_have_the_shape_of_the_output(name):
    for site in sites(name, 32):
        outer = (P.STANDARD, P.IDENTITY, P.POST_BEFORE_RELU, P.POST)
        assert [site.places[placement] for placement in outer] == [site.output] * 4


def test_inside_a_bottleneck_there_are_a_quarter_of_the_channels_behind_the_stride():
    for site in sites("resnet50", 224):
        channels, height, width = site.output
        inner = Place(channels // 4, height, width)
        assert site.places[P.INNER] == site.places[P.INNER_BEFORE_RELU] == inner


def test_heights_and_widths_are_told_apart():
    found = trace(named("resnet8", classes=10, channels=3), (3, 12, 20)).sites
    assert [site.output for site in found] == [Place(16, 12, 20), Place(32, 6, 10), Place(64, 3, 5)]


def test_two_units_of_one_module_path_are_numbered(kinds):
    net = nn.Sequential(copy.deepcopy(kinds["basic"][0].layer1[0]).float(), nn.Identity())

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
            self.net = net

        def forward(self, x):
            x = x + self.conv1(x)
            return self.net(x + self.conv2(x))

    assert [site.name for site in trace(Twice(), (4, 8, 8)).sites] == ["network", "network-2", "net.0"]


# Backbones


# He et al., arXiv:1512.03385, table 6, in millions.
@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_cifar_networks_have_the_parameters_of_he_et_al(depth, millions):
    counted = params(named(f"resnet{depth}", classes=10, channels=3)) / 1e6
    assert round(counted, 2 if millions < 1 else 1) == millions


def test_resnet20_has_269722_parameters():
    assert params(named("resnet20", classes=10, channels=3)) == 269_722


def test_shortcuts_of_cifar_networks_have_no_parameters():
    weights = dict(named("resnet20", classes=10, channels=3).named_parameters())
    assert all(name.split(".")[-2].startswith(("conv", "bn", "fc")) for name in weights)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_builds_with_the_classes_asked_for(name):
    width = {} if name in ("resnet18", "resnet34", "resnet50") else {"width": 2}
    assert named(name, classes=7, channels=3, **width).fc.out_features == 7


@pytest.mark.parametrize("name", ["resnet19", "vgg16", "", "resnet", "resnet2", "xresnet8"])
def test_an_unknown_name_is_answered_with_those_there_are(name):
    with pytest.raises(ConfigError, match=r"(backbone\.name.*resnet8, resnet14.*resnet50|6n\+2)"):
        named(name, classes=10, channels=3)


def test_a_width_for_torchvisions_networks_is_refused():
    with pytest.raises(ConfigError, match=r"\Abackbone\.width .*16 for resnet18.*\Z"):
        named("resnet18", classes=10, channels=3, width=16)


@pytest.mark.parametrize("width", [0, -1])
def test_a_width_below_1_is_refused(width):
    with pytest.raises(ConfigError, match=rf"\Abackbone\.width must be at least 1, got {width}\Z"):
        CifarResNet(8, classes=10, width=width)


def test_torchvisions_networks_take_3_channels_and_the_others_what_there_is():
    assert [input_channels(Backbone(name=name), 1) for name in ("resnet50", "resnet8")] == [3, 1]


# Units in unusual surroundings


class Attention(nn.Module):
    """Gates its input by a convolution of its mean: an attention of another kind, with a convolution on a side way."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.conv(x.mean((2, 3), keepdim=True)))


class Branch(nn.Module):
    """x + the layers of it."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.layers(x)


def layers(*between):
    first = [nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)]
    return [*first, *between, nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)]


def test_a_convolution_on_a_side_way_is_not_the_middle_of_the_branch():
    net = Branch(Attention(), Attention(), Attention(), *layers(nn.ReLU()))
    (unit,) = trace(net, (4, 8, 8)).units
    assert unit.cuts[P.INNER].source == "layers_5"  # the ReLU behind the first of its two convolutions


def test_an_identity_between_the_layers_of_a_unit_hides_no_place():
    net = Branch(*layers(nn.Identity(), nn.ReLU(), nn.Identity()), nn.Identity())
    (unit,) = trace(net, (4, 8, 8)).units
    assert list(unit.site.places) == [P.PRE, P.INNER_BEFORE_RELU, P.INNER, P.STANDARD, P.IDENTITY, P.POST]
    assert (unit.cuts[P.INNER_BEFORE_RELU].source, unit.cuts[P.INNER].source) == ("layers_1", "layers_3")


def test_a_long_shortcut_in_the_roots_forward_leaves_the_units_within_it():
    class Long(nn.Module):
        def __init__(self):
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))

        def forward(self, x):
            y = x + self.convs[0](x)
            y = y + self.convs[1](y)
            return x + self.convs[2](y)

    assert [site.name for site in trace(Long(), (4, 8, 8)).sites] == ["network", "network-2", "network-3"]


def test_a_place_that_two_units_have_in_common_is_the_smaller_ones():
    class Outer(nn.Module):
        """Its branch ends with a unit, so that `standard` of the one is `post` of the other."""

        def __init__(self):
            super().__init__()
            self.conv, self.unit = nn.Conv2d(4, 4, 1), Branch(*layers(nn.ReLU()))

        def forward(self, x):
            return x + self.unit(self.conv(x))

    units = trace(nn.Sequential(Outer(), nn.Flatten()), (4, 8, 8)).units
    assert {unit.site.name: P.POST in unit.cuts for unit in units} == {"0.unit": True, "0": True}
    assert {unit.site.name: P.STANDARD in unit.cuts for unit in units} == {"0.unit": True, "0": False}
    cuts = [(cut.source, frozenset(cut.readers)) for unit in units for cut in unit.cuts.values()]
    assert len(set(cuts)) == len(cuts)
