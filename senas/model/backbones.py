"""Backbones: the CIFAR residual networks by name, those of torchvision and timm, and the user's own."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from senas.core.backbone import Backbone
from senas.errors import ConfigError
from senas.model.cifar import CIFAR_DEPTHS, CifarResNet
from senas.model.classifier import SIDES, Run, run, with_outputs
from senas.model.libraries import timm_network, torchvision_network
from senas.model.own import Own, own_network, own_of, takes_channels, takes_classes

TORCHVISION = ("resnet18", "resnet34", "resnet50")
"""Of torchvision's networks, those that have the short names of senas's own."""
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
    if backbone.library == "torchvision":
        return torchvision_network(backbone.name, backbone.args, classes=classes)
    if backbone.library == "timm":
        return timm_network(backbone.name, backbone.args, classes=classes, channels=channels)
    if backbone.library == "custom":
        return _custom(backbone, own, classes, channels, size).network
    if backbone.args:
        raise ConfigError(f"backbone.args: {backbone.name} takes none; backbone=torchvision backbone.name=... does")
    return named(backbone.name, classes=classes, channels=channels, width=backbone.width)


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

    torchvision's take 3, so grey images are repeated, and so do timm's with the weights that timm has. A custom
    backbone takes the images' own where it can be told of them, else what its first convolution takes.
    """
    if backbone.library == "torchvision" or (backbone.library == "senas" and backbone.name in TORCHVISION):
        return 3
    if backbone.library == "timm":
        return 3 if backbone.weights else channels
    if backbone.library != "custom":
        return channels
    own = own or own_of(backbone)
    if takes_channels(own):
        return channels
    network = own_network(_called(backbone), own, backbone.args, classes=classes, channels=channels)
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    return channels if first is None else first.in_channels


class _Custom(NamedTuple):
    """A custom backbone, and the outputs of its classifier before that was replaced; None where it was not."""

    network: nn.Module
    classifier: str = ""
    before: int | None = None


def _custom(backbone: Backbone, own: Own | None, classes: int, channels: int, size: tuple[int, int] | None) -> _Custom:
    own, what = own or own_of(backbone), _called(backbone)
    network = own_network(what, own, backbone.args, classes=classes, channels=channels)
    if takes_classes(own):
        return _Custom(network)
    sizes = [each for each in (backbone.size, size) if each] or [(side, side) for side in SIDES]
    seen = _seen(network, channels, sizes)
    if seen is None or getattr(seen.output, "ndim", 0) != 2 or seen.output.shape[1] == classes:
        return _Custom(network)  # what is wrong with it, if anything, is found where it is checked on the images
    before = int(seen.output.shape[1])
    if seen.classifier is None:
        raise ConfigError(
            f"backbone.target: {what} gives {before:,} logits, and the images have {classes} classes; let it take "
            "`classes`, or end in a linear layer, which senas replaces"
        )
    return _Custom(with_outputs(network, seen.classifier, classes), seen.classifier, before)


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
