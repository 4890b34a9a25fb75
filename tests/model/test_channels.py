"""A value is gated only where its dimension 1 is known to be the channels."""

import pytest
import torch
from torch import nn

from senas.model.channels import channels_first
from senas.model.graph import graph_of
from senas.model.sites import trace

SQUARE = (8, 8, 8)  # as many channels as rows and columns: shapes tell nothing


class ChannelsLast(nn.Module):
    """A residual unit whose sum is of (B, H, W, C)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        return (x + torch.relu(self.conv(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)).mean((1, 2))


class Between(nn.Module):
    """As in ConvNeXt: channels are last for a while within the branch."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.linear = nn.Conv2d(8, 8, 3, padding=1), nn.LayerNorm(8), nn.Linear(8, 8)

    def forward(self, x):
        y = self.linear(self.norm(self.conv(x).permute(0, 2, 3, 1)))
        return (x + torch.permute(y, (0, 3, 1, 2))).mean((2, 3))


class Transposed(Between):
    def forward(self, x):
        y = self.linear(self.norm(self.conv(x).transpose(1, -1)))
        return (x + y.transpose(1, -1)).mean((2, 3))


class Turned(nn.Module):
    """Its second branch reads rows as channels, on purpose."""

    def __init__(self):
        super().__init__()
        self.conv, self.rows = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return (x + self.conv(torch.relu(self.rows(x.transpose(1, 2))))).mean((2, 3))


def test_a_sum_with_the_channels_last_is_no_residual_unit():
    (site,) = trace(nn.Sequential(ChannelsLast(), nn.Linear(8, 2)), SQUARE).sites
    assert site.name == "0.conv"  # the convolution with its activation, where the channels are first


@pytest.mark.parametrize("net", [Between, Transposed])
def test_a_branch_may_have_the_channels_last_for_a_while(net):
    found = trace(net(), SQUARE)
    (unit,) = found.units
    assert [site.name for site in found.sites] == ["network"]
    kinds = {str(placement): cut.source for placement, cut in unit.cuts.items()}
    assert kinds["inner"] == "conv"
    assert kinds["standard"].startswith(("permute", "transpose"))


def test_what_is_read_in_two_ways_is_never_gated():
    net = nn.Sequential(Turned(), nn.Linear(8, 2))
    (unit,) = trace(net, SQUARE).units  # not the sum: its one operand is read as rows, too
    assert unit.site.name == "0.rows"
    assert {cut.source for cut in unit.cuts.values()} == {"_0_rows", "relu"}


def test_channels_are_followed_through_sums_slices_and_concatenations():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(8, 8, 1)

        def forward(self, x):
            first, second = self.conv(x).chunk(2, 1)
            y = torch.cat([first * 2, second[:, :, ::1]], 1).permute(0, 2, 3, 1)
            return (y + 1).permute(0, 3, 1, 2).reshape(-1, 8, 8, 8)

    graph, modules = graph_of(Mixed(), SQUARE)
    known = {node.name for node in channels_first(graph, modules)}
    assert known == {"x", "conv", "chunk", "getitem", "getitem_1", "mul", "getitem_2", "cat", "permute_1"}
