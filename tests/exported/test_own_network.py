"""`insert_se` on a network of the caller's own: how its sites are found is the caller's to say."""

import pytest
import torch
from torch import nn

from senas.core.block import Gate, Placement, SEBlock
from senas.core.config import SEConfig
from senas.errors import SpaceError
from senas.exported.network import insert_se
from senas.model.se import SqueezeExcitation


class Unit(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x).relu() + x


class Deciding(Unit):
    """Its way depends on the image: torch.fx cannot trace it."""

    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else x


def gated(net):
    return [name for name, module in net.named_modules() if isinstance(module, SqueezeExcitation)]


def test_blocks_that_it_came_with_are_taken_out_where_that_is_asked_for():
    from torchvision.models import mobilenet_v3_small

    net = mobilenet_v3_small(num_classes=3)
    config = SEConfig({"features.4.block.2": SEBlock(hidden=2, placement=Placement.INNER)})
    with pytest.raises(SpaceError, match=r"no site features\.4\.block\.2"):
        insert_se(net, config, (3, 32, 32))
    assert gated(insert_se(net, config, (3, 32, 32), strip_se=True)) == ["features.4.block.2"]


def test_a_class_that_cannot_be_traced_is_kept_whole():
    net = nn.Sequential(Unit(), Deciding(), nn.Conv2d(4, 2, 1))
    config = SEConfig({"0": SEBlock(hidden=1)})
    assert gated(insert_se(net, config, (4, 8, 8), leaves=["Deciding"])) == ["0.se"]


def test_outputs_of_modules_are_gated_without_tracing():
    net = nn.Sequential(Deciding(), Unit(), nn.Flatten(), nn.Linear(256, 2))
    block = SEBlock(hidden=1, placement=Placement.POST, gate=Gate.TWICE_SIGMOID)
    found = insert_se(net, SEConfig({"0": block}), (4, 8, 8), modules=["0", "1"])
    images = torch.rand(3, 4, 8, 8)
    torch.testing.assert_close(found(images), net(images))
    found.get_submodule("0.se").fc2.bias.data.fill_(-20)  # closes the gate: nothing of the first unit is left
    assert not torch.allclose(found(images), net(images))
