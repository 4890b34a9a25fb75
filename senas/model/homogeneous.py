"""Which operations let a scale through, f(s x) = s f(x) for s > 0, and which layers can take one into their weights."""

import operator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

SAME_MODULES = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Identity)
SAME: set[Any] = {
    *(F.relu, F.relu_, F.leaky_relu, F.leaky_relu_, torch.relu, torch.relu_, operator.neg, torch.clone),
    *("relu", "relu_", "clone", "contiguous", "detach"),
}
"""What gives each number a homogeneous function of it alone."""
POOLING_MODULES = (
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample),
    *(nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d),
)
POOLING: set[Any] = {
    *(F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d, F.interpolate),
    torch.max_pool2d,
}
"""What gives each channel a homogeneous function of that channel."""
REDUCING: set[Any] = {torch.mean, torch.sum, torch.amax, "mean", "sum", "amax"}
ADDING: set[Any] = {
    *(operator.add, operator.iadd, torch.add, "add", "add_"),
    *(operator.sub, operator.isub, torch.sub, "sub", "sub_", torch.maximum, torch.minimum),
}
MULTIPLYING: set[Any] = {
    *(operator.mul, operator.imul, torch.mul, "mul", "mul_"),
    *(operator.truediv, operator.itruediv, torch.div, "div", "div_"),
}
"""Of a value and a number, these are homogeneous; of two values, no."""
MOVING: set[Any] = {
    *(torch.cat, torch.concat, torch.stack, torch.chunk, torch.split, torch.flatten, torch.reshape, torch.permute),
    *(torch.transpose, torch.squeeze, torch.unsqueeze, F.pixel_shuffle, F.channel_shuffle, operator.getitem),
    *("chunk", "split", "flatten", "reshape", "permute", "transpose", "squeeze", "unsqueeze", "expand", "unbind"),
}
"""What moves numbers and leaves them as they are."""
MOVING_MODULES = (nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.ChannelShuffle)
TELLING: set[Any] = {getattr, len, "size", "dim", "numel", "is_contiguous"}
"""What tells of a value what no scale changes."""


def layer_kind(module: nn.Module) -> type[nn.Module] | None:
    """The class of layer whose arithmetic this is; None for any that cannot take factors."""
    for kind in (nn.Conv2d, nn.Linear):
        if type(module) is kind:
            return kind
    if type(module) is nn.GroupNorm:
        return nn.GroupNorm if module.affine else None
    activated = type(module).__name__ == "BatchNormAct2d"  # timm's: norm, dropout, activation
    if type(module) is nn.BatchNorm2d or (activated and isinstance(module, nn.BatchNorm2d)):
        inside = [getattr(module, name) for name in ("drop", "act")] if activated else []
        homogeneous = all(type(each) in SAME_MODULES for each in inside)
        return nn.BatchNorm2d if module.affine and module.running_mean is not None and homogeneous else None
    return None
