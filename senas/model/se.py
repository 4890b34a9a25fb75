"""SEBlock -> nn.Module.

Source: Hu et al., "Squeeze-and-Excitation Networks", arXiv:1709.01507, section 3. Shapes: x is (B, C, H, W).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from senas.core.block import Activation, Gate, SEBlock, Squeeze


class SqueezeExcitation(nn.Module):
    """scale(x, gate(fc2(act(fc1(squeeze(x)))))), as `block` says, on `channels` channels.

    The layers are called fc1 and fc2 as in torchvision's and timm's modules, as linear layers: (h, C) and (C, h).
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
        return x * self.gates(x)[:, :, None, None]

    def gates(self, x: Tensor) -> Tensor:
        """The factors alone: (B, C, H, W) -> (B, C)."""
        inner = F.relu if self.block.activation is Activation.RELU else F.silu
        logits = self.fc2(inner(self.fc1(self.squeezed(x))))
        if self.block.gate is Gate.HARD_SIGMOID:
            return F.hardsigmoid(logits)
        if self.block.gate is Gate.TWICE_SIGMOID:
            return 2 * torch.sigmoid(logits)
        return torch.sigmoid(logits)

    def squeezed(self, x: Tensor) -> Tensor:
        """What the first layer reads: (B, C, H, W) -> (B, C)."""
        return x.mean((2, 3)) if self.block.squeeze is Squeeze.AVG else x.amax((2, 3))

    def extra_repr(self) -> str:
        return str(self.block)
