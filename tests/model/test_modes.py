"""train() and eval() after surgery: what a network does by its mode it does still, whichever module is in which."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.ops import StochasticDepth, stochastic_depth

from senas.core.block import Gate, Placement, SEBlock
from senas.core.config import SEConfig
from senas.errors import SurgeryError
from senas.model.sites import trace
from senas.model.surgery import insert

EXAMPLE = (4, 6, 6)


class Unit(nn.Module):
    """A residual unit; its branch ends in `behave(unit, x)`, which is what the tests are about."""

    def __init__(self, behave, **modules):
        super().__init__()
        self.conv1 = nn.Conv2d(4, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(4)
        self.behave = behave
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(self.behave(self, y) + x)


class Net(nn.Module):
    def __init__(self, behave, **modules):
        super().__init__()
        torch.manual_seed(0)
        self.unit = Unit(behave, **modules)
        self.plain = Unit(lambda unit, x: x)

    def forward(self, x):
        return self.plain(self.unit(x)).mean((2, 3))


class Whole(nn.Module):
    """Another computation in train() than in eval(), by what the subclass says."""

    def forward(self, x):
        if self.training:
            return self.when_training(x)
        return x

    def when_training(self, x):
        return 2 * x + torch.rand_like(x)


class OnlyInTraining(nn.Module):
    """Dropout by the flag of whoever calls it."""

    def forward(self, x, training):
        return F.dropout(x, 0.5, training)


class OwnBatchNorm(nn.Module):
    """Running statistics and a count of the batches, by functions and by methods of buffers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("var", torch.ones(4))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        self.count.add_(1)
        return F.batch_norm(x, self.mean, self.var, training=self.training) * self.count


class Average(nn.Module):
    """A buffer that is another tensor after each forward in train()."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean((0, 2, 3))
        return x - self.mean[:, None, None]


class WithoutGradients(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    @torch.no_grad()
    def forward(self, x):
        return self.layers(x)


class InBfloat16(WithoutGradients):
    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            y = self.layers(x)
        return y.float()


class Counting(nn.Module):
    """Keeps a number from one forward to the next, in the object."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.seen = []

    def forward(self, x):
        self.calls += 1
        self.seen.append(self.calls)
        return x * self.calls


class Noisy(nn.Module):
    """Draws numbers that depend on no input."""

    def forward(self, x):
        return x + torch.rand(1)


class Learned(nn.Module):
    """train() and eval() do more than to switch the mode."""

    def __init__(self):
        super().__init__()
        self.factor = 1

    def train(self, mode=True):
        self.factor = 3 if mode else 5
        return super().train(mode)

    def forward(self, x):
        return x * self.factor


class Repeated(Learned):
    def forward(self, x):
        for _ in range(self.factor):
            x = x + 1
        return x


class FrozenNorm(nn.BatchNorm2d):
    def train(self, mode=True):
        return super().train(False)


def drop_path(x, drop_prob, training):
    if drop_prob == 0 or not training:
        return x
    return x * x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(1 - drop_prob) / (1 - drop_prob)


BEHAVIOURS = {
    "functional dropout": lambda: Net(lambda unit, x: F.dropout(x, 0.5, unit.training)),
    "by keyword": lambda: Net(lambda unit, x: F.dropout2d(x, p=0.5, training=unit.training)),
    "negated": lambda: Net(lambda unit, x: F.dropout(x, 0.5, not unit.training)),
    "a rate by mode": lambda: Net(lambda unit, x: F.dropout(x, 0.5 if unit.training else 0.1)),
    "a factor by mode": lambda: Net(lambda unit, x: x * (3 if unit.training else 5)),
    "of another's mode": lambda: Net(lambda unit, x: F.dropout(x, 0.5, unit.bn1.training)),
    "of two modes": lambda: Net(lambda unit, x: F.dropout(x, 0.5, unit.training and unit.bn1.training)),
    "of one of two modes": lambda: Net(lambda unit, x: F.dropout(x, 0.5, unit.training or unit.bn1.training)),
    "of modes that differ": lambda: Net(lambda unit, x: F.dropout(x, 0.5, unit.training != unit.bn1.training)),
    "told by the caller": lambda: Net(lambda unit, x: unit.drop(x, unit.training), drop=OnlyInTraining()),
    "stochastic depth": lambda: Net(lambda unit, x: unit.drop(x), drop=StochasticDepth(0.5, "row")),
    "functional stochastic depth": lambda: Net(lambda unit, x: stochastic_depth(x, 0.5, "row", unit.training)),
    "functional drop path": lambda: Net(lambda unit, x: drop_path(x, 0.5, unit.training)),
    "another structure": lambda: Net(lambda unit, x: unit.whole(x), whole=Whole()),
    "frozen norm": lambda: Net(lambda unit, x: unit.norm(x), norm=FrozenNorm(4)),
    "norm of functions": lambda: Net(lambda unit, x: unit.norm(x), norm=OwnBatchNorm()),
    "an average": lambda: Net(lambda unit, x: unit.average(x), average=Average()),
    "without gradients": lambda: Net(lambda unit, x: unit.fixed(x), fixed=WithoutGradients(nn.Conv2d(4, 4, 1))),
    "in bfloat16": lambda: Net(lambda unit, x: unit.coarse(x), coarse=InBfloat16(nn.Conv2d(4, 4, 1))),
    "a count": lambda: Net(lambda unit, x: unit.counting(x), counting=Counting()),
    "noise": lambda: Net(lambda unit, x: unit.noisy(x), noisy=Noisy()),
    "a structure by modes that differ": lambda: Net(lambda unit, x: x + 1 if unit.training != unit.bn1.training else x),
    "a structure by more than a mode": lambda: Net(lambda unit, x: unit.repeated(x), repeated=Repeated()),
    "more than a mode": lambda: Net(lambda unit, x: unit.learned(x), learned=Learned()),
}


def timm_drop_path():
    drop = pytest.importorskip("timm.layers.drop")
    return Net(lambda unit, x: unit.drop(x), drop=drop.DropPath(0.5))


def timm_drop_block():
    drop = pytest.importorskip("timm.layers.drop")
    return Net(lambda unit, x: unit.drop(x), drop=drop.DropBlock2d(0.3, block_size=2))


def timm_norm():
    layers = pytest.importorskip("timm.layers")
    return Net(lambda unit, x: unit.norm(x), norm=layers.BatchNormAct2d(4))


BEHAVIOURS |= {"timm's drop path": timm_drop_path, "timm's drop block": timm_drop_block, "timm's norm": timm_norm}


def switched(net, how):
    """The network in the mode named."""
    net.train(how != "eval")
    if how == "unit alone in eval":
        net.unit.eval()
    if how == "norm alone in eval":
        net.unit.bn1.eval()
    if how == "all but the unit in eval":
        net.eval()
        net.unit.training = True
    return net


def with_blocks(net, *sites):
    """A copy with blocks at these units that give their input bit for bit, as long as they are not trained."""
    block = SEBlock(hidden=2, gate=Gate.TWICE_SIGMOID)
    return insert(net, SEConfig(dict.fromkeys(sites, block)), trace(net, EXAMPLE))


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_network_goes_on_as_the_backbone_would_in_every_mode_and_after_every_switch(behaviour):
    net = BEHAVIOURS[behaviour]()
    ours = with_blocks(net, "plain")
    weights = [dict(n.named_parameters()) for n in (net, ours)]
    optimizers = [torch.optim.SGD([w[name] for name in weights[0]], 0.1) for w in weights]
    x = torch.randn(4, *EXAMPLE, generator=torch.Generator().manual_seed(1))
    modes = ["train", "eval", "unit alone in eval", "norm alone in eval", "all but the unit in eval", "train"]
    for step, mode in enumerate(modes):
        outputs = []
        for n, optimizer in zip((net, ours), optimizers, strict=True):
            torch.manual_seed(step)
            outputs.append(switched(n, mode)(x))
            optimizer.zero_grad()
            outputs[-1].square().sum().backward()
            optimizer.step()
        assert torch.equal(*outputs), mode
        for name in weights[0]:
            torch.testing.assert_close(weights[0][name].grad, weights[1][name].grad)
        for name, buffer in net.named_buffers():
            torch.testing.assert_close(ours.get_buffer(name), buffer)


@pytest.mark.parametrize(
    "behaviour", ["functional dropout", "negated", "functional stochastic depth", "functional drop path"]
)
def test_standard_is_before_functions_that_drop_at_random(behaviour):
    net = BEHAVIOURS[behaviour]()
    config = SEConfig({"unit": SEBlock(hidden=2, placement=Placement.STANDARD)})
    ours = insert(net, config, trace(net, EXAMPLE))
    seen = []
    ours.unit.se.register_forward_hook(lambda module, args, output: seen.append(args[0]))
    x = torch.randn(4, *EXAMPLE)
    for mode in (True, False):
        ours.train(mode)(x)
    assert all((value != 0).all() for value in seen)


def test_of_a_unit_with_a_module_that_no_graph_can_follow_the_unit_is_still_a_site():
    sites = trace(BEHAVIOURS["another structure"](), EXAMPLE).sites
    assert [site.name for site in sites] == ["unit", "plain"]


def test_a_unit_that_no_graph_can_follow_is_no_site_and_computes_as_before():
    net = Net(lambda unit, x: x + 1 if unit.training else x)
    assert [site.name for site in trace(net, EXAMPLE).sites] == ["plain"]
    x = torch.randn(2, *EXAMPLE)
    ours = with_blocks(net, "plain")
    assert torch.equal(ours.eval()(x), net.eval()(x))
    assert torch.equal(ours.train()(x), net.train()(x))


class Heads(Net):
    aux_logits = True

    def forward(self, x):
        y = super().forward(x)
        return (y, x.mean((2, 3))) if self.training else y


def test_auxiliary_heads_are_refused_naming_the_argument_that_switches_them_off():
    with pytest.raises(SurgeryError, match=r"\AHeads has auxiliary heads in train\(\).*aux_logits=False\Z"):
        trace(Heads(lambda unit, x: x), EXAMPLE)


def test_a_network_that_differs_by_mode_in_its_own_forward_is_refused_in_one_line():
    class Other(Heads):
        aux_logits = False

    with pytest.raises(SurgeryError, match=r"\AOther computes differently in train\(\) and eval\(\).*modules\Z"):
        trace(Other(lambda unit, x: x), EXAMPLE)


@pytest.mark.parametrize("mode", [True, False])
def test_tracing_leaves_the_modes_the_random_numbers_and_the_objects_as_they_were(mode):
    net = BEHAVIOURS["a count"]().train(mode)
    state = torch.get_rng_state()
    trace(net, EXAMPLE)
    assert all(module.training is mode for module in net.modules())
    assert net.unit.counting.calls == 0
    assert torch.equal(torch.get_rng_state(), state)
    assert "training" not in vars(nn.Module)
