"""Statistics of batch norm, measured anew."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def norms_of(net: nn.Module) -> dict[str, _BatchNorm]:
    """Batch norm that keeps statistics, by path."""
    return {
        path: module
        for path, module in net.named_modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }


@contextmanager
def counting(norms: dict[str, _BatchNorm]) -> Iterator[None]:
    """Batch norm alone in training mode, its statistics begun anew, and every batch with the same weight in them."""
    before = [(norm, norm.training, norm.momentum) for norm in norms.values()]
    for norm in norms.values():
        norm.reset_running_stats()
        norm.train()
        norm.momentum = None
    try:
        yield
    finally:
        for norm, training, momentum in before:
            norm.train(training)
            norm.momentum = momentum
