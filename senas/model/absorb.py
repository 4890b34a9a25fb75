"""A layer's weights where the channels that it gives are scaled, and those that it reads are too."""

from collections.abc import MutableMapping

from torch import Tensor, nn

State = MutableMapping[str, Tensor]


def absorb(state: State, path: str, module: nn.Module, reads: Tensor | None, gives: Tensor | None) -> None:
    """Sets the layer's weights in `state`, where they are called `path`.weight and so on.

    reads:  (C_in,), what each channel that it reads has to be multiplied by to be what it was; None: nothing.
    gives:  (C_out,), what each channel that it gives is to be multiplied by; None: nothing.
    """
    weight, bias = _read(state, f"{path}.weight"), _read(state, f"{path}.bias")
    assert weight is not None
    if reads is not None:
        if isinstance(module, nn.BatchNorm2d):
            # w (r x - mean) / sd + b = (w r) (x - mean) / sd + b + w (r - 1) mean / sd
            mean, variance = _read(state, f"{path}.running_mean"), _read(state, f"{path}.running_var")
            assert bias is not None  # `ties` has others take nothing
            assert mean is not None
            assert variance is not None
            bias = bias + weight * (reads - 1) * mean / (variance + module.eps).sqrt()
            weight = weight * reads
        elif isinstance(module, nn.Conv2d):
            inputs = reads.reshape(module.groups, 1, -1)
            outputs = weight.shape[0] // module.groups
            weight = weight * inputs.expand(-1, outputs, -1).reshape(*weight.shape[:2], 1, 1)
        else:
            weight = weight * reads
    if gives is not None:
        weight = weight * gives.reshape(-1, *[1] * (weight.dim() - 1))
        bias = None if bias is None else bias * gives
    _write(state, f"{path}.weight", weight)
    if bias is not None:
        _write(state, f"{path}.bias", bias)


def _read(state: State, key: str) -> Tensor | None:
    return state[key].cpu().double() if key in state else None


def _write(state: State, key: str, value: Tensor) -> None:
    state[key] = value.to(state[key])
