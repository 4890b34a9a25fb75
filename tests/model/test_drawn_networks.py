"""Surgery on small networks that hypothesis draws: residual and plain units of every make, and any configuration.

Either it is refused in one line, or the network computes what the backbone does where all gates are 1, and every gate
learns.
"""

import re

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from senas.core.block import Activation, SEBlock
from senas.core.config import SEConfig
from senas.errors import SurgeryError
from senas.model.se import SqueezeExcitation
from senas.model.sites import trace
from senas.model.surgery import insert

EXAMPLE = (2, 8, 8)
SHARED = nn.SiLU(inplace=True)
ACTIVATIONS = {
    "module": nn.SiLU,
    "in place": lambda: nn.LeakyReLU(0.3, inplace=True),
    "shared": lambda: SHARED,
    "none": nn.Identity,
}


class Unit(nn.Module):
    """One unit, as drawn: `kind` says what is done with its branch."""

    def __init__(self, channels, *, kind, width, stride, groups, norm, act, shortcut_first, functional):
        super().__init__()
        if stride > 1 and kind == "concatenated":
            kind = "plain"
        self.kind, self.functional, self.shortcut_first = kind, functional, shortcut_first
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1)
        self.norm1 = nn.BatchNorm2d(width) if norm else nn.Identity()
        self.act = ACTIVATIONS[act]()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, groups=groups)
        self.out = width + channels if kind == "concatenated" else width
        projected = stride > 1 or channels != width
        self.projection = nn.Conv2d(channels, width, 1, stride) if projected else nn.Identity()

    def forward(self, x):
        if self.kind == "in place first":
            x = F.leaky_relu_(x, 0.5)
        early = self.projection(x) if self.kind != "plain" and self.shortcut_first else None
        y = self.act(self.norm1(self.conv1(x)))
        y = self.conv2(y)
        if self.kind == "concatenated":
            return F.silu(torch.cat([x, y], 1))
        if self.kind == "plain":
            return F.silu(y)
        if self.kind == "split":
            left, right = y.chunk(2, 1)
            y = torch.cat([right, left], 1)
        shortcut = self.projection(x) if early is None else early
        if self.functional:
            y += shortcut
            return F.silu(y)
        return F.silu(torch.add(shortcut, y))


class Net(nn.Module):
    def __init__(self, drawn):
        super().__init__()
        units, channels = [], 4
        self.stem = nn.Conv2d(2, channels, 1)
        for each in drawn:
            units.append(Unit(channels, **each))
            channels = units[-1].out
        self.units, self.fc = nn.Sequential(*units), nn.Linear(channels, 3)

    def forward(self, x):
        return self.fc(self.units(self.stem(x)).mean((2, 3)))


UNITS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["residual", "plain", "concatenated", "split", "in place first"]),
        "width": st.sampled_from([2, 4, 6]),
        "stride": st.sampled_from([1, 1, 2]),
        "groups": st.sampled_from([1, 2]),
        "norm": st.booleans(),
        "act": st.sampled_from(list(ACTIVATIONS)),
        "shortcut_first": st.booleans(),
        "functional": st.booleans(),
    }
)


def images(batch=3):
    return torch.randn(batch, *EXAMPLE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@settings(max_examples=20)
@given(drawn=st.lists(UNITS, min_size=1, max_size=3), data=st.data())
def test_surgery_works_or_is_refused_in_one_line(drawn, data):
    torch.manual_seed(0)
    backbone = Net(drawn).double()
    try:
        traced = trace(backbone, EXAMPLE)
    except SurgeryError as error:
        refused = str(error)
    else:
        refused = None
    if refused is not None:
        # A plain network whose units have no activation behind a convolution, or only one that others read too.
        assert re.fullmatch(r"Net has no site: .*", refused)
        assert all(each["kind"] in ("plain", "concatenated") and each["act"] == "none" for each in drawn)
        return
    blocks = {
        site.name: SEBlock(hidden=2, placement=placement, activation=Activation.SILU)
        for site in traced.sites
        if (placement := data.draw(st.sampled_from([*site.places, None])))
    }
    net = insert(backbone, SEConfig(blocks), traced)
    gates = [module for module in net.modules() if isinstance(module, SqueezeExcitation)]
    assert len(gates) == len(blocks)
    output = net.train()(images())
    assert output.shape == (3, 3)
    output.square().sum().backward()
    for gate in gates:
        assert gate.fc2.bias.grad.isfinite().all()
        assert gate.fc2.bias.grad.abs().max() > 0
    opened = insert(backbone, SEConfig(blocks), traced)
    for gate in (module for module in opened.modules() if isinstance(module, SqueezeExcitation)):
        gate.forward = torch.clone
    for training in (False, True, False):
        ours, theirs = (each.train(training)(images()) for each in (opened, backbone))
        assert torch.equal(ours, theirs)
