"""The residual networks for small images of He et al."""

from torch import Tensor, nn
from torch.nn import functional as F

from senas.errors import ConfigError

CIFAR_DEPTHS = (8, 14, 20, 32, 44, 56, 110)


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
