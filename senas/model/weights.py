"""Weights: initial ones, read from a file that runs no code, and fitted to a backbone; any, put into a network."""

import hashlib
import io
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from senas.core.backbone import Backbone
from senas.errors import ConfigError
from senas.model.fetched import fetched, unknown, weight_names

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training programs put a state dict."""
PREFIXES = ("module.", "net.", "model.", "_orig_mod.")
"""What wrappers (DistributedDataParallel, a LightningModule, torch.compile) put before every name."""
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
"""Of torchvision's auxiliary heads, which may be left out."""


@dataclass(frozen=True, slots=True)
class Initial:
    """Weights as they were read, once.

    source:  the file, or the name that the library has for them.
    digest:  hexadecimal, of the file, or of the tensors where the library read it.
    """

    source: str
    state: Mapping[str, Tensor]
    digest: str


def read(backbone: Backbone) -> Initial | None:
    """The weights that `backbone.weights` names; None where it names none.

    Raises ConfigError in one line for what is there under no name and in no file, and for a file that holds anything
    but tensors: nothing in it is run.
    """
    wanted = backbone.weights
    if not wanted:
        return None
    if wanted in weight_names(backbone):
        state = fetched(backbone)
        digest = hashlib.sha256()
        for name, tensor in state.items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return Initial(f"{wanted} of {backbone.name}", state, digest.hexdigest())
    if not Path(wanted).is_file():
        raise ConfigError(unknown(backbone))
    try:
        content = Path(wanted).read_bytes()
    except OSError as error:
        raise ConfigError(f"backbone.weights: {wanted} cannot be read: {error.strerror}") from error
    return Initial(wanted, _state(content, wanted), hashlib.sha256(content).hexdigest())


def _state(content: bytes, file: str) -> dict[str, Tensor]:
    held = _held(content, file)
    for key in WRAPPERS:
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    if not isinstance(held, Mapping) or not held:
        raise ConfigError(f"backbone.weights: {file} holds no state dict but {type(held).__name__}; {_WAY_OUT}")
    for name, value in held.items():
        if not isinstance(name, str) or not isinstance(value, Tensor) or value.layout is not torch.strided:
            raise ConfigError(
                f"backbone.weights: {file} holds something of type {type(value).__name__} as {name!s:.80}; {_WAY_OUT}"
            )
    return dict(held)


_WAY_OUT = "save it with torch.save(model.state_dict(), FILE)"


def _held(content: bytes, file: str) -> Any:
    """What a file holds: safetensors, whose ninth byte opens a JSON object, or what torch.save wrote."""
    try:
        if content[8:9] == b"{":
            return load_safetensors(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that other programs pickled
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConfigError(
            f"backbone.weights: {file} holds more than tensors, and what else is in it is not run; {_WAY_OUT}"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # a file from elsewhere: anything
        raise ConfigError(
            f"backbone.weights: {file} is neither safetensors nor a state dict that torch.save wrote"
        ) from error


def fitted(
    initial: Initial, network: nn.Module, *, what: str, classifier: str | None, classes: int
) -> tuple[dict[str, Tensor], list[str]]:
    """What of the weights goes into the network, and what is to be said of the rest, a line each.

    what:        the network, in words.
    classifier:  the path of the layer that makes the logits. Weights for another number of classes are left out there.
    Raises ConfigError naming the first weight that is missing, too many, of another shape or kind, or not finite.
    """
    held = network.state_dict()
    state, remarks = _without_prefixes(initial.state, held), []
    does_not_fit = f"backbone.weights: {initial.source} does not fit {what}"
    own = {name: tensor for name, tensor in held.items() if classifier and name.startswith(f"{classifier}.")}
    there = [name for name in own if name in state]
    if own and not there:
        remarks.append(f"classifier {classifier}: not among the weights; begins anew")
        held = {name: tensor for name, tensor in held.items() if name not in own}
    elif before := _other_classes({name: state[name] for name in there}, own):
        remarks.append(
            f"classifier {classifier}: {before:,} classes of the weights, {classes} of the images; begins anew"
        )
        held = {name: tensor for name, tensor in held.items() if name not in own}
        state = {name: tensor for name, tensor in state.items() if name not in own}
    if auxiliary := [name for name in state if name not in held and name.startswith(AUXILIARY)]:
        remarks.append("auxiliary heads of the weights: left out")
        state = {name: tensor for name, tensor in state.items() if name not in auxiliary}
    for name, tensor in held.items():
        if name not in state:
            if name.endswith("num_batches_tracked"):  # older than it
                continue
            raise ConfigError(f"{does_not_fit}: it has no {name}")
        _check(name, state[name], tensor, does_not_fit)
    if extra := next((name for name in state if name not in held), None):
        raise ConfigError(f"{does_not_fit}: it has {extra:.80}, which the backbone has not")
    return {name: tensor for name, tensor in state.items() if name in held}, remarks


def _without_prefixes(state: Mapping[str, Tensor], held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = dict(state)
    while not any(name in held for name in found):
        prefix = next((each for each in PREFIXES if all(name.startswith(each) for name in found)), None)
        if prefix is None:
            break
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found


def _other_classes(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> int | None:
    """How many classes the weights of a classifier tell apart, where that is all in which they differ."""
    if any(state[name].ndim == 0 or state[name].shape[1:] != own[name].shape[1:] for name in state):
        return None
    counts = {len(state[name]) for name in state}
    return counts.pop() if len(counts) == 1 and not counts & {len(own[name]) for name in state} else None


def _check(name: str, given: Tensor, held: Tensor, does_not_fit: str) -> None:
    if given.shape != held.shape:
        raise ConfigError(f"{does_not_fit}: {name} is {_sizes(given)} there, and {_sizes(held)} in the backbone")
    if given.dtype != held.dtype and not (given.is_floating_point() and held.is_floating_point()):
        raise ConfigError(f"{does_not_fit}: {name} is {given.dtype} there, and {held.dtype} in the backbone")
    if given.is_floating_point() and not bool(given.isfinite().all()):
        raise ConfigError(f"{does_not_fit}: {name} has numbers that are not finite")


def _sizes(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"


def put_weights(net: nn.Module, state: Mapping[str, Tensor], *, strict: bool = True) -> None:
    """`load_state_dict`, with weights that are of this very class, so of the versions of its modules.

    A mapping of names to tensors alone tells no versions: modules take it then for one of long ago, which some refuse.
    """
    versioned = OrderedDict(state)
    versioned._metadata = net.state_dict()._metadata  # type: ignore[attr-defined]
    net.load_state_dict(versioned, strict=strict)
