"""Folding constant gates: the network without them computes what it did with them, and has no trace of them."""

import copy
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from senas.core.block import Placement, SEBlock, Squeeze
from senas.core.config import SEConfig
from senas.model.cifar import CifarResNet
from senas.model.fold import fold, stays
from senas.model.gates import gate_paths, instead
from senas.model.sites import trace
from senas.model.surgery import insert

P = Placement
EXACT = 1e-10
KINDS = ["basic", "bottleneck", "pre-activation", "plain", "cifar"]


def images(count=3, shape=(3, 8, 8)):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def drawn(traced, config, seed=0):
    """Factors from 0.1 to 1.1 for every site."""
    generator = torch.Generator().manual_seed(seed)
    return {
        site.name: torch.rand(site.seen(block).channels, generator=generator, dtype=torch.float64) + 0.1
        for site, block in config.on(traced.sites)
    }


def everywhere_at(traced, placement, **fields):
    return SEConfig(
        {s.name: SEBlock(hidden=2, placement=placement, **fields) for s in traced.sites if placement in s.places}
    )


def assert_folds(backbone, config, traced, factors, stayed=()):
    """Exactly these stay, and the network computes what it does with the others constant, without a trace of them."""
    net = insert(backbone, config, traced).eval()
    folded = fold(backbone, net, config, traced, factors)
    assert sorted(folded.stayed) == sorted(stayed)
    gone = {site: each for site, each in factors.items() if site not in stayed}
    assert sorted(folded.config) == sorted(set(config) - set(gone))
    shape = next(node for node in traced.graph.nodes if node.op == "placeholder").meta["tensor_meta"].shape[1:]
    x = images(shape=shape)
    with torch.no_grad():
        with instead(net, gate_paths(backbone, config, traced), gone):
            expected = net(x)
        assert (folded.net(x) - expected).abs().max() <= EXACT * max(1.0, expected.abs().max())
    like = insert(backbone, folded.config, traced)
    assert list(folded.net.state_dict()) == list(like.state_dict())
    assert [name for name, _ in folded.net.named_modules()] == [name for name, _ in like.named_modules()]
    return folded


@pytest.mark.parametrize("kind", KINDS)
def test_gates_fold_at_every_placement_of_every_unit(kinds, kind):
    backbone, traced = kinds[kind]
    for placement in Placement:
        if config := everywhere_at(traced, placement):
            assert_folds(backbone, config, traced, drawn(traced, config))


@settings(max_examples=8)
@given(st.data())
def test_what_is_folded_computes_the_same_whatever_other_sites_have(kinds, data):
    backbone, traced = kinds[data.draw(st.sampled_from(KINDS))]
    chosen, constant = {}, []
    for site in traced.sites:
        placement = data.draw(st.sampled_from([None, *site.places]))
        if placement:
            chosen[site.name] = SEBlock(hidden=2, placement=placement, squeeze=data.draw(st.sampled_from(Squeeze)))
            constant += [site.name] if data.draw(st.booleans()) else []
    config = SEConfig(chosen)
    factors = {site: each for site, each in drawn(traced, config).items() if site in constant}
    for each in factors.values():
        if data.draw(st.integers(0, 5)) == 0:
            each[data.draw(st.integers(0, len(each) - 1))] = 0.0
    net = insert(backbone, config, traced)
    assert_folds(backbone, config, traced, factors, stays(backbone, net, config, traced, factors))


def test_a_gate_that_others_read_around_stays_right_where_their_blocks_are_not_folded(kinds):
    backbone, traced = kinds["basic"]
    config = SEConfig({"layer2.0": SEBlock(hidden=2, placement=P.POST), "layer2.1": SEBlock(hidden=2, placement=P.PRE)})
    factors = drawn(traced, config)
    for site in config:
        folded = assert_folds(backbone, config, traced, {site: factors[site]})
        assert list(folded.config) == [each for each in config if each != site]


@pytest.mark.parametrize("squeeze", Squeeze)
def test_a_block_that_stays_on_a_stream_that_is_scaled_gives_the_gates_that_it_gave(kinds, squeeze):
    backbone, traced = kinds["cifar"]
    stays_put = SEBlock(hidden=2, placement=P.POST, squeeze=squeeze)
    config = SEConfig(
        {"layer1.0": stays_put, "layer2.0": SEBlock(hidden=2, placement=P.IDENTITY), "layer3.0": stays_put}
    )
    folded = assert_folds(backbone, config, traced, {"layer2.0": drawn(traced, config)["layer2.0"]})
    first = insert(backbone, config, traced).state_dict()
    scaled = [not torch.equal(first[name], now) for name, now in folded.net.state_dict().items() if "se.fc1.w" in name]
    assert any(scaled)  # whichever side of the gate it is on


def test_two_gates_at_one_value_fold_together(kinds):
    backbone, traced = kinds["basic"]
    config = SEConfig({"layer2.0": SEBlock(hidden=2, placement=P.POST), "layer2.1": SEBlock(hidden=2, placement=P.PRE)})
    assert_folds(backbone, config, traced, drawn(traced, config))


def test_the_network_that_is_folded_stays_as_it_is(kinds):
    backbone, traced = kinds["basic"]
    config = everywhere_at(traced, P.STANDARD)
    net = insert(backbone, config, traced)
    before = copy.deepcopy(net.state_dict()), copy.deepcopy(backbone.state_dict())
    fold(backbone, net, config, traced, drawn(traced, config))
    for kept, now in zip(before, (net.state_dict(), backbone.state_dict()), strict=True):
        assert all(torch.equal(kept[name], now[name]) for name in now)


def test_the_folded_network_has_the_type_and_the_mode_of_the_one_it_is_of(kinds):
    backbone, traced = kinds["basic"]
    config = everywhere_at(traced, P.STANDARD)
    net = insert(backbone, config, traced).float().train()
    folded = fold(backbone, net, config, traced, drawn(traced, config))
    assert folded.net.training
    assert {tensor.dtype for tensor in folded.net.parameters()} == {torch.float32}


class Small(nn.Module):
    """Convolutions, depthwise and in groups; halves that are swapped and joined; a linear layer of all positions."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.c, self.norm = nn.Conv2d(8, 6, 3, padding=1, groups=2), nn.BatchNorm2d(6)
        self.relu, self.pool, self.fc = nn.ReLU(), nn.MaxPool2d(2, padding=1), nn.Linear(6 * 4 * 4, 3)

    def forward(self, x):
        x = self.relu(self.a(x))
        y = self.relu(self.b(x))
        first, second = torch.chunk(y, 2, 1)
        y = self.relu(self.norm(self.c(torch.cat([second, x, first], 1))))
        return self.fc(self.pool(y).view(y.size(0), -1))


@pytest.mark.parametrize("placement", [P.PRE, P.STANDARD, P.POST])
def test_factors_follow_their_channels_wherever_these_are_moved(randomise, placement):
    torch.manual_seed(0)
    backbone, traced = randomise(Small()).eval(), trace(Small(), (3, 6, 6))
    config = everywhere_at(traced, placement)
    assert len(config) == 3
    assert_folds(backbone, config, traced, drawn(traced, config))


class NormFirst(nn.Module):
    """A unit whose branch begins with a batch norm, as in networks that activate first."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm, self.conv = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        x = F.silu(self.stem(x))
        return self.fc(F.silu(x + self.conv(F.relu(self.norm(x)))).mean((2, 3)))


def test_a_batch_norm_takes_factors_of_what_it_reads(randomise):
    torch.manual_seed(0)
    backbone, traced = randomise(NormFirst()).eval(), trace(NormFirst(), (3, 6, 6))
    config = everywhere_at(traced, P.PRE)
    factors = drawn(traced, config)
    factors["network"][1] = 0.0
    assert_folds(backbone, config, traced, factors)


class SELayer(nn.Module):
    """A block of another library that is none of ours: it has one layer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return x * torch.sigmoid(self.layer(x.mean((2, 3))))[:, :, None, None]


class TwoFormer(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.fc = nn.Conv2d(3, 4, 1), nn.Linear(4, 2)
        self.units = nn.ModuleList(nn.Sequential(nn.Conv2d(4, 4, 1), SELayer(), nn.MaxPool2d(1)) for _ in range(2))

    def forward(self, x):
        x = F.relu(self.stem(x))
        for unit in self.units:
            x = F.relu(x + unit(x))
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize("constant", [["units.0.1"], ["units.1.1"], ["units.0.1", "units.1.1"]])
def test_blocks_that_are_kept_as_they_are_fold_and_stay_too(constant):
    backbone, traced = TwoFormer().double().eval(), trace(TwoFormer(), (3, 6, 6), strip_se=True)
    config = SEConfig.former(traced.sites)
    assert {str(block) for block in config.values()} == {"original"}
    factors = drawn(traced, config)
    assert_folds(backbone, config, traced, {site: factors[site] for site in constant})


# Factors


def test_a_channel_that_is_zero_anyway_takes_any_factor(kinds):
    backbone, traced = kinds["cifar"]
    config = SEConfig({"layer2.0": SEBlock(hidden=2, placement=P.IDENTITY)})
    factors = drawn(traced, config)
    factors["layer2.0"][0] = 0.0  # of the channels that the shortcut is padded with
    assert_folds(backbone, config, traced, factors)


def test_a_channel_that_is_shut_folds_where_one_layer_alone_gives_it(kinds):
    backbone, traced = kinds["basic"]
    for placement in (P.STANDARD, P.INNER, P.PRE):
        config = everywhere_at(traced, placement)
        factors = drawn(traced, config)
        for each in factors.values():
            each[0] = 0.0
        assert_folds(backbone, config, traced, factors)


def test_a_channel_of_the_stream_that_is_shut_stays(kinds):
    backbone, traced = kinds["basic"]
    config = SEConfig({"layer2.1": SEBlock(hidden=2, placement=P.IDENTITY)})
    factors = drawn(traced, config)
    factors["layer2.1"][2] = 0.0
    folded = assert_folds(backbone, config, traced, factors, ["layer2.1"])
    assert "the smallest 0, weights would have to be divided by 0" in folded.stayed["layer2.1"]


@pytest.mark.parametrize(("factor", "words"), [(-0.5, "a factor is negative (-0.5)"), (float("nan"), "not finite")])
def test_factors_that_no_gate_has_stay(kinds, factor, words):
    backbone, traced = kinds["basic"]
    config = SEConfig({"layer2.0": SEBlock(hidden=2)})
    factors = drawn(traced, config)
    factors["layer2.0"][1] = factor
    net = insert(backbone, config, traced)
    assert words in fold(backbone, net, config, traced, factors).stayed["layer2.0"]


def test_of_factors_too_far_apart_along_a_stream_the_last_sites_stay():
    backbone = CifarResNet(20, classes=4, width=2).double().eval()
    traced = trace(CifarResNet(20, classes=4, width=2), (3, 8, 8))
    config = everywhere_at(traced, P.POST)
    factors = {site: torch.full_like(each, 1e-3) for site, each in drawn(traced, config).items()}
    net = insert(backbone, config, traced)
    stayed = stays(backbone, net, config, traced, factors)
    assert 0 < len(stayed) < len(config)
    assert list(stayed) == list(config)[-len(stayed) :]
    assert "1,000,000 times larger or smaller" in stayed["layer3.2"]


# What cannot take factors


class Around(nn.Module):
    """A convolution, `middle` and a convolution, with an addition around them, and what is behind it."""

    def __init__(self, middle, behind):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.middle, self.behind, self.last = middle, behind, nn.Conv2d(3, 2, 1)

    def forward(self, x):
        x = self.behind(self.first(x))
        return self.last(self.behind(x + self.middle(self.second(x)))).mean((2, 3))


def stayed_at(net, placement):
    """Why the only site of the network stays; nothing where it folds, and right."""
    backbone, traced = net.double().eval(), trace(copy.deepcopy(net).float(), (3, 6, 6))
    config = SEConfig({"network": SEBlock(hidden=2, placement=placement)})
    net, factors = insert(backbone, config, traced), drawn(traced, config)
    stayed = stays(backbone, net, config, traced, factors)
    assert_folds(backbone, config, traced, factors, stayed)
    return stayed.get("network", "")


@pytest.mark.parametrize("middle", [nn.ReLU(), nn.LeakyReLU(0.2), nn.PReLU(), nn.AvgPool2d(3, 1, 1), nn.Dropout(0.5)])
def test_a_factor_goes_through_what_is_homogeneous(middle):
    assert stayed_at(Around(middle, nn.SiLU()), P.STANDARD) == ""  # there is no way but back through it


@pytest.mark.parametrize("middle", [nn.SiLU(), nn.GELU(), nn.Hardswish(), nn.ReLU6(), nn.Sigmoid()])
def test_a_factor_does_not_go_through_what_is_not(middle):
    stayed = stayed_at(Around(middle, nn.SiLU()), P.STANDARD)
    assert f"before it, middle ({type(middle).__name__}) cannot take its factors" in stayed
    assert "behind it, behind (SiLU) cannot" in stayed


@pytest.mark.parametrize("placement", [P.IDENTITY, P.POST_BEFORE_RELU, P.POST])
def test_a_bare_shortcut_between_two_silus_stays_where_it_is_gated(placement):
    folds = placement is P.POST  # only a convolution reads what is behind the last one
    assert bool(stayed_at(Around(nn.Identity(), nn.SiLU()), placement)) is not folds


@pytest.mark.parametrize("placement", [P.PRE, P.IDENTITY, P.POST_BEFORE_RELU, P.POST])
def test_between_relus_the_stream_takes_the_factors(placement):
    assert stayed_at(Around(nn.Identity(), nn.ReLU()), placement) == ""


class Pair(NamedTuple):
    one: torch.Tensor
    other: torch.Tensor


class Several(nn.Module):
    """A leaf that gives two values, as `kind` holds them."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, x):
        return {"dict": lambda: {"one": x, "other": x * x}, "pair": lambda: Pair(x, x * x)}[self.kind]()


@pytest.mark.parametrize(
    ("leaf", "values"),
    [
        (nn.Identity(), lambda seen: seen.flatten(2).max(-1).values),
        (nn.Identity(), lambda seen: seen.flatten(2).topk(2).values.sum(-1)),
        (Several("dict"), lambda seen: (seen["one"] - seen["other"]).mean((2, 3))),
        (Several("pair"), lambda seen: (seen.one - seen.other).mean((2, 3))),
    ],
)
def test_a_gate_folds_beside_what_gives_several_values(leaf, values):
    class Tail(Around):
        def forward(self, x):
            x = self.first(x)
            return self.last(values(self.leaf(x + self.second(x)))[:, :, None, None]).mean((2, 3))

    net = Tail(nn.Identity(), nn.Identity())
    net.leaf = leaf
    backbone = net.double().eval()
    traced = trace(copy.deepcopy(net).float(), (3, 6, 6), leaves=["leaf"])
    config = SEConfig({"network": SEBlock(hidden=2, placement=P.POST)})  # only the layers before it can take factors
    assert_folds(backbone, config, traced, drawn(traced, config))


def test_a_layer_that_is_called_twice_takes_none():
    class Twice(Around):
        def forward(self, x):
            x = F.silu(self.first(x))
            return self.last(F.silu(x + self.second(self.second(x)))).mean((2, 3))

    stayed = stayed_at(Twice(nn.Identity(), nn.Identity()), P.STANDARD)
    assert "before it, second (Conv2d), which is called 2 times, cannot take its factors" in stayed


def test_a_layer_with_hooks_takes_none():
    net = Around(nn.Identity(), nn.SiLU())
    net.second.register_forward_hook(lambda module, args, output: output + 1)
    assert "before it, second (Conv2d), which has hooks, cannot" in stayed_at(net, P.STANDARD)


def test_weights_that_are_computed_take_none():
    net = Around(nn.Identity(), nn.SiLU())
    weight_norm(net.second)
    assert "before it, second (ParametrizedConv2d) cannot" in stayed_at(net, P.STANDARD)


def test_weights_that_two_layers_share_take_none():
    net = Around(nn.Identity(), nn.SiLU())
    net.second.weight = net.first.weight
    assert "before it, second (Conv2d), whose weights are another layer's too, cannot" in stayed_at(net, P.STANDARD)


def test_a_group_norm_takes_factors_of_what_it_gives():
    net = Around(nn.GroupNorm(1, 3), nn.SiLU())
    nn.init.normal_(net.middle.weight)
    assert stayed_at(net, P.STANDARD) == ""


def test_a_group_norm_takes_none_of_what_it_reads():
    layers = nn.Conv2d(3, 4, 1), nn.SiLU(), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 1), nn.Flatten()
    backbone, traced = nn.Sequential(*layers).double().eval(), trace(nn.Sequential(*layers).float(), (3, 6, 6))
    backbone.double()
    config = SEConfig({"0": SEBlock(hidden=2, placement=P.POST)})
    folded = assert_folds(backbone, config, traced, drawn(traced, config), ["0"])
    assert "behind it, 2 (GroupNorm), which mixes channels as it normalises, cannot" in folded.stayed["0"]


def test_a_network_that_is_not_traced_stays_as_it_is():
    backbone = CifarResNet(8, classes=4, width=2)
    traced = trace(backbone, (3, 8, 8), modules=["layer1.0"])
    config = SEConfig({"layer1.0": SEBlock(hidden=2, placement=P.POST)})
    folded = fold(backbone, insert(backbone, config, traced), config, traced, {"layer1.0": torch.ones(2)})
    assert folded.config == config
    assert "the network is not traced" in folded.stayed["layer1.0"]


class Both(nn.Module):
    """Two units of one module: a sum of two sums."""

    def __init__(self):
        super().__init__()
        self.stem, self.a, self.b = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        x = F.relu(self.stem(x))
        return self.fc(F.relu((x + self.a(x)) + (x + self.b(x))).mean((2, 3)))


@pytest.fixture
def both():
    return Both().double().eval(), trace(Both(), (3, 6, 6))


def test_two_gates_from_one_value_to_one_sum_stay(both):
    backbone, traced = both
    config = everywhere_at(traced, P.IDENTITY)
    net, factors = insert(backbone, config, traced), drawn(traced, config)
    stayed = stays(backbone, net, config, traced, factors)
    assert_folds(backbone, config, traced, factors, stayed)
    assert "what it reads leads to what it gives by another gate or channel" in stayed["network-2"]
    assert "what it reads also goes around it to what it gives" in stayed["network"]


def test_a_block_that_stays_has_the_name_that_it_has_without_the_others(both):
    backbone, traced = both
    config = everywhere_at(traced, P.STANDARD)
    factors = drawn(traced, config)
    assert list(gate_paths(backbone, config, traced).values()) == ["se", "se_"]
    folded = assert_folds(backbone, config, traced, {"network": factors["network"]})
    assert next(name for name in folded.net.state_dict() if name.startswith("se")) == "se.fc1.weight"
