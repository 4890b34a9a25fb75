"""One network for all configurations: whatever is selected, it computes, learns and keeps what the stand-alone does."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, vmap
from torch.nn import functional as F
from torchvision import models

from senas.core.block import Activation, Gate, Original, Placement, SEBlock, Squeeze
from senas.core.config import SEConfig
from senas.core.space import Axes, search_space
from senas.errors import SpaceError
from senas.model.carried import cargo_of, cargo_of_space
from senas.model.cifar import CifarResNet
from senas.model.masked import Masked
from senas.model.sites import trace
from senas.model.supernet import Supernet
from senas.model.surgery import insert

P = Placement
KINDS = [
    "cifar",
    *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("basic", "bottleneck", "pre-activation", "plain")),
]
OPTIMIZERS = {
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adamw": lambda weights: torch.optim.AdamW(weights, lr=0.01, weight_decay=0.1),
}
EVERYTHING = Axes(
    reduction=(1, 2),
    placement=tuple(P),
    squeeze=tuple(Squeeze),
    gate=tuple(Gate),
    activation=tuple(Activation),
    bias=(True, False),
)
# Each differs from each other in a way that has masks of its own.
FOUR = [
    SEConfig(
        {
            "layer1.0": SEBlock(hidden=2, placement=P.PRE, bias=False),
            "layer2.0": SEBlock(hidden=3, gate=Gate.TWICE_SIGMOID),
        }
    ),
    SEConfig(),
    SEConfig(
        {
            "layer1.0": SEBlock(hidden=3, placement=P.IDENTITY, squeeze=Squeeze.MAX),
            "layer3.0": SEBlock(hidden=1, gate=Gate.HARD_SIGMOID, activation=Activation.SILU, squeeze=Squeeze.LOCAL),
        }
    ),
    SEConfig(
        {
            "layer1.0": SEBlock(hidden=1, placement=P.PRE),
            "layer2.0": SEBlock(hidden=1),
            "layer3.0": SEBlock(hidden=4, squeeze=Squeeze.MAX),
        }
    ),
]


def batch(step=0, dtype=torch.float64, size=8):
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(4, 3, size, size, generator=generator, dtype=dtype)
    return images, torch.randint(0, 5, (4,), generator=generator)


def configurations(data, sites):
    """Any configuration, each site with its own placement, width, functions and biases."""

    def block(site):
        placement = data.draw(st.none() | st.sampled_from(list(site.places)))
        if placement is None:
            return None
        width = data.draw(st.integers(1, site.places[placement].channels))
        kinds = {"squeeze": Squeeze, "gate": Gate, "activation": Activation}
        drawn = {name: data.draw(st.sampled_from(list(kind))) for name, kind in kinds.items()}
        return SEBlock(hidden=width, placement=placement, bias=data.draw(st.booleans()), **drawn)

    return SEConfig({site.name: block(site) for site in sites})


def trained(forward, weights, optimizer, steps, **of_batch):
    """The losses of so many steps; one that is a batch of losses is summed."""
    optimizer, losses = OPTIMIZERS[optimizer](weights), []
    for step in range(steps):
        torch.manual_seed(step)  # of dropout
        images, labels = batch(step, **of_batch)
        loss = forward(images, labels)
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def loss_of(net):
    return lambda images, labels: F.cross_entropy(net(images), labels)


def assert_close(ours, theirs, tolerance=1e-10):
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(
            ours[name], theirs[name], rtol=tolerance, atol=tolerance, msg=lambda m, n=name: n + m
        )


def assert_learns_as(supernet, alone, config, optimizer, steps, tolerance=1e-10, **of_batch):
    """Losses, weights and buffers after so many steps; and not an entry beyond the configuration has moved."""
    net = supernet.select(config).train()
    net.load_state_dict(supernet.fill(alone.state_dict(), config))
    theirs = trained(loss_of(alone.train()), alone.parameters(), optimizer, steps, **of_batch)
    ours = trained(loss_of(net), net.parameters(), optimizer, steps, **of_batch)
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    extracted = supernet.extract(net.state_dict(), config)
    assert_close(extracted, dict(alone.state_dict()), tolerance)
    assert_unmoved(supernet, net.state_dict(), config)


def assert_unmoved(supernet, state, config):
    """All that is beyond the configuration is zero still, to the bit."""
    for name, tensor in supernet.fill(supernet.extract(state, config), config).items():
        assert torch.equal(tensor, state[name]), name


@pytest.fixture(scope="module")
def cifar(randomise):
    """The network of the fast tests, and its trace."""
    torch.manual_seed(0)
    backbone = CifarResNet(8, classes=5, width=4)
    return randomise(backbone), trace(backbone, (3, 8, 8))


@pytest.fixture(scope="module")
def four(cifar):
    """A supernet of the four configurations above."""
    backbone, traced = cifar
    return Supernet(backbone, traced, cargo_of(FOUR, traced.sites))


@pytest.fixture(scope="module")
def made(request, cifar):
    """Kind of unit, sliced or not -> (backbone, trace, a supernet of everything that the backbone offers)."""
    known = {}

    def get(kind, sliced=False):
        if (kind, sliced) not in known:
            backbone, traced = cifar if kind == "cifar" else request.getfixturevalue("kinds")[kind]
            cargo = cargo_of_space(search_space(traced.sites, EVERYTHING))
            known[kind, sliced] = backbone, traced, Supernet(backbone, traced, cargo, sliced=sliced)
        return known[kind, sliced]

    return get


# What is computed


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=6)
@given(data=st.data(), train=st.booleans())
def test_outputs_and_gradients_are_those_of_the_stand_alone_network(made, kind, data, train):
    backbone, traced, supernet = made(kind)
    config = configurations(data, traced.sites)
    alone = insert(backbone, config, traced, seed=1).train(train)
    net = supernet.select(config).train(train)
    net.load_state_dict(supernet.fill(alone.state_dict(), config))
    images, labels = batch()
    ours, theirs = (F.cross_entropy(each(images), labels) for each in (net, alone))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    net.zero_grad()
    ours.backward()
    theirs.backward()
    gradients = {**net.state_dict(), **{name: weight.grad for name, weight in net.named_parameters()}}
    wanted = {**alone.state_dict(), **{name: weight.grad for name, weight in alone.named_parameters()}}
    assert_close(supernet.extract(gradients, config), wanted)


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("kind", KINDS)
def test_with_nothing_selected_not_a_bit_of_the_backbone_changes(made, kind, train):
    backbone, _, supernet = made(kind, sliced=True)
    supernet.select(SEConfig()).load_state_dict(backbone.state_dict(), strict=False)  # the blocks keep their weights
    assert torch.equal(supernet.net.train(train)(batch()[0]), copy.deepcopy(backbone).train(train)(batch()[0]))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=6)
@given(data=st.data())
def test_of_shared_weights_a_configuration_reads_its_slices(made, kind, data):
    backbone, traced, supernet = made(kind, sliced=True)
    config = configurations(data, traced.sites)
    net = supernet.select(config).train()
    alone = insert(backbone, config, traced).train()
    alone.load_state_dict(supernet.extract(net.state_dict(), config))
    images, _ = batch()
    torch.testing.assert_close(net(images), alone(images), rtol=1e-10, atol=1e-10)


# What is learnt


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "config", [pytest.param(c, marks=[pytest.mark.slow][: c is not FOUR[2]]) for c in FOUR], ids=str
)
def test_20_steps_move_it_as_they_move_the_stand_alone_network_and_nothing_else(cifar, four, config, optimizer):
    assert_learns_as(four, insert(cifar[0], config, cifar[1], seed=3), config, optimizer, 20)


def test_in_single_precision_a_step_is_the_same_but_for_rounding(cifar):
    backbone, traced = cifar
    backbone = copy.deepcopy(backbone).float()
    supernet = Supernet(backbone, traced, cargo_of(FOUR, traced.sites))
    for config in FOUR:
        alone = insert(backbone, config, traced, seed=3)
        assert_learns_as(supernet, alone, config, "sgd", 1, tolerance=1e-5, dtype=torch.float32)


def together(supernet, members, optimizer, steps):
    """Trains all members at once; their losses (steps, members), and the state of each at the end."""
    parameters, buffers = supernet.stacked(members)

    def loss(parameters, buffers, images, labels):
        return F.cross_entropy(functional_call(supernet.net, (parameters, buffers), (images,)), labels)

    each = vmap(loss, in_dims=(0, 0, None, None))
    losses = trained(
        lambda images, labels: each(parameters, buffers, images, labels), parameters.values(), optimizer, steps
    )
    stacked = {**parameters, **buffers}
    return losses, [{name: t[k].detach() for name, t in stacked.items()} for k in range(len(members))]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_four_configurations_at_once_are_four_stand_alone_trainings(cifar, four, optimizer):
    (backbone, traced), supernet = cifar, four
    supernet.net.train()
    alone = [insert(backbone, config, traced, seed).train() for seed, config in enumerate(FOUR)]
    members = [(copy.deepcopy(net.state_dict()), config) for net, config in zip(alone, FOUR, strict=True)]
    losses, states = together(supernet, members, optimizer, 20)
    for k, (net, config) in enumerate(zip(alone, FOUR, strict=True)):
        theirs = trained(loss_of(net), net.parameters(), optimizer, 20)
        torch.testing.assert_close(losses[:, k], theirs, rtol=1e-10, atol=1e-10)
        assert_close(supernet.extract(states[k], config), dict(net.state_dict()))
        assert_unmoved(supernet, states[k], config)


def test_a_member_that_diverges_leaves_the_others_as_they_were_bit_for_bit(cifar, four):
    (backbone, traced), supernet = cifar, four
    supernet.net.train()
    well = [(insert(backbone, config, traced).state_dict(), config) for config in FOUR]
    ill = [(dict(state), config) for state, config in well]
    ill[3][0]["layer2.0.se.fc1.weight"] = torch.full_like(ill[3][0]["layer2.0.se.fc1.weight"], float("inf"))
    losses, states = zip(*(together(supernet, members, "sgd", 3) for members in (well, ill)), strict=True)
    assert torch.equal(losses[0][:, :3], losses[1][:, :3])
    assert losses[1][-1, 3].isnan()
    for before, after in zip(states[0][:3], states[1][:3], strict=True):
        assert all(torch.equal(before[name], after[name]) for name in before)


# Weights in, weights out


def test_what_is_extracted_has_the_names_that_surgery_gives(cifar, four):
    (backbone, traced), supernet = cifar, four
    for config in FOUR:
        alone = insert(backbone, config, traced).state_dict()
        extracted = supernet.extract(supernet.fill(alone, config), config)
        assert extracted.keys() == alone.keys()
        assert all(torch.equal(extracted[name], alone[name]) for name in alone)


def test_weights_that_go_in_or_come_out_are_copies(cifar, four):
    (backbone, traced), supernet = cifar, four
    alone = insert(backbone, FOUR[0], traced).state_dict()
    state = supernet.fill(alone, FOUR[0])
    extracted = supernet.extract(state, FOUR[0])
    for each in (state, extracted):
        for tensor in each.values():
            tensor.fill_(7)
        assert all((tensor != 7).any() for tensor in alone.values())
        assert each is extracted or all((tensor != 7).any() for tensor in extracted.values())


def test_the_backbone_and_the_global_random_numbers_are_not_touched(cifar):
    backbone, traced = cifar
    keys, kind, before = list(backbone.state_dict()), type(backbone), torch.get_rng_state()
    Supernet(backbone, traced, cargo_of([SEConfig({"layer1.0": SEBlock(hidden=2)}), SEConfig()], traced.sites))
    assert (list(backbone.state_dict()), type(backbone)) == (keys, kind)
    assert torch.equal(torch.get_rng_state(), before)


# What is carried


def test_one_configuration_has_no_masks(cifar):
    backbone, traced = cifar
    supernet = Supernet(backbone, traced, cargo_of([FOUR[0]], traced.sites))
    assert supernet.selection(FOUR[0]) == {}


def test_which_block_it_is_is_no_weight(four):
    masks = four.selection(FOUR[0])
    assert masks
    assert not masks.keys() & four.net.state_dict().keys()


def test_blocks_that_all_start_as_the_identity_do_so_in_the_supernet(cifar):
    backbone, traced = cifar
    config = SEConfig({"layer1.0": SEBlock(hidden=2, gate=Gate.TWICE_SIGMOID)})
    supernet = Supernet(backbone, traced, cargo_of([config, SEConfig()], traced.sites), sliced=True)
    net = supernet.select(config).eval()
    assert torch.equal(net(batch()[0]), copy.deepcopy(backbone).eval()(batch()[0]))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (SEConfig({"layer1.0": SEBlock(hidden=1, placement=P.POST)}), "layer1.0: the supernet carries pre there, not"),
        (SEConfig({"layer1.0": SEBlock(hidden=9, placement=P.PRE)}), "layer1.0 pre: hidden 9 is more than the 2"),
        (SEConfig({"layer3.0": SEBlock(hidden=1)}), "layer3.0: the supernet carries nothing there, not standard"),
        (SEConfig({"layer1.0": SEBlock(hidden=1, placement=P.PRE)}), "layer2.0 standard: every configuration"),
        (SEConfig({"layer9.0": SEBlock(hidden=1)}), "the network has no site layer9.0"),
    ],
)
def test_a_configuration_that_is_not_carried_is_refused_in_one_line(cifar, config, said):
    backbone, traced = cifar
    always = {"layer2.0": SEBlock(hidden=3)}
    some = SEConfig({**always, "layer1.0": SEBlock(hidden=2, placement=P.PRE)})
    supernet = Supernet(backbone, traced, cargo_of([some, SEConfig(always)], traced.sites))
    with pytest.raises(SpaceError) as error:
        supernet.selection(config)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


# Networks of other kinds


class SELayer(nn.Module):
    """A block of the backbone's own; `hard` ones cannot be written as one of ours, and change what they get."""

    def __init__(self, channels, hard):
        super().__init__()
        self.down, self.up, self.hard = nn.Linear(channels, 2), nn.Linear(2, channels), hard

    def forward(self, x):
        if self.hard:
            return x.mul_(torch.tanh(self.up(F.relu(self.down(x.mean((2, 3)))))).add(1)[:, :, None, None])
        return x * torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))[:, :, None, None]


class WithFormer(nn.Module):
    def __init__(self, hard):
        super().__init__()
        self.conv, self.bn, self.se = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), SELayer(4, hard)

    def forward(self, x):
        return F.relu(self.se(self.bn(self.conv(x))) + x)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_blocks_that_the_backbone_came_with_are_carried_beside_ours(optimizer):
    torch.manual_seed(0)
    units = WithFormer(hard=False), WithFormer(hard=True)
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), *units, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    traced = trace(backbone.double(), (3, 8, 8), strip_se=True)
    former = SEConfig.former(traced.sites)
    assert [type(block) for block in former.values()] == [SEBlock, Original]
    ours = SEConfig({site: SEBlock(hidden=3, placement=P.POST) for site in former})
    configs = [former, SEConfig(), ours, SEConfig({"2.se": SEBlock(hidden=1)})]
    supernet = Supernet(backbone, traced, cargo_of(configs, traced.sites))
    for config in configs:
        assert_learns_as(supernet, insert(backbone, config, traced), config, optimizer, 5)


class Deciding(nn.Module):
    """Cannot be traced: it decides by the values of its input."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)
        self.head = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())

    def forward(self, x):
        y = self.conv(x)
        return self.fc(self.head(y if y.sum() > 0 else -y).mean((2, 3)))


def test_sites_by_module_path_are_carried_too():
    torch.manual_seed(0)
    backbone = Deciding().double()
    traced = trace(backbone, (3, 8, 8), modules=["conv", "head"])
    at = lambda **widths: SEConfig({site: SEBlock(hidden=h, placement=P.POST) for site, h in widths.items()})  # noqa: E731
    configs = [at(conv=2), at(head=3), at(conv=1, head=1), SEConfig()]
    supernet = Supernet(backbone, traced, cargo_of(configs, traced.sites))
    for config in configs:
        assert_learns_as(supernet, insert(backbone, config, traced), config, "sgd", 5)


class Twice(nn.Module):
    """Two units in one module, which calls something of its own `se`, and `se_standard`."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.se, self.se_standard, self.fc = nn.Identity(), nn.Identity(), nn.Linear(3, 5)

    def forward(self, x):
        x = F.relu(x + self.first(x))
        x = F.silu(x + self.third(F.relu(self.second(x))))
        return self.fc(self.se_standard(self.se(x)).mean((2, 3)))


def test_names_of_blocks_do_not_depend_on_what_else_is_carried():
    torch.manual_seed(0)
    backbone = nn.Sequential(Twice()).double()
    traced = trace(backbone, (3, 8, 8))
    assert [site.name for site in traced.sites] == ["0", "0-2"]
    configs = [SEConfig({"0": SEBlock(hidden=2)}), SEConfig({"0-2": SEBlock(hidden=1)})]
    configs.append(SEConfig({**configs[0], **configs[1]}))
    supernet = Supernet(backbone, traced, cargo_of(configs, traced.sites))
    for config in configs:
        assert_learns_as(supernet, insert(backbone, config, traced), config, "sgd", 5)


class TwoUnitsOneBlock(nn.Module):
    """Two units in one module, the first with a block of the backbone's own that is called `se`."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))
        self.se, self.fc = SELayer(3, hard=False), nn.Linear(3, 5)

    def forward(self, x):
        x = F.relu(x + self.se(self.first(x)))
        return self.fc(F.silu(x + self.second(x)).mean((2, 3)))


def test_a_block_steps_aside_for_one_that_was_taken_out():
    torch.manual_seed(0)
    backbone = nn.Sequential(TwoUnitsOneBlock()).double()
    traced = trace(backbone, (3, 8, 8), strip_se=True)
    first, second = (site.name for site in traced.sites)
    configs = [SEConfig({first: SEBlock(hidden=1)}), SEConfig({second: SEBlock(hidden=1)})]
    supernet = Supernet(backbone, traced, cargo_of(configs, traced.sites))
    for config in configs:
        assert_learns_as(supernet, insert(backbone, config, traced), config, "sgd", 5)


def test_a_plain_network_of_convolutions_is_carried():
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 6, 3), nn.SiLU(inplace=True))
    backbone = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)).double()
    traced = trace(backbone, (3, 8, 8))
    supernet = Supernet(backbone, traced, cargo_of_space(search_space(traced.sites, EVERYTHING)))
    first, second = (site.name for site in traced.sites)
    config = SEConfig({first: SEBlock(hidden=2, placement=next(iter(traced.sites[0].places)), squeeze=Squeeze.MAX)})
    assert len([module for module in supernet.net.modules() if isinstance(module, Masked)]) > 2
    assert second not in config
    assert_learns_as(supernet, insert(backbone, config, traced), config, "adamw", 5)


# The networks that searches are about


@pytest.mark.slow
@pytest.mark.parametrize("depth", [8, 20])
@settings(max_examples=8)
@given(data=st.data())
def test_residual_networks_for_small_images_learn_alike(randomise, depth, data):
    torch.manual_seed(0)
    backbone = randomise(CifarResNet(depth, classes=5, width=4))
    traced = trace(backbone, (3, 8, 8))
    configs = [configurations(data, traced.sites) for _ in range(3)]
    supernet = Supernet(backbone, traced, cargo_of(configs, traced.sites))
    optimizer = data.draw(st.sampled_from(list(OPTIMIZERS)))
    assert_learns_as(supernet, insert(backbone, configs[0], traced), configs[0], optimizer, 20)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "steps"),
    # The last one is chaotic on small images: each step makes a rounding 25 to 40 times as large, of 1e-15 on a weight
    # of the stand-alone network 7e-8 in 5 steps.
    [("resnet18", 20), ("mobilenet_v2", 20), ("mobilenet_v3_small", 3)],
)
def test_networks_of_torchvision_learn_alike(name, steps):
    torch.manual_seed(0)
    backbone = getattr(models, name)(num_classes=5).double()
    traced = trace(backbone, (3, 32, 32), strip_se=name == "mobilenet_v3_small")
    spread = lambda shift: SEConfig(  # noqa: E731  # each placement somewhere, and every third site without
        {
            site.name: SEBlock(hidden=1 + at % 4, placement=list(site.places)[(at + shift) % len(site.places)])
            for at, site in enumerate(traced.sites)
            if (at + shift) % 3
        }
    )
    configs = [spread(0), spread(1), SEConfig.former(traced.sites)]
    supernet = Supernet(backbone, traced, cargo_of(configs, traced.sites))
    for config in configs[:2]:
        assert_learns_as(supernet, insert(backbone, config, traced), config, "sgd", steps, size=32)
