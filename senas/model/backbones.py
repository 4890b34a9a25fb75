"""Backbones: the CIFAR residual networks by name, those of torchvision and timm, and the user's own."""

import re
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from senas.core.backbone import Backbone
from senas.errors import ConfigError
from senas.model.cifar import CIFAR_DEPTHS, CifarResNet
from senas.model.classifier import SIDES, Run, check, run, with_outputs
from senas.model.former import is_built_in
from senas.model.libraries import AUXILIARY, TORCHVISION, timm_network, torchvision_network
from senas.model.own import Own, own_network, own_of, takes_channels, takes_classes
from senas.model.weights import Initial, fitted, put_weights, read

NAMES = (*(f"resnet{depth}" for depth in CIFAR_DEPTHS), *TORCHVISION)


def build(
    backbone: Backbone, *, classes: int, channels: int, size: tuple[int, int] | None = None, own: Own | None = None
) -> nn.Module:
    """A backbone with fresh weights from torch's global generator. `backbone.weights` is not looked at.

    channels:  of the input images; see `input_channels` for what a backbone takes.
    size:      (height, width) of the images. Only a custom backbone that cannot be told of the classes is run on them,
               to find its classifier, which is then replaced where it has another number of outputs.
    own:       what builds a custom backbone; None imports `backbone.target`.
    Raises ConfigError in one line for whatever cannot be built.
    """
    return _built(backbone, classes, channels, size, own)[0]


def named(name: str, *, classes: int, channels: int, width: int | None = None) -> nn.Module:
    """A backbone of senas's own list, one of NAMES, with fresh weights from torch's global generator.

    name:   `resnet` with 6n+2 layers is He et al.'s for CIFAR, 18, 34 and 50 are torchvision's.
    width:  channels of the first stage; only for the CIFAR ones, 16 unless told.
    """
    if name in TORCHVISION:
        if width is not None:
            raise ConfigError(
                f"backbone.width is for the CIFAR residual networks, got {width} for {name}; leave it out"
            )
        return torchvision_network(name, {}, classes=classes)
    depth = re.fullmatch(r"resnet(\d+)", name)
    if depth is None or int(depth[1]) % 6 != 2:
        raise ConfigError(f'backbone.name: unknown backbone "{name}"; there are {", ".join(NAMES)}')
    return CifarResNet(int(depth[1]), classes=classes, channels=channels, width=16 if width is None else width)


def input_channels(backbone: Backbone, channels: int, *, classes: int = 2, own: Own | None = None) -> int:
    """How many channels the images must have for this backbone.

    torchvision's take 3, so that grey images are repeated, and timm's the images' own. A custom backbone takes the
    images' own where it can be told of them, else what its first convolution takes.
    """
    if backbone.library == "torchvision" or (backbone.library == "senas" and backbone.name in TORCHVISION):
        return 3
    if backbone.library != "custom":
        return channels
    own = own or own_of(backbone)
    if takes_channels(own):
        return channels
    network = own_network(_called(backbone), own, backbone.args, classes=classes, channels=channels)
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    return channels if first is None else first.in_channels


class Builder:
    """Builds a backbone for one study: each time with fresh weights from torch's global generator, or with copies of
    its initial ones, which are read once.

    channels:  that the images must have, see `input_channels`.
    remarks:   what people should know of the backbone, a line each.
    initial:   the initial weights, in words; "" where there are none. `digest`: theirs, hexadecimal.
    """

    def __init__(
        self, backbone: Backbone, *, classes: int, channels: int, size: tuple[int, int], own: Own | None = None
    ) -> None:
        """For images of so many channels, of (height, width) `size`.

        Raises ConfigError for whatever cannot be built, takes no such images, or has initial weights that do not fit.
        """
        if backbone.library == "custom" and own is None:
            own = own_of(backbone)
        self._backbone, self._classes, self._size, self._own = backbone, classes, size, own
        self._state: dict[str, Tensor] = {}
        self.channels = input_channels(backbone, channels, classes=classes, own=own)
        network, replaced = self._fresh()
        initial = read(backbone)
        self.digest, self.initial = initial.digest if initial else "", ""
        if initial and self.channels == channels != (trained_on := _first_channels(initial, network) or channels):
            self.channels = trained_on
            network, replaced = self._fresh()
        what = _called(backbone)
        seen = check(network, (self.channels, *size), classes=classes, what=what)
        remarks = [replaced] if replaced else []
        if backbone.library == "torchvision" and backbone.name in AUXILIARY and "aux_logits" not in backbone.args:
            remarks.append(f"{what}: without its auxiliary heads, which compute in training only (aux_logits=False)")
        if initial:
            self.initial = f"{Path(initial.source).name}, sha256 {initial.digest[:12]}"
            remarks.append(f"initial weights: {self.initial}")
            self._state, more = fitted(initial, network, what=what, classifier=seen.classifier, classes=classes)
            remarks += more
        came_with = sum(map(is_built_in, network.modules()))
        if came_with and not (backbone.strip_se or backbone.modules):
            remarks.append(
                f"{what} comes with {came_with} SE blocks of its own, which stay; backbone.strip_se=true takes them "
                "out and makes their places sites"
            )
        self.remarks = tuple(remarks)

    def __call__(self) -> nn.Module:
        network, _ = self._fresh()
        put_weights(network, self._state, strict=False)
        return network

    def _fresh(self) -> tuple[nn.Module, str]:
        return _built(self._backbone, self._classes, self.channels, self._size, self._own)


def _first_channels(initial: Initial, network: nn.Module) -> int | None:
    """How many channels the images had that the weights were trained on, as the network's first convolution tells."""
    first = next((name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)), "")
    held = initial.state.get(f"{first}.weight")
    return held.shape[1] if held is not None and held.ndim == 4 else None


def _built(
    backbone: Backbone, classes: int, channels: int, size: tuple[int, int] | None, own: Own | None
) -> tuple[nn.Module, str]:
    """The backbone with fresh weights, and what is to be said of it."""
    if backbone.library == "torchvision":
        return torchvision_network(backbone.name, backbone.args, classes=classes), ""
    if backbone.library == "timm":
        return timm_network(backbone.name, backbone.args, classes=classes, channels=channels), ""
    if backbone.library == "custom":
        return _custom(backbone, own or own_of(backbone), classes, channels, size)
    if backbone.args:
        raise ConfigError(f"backbone.args: {backbone.name} takes none; backbone=torchvision backbone.name=... does")
    return named(backbone.name, classes=classes, channels=channels, width=backbone.width), ""


def _custom(
    backbone: Backbone, own: Own, classes: int, channels: int, size: tuple[int, int] | None
) -> tuple[nn.Module, str]:
    what = _called(backbone)
    network = own_network(what, own, backbone.args, classes=classes, channels=channels)
    if takes_classes(own):
        return network, ""
    sizes = [each for each in (size, backbone.size) if each] or [(side, side) for side in SIDES]
    seen = _seen(network, channels, sizes)
    if seen is None or getattr(seen.output, "ndim", 0) != 2 or seen.output.shape[1] == classes:
        return network, ""  # what is wrong with it, if anything, is found where it is checked on the images
    before = int(seen.output.shape[1])
    if seen.classifier is None:
        raise ConfigError(
            f"backbone.target: {what} gives {before:,} logits, and the images have {classes} classes; let it take "
            "`classes`, or end in a linear layer, which senas replaces"
        )
    fresh = with_outputs(network, seen.classifier, classes)
    return (
        fresh,
        f"classifier {seen.classifier}: {before:,} outputs, {classes} classes of the images; replaced by a fresh one",
    )


def _seen(network: nn.Module, channels: int, sizes: Sequence[tuple[int, int]]) -> Run | None:
    """What comes of running it on images of the first of these sizes that it takes."""
    for size in sizes:
        try:
            return run(network, (channels, *size))
        except Exception:  # whatever a network does
            continue
    return None


def _called(backbone: Backbone) -> str:
    return backbone.target or backbone.name
