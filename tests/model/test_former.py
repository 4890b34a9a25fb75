"""SE blocks that a backbone came with: which are ours by another name, and what is left when they are taken out."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import mobilenet_v3_small
from torchvision.ops.misc import SqueezeExcitation as Torchvisions

from senas.core.block import Activation, Gate, Original, Placement, SEBlock, Squeeze
from senas.core.config import SEConfig
from senas.errors import SpaceError, SurgeryError
from senas.model.cost import macs, params
from senas.model.former import as_ours, is_built_in
from senas.model.se import SqueezeExcitation
from senas.model.sites import trace
from senas.model.surgery import insert

P = Placement
EXAMPLE = (3, 8, 8)


class SELayer(nn.Module):
    """As people write it: linear layers in a Sequential, and views. `act`, `gate`, `pool` and `extra` vary it."""

    def __init__(self, channels=6, hidden=2, *, bias=True, act=None, gate=None, pool=None, extra=None):
        super().__init__()
        self.pool = pool or nn.AdaptiveAvgPool2d(1)
        layers = [nn.Linear(channels, hidden, bias), act or nn.ReLU(inplace=True), nn.Linear(hidden, channels, bias)]
        self.excite = nn.Sequential(*layers, *([extra] if extra else []), gate or nn.Sigmoid())

    def forward(self, x):
        batch, channels, _, _ = x.size()
        y = self.excite(self.pool(x).view(batch, channels)).view(batch, channels, 1, 1)
        return x * y.expand_as(x)


class Functional(SELayer):
    def forward(self, x):
        y = self.excite[2](F.silu(self.excite[0](torch.mean(x, (2, 3)))))
        return torch.mul(x, F.hardsigmoid(y)[:, :, None, None])


class Amax(SELayer):
    def forward(self, x):
        y = self.excite[2](torch.relu(self.excite[0](x.amax((2, 3)))))
        return x.mul(torch.sigmoid(y).unsqueeze(2).unsqueeze(3))


OURS = {
    "torchvision": (lambda: Torchvisions(6, 2), SEBlock(hidden=2)),
    "torchvision, as in EfficientNet": (
        lambda: Torchvisions(6, 4, activation=nn.SiLU),
        SEBlock(hidden=4, activation=Activation.SILU),
    ),
    "torchvision, as in MobileNetV3": (
        lambda: Torchvisions(6, 3, scale_activation=nn.Hardsigmoid),
        SEBlock(hidden=3, gate=Gate.HARD_SIGMOID),
    ),
    "one's own": (SELayer, SEBlock(hidden=2)),
    "without bias": (lambda: SELayer(bias=False), SEBlock(hidden=2, bias=False)),
    "largest value": (lambda: SELayer(pool=nn.AdaptiveMaxPool2d((1, 1))), SEBlock(hidden=2, squeeze=Squeeze.MAX)),
    "functional": (Functional, SEBlock(hidden=2, activation=Activation.SILU, gate=Gate.HARD_SIGMOID)),
    "amax": (Amax, SEBlock(hidden=2, squeeze=Squeeze.MAX)),
}


class Doubled(SELayer):
    def forward(self, x):
        return 2 * super().forward(x)


class Additive(SELayer):
    def forward(self, x):
        return x + self.excite(x.mean((2, 3)))[:, :, None, None]


class Shortcut(SELayer):
    def forward(self, x):
        return x * torch.sigmoid(self.excite(x.mean((2, 3))) + x.mean((2, 3)))[:, :, None, None]


class OfRows(SELayer):
    def forward(self, x):
        return x * self.excite(x.mean(2).mean(2))[:, :, None, None]


class OtherDimensions(SELayer):
    def forward(self, x):
        return x * self.excite(x.mean((1, 3)))[:, :, None, None]


class OtherOrder(SELayer):
    def forward(self, x):
        return x * self.excite(x.mean((2, 3)))[:, [1, 2, 3, 4, 5, 0], None, None]


class OfCorner(SELayer):
    def forward(self, x):
        return x * self.excite(x[:, :, :2, :2].mean((2, 3)))[:, :, None, None]


class HardSigmoid(nn.Module):
    """Not PyTorch's, whose slope is 1/6."""

    def forward(self, x):
        return torch.clamp(0.2 * x + 0.5, 0, 1)


class OneBias(SELayer):
    def __init__(self):
        super().__init__()
        self.excite[2] = nn.Linear(2, 6, bias=False)


NOT_OURS = {
    "a mean over other dimensions": OtherDimensions,
    "channels in another order": OtherOrder,
    "the mean of a corner": OfCorner,
    "another gate of a known name": lambda: SELayer(gate=HardSigmoid()),
    "one bias": OneBias,
    "a normalisation": lambda: SELayer(extra=nn.LayerNorm(6)),
    "dropout": lambda: SELayer(extra=nn.Dropout(0.5)),
    "another activation": lambda: SELayer(act=nn.GELU()),
    "another gate": lambda: SELayer(gate=nn.Tanh()),
    "another pooling": lambda: SELayer(pool=nn.AdaptiveAvgPool2d((2, 1)), channels=6),
    "twice": Doubled,
    "a sum": Additive,
    "a shortcut inside": Shortcut,
    "two steps to the mean": OfRows,
}


@pytest.mark.parametrize("name", OURS)
def test_a_block_that_computes_what_ours_does_is_read_as_one_of_ours(name):
    make, block = OURS[name]
    assert as_ours(make(), P.STANDARD).block == block


@pytest.mark.parametrize("name", OURS)
def test_a_block_that_is_read_as_ours_computes_the_same_from_the_same_weights(name, randomise):
    theirs = randomise(OURS[name][0]())
    read = as_ours(theirs, P.STANDARD)
    ours = SqueezeExcitation(read.block, 6).double()
    for layer, path in zip((ours.fc1, ours.fc2), read.layers, strict=True):
        for name, parameter in layer.named_parameters():
            parameter.data = theirs.get_submodule(path).get_parameter(name).detach().view_as(parameter)
    x = torch.randn(3, 6, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", NOT_OURS)
def test_a_block_that_computes_anything_else_is_not_read_as_ours(name):
    assert as_ours(NOT_OURS[name](), P.STANDARD) is None


def test_a_class_that_derives_from_a_known_one_is_known():
    assert [is_built_in(module) for module in (Doubled(), Torchvisions(4, 1), nn.Conv2d(1, 1, 1))] == [
        True,
        True,
        False,
    ]


# Networks


class Unit(nn.Module):
    """x + branch(x), or branch(x) where there is no shortcut; the block sits where `at` says."""

    def __init__(self, block, at, shortcut=True):
        super().__init__()
        layers = [nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True)]
        last = [nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)]
        self.branch = nn.Sequential(
            *{
                "inner": [*layers, block, *last],
                "before relu": [*layers[:2], block, layers[2], *last],
                "standard": [*layers, *last, block],
                "pre": [block, *layers, *last],
                "two": [*layers, block, *last, copy.deepcopy(block)],
            }[at]
        )
        self.shortcut = shortcut

    def forward(self, x):
        y = self.branch(x)
        return F.relu(x + y) if self.shortcut else F.relu(y)


class Net(nn.Module):
    def __init__(self, *units):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.units = nn.Sequential(*units)
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        return self.fc(self.units(self.stem(x)).mean((2, 3)))


NETS = {
    "inner": lambda: Net(Unit(SELayer(), "inner"), Unit(nn.Identity(), "inner")),
    "before relu": lambda: Net(Unit(SELayer(), "before relu")),
    "standard": lambda: Net(Unit(Torchvisions(6, 2), "standard"), Unit(Torchvisions(6, 3), "standard")),
    "pre": lambda: Net(Unit(SELayer(), "pre")),
    "two": lambda: Net(Unit(SELayer(), "two")),
    "identities": lambda: Net(Unit(nn.Sequential(nn.Identity(), SELayer(), nn.Identity()), "inner")),
    "no shortcut": lambda: Net(Unit(SELayer(), "inner", shortcut=False), Unit(SELayer(), "inner")),
    "kept as it is": lambda: Net(Unit(SELayer(gate=nn.Tanh()), "inner"), Unit(SELayer(), "standard")),
}


def stripped(name, randomise):
    net = randomise(NETS[name]())
    return net, trace(net, EXAMPLE, strip_se=True)


def without_blocks(net):
    bare = copy.deepcopy(net)
    for path, module in net.named_modules():
        if is_built_in(module):
            owner, _, name = path.rpartition(".")
            setattr(bare.get_submodule(owner), name, nn.Identity())
    return bare


def assert_computes_as(ours, theirs):
    """In train(), with gradients to the images, in eval(), and after switching back."""
    for training in (True, False, True):
        results = []
        for net in (ours.train(training), theirs.train(training)):
            x = torch.randn(4, *EXAMPLE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
            y = net(x.requires_grad_())
            results.append((y, *torch.autograd.grad(y.square().sum(), x)))
        torch.testing.assert_close(*results, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NETS)
def test_with_the_former_blocks_the_network_is_what_it_was(name, randomise):
    net, traced = stripped(name, randomise)
    assert_computes_as(insert(net, SEConfig.former(traced.sites), traced), net)


@pytest.mark.parametrize("name", NETS)
def test_with_no_blocks_the_network_is_without_those_it_came_with(name, randomise):
    net, traced = stripped(name, randomise)
    bare = insert(net, SEConfig(), traced)
    assert not any(map(is_built_in, bare.modules()))
    assert_computes_as(bare, without_blocks(net))


@pytest.mark.parametrize(
    ("name", "former"),
    [
        ("inner", {"units.0.branch.3": P.INNER, "units.1": None}),
        ("before relu", {"units.0.branch.2": P.INNER_BEFORE_RELU}),
        ("standard", {"units.0.branch.5": P.STANDARD, "units.1.branch.5": P.STANDARD}),
        ("pre", {"units.0.branch.0": P.PRE}),
        ("two", {"units.0.branch.3": P.INNER, "units.0.branch.6": P.STANDARD}),
        ("identities", {"units.0.branch.3.1": P.INNER}),
        ("no shortcut", {"units.0.branch.3": P.INNER, "units.1.branch.3": P.INNER}),
    ],
)
def test_a_former_block_is_a_site_by_its_path_and_its_place_has_the_name_it_has_in_the_unit(name, former, randomise):
    _, traced = stripped(name, randomise)
    assert {site.name: site.former and site.former.placement for site in traced.sites} == former


def test_the_site_of_a_former_block_has_the_other_placements_of_its_unit(randomise):
    _, traced = stripped("inner", randomise)
    assert [list(site.places) for site in traced.sites] == [list(P), list(P)]


@pytest.mark.parametrize("placement", [P.PRE, P.INNER_BEFORE_RELU, P.STANDARD, P.IDENTITY, P.POST_BEFORE_RELU, P.POST])
def test_a_block_can_go_elsewhere_in_the_unit_than_the_former_one(placement, randomise):
    net, traced = stripped("inner", randomise)
    moved = insert(net, SEConfig({"units.0.branch.3": SEBlock(hidden=2, placement=placement)}), traced)

    def by_hand(x):
        block, unit = moved.units[0].branch[3], moved.units[0]
        at = {each: block if each is placement else nn.Identity() for each in P}
        x = moved.stem(x)
        y = at[P.INNER_BEFORE_RELU](unit.branch[1](unit.branch[0](at[P.PRE](x))))
        y = at[P.STANDARD](unit.branch[5](unit.branch[4](F.relu(y))))
        x = at[P.POST](F.relu(at[P.POST_BEFORE_RELU](at[P.IDENTITY](x) + y)))
        unit = moved.units[1]
        y = F.relu(unit.branch[1](unit.branch[0](x)))
        return moved.fc(F.relu(x + unit.branch[5](unit.branch[4](y))).mean((2, 3)))

    x = torch.randn(4, *EXAMPLE, dtype=torch.float64)
    torch.testing.assert_close(moved(x), by_hand(x), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", NETS)
def test_no_place_has_two_names(name, randomise):
    _, traced = stripped(name, randomise)
    cuts = [(cut.source, frozenset(cut.readers)) for unit in traced.units for cut in unit.cuts.values()]
    assert len(set(cuts)) == len(cuts)


def test_a_block_that_equals_the_former_one_begins_with_its_weights_bit_for_bit(randomise):
    net, traced = stripped("standard", randomise)
    config = SEConfig({"units.0.branch.5": SEBlock(hidden=2), "units.1.branch.5": SEBlock(hidden=2)})
    ours = insert(net, config, traced)
    equal, another = ours.units[0].branch[5], ours.units[1].branch[5]
    former = net.units[0].branch[5]
    assert torch.equal(equal.fc1.weight, former.fc1.weight.flatten(1))
    assert torch.equal(equal.fc2.bias, former.fc2.bias)
    assert another.fc1.weight.shape == (2, 6)  # where the former one has a hidden width of 3


def test_a_former_block_that_was_frozen_is_frozen_as_one_of_ours():
    net = mobilenet_v3_small(num_classes=4).requires_grad_(False)
    traced = trace(net, (3, 32, 32), strip_se=True)
    assert not any(p.requires_grad for p in insert(net, SEConfig.former(traced.sites), traced).parameters())


def test_weights_of_a_former_block_are_copied_not_shared(randomise):
    net, traced = stripped("standard", randomise)
    before = copy.deepcopy(net.state_dict())
    ours = insert(net, SEConfig.former(traced.sites), traced)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(1)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_a_block_that_is_kept_as_it_is_is_the_module_that_it_was(randomise):
    net, traced = stripped("kept as it is", randomise)
    config = SEConfig.former(traced.sites)
    assert config["units.0.branch.3"] == Original()
    assert type(insert(net, config, traced).units[0].branch[3]) is SELayer


def test_original_is_refused_where_the_former_block_is_one_of_ours(randomise):
    net, traced = stripped("inner", randomise)
    with pytest.raises(
        SpaceError, match=r"\Asite units\.0\.branch\.3 has no block of the backbone's own that is kept.*\Z"
    ):
        insert(net, SEConfig({"units.0.branch.3": Original()}), traced)


def test_the_keys_of_everything_else_stay_in_their_order(randomise):
    net, traced = stripped("inner", randomise)
    others = [key for key in net.state_dict() if not key.startswith("units.0.branch.3.")]
    assert list(insert(net, SEConfig(), traced).state_dict()) == others
    named = [key for key in insert(net, SEConfig.former(traced.sites), traced).state_dict() if ".branch.3." not in key]
    assert named == others


@pytest.mark.parametrize("name", NETS)
def test_what_a_former_block_costs_is_counted(name, randomise):
    net, traced = stripped(name, randomise)
    bare, config = insert(net, SEConfig(), traced), SEConfig.former(traced.sites)
    assert params(net) - params(bare) == config.params(traced.sites) > 0
    assert macs(net, EXAMPLE) - macs(bare, EXAMPLE) == config.macs(traced.sites) > 0


def test_a_stripped_network_can_be_copied_and_pickled(randomise):
    net, traced = stripped("kept as it is", randomise)
    ours = insert(net, SEConfig.former(traced.sites), traced).eval()
    x = torch.randn(2, *EXAMPLE, dtype=torch.float64)
    for again in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert torch.equal(again(x), ours(x))


def test_left_in_its_blocks_are_no_sites_and_stay(randomise):
    net = randomise(NETS["inner"]())
    traced = trace(net, EXAMPLE)
    assert [(site.name, site.former) for site in traced.sites] == [("units.0", None), ("units.1", None)]
    operated = insert(net, SEConfig({"units.0": SEBlock(hidden=2, gate=Gate.TWICE_SIGMOID)}), traced)
    assert type(operated.units[0].branch[3]) is SELayer
    assert_computes_as(operated, net)


def test_a_block_that_is_called_in_two_places_stays(randomise):
    shared = SELayer()
    net = randomise(Net(Unit(shared, "inner"), Unit(shared, "inner"), Unit(SELayer(), "inner")))
    traced = trace(net, EXAMPLE, strip_se=True)
    assert [site.name for site in traced.sites if site.former] == ["units.2.branch.3"]
    assert_computes_as(insert(net, SEConfig.former(traced.sites), traced), net)


def test_a_network_with_no_block_to_take_out_is_refused():
    with pytest.raises(SurgeryError, match=r"\Abackbone\.strip_se: Net has no SE blocks of its own .*leave it out\Z"):
        trace(Net(Unit(nn.Identity(), "inner")), EXAMPLE, strip_se=True)


# The networks that people have


TORCHVISIONS = {"efficientnet_b0": 16, "efficientnet_v2_s": 30, "mobilenet_v3_large": 8, "regnet_y_400mf": 16}


def of_torchvision(name):
    from torchvision import models

    return getattr(models, name)(weights=None, num_classes=10)


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISIONS)
def test_torchvisions_networks_have_as_many_blocks_as_counted_and_all_are_ours(name):
    traced = trace(of_torchvision(name), (3, 64, 64), strip_se=True)
    former = [site.former.block for site in traced.sites if site.former]
    assert len(former) == TORCHVISIONS[name]
    assert all(former)


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISIONS)
def test_torchvisions_networks_with_their_former_blocks_are_what_they_were(name, randomise):
    assert_stripped_and_restored(randomise(of_torchvision(name)))


TIMMS = (
    *("seresnet18", "seresnet50", "efficientnet_b0", "mobilenetv3_small_100", "regnety_002", "lcnet_050"),
    *("tf_efficientnet_b0", "nf_regnet_b0", "rexnet_100", "ese_vovnet19b_dw", "hgnet_tiny", "tresnet_m"),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMMS)
def test_timms_networks_with_their_former_blocks_are_what_they_were(name, randomise):
    timm = pytest.importorskip("timm")
    assert_stripped_and_restored(randomise(timm.create_model(name, num_classes=10)))


def assert_stripped_and_restored(net):
    traced = trace(net, (3, 64, 64), strip_se=True)
    pairs = [
        (insert(net, SEConfig.former(traced.sites), traced), net),
        (insert(net, SEConfig(), traced), without_blocks(net)),
    ]
    x = torch.randn(4, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for ours, theirs in pairs:
        for training in (False, True):
            results = []
            for each in (ours.train(training), theirs.train(training)):
                torch.manual_seed(1)  # of stochastic depth
                results.append(each(x))
            scale = float(results[1].detach().abs().max())
            torch.testing.assert_close(results[0] / scale, results[1] / scale, rtol=0, atol=1e-12)


def test_hooks_on_a_block_that_would_be_taken_out_are_refused():
    net = mobilenet_v3_small(num_classes=3)
    net.get_submodule("features.4.block.2.fc1").register_forward_hook(lambda *_: None)
    trace(net, (3, 32, 32))
    with pytest.raises(SurgeryError, match=r"\Afeatures\.4\.block\.2 has hooks, and would [^\n]*\Z"):
        trace(net, (3, 32, 32), strip_se=True)
