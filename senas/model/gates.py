"""The gates of a network that surgery made: which modules they are, what they do, and what if they did less."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from senas.core.config import SEConfig
from senas.model.se import SqueezeExcitation
from senas.model.sites import Traced
from senas.model.surgery import paths, placed, put


def gate_paths(backbone: nn.Module, config: SEConfig, traced: Traced) -> dict[str, str]:
    """The module path of each site's block in `insert(backbone, config, traced)`, by the site's name, in network order.

    backbone:  as it is handed to `insert`, or another of the same structure, on the meta device too.
    """
    units = [unit for unit, _ in placed(config, traced)]
    return {unit.site.name: path for unit, path in zip(units, paths(backbone, units), strict=True)}


class Seen(NamedTuple):
    """What a block made of a batch.

    squeezed:  (B, C), what its first layer read; of a local gate, which reads every location, the mean over them.
    gates:     (B, C), the factors of the channels; of a local gate (B, C, H, W), those of each location.
    """

    squeezed: Tensor
    gates: Tensor


@contextmanager
def watched(net: nn.Module, paths: Mapping[str, str]) -> Iterator[dict[str, Seen]]:
    """A mapping that has, after each forward of `net`, what the block at each site made of that batch.

    paths:  of `gate_paths`. A block that is no SqueezeExcitation is computed twice, and read off its output: see
            `implied`. Of a channel that is zero everywhere nothing could be read: it is given values with the mean 0,
            so that a block that squeezes by the mean gates it as it does.
    """
    seen: dict[str, Seen] = {}

    def hook(site: str) -> Any:
        def see(module: nn.Module, args: tuple[Tensor]) -> None:  # before the block: it may change its input in place
            with torch.no_grad():
                (x,) = args
                if isinstance(module, SqueezeExcitation):
                    squeezed = module.squeezed(x)
                    seen[site] = Seen(squeezed if squeezed.ndim == 2 else squeezed.mean((2, 3)), module.gates(x))
                else:
                    probe = _probe(x)
                    seen[site] = Seen(x.mean((2, 3)), implied(probe, module.forward(probe.clone())))

        return see

    handles = [net.get_submodule(path).register_forward_pre_hook(hook(site)) for site, path in paths.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def instead(net: nn.Module, paths: Mapping[str, str], factors: Mapping[str, Tensor | None]) -> Iterator[None]:
    """`net`, in which the blocks of these sites scale all images alike, by constants (C,), or, for None, do nothing."""

    own = {site: net.get_submodule(paths[site]) for site in factors}
    try:
        for site, factor in factors.items():  # not by hooks: what a block changed in place is not there any more
            put(net, paths[site], _Constant(factor))
        yield
    finally:
        for site, block in own.items():
            put(net, paths[site], block)


class _Constant(nn.Module):
    """Scales all images alike, by factors (C,), or, for None, hands them on."""

    def __init__(self, factor: Tensor | None) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x.clone() if self.factor is None else x * self.factor.to(x)[:, None, None]  # it may be changed in place


def without(net: nn.Module, paths: Mapping[str, str], sites: Iterable[str]) -> nn.Module:
    """A copy of `net` in which the blocks of these sites hand on what they are given, and take no time."""
    bare = copy.deepcopy(net)
    for site in sites:
        put(bare, paths[site], nn.Identity())
    return bare


def _probe(x: Tensor) -> Tensor:
    """(B, C, H, W), a copy in which no channel is zero everywhere: +1 and -1 stand in its first two locations.

    On maps of a single location there is no such value with the mean 0, and channels stay as they are.
    """
    probe = x.clone(memory_format=torch.contiguous_format)
    if probe[0, 0].numel() > 1:
        dead = (x == 0).all(3).all(2)
        locations = probe.flatten(2)
        locations[..., 0] += dead.to(x)
        locations[..., 1] -= dead.to(x)
    return probe


def implied(x: Tensor, y: Tensor) -> Tensor:
    """(B, C): the factor by which a block that gives y for x scaled each channel, both (B, C, H, W).

    By least squares, which is exact where it did scale; 1 for a channel that is zero everywhere, of which nothing is
    known.
    """
    squares = (x * x).sum((2, 3))
    return torch.where(squares > 0, (x * y).sum((2, 3)) / squares.clamp_min(torch.finfo(x.dtype).tiny), 1.0)
