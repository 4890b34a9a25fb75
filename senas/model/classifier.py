"""The layer whose outputs are the logits: finding it, and putting a fresh one in its place."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from senas.errors import ConfigError

BATCH = 2
SIDES = (32, 64, 96, 128, 160, 192, 224, 256, 299, 384)
"""Heights and widths that a network is tried on where it does not take the images as they are."""


class Run(NamedTuple):
    """What came of running a network on made-up images.

    output:      what it gives.
    classifier:  path of the last convolution or linear layer with as many outputs as there are logits; None where there
                 is none.
    """

    output: Any
    classifier: str | None


def run(network: nn.Module, shape: Sequence[int]) -> Run:
    """Runs a copy of the network, in eval mode, on images of shape (C, H, W). It costs no memory to speak of.

    Raises what the network raises.
    """
    try:
        return _run(network, shape, "meta")
    except Exception as error:  # whatever a network does
        if "meta" not in str(error):
            raise
        with torch.random.fork_rng(devices=[]):  # it looks at values, which nothing has on the meta device
            return _run(network, shape, "cpu")


def _run(network: nn.Module, shape: Sequence[int], device: str) -> Run:
    twin = copy.deepcopy(network).to(device).float().eval()
    widths: list[tuple[str, int]] = []
    for name, module in twin.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and getattr(module, "groups", 1) == 1:
            width = module.out_features if isinstance(module, nn.Linear) else module.out_channels
            module.register_forward_hook(lambda *_, seen=(name, width): widths.append(seen))
    with torch.no_grad():
        output = twin(torch.zeros(BATCH, *shape, device=device))
    logits = output.shape[1] if isinstance(output, Tensor) and output.ndim == 2 else None
    return Run(output, next((name for name, width in reversed(widths) if width == logits), None))


def check(network: nn.Module, shape: Sequence[int], *, classes: int, what: str) -> Run:
    """What comes of running the network. Raises ConfigError where it is not (B, classes) of images of shape (C, H, W).

    what:  the network, in words.
    """
    try:
        seen = run(network, shape)
    except Exception as error:  # whatever a network does
        raise ConfigError(_too_small(network, shape, what, error)) from error
    output = seen.output
    if not isinstance(output, Tensor):
        raise ConfigError(
            f"backbone: {what} gives a {type(output).__name__}, and senas needs logits, a tensor (images, {classes})"
        )
    if tuple(output.shape) != (BATCH, classes):
        given = ", ".join(["images", *map(str, output.shape[1:])])
        raise ConfigError(f"backbone: {what} gives a tensor ({given}), and senas needs logits (images, {classes})")
    return seen


def _too_small(network: nn.Module, shape: Sequence[int], what: str, error: Exception) -> str:
    channels, height, width = shape
    cause = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    line = f"backbone.size: {what} does not take images of {channels} x {height} x {width} ({cause:.200})"
    for side in SIDES:
        if side > max(height, width) and _runs(network, (channels, side, side)):
            return f"{line}; scaled to {side} it does: backbone.size={side}"
    return f"{line}, nor larger ones"


def _runs(network: nn.Module, shape: Sequence[int]) -> bool:
    try:
        run(network, shape)
    except Exception:  # whatever a network does
        return False
    return True


def with_outputs(network: nn.Module, path: str, outputs: int) -> nn.Module:
    """The network with a fresh classifier of so many outputs at `path`, its weights from torch's global generator."""
    old = network.get_submodule(path)
    bias = old.bias is not None
    if isinstance(old, nn.Linear):
        new: nn.Module = nn.Linear(old.in_features, outputs, bias=bias)
    else:
        assert isinstance(old, nn.Conv2d)
        size: Any = old.kernel_size
        new = nn.Conv2d(
            old.in_channels,
            outputs,
            size,
            stride=old.stride,  # type: ignore[arg-type]
            padding=old.padding,  # type: ignore[arg-type]
            dilation=old.dilation,  # type: ignore[arg-type]
            bias=bias,
            padding_mode=old.padding_mode,
        )
    new.train(old.training).to(next(old.parameters()))
    if not path:
        return new
    owner, _, name = path.rpartition(".")
    setattr(network.get_submodule(owner), name, new)
    return network
