"""Backbones by name: the CIFAR residual networks, and torchvision's."""

import re
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from senas.core.backbone import Backbone
from senas.errors import ConfigError

CIFAR_DEPTHS = (8, 14, 20, 32, 44, 56, 110)
TORCHVISION = ("resnet18", "resnet34", "resnet50")
NAMES = (*(f"resnet{depth}" for depth in CIFAR_DEPTHS), *TORCHVISION)


def build(backbone: Backbone, *, classes: int, channels: int) -> nn.Module:
    """A backbone with fresh weights from torch's global generator.

    channels:  of the input images; see `input_channels` for what a backbone takes.
    """
    return named(backbone.name, classes=classes, channels=channels, width=backbone.width)


def named(name: str, *, classes: int, channels: int, width: int | None = None) -> nn.Module:
    """A backbone of senas's own list, one of NAMES, with fresh weights from torch's global generator.

    name:   `resnet` with 6n+2 layers is He et al.'s for CIFAR, 18, 34 and 50 are torchvision's.
    width:  channels of the first stage; only for the CIFAR ones, 16 unless told.
    """
    if name in TORCHVISION:
        if width is not None:
            raise ConfigError(
                f"backbone.width is for the CIFAR residual networks, got {width} for {name}; leave it out"
            )
        from torchvision import models

        construct: Callable[..., nn.Module] = partial(getattr(models, name), weights=None)
        return construct(num_classes=classes)
    depth = re.fullmatch(r"resnet(\d+)", name)
    if depth is None or int(depth[1]) % 6 != 2:
        raise ConfigError(f'backbone.name: unknown backbone "{name}"; there are {", ".join(NAMES)}')
    return CifarResNet(int(depth[1]), classes=classes, channels=channels, width=16 if width is None else width)


def input_channels(backbone: Backbone, channels: int) -> int:
    """How many channels the images must have for this backbone: torchvision's take 3, so grey ones are repeated."""
    return 3 if backbone.library == "torchvision" or backbone.name in TORCHVISION else channels


class CifarResNet(nn.Module):
    """The residual network for small images of He et al., arXiv:1512.03385, section 4.2: (B, channels, H, W) -> (B,
    classes).

    6n+2 layers: a convolution, three stages of n basic units with widths w, 2w, 4w (w = 16 in the paper), global
    average pooling and a linear layer. Shortcuts have no parameters: where the shape changes they take every second
    position and pad the channels with zeros (the paper's option A).
    """

    def __init__(self, depth: int, *, classes: int, channels: int = 3, width: int = 16) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ConfigError(f"a CIFAR residual network has 6n+2 layers (8, 14, 20, ...), got {depth}")
        if width < 1:
            raise ConfigError(f"backbone.width must be at least 1, got {width}")
        units = (depth - 2) // 6
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(units, width, width, stride=1)
        self.layer2 = _stage(units, width, 2 * width, stride=2)
        self.layer3 = _stage(units, 2 * width, 4 * width, stride=2)
        self.fc = nn.Linear(4 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


class BasicUnit(nn.Module):
    """relu(x + bn(conv(relu(bn(conv(x)))))), with the shortcut padded where the shape changes."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.padding = stride, width - channels

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.stride > 1 or self.padding > 0:
            before = self.padding // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.padding - before))
        return F.relu(y + x)


def _stage(units: int, channels: int, width: int, stride: int) -> nn.Sequential:
    first = BasicUnit(channels, width, stride)
    return nn.Sequential(first, *(BasicUnit(width, width, 1) for _ in range(units - 1)))
