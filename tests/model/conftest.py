"""Small networks of residual units, and the same units written by hand with a gate at every placement.

`net.units` are the units in order; `unit.by_hand(x, gate)` computes what the unit should with `gate(placement, value)`
called wherever the paper puts that placement.
"""

import pytest
import torch
from hypothesis import settings
from torch import nn
from torch.nn import functional as F

from senas.core.block import Placement, SEBlock
from senas.core.config import SEConfig
from senas.model.cifar import CifarResNet
from senas.model.sites import trace

# The same examples on every machine; no deadline, because a busy machine is not a bug.
settings.register_profile("senas", deadline=None, derandomize=True)
settings.load_profile("senas")

EXAMPLE = (3, 8, 8)
P = Placement


class Unit(nn.Module):
    """What basic units and bottlenecks share: the shortcut, and a ReLU that changes its input in place."""

    def __init__(self, channels, width, stride, relu):
        super().__init__()
        self.relu = relu
        self.downsample = None
        if stride > 1 or channels != width:
            self.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def shortcut(self, x):
        return x if self.downsample is None else self.downsample(x)


class Basic(Unit):
    """As in torchvision: one in-place ReLU module called twice, and `out += identity`."""

    def __init__(self, channels, width, stride, relu):
        super().__init__(channels, width, stride, relu)
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)

    def by_hand(self, x, gate):
        shortcut = gate(P.IDENTITY, self.shortcut(x))
        y = gate(P.INNER_BEFORE_RELU, self.bn1(self.conv1(gate(P.PRE, x))))
        y = gate(P.INNER, F.relu(y))
        y = gate(P.STANDARD, self.bn2(self.conv2(y)))
        return gate(P.POST, F.relu(gate(P.POST_BEFORE_RELU, y + shortcut)))


class Bottleneck(Unit):
    """The shortcut is computed first here, and the addition has it as its first operand."""

    def __init__(self, channels, width, stride, relu):
        super().__init__(channels, width, stride, relu)
        self.conv1 = nn.Conv2d(channels, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(2)
        self.conv2 = nn.Conv2d(2, 5, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(5)
        self.conv3 = nn.Conv2d(5, width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)

    def forward(self, x):
        identity = self.downsample(x) if self.downsample is not None else x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.relu(torch.add(identity, self.bn3(self.conv3(out))))

    def by_hand(self, x, gate):
        shortcut = gate(P.IDENTITY, self.shortcut(x))
        y = F.relu(self.bn1(self.conv1(gate(P.PRE, x))))
        y = gate(P.INNER_BEFORE_RELU, self.bn2(self.conv2(y)))
        y = gate(P.INNER, F.relu(y))
        y = gate(P.STANDARD, self.bn3(self.conv3(y)))
        return gate(P.POST, F.relu(gate(P.POST_BEFORE_RELU, y + shortcut)))


class PreActivation(Unit):
    """The first operation of the branch changes the fork in place, so the shortcut carries the changed value too."""

    def __init__(self, channels, width, stride, relu):
        super().__init__(channels, width, stride, relu)
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.bn1(self.conv1(self.relu(x)))
        y = self.conv2(F.relu_(y))
        return y + self.shortcut(x)

    def by_hand(self, x, gate):
        x = F.relu(x)
        shortcut = gate(P.IDENTITY, self.shortcut(x))
        y = gate(P.INNER_BEFORE_RELU, self.bn1(self.conv1(gate(P.PRE, x))))
        y = gate(P.INNER, F.relu(y))
        return gate(P.STANDARD, self.conv2(y)) + shortcut


class Plain(Basic):
    """No ReLU behind the addition, so `post` is the addition itself; the addition is in place, by a method."""

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(out)).add_(self.shortcut(x))

    def by_hand(self, x, gate):
        shortcut = gate(P.IDENTITY, self.shortcut(x))
        y = gate(P.INNER_BEFORE_RELU, self.bn1(self.conv1(gate(P.PRE, x))))
        y = gate(P.STANDARD, self.bn2(self.conv2(gate(P.INNER, F.relu(y)))))
        return gate(P.POST, y + shortcut)


class Net(nn.Module):
    """A stem, a unit without a projection, one with a stride and a projection, another without; one ReLU for all."""

    def __init__(self, kind):
        super().__init__()
        relu = nn.ReLU(inplace=True)
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.layer1 = nn.Sequential(kind(4, 4, 1, relu))
        self.layer2 = nn.Sequential(kind(4, 6, 2, relu), kind(6, 6, 1, relu))
        self.fc = nn.Linear(6, 5)

    @property
    def units(self):
        return {"layer1.0": self.layer1[0], "layer2.0": self.layer2[0], "layer2.1": self.layer2[1]}

    def forward(self, x):
        return self.fc(self.layer2(self.layer1(self.stem(x))).mean((2, 3)))

    def by_hand(self, x, gate):
        """`gate(site, placement, value)`."""
        x = self.stem(x)
        for site, unit in self.units.items():
            x = unit.by_hand(x, lambda placement, value, site=site: gate(site, placement, value))
        return self.fc(x.mean((2, 3)))


class Cifar(CifarResNet):
    """He et al.'s network for CIFAR, its units written out with shortcuts that are padded with zero channels."""

    @property
    def units(self):
        return {"layer1.0": self.layer1[0], "layer2.0": self.layer2[0], "layer3.0": self.layer3[0]}

    def by_hand(self, x, gate):
        x = F.relu(self.bn1(self.conv1(x)))
        for site, unit in self.units.items():
            shortcut = x
            if site != "layer1.0":
                shortcut = torch.zeros(len(x), 2 * x.shape[1], x.shape[2] // 2, x.shape[3] // 2, dtype=x.dtype)
                shortcut[:, x.shape[1] // 2 : x.shape[1] // 2 * 3] = x[:, :, ::2, ::2]
            shortcut = gate(site, P.IDENTITY, shortcut)
            y = gate(site, P.INNER_BEFORE_RELU, unit.bn1(unit.conv1(gate(site, P.PRE, x))))
            y = gate(site, P.INNER, F.relu(y))
            y = gate(site, P.STANDARD, unit.bn2(unit.conv2(y)))
            x = gate(site, P.POST, F.relu(gate(site, P.POST_BEFORE_RELU, y + shortcut)))
        return self.fc(x.mean((2, 3)))


def randomised(net, seed=0):
    """The network in float64, every weight and running statistic drawn."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in net.double().state_dict().items():
        if tensor.is_floating_point():
            drawn = (
                torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) / max(1, tensor[0].numel()) ** 0.5
            )
            # Norms scale and shift upwards, so that no ReLU is dead.
            tensor.copy_(drawn.abs() + 0.5 if "var" in name or ("bn" in name and "running" not in name) else drawn)
    return net


def perturbed(net, seed=0):
    """Any network in float64, every weight and running statistic moved off what it was, by about as much as it is."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in net.double().state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
            scale = 0.2 if tensor.dim() < 2 else tensor.std().nan_to_num(0.1).clamp(min=0.01)
            tensor.copy_(tensor * (1 + drawn.abs()) if "running_var" in name else tensor + scale * drawn)
    return net


@pytest.fixture(scope="session")
def randomise():
    """`randomise(net)` is the network in float64, with weights and running statistics that no fresh network has."""
    return perturbed


KINDS = {
    "basic": lambda: Net(Basic),
    "bottleneck": lambda: Net(Bottleneck),
    "pre-activation": lambda: Net(PreActivation),
    "plain": lambda: Net(Plain),
    "cifar": lambda: Cifar(8, classes=5, width=4),
}


@pytest.fixture(scope="session")
def kinds():
    """Kind of unit -> (a network of such units in float64, its trace)."""
    made = {}
    for name, make in KINDS.items():
        traced = trace(make(), EXAMPLE)
        made[name] = randomised(make()), traced
    return made


@pytest.fixture
def example():
    return EXAMPLE


@pytest.fixture
def net():
    """A network of three basic units with weights of its own: stages of one and two, in-place ReLU shared by all."""
    return randomised(Net(Basic)).float()


@pytest.fixture(scope="session")
def everywhere():
    """`everywhere(placement)`: a block of width 2 there at every unit of the small networks."""
    return lambda placement=P.STANDARD, sites=("layer1.0", "layer2.0", "layer2.1"), **fields: SEConfig(
        {site: SEBlock(hidden=2, placement=placement, **fields) for site in sites}
    )
