"""SEBlock -> nn.Module.

Source: Hu et al., "Squeeze-and-Excitation Networks", arXiv:1709.01507, section 3. Shapes: x is (B, C, H, W).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from senas.core.block import Activation, Gate, SEBlock, Squeeze


class SqueezeExcitation(nn.Module):
    """scale(x, gate(fc2(act(fc1(squeeze(x)))))), as `block` says, on `channels` channels.

    The layers are called fc1 and fc2 as in torchvision's and timm's modules, as linear layers: (h, C) and (C, h). A
    local gate has the same two, and applies them at every location.
    """

    def __init__(self, block: SEBlock, channels: int) -> None:
        super().__init__()
        self.block = block
        self.fc1 = nn.Linear(channels, block.hidden, bias=block.bias)
        self.fc2 = nn.Linear(block.hidden, channels, bias=block.bias)
        if block.gate is Gate.TWICE_SIGMOID:
            # 2 sigmoid(0) = 1: the block starts as the identity, where the gate's slope is at its largest.
            nn.init.zeros_(self.fc2.weight)
            if block.bias:
                nn.init.zeros_(self.fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        gates = self.gates(x)
        return x * (gates if self.block.squeeze is Squeeze.LOCAL else gates[:, :, None, None])

    def gates(self, x: Tensor) -> Tensor:
        """The factors alone: (B, C, H, W) -> (B, C), or (B, C, H, W) of a local gate."""
        return self.excited(self.squeezed(x))

    def excited(self, squeezed: Tensor) -> Tensor:
        """What the layers make of what was squeezed: (B, C) -> (B, C), or (B, C, H, W) -> (B, C, H, W)."""
        inner = F.relu if self.block.activation is Activation.RELU else F.silu
        logits = _applied(self.fc2, inner(_applied(self.fc1, squeezed)))
        if self.block.gate is Gate.HARD_SIGMOID:
            return F.hardsigmoid(logits)
        if self.block.gate is Gate.TWICE_SIGMOID:
            return 2 * torch.sigmoid(logits)
        return torch.sigmoid(logits)

    def squeezed(self, x: Tensor) -> Tensor:
        """What the first layer reads: (B, C, H, W) -> (B, C), or x itself where the gate is local."""
        if self.block.squeeze is Squeeze.LOCAL:
            return x
        return x.mean((2, 3)) if self.block.squeeze is Squeeze.AVG else x.amax((2, 3))

    def extra_repr(self) -> str:
        return str(self.block)


def dense(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A linear layer with weight (K, C) over dimension 1: (B, C) -> (B, K), (B, C, H, W) -> (B, K, H, W).

    As a convolution where maps are large, forward and backward take less time than as a product of matrices, whether
    over a view with the channels last or over flattened maps: 60 ms instead of 149 and 130 for a gate on 8 maps of
    256 x 56 x 56 at r = 16, on one core.
    """
    return F.linear(x, weight, bias) if x.ndim == 2 else F.conv2d(x, weight[:, :, None, None], bias)


def _applied(layer: nn.Linear, x: Tensor) -> Tensor:
    # Where it can be, called as the module that it is: that is what hooks, and what takes its place, rely on.
    return layer(x) if x.ndim == 2 else dense(x, layer.weight, layer.bias)
