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
    """Multiply-accumulates for one image of shape (C, H, W), by PyTorch's flop counter.

    1 multiply-accumulate is 2 of PyTorch's flops. Convolutions, linear layers and other products of matrices are
    counted; pooling, normalisation, activations and scaling are not. The network is neither run nor changed: a copy
    without storage is, on the meta device; of a network that makes tensors of its own elsewhere, or looks at values,
    a copy on the CPU.
    """
    try:
        return _counted(_without_storage(net), torch.empty(1, *example, device="meta"))
    except (RuntimeError, TypeError):  # also what the meta device has not got: NotImplementedError
        return _counted(copy.deepcopy(net).cpu().float(), torch.zeros(1, *example))


def _counted(net: nn.Module, images: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(images)
    return int(counter.get_total_flops()) // 2


def _without_storage(net: nn.Module) -> nn.Module:
    """A copy on the meta device, in float32, for which no weight is copied."""
    twins: dict[int, object] = {id(p): nn.Parameter(p.to("meta"), p.requires_grad) for p in net.parameters()}
    twins |= {id(buffer): buffer.to("meta") for buffer in net.buffers()}
    return copy.deepcopy(net, twins).to("meta").float()
