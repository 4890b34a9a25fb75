"""What a network costs: parameters, and multiply-accumulates of its convolutions and linear layers."""

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def params(net: nn.Module) -> int:
    """Parameters, counted. Buffers (running statistics) are not among them."""
    return sum(parameter.numel() for parameter in net.parameters())


def macs(net: nn.Module, example: Sequence[int]) -> int:
    """Multiply-accumulates for one image of shape (C, H, W), by PyTorch's flop counter on the meta device.

    1 multiply-accumulate is 2 of PyTorch's flops. Pooling, normalisation, activations and scaling are not counted.
    """
    meta = copy.deepcopy(net).to("meta").float().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        meta(torch.empty(1, *example, device="meta"))
    return int(counter.get_total_flops()) // 2
