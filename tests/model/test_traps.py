"""Networks that a naive edit of the traced graph gets wrong without a word."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.ops import StochasticDepth

from senas.core.block import Gate, Placement, SEBlock
from senas.core.config import SEConfig
from senas.errors import SurgeryError
from senas.model.sites import trace
from senas.model.surgery import insert

P = Placement
EXAMPLE = (4, 6, 6)


class Two(nn.Module):
    """One residual unit of two convolutions, `unit`; subclasses say how it computes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.unit = self.Unit()

    def forward(self, x):
        return self.unit(x + 0).mean((2, 3))  # + 0: a leaf may not be changed in place

    class Unit(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(4, 4, 3, padding=1)
            self.conv2 = nn.Conv2d(4, 4, 3, padding=1)

        def branch(self, x):
            return self.conv2(F.relu(self.conv1(x)))


class Plain(Two.Unit):
    def forward(self, x):
        return self.branch(x) + x


def two(forward, **modules):
    """A network whose unit computes `forward(unit, x)` and has these modules too."""

    class Unit(Two.Unit):
        def __init__(self):
            super().__init__()
            for name, module in modules.items():
                self.add_module(name, module)

        def forward(self, x):
            return forward(self, x)

    class Net(Two):
        pass

    Net.Unit = Unit
    return Net()


def operated(net, **placements):
    """The network with a block at each unit named, `unit=Placement.PRE`; `.` is written `_`."""
    traced = trace(net, EXAMPLE)
    config = {name.replace("_", "."): SEBlock(hidden=2, placement=place) for name, place in placements.items()}
    return insert(net, SEConfig(config), traced)


def assert_computes(net, by_hand):
    x = torch.randn(3, *EXAMPLE, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(2)
    ours = net(x)
    torch.manual_seed(2)
    torch.testing.assert_close(ours, by_hand(x).mean((2, 3)))


# In-place operations on the fork: the shortcut carries the changed value too


def changed_by_method(x):
    return x.mul_(2)


def changed_by_operator(x):
    x *= 2
    return x


def changed_by_division(x):
    x /= 2
    return x


IN_PLACE = {
    "relu_": torch.relu_,
    "leaky_relu_": F.leaky_relu_,
    "relu": lambda x: F.relu(x, inplace=True),
    "elu": lambda x: F.elu(x, 1.0, True),
    "sigmoid_": torch.sigmoid_,
    "mul_": changed_by_method,
    "*=": changed_by_operator,
    "/=": changed_by_division,
}


@pytest.mark.parametrize("placement", [P.PRE, P.IDENTITY, P.STANDARD])
@pytest.mark.parametrize("change", IN_PLACE)
def test_an_in_place_operation_at_the_head_of_the_branch_changes_the_shortcut_too(change, placement):
    def forward(unit, x):
        y = x
        y = IN_PLACE[change](y)
        return unit.branch(y) + x

    net = operated(two(forward), unit=placement)

    def by_hand(x):
        x = IN_PLACE[change](x.clone())
        at = {p: net.unit.se if p is placement else nn.Identity() for p in P}
        return at[P.STANDARD](net.unit.branch(at[P.PRE](x))) + at[P.IDENTITY](x)

    assert_computes(net, by_hand)


def test_an_alias_that_is_changed_by_an_operator_is_changed_under_both_names():
    def forward(unit, x):
        shortcut = x
        x += 1
        return unit.branch(x) + shortcut

    net = operated(two(forward), unit=P.STANDARD)
    assert_computes(net, lambda x: net.unit.se(net.unit.branch(x + 1)) + (x + 1))


def test_a_number_that_is_counted_up_keeps_its_old_value_under_its_old_name():
    def forward(unit, x):
        channels = x.size(1)
        scale = channels
        scale += 1
        return unit.branch(x) * scale + x * channels

    net = operated(two(forward), unit=P.PRE)
    assert_computes(net, lambda x: net.unit.branch(net.unit.se(x)) * 5 + x * 4)


# In-place operations under other names: views, parts, aliases, outputs given as arguments


def head_relu(unit, x):
    x[:, :2].relu_()
    return unit.branch(x) + x


def out_argument(unit, x):
    y = x * 2
    torch.add(x, 1, out=y)
    return unit.branch(y) + y


def of_data(unit, x):
    y = x * 2
    y.data.relu_()
    return unit.branch(y) + y


def by_view(unit, x):
    x.view(x.shape[0], -1).mul_(2)
    return unit.branch(x) + x


def by_alias(unit, x):
    y = unit.same(x)
    y.relu_()
    return unit.branch(y) + x


def by_module_in_training(unit, x):
    y = unit.drop(x)
    return unit.branch(y) + x


def by_alias_in_eval(unit, x):
    y = F.relu_(unit.drop(x))
    return unit.branch(y) + x


def by_a_chunk(unit, x):
    first, second = x.chunk(2, 1)
    first.relu_()
    return unit.branch(torch.cat([first, second], 1)) + x


def index_later(unit, x):
    parts = x.split(2, 1)
    parts[0].relu_()
    again = parts[0]
    return unit.branch(torch.cat([again, parts[1]], 1)) + x


UNDER_OTHER_NAMES = {
    "a slice": (head_relu, {}),
    "out=": (out_argument, {}),
    "data": (of_data, {}),
    "a view": (by_view, {}),
    "an alias": (by_alias, {"same": nn.Identity()}),
    "dropout in training": (by_module_in_training, {"drop": nn.Dropout(0.5, inplace=True)}),
    "dropout in eval": (by_alias_in_eval, {"drop": nn.Dropout(0.5)}),
    "a chunk": (by_a_chunk, {}),
    "an index": (index_later, {}),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("placement", list(P))
@pytest.mark.parametrize("change", UNDER_OTHER_NAMES)
def test_a_change_under_another_name_reaches_its_readers_or_its_unit_is_no_site(change, placement, training):
    """A gate that gives its input changes nothing, wherever it is; a graph that lost a change would."""
    forward, modules = UNDER_OTHER_NAMES[change]
    net = nn.Sequential(two(forward, **modules).unit, Plain()).train(training)
    block = SEBlock(hidden=2, placement=placement, gate=Gate.TWICE_SIGMOID)
    traced = trace(net, EXAMPLE)
    config = SEConfig({site.name: block for site in traced.sites if placement in site.places})
    x = torch.randn(2, *EXAMPLE)
    torch.manual_seed(0)
    ours = insert(net, config, traced)(x.clone())
    torch.manual_seed(0)
    assert torch.equal(ours, net(x.clone()))


def test_a_shortcut_that_begins_at_a_part_has_no_place_at_the_parts_together():
    def forward(unit, x):
        first, second = unit.conv3(x).chunk(2, 1)
        return unit.branch(first + 0 * second) + second

    net = nn.Sequential(two(forward, conv3=nn.Conv2d(4, 8, 1)).unit)
    (site,) = trace(net, EXAMPLE).sites
    assert P.PRE not in site.places
    assert P.STANDARD in site.places


@pytest.mark.parametrize("half", [0, 1])
def test_a_part_that_nobody_changes_may_be_read_after_the_other_was_changed(half):
    def forward(unit, x):
        parts = (x + 0).chunk(2, 1)
        parts[half].relu_()
        y = torch.cat(parts, 1)
        return unit.branch(y) + y

    assert [site.name for site in trace(two(forward), EXAMPLE).sites] == ["unit"]


def test_a_buffer_that_is_counted_up_is_counted_up_by_every_forward():
    class Counted(Plain):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x):
            self.count.add_(1)
            return super().forward(x) * self.count

    net = nn.Sequential(Counted())
    ours = insert(net, SEConfig({"0": SEBlock(hidden=2, gate=Gate.TWICE_SIGMOID)}), trace(net, EXAMPLE))
    x = torch.randn(2, *EXAMPLE)
    for _ in range(2):
        assert torch.equal(ours(x), net(x))
    assert ours[0].count == 2


# Additions


@pytest.mark.parametrize(
    "add",
    [lambda a, b: a + b, torch.add, lambda a, b: a.add(b), lambda a, b: b.add_(a)],
    ids=["+", "torch.add", "add", "add_"],
)
def test_the_branch_is_told_from_the_shortcut_whichever_comes_first(add):
    net = operated(two(lambda unit, x: add(x + 0, unit.branch(x))), unit=P.STANDARD)
    assert_computes(net, lambda x: x + net.unit.se(net.unit.branch(x)))


def test_a_shortcut_with_a_convolution_is_still_the_shortcut():
    net = two(lambda unit, x: unit.projection(x) + unit.branch(x), projection=nn.Conv2d(4, 4, 1))
    net = operated(net, unit=P.IDENTITY)
    assert_computes(net, lambda x: net.unit.se(net.unit.projection(x)) + net.unit.branch(x))


def test_where_branch_and_shortcut_cannot_be_told_apart_only_post_is_offered():
    net = two(lambda unit, x: unit.conv1(x) + unit.conv2(x))
    (site,) = trace(net, EXAMPLE).sites
    assert list(site.places) == [P.POST]


def test_the_sum_of_two_images_is_no_residual_unit():
    (site,) = trace(two(lambda unit, x: unit.branch(x + x.mean((2, 3), keepdim=True))), EXAMPLE).sites
    assert site.name == "unit.conv1"  # a convolution with its activation


def test_a_branch_without_a_convolution_is_no_residual_unit():
    with pytest.raises(SurgeryError, match=r"\ANet has no site: .*backbone\.modules.*\Z"):
        trace(two(lambda unit, x: unit.conv1(F.relu(x) + x)), EXAMPLE)


# Randomness before the addition: the squeeze must not see values scaled by 1 / (1 - p)


class DropPath(nn.Module):
    """As in timm: by image, and nothing at all in eval."""

    def forward(self, x):
        if not self.training:
            return x
        return x * torch.empty(x.shape[0], 1, 1, 1).bernoulli_(0.5) / 0.5


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "drop",
    [
        lambda: nn.Dropout(0.5),
        lambda: nn.Dropout2d(0.5),
        lambda: nn.Sequential(nn.Dropout(0.5), nn.Dropout2d(0.5)),
        lambda: StochasticDepth(0.5, "row"),
        DropPath,
    ],
    ids=["dropout", "dropout2d", "two", "stochastic depth", "drop path"],
)
def test_standard_is_before_what_drops_at_random(drop, training):
    net = two(lambda unit, x: unit.drop(unit.branch(x)) + x, drop=drop()).train(training)
    net = operated(net, unit=P.STANDARD)
    assert_computes(net, lambda x: net.unit.drop(net.unit.se(net.unit.branch(x))) + x)


# Units inside units


class Nested(Two.Unit):
    """y = x + inner(x), where inner is a residual unit that begins at the same fork."""

    class Inner(Two.Unit):
        def forward(self, x):
            return self.branch(x) + x

    def __init__(self):
        super().__init__()
        self.inner = self.Inner()

    def forward(self, x):
        return self.conv1(self.inner(x)) + x


@pytest.mark.parametrize("outer", [None, P.PRE, P.STANDARD, P.IDENTITY, P.POST])
@pytest.mark.parametrize("inner", [None, P.PRE, P.INNER, P.STANDARD, P.IDENTITY, P.POST])
def test_blocks_of_a_unit_within_a_unit_are_composed(inner, outer):
    class Net(Two):
        Unit = Nested

    wanted = {name: place for name, place in {"unit_inner": inner, "unit": outer}.items() if place}
    net = operated(Net(), **wanted)

    def gate(unit, wanted, place):
        return unit.se if wanted is place else nn.Identity()

    def by_hand(x):
        unit, small = net.unit, net.unit.inner
        y = gate(unit, outer, P.PRE)(x)
        z = small.conv1(gate(small, inner, P.PRE)(y))
        z = gate(small, inner, P.INNER)(F.relu(z))
        z = gate(small, inner, P.STANDARD)(small.conv2(z)) + gate(small, inner, P.IDENTITY)(y)
        z = unit.conv1(gate(small, inner, P.POST)(z))
        return gate(unit, outer, P.POST)(gate(unit, outer, P.STANDARD)(z) + gate(unit, outer, P.IDENTITY)(x))

    assert_computes(net, by_hand)


class Twice(nn.Module):
    """One residual unit, called two times."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.u = Residual(self.unit)

    def forward(self, x):
        return self.u(self.u(x)).mean((2, 3))


class Residual(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x):
        return torch.relu(x + self.branch(x))


def test_a_unit_that_is_called_twice_is_two_sites():
    net = Twice()
    traced = trace(net, (4, 8, 8))
    assert [site.name for site in traced.sites] == ["u", "u-2"]
    config = SEConfig({"u": SEBlock(hidden=1), "u-2": SEBlock(hidden=2)})
    operated = insert(net, config, traced)
    assert operated(torch.ones(2, 4, 8, 8)).shape == (2, 4)
    assert (operated.u.se.block.hidden, operated.u.se_.block.hidden) == (1, 2)
