"""What is traced into and what is kept whole; what cannot be traced, in one line that says the way out."""

import random

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, spectral_norm

from senas.core.block import Gate, SEBlock
from senas.core.config import SEConfig
from senas.errors import SurgeryError
from senas.model.graph import graph_of
from senas.model.sites import trace
from senas.model.surgery import insert

EXAMPLE = (4, 6, 6)


class Unit(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        return F.relu(self.conv(x) + x)


class Odd(nn.Module):
    """Computes what the test says."""

    def __init__(self, compute):
        super().__init__()
        self.compute = compute
        self.last = None
        self.list = []

    def forward(self, x):
        return self.compute(self, x)


class Net(nn.Module):
    def __init__(self, odd, *, first=None):
        super().__init__()
        self.first = first or Unit()
        self.layer1 = nn.Sequential(Unit(), odd)
        self.layer2 = nn.Sequential(Unit())

    def forward(self, x):
        return self.layer2(self.layer1(self.first(x))).mean((2, 3))


def called(graph):
    return [str(node.target) for node in graph.nodes if node.op == "call_module"]


def with_blocks(net, **how):
    """A copy with blocks at all sites that give their input bit for bit."""
    traced = trace(net, EXAMPLE, **how)
    block = SEBlock(hidden=2, gate=Gate.TWICE_SIGMOID)
    return insert(net, SEConfig({site.name: block for site in traced.sites}), traced)


# What is kept whole


@pytest.mark.parametrize("leaf", ["layer1", "layer1.0"])
def test_a_leaf_by_path_is_called_and_not_traced_into(leaf):
    graph, _ = graph_of(Net(nn.Identity()), EXAMPLE, leaves=[leaf])
    assert leaf in called(graph)
    assert not any(target.startswith(f"{leaf}.") for target in called(graph))


def test_a_leaf_by_class_is_every_module_of_that_class():
    graph, _ = graph_of(Net(nn.Identity()), EXAMPLE, leaves=["Unit"])
    assert called(graph) == ["first", "layer1.0", "layer1.1", "layer2.0"]


def test_a_unit_that_is_a_leaf_is_no_site():
    assert [site.name for site in trace(Net(nn.Identity()), EXAMPLE, leaves=["layer1"]).sites] == ["first", "layer2.0"]


@pytest.mark.parametrize(
    ("leaf", "hint"),
    [("layer2.O", "did you mean layer2.0?"), ("Unti", "did you mean Unit?"), ("7", "see print(model)")],
)
def test_a_leaf_that_matches_nothing_is_named_with_its_key(leaf, hint):
    with pytest.raises(SurgeryError) as caught:
        trace(Net(nn.Identity()), EXAMPLE, leaves=[leaf])
    assert str(caught.value) == f"backbone.leaves: Net has no module or class {leaf}; {hint}"


def test_layers_derived_from_those_of_torch_are_not_traced_into():
    class Standardised(nn.Conv2d):
        def forward(self, x):
            return F.conv2d(x, self.weight - self.weight.mean(), self.bias, padding=1)

    unit = Unit()
    unit.conv = Standardised(4, 4, 3)
    assert [site.name for site in trace(Net(unit), EXAMPLE).sites] == ["first", "layer1.0", "layer1.1", "layer2.0"]


def test_a_pool_that_decides_by_the_size_is_not_traced_into():
    class Same(nn.MaxPool2d):
        def forward(self, x):
            return super().forward(F.pad(x, (0, 1, 0, 1)) if x.shape[-1] % 2 else x)

    net = Net(Same(2))
    x = torch.randn(2, *EXAMPLE)
    assert torch.equal(with_blocks(net)(x), net(x))


def remembers(odd, x):
    odd.last = x
    return x


def counts(odd, x):
    odd.list.append(1)
    return x * len(odd.list)


def draws_with_torch(odd, x):
    return x * float(torch.rand(()))


def draws_with_python(odd, x):
    return x * random.random()


def decides_at_random(odd, x):
    return x if torch.rand(()) < 0.5 else 2 * x


def makes_a_tensor(odd, x):
    return x * torch.arange(4.0)[:, None, None]


UNFIT = {f.__name__: f for f in (remembers, counts, draws_with_torch, draws_with_python, decides_at_random)}
UNFIT["makes_a_tensor"] = makes_a_tensor


@pytest.mark.parametrize("unfit", UNFIT)
def test_a_module_that_does_what_a_graph_cannot_say_is_kept_whole(unfit):
    net = Net(Odd(UNFIT[unfit]))
    ours = with_blocks(net)
    x = torch.randn(2, *EXAMPLE)
    for seed in range(4):
        outputs = []
        for each in (net, ours):
            torch.manual_seed(seed)
            random.seed(seed)
            outputs.append(each(x))
        assert torch.equal(*outputs)
    assert (ours.layer1[1].last is None) == (net.layer1[1].last is None)


@pytest.mark.parametrize("unfit", UNFIT)
def test_a_network_that_does_so_itself_is_refused_in_one_line(unfit):
    state = torch.get_rng_state(), random.getstate()
    with pytest.raises(SurgeryError, match=r"\AOdd cannot be traced by torch\.fx: its own forward .*modules=.*\Z"):
        trace(Odd(UNFIT[unfit]), EXAMPLE)
    assert torch.equal(torch.get_rng_state(), state[0])
    assert random.getstate() == state[1]


def test_weights_that_hooks_or_parametrizations_make_are_made():
    unit = Unit()
    unit.conv = spectral_norm(unit.conv)
    other = Unit()
    other.conv = parametrizations.weight_norm(other.conv)
    net = Net(unit, first=other).eval()
    x = torch.randn(2, *EXAMPLE)
    assert torch.equal(with_blocks(net)(x), net(x))


# Hooks


def test_hooks_on_modules_that_are_kept_whole_run_and_those_of_the_root():
    net = Net(Odd(remembers))
    heard = []
    for name, module in {"root": net, "leaf": net.layer1, "conv": net.first.conv, "odd": net.layer1[1]}.items():
        module.register_forward_hook(lambda *args, name=name: heard.append(name))
    ours = with_blocks(net, leaves=["layer1"])
    assert heard == []
    ours(torch.randn(2, *EXAMPLE))
    assert sorted(heard) == ["conv", "leaf", "odd", "root"]


@pytest.mark.parametrize("kind", ["forward", "forward_pre", "full_backward", "full_backward_pre"])
def test_hooks_on_a_module_that_is_traced_into_are_refused_though_it_contains_none(kind):
    net = Net(Odd(lambda odd, x: F.relu(x)))
    getattr(net.layer1[1], f"register_{kind}_hook")(lambda *args: None)
    with pytest.raises(SurgeryError, match=r"\Alayer1\.1 .*hooks.*backbone\.leaves=\[layer1\.1\]\Z"):
        trace(net, EXAMPLE)


# What cannot be traced


def decides_by_values(odd, x):
    return x if x.mean() > 0 else -x


def measures(odd, x):
    return x * len(x)


def loops(odd, x):
    return sum(image for image in x)


def assigns(odd, x):
    x[:, 0] = 0
    return x


@torch.jit.script
def compiled(x: torch.Tensor) -> torch.Tensor:
    return x * 2


UNTRACEABLE = {
    "by values": decides_by_values,
    "len": measures,
    "a loop": loops,
    "an assignment": assigns,
    "torch.jit": lambda odd, x: compiled(x),
}


@pytest.mark.parametrize("what", UNTRACEABLE)
def test_what_cannot_be_traced_is_named_with_the_ways_out(what):
    with pytest.raises(SurgeryError) as caught:
        trace(Net(Odd(UNTRACEABLE[what])), EXAMPLE)
    message = str(caught.value)
    assert message.startswith("layer1.1 (Odd) cannot be traced by torch.fx: ")
    assert "backbone.leaves=[Odd]" in message
    assert "backbone.modules=[layer1.1,...]" in message
    assert "\n" not in message


@pytest.mark.parametrize("what", UNTRACEABLE)
def test_the_first_way_out_is_one(what):
    net = Net(Odd(UNTRACEABLE[what]))
    if what == "a loop":
        pytest.skip("gives no image")
    x = torch.randn(2, *EXAMPLE)
    assert torch.equal(with_blocks(net, leaves=["Odd"])(x), net(x))


def test_of_a_network_whose_own_forward_cannot_be_traced_its_modules_are_offered():
    class Deciding(Net):
        def forward(self, x):
            return super().forward(x) if x.mean() > 0 else x

    message = r"\ADeciding cannot be traced.*: backbone\.modules=\[first,layer1,\.\.\.\]\Z"
    with pytest.raises(SurgeryError, match=message):
        trace(Deciding(nn.Identity()), EXAMPLE)


def test_a_compiled_module_is_kept_whole():
    net = Net(torch.jit.script(Unit()))
    x = torch.randn(2, *EXAMPLE)
    assert torch.equal(with_blocks(net)(x), net(x))


class Optional(Net):
    def forward(self, x, scale=None, twice=False):
        if scale is not None:
            x = x * scale
        return super().forward(2 * x if twice else x)


def test_further_arguments_of_the_network_have_their_defaults():
    net = Optional(nn.Identity())
    x = torch.randn(2, *EXAMPLE)
    assert torch.equal(with_blocks(net)(x), net(x))


@pytest.mark.parametrize("further", [{"scale": 2}, {"twice": True}])
def test_other_values_than_these_defaults_are_not_passed_over(further):
    ours = with_blocks(Optional(nn.Identity()))
    with pytest.raises(AssertionError, match="specialized"):
        ours(torch.randn(2, *EXAMPLE), **further)


def test_a_network_that_runs_only_on_a_real_device_is_traced_too():
    class Real(nn.BatchNorm2d):  # kept whole; the meta device has no values to tell
        def forward(self, x):
            return x * 2 if float(x.sum()) > 0 else x

    assert [site.name for site in trace(Net(Real(4)), EXAMPLE).sites] == ["first", "layer1.0", "layer2.0"]


def test_an_assertion_about_the_image_is_told_by_its_kind_where_it_says_nothing():
    def asserts(odd, x):
        torch._assert(x.shape[-1] == 5, "")
        return x

    with pytest.raises(SurgeryError, match=r"\ANet does not run on an image of 4x6x6: AssertionError\Z"):
        trace(Net(Odd(asserts)), EXAMPLE)


def test_weights_are_not_copied_to_be_traced(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "__deepcopy__", None)
    trace(Net(nn.BatchNorm2d(4)), EXAMPLE)
