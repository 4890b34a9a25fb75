"""What an se.yaml may ask for: the kind of every value, and how large it may be.

A file from elsewhere must not make a machine build a network that does not fit into it. The bounds are far beyond what
a study trains.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from senas.core.backbone import Backbone
from senas.errors import ExportError

CLASSES = 100_000
CHANNELS = 4_096
SIDE = 16_384
HIDDEN = 65_536
LAYERS = 1_202
MODULES = 10_000
TEXT = 200
PATHS = 2_000
OPTIONS = ("library", "target", "args", "width", "size", "strip_se", "leaves", "modules")
"""What may be said of a backbone: all but where initial weights came from."""
PARAMETERS = 1_000_000_000
"""Of the whole network: 4 GB."""


class Input(NamedTuple):
    """The section `input` of an se.yaml."""

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]


def section(
    plain: Mapping[str, Any], key: str, known: Sequence[str] = (), needed: Sequence[str] = ()
) -> dict[str, Any]:
    """The mapping at `key`, which has every key of `needed` and, where `known` names any, no others."""
    value = plain.get(key, {})
    if not isinstance(value, dict):
        raise ExportError(f"{key} must be a mapping, got {_spoken(value)}")
    if missing := [name for name in needed if name not in value]:
        raise ExportError(f"{key}: {missing[0]} is missing; it needs {', '.join(needed)}")
    if unknown := [name for name in value if known and name not in known]:
        raise ExportError(f"{key}: unknown key {_spoken(unknown[0])}; there are {', '.join(known)}")
    return value


def backbone(plain: Mapping[str, Any]) -> dict[str, Any]:
    """What it says of the backbone. Whether there is such a backbone is not looked at, and nothing is imported."""
    needed = ("name", "classes", "channels")
    given = section(plain, "backbone", (*needed, *OPTIONS), needed)
    name = given["name"]
    if not (isinstance(name, str) and len(name) <= 64):
        raise ExportError(f"backbone.name must be a name, got {_spoken(name)}")
    layers = re.fullmatch(r"resnet([0-9]+)", name)
    if layers and int(layers[1]) > LAYERS:
        raise ExportError(f"backbone.name: {name} has more than {LAYERS:,} layers")
    for key, largest in (("classes", CLASSES), ("channels", CHANNELS), ("width", CHANNELS)):
        if key in given:
            _whole(given[key], f"backbone.{key}", largest)
    for key in ("library", "target"):
        if key in given and not (isinstance(given[key], str) and len(given[key]) <= TEXT):
            raise ExportError(f"backbone.{key} must be a text, got {_spoken(given[key])}")
    if type(given.get("strip_se", False)) is not bool:
        raise ExportError(f"backbone.strip_se must be true or false, got {_spoken(given['strip_se'])}")
    for value in _list(given.get("size", [1, 1]), "backbone.size", 2):
        _whole(value, "backbone.size", SIDE)
    for key in ("leaves", "modules"):
        for value in _texts(given.get(key, []), f"backbone.{key}"):
            if len(value) > TEXT:
                raise ExportError(f"backbone.{key}: a module path is longer than {TEXT} characters: {_spoken(value)}")
    Backbone.from_plain(  # refuses arguments that a file cannot have
        {key: value for key, value in given.items() if key not in ("classes", "channels")}
    )
    return given


def images(plain: Mapping[str, Any], classes: int, channels: int, size: list[int] | None = None) -> Input:
    """What the network takes and gives: for a backbone of so many classes and input channels, on images of
    (height, width) `size` where it says so."""
    keys = ("shape", "mean", "std", "classes")
    given = section(plain, "input", keys, keys)
    shape = _list(given["shape"], "input.shape", 3)
    for value, name in zip(shape, ("channels", "height", "width"), strict=True):
        _whole(value, f"input.shape ({name})", SIDE)
    if size and shape[1:] != size:
        raise ExportError(f"input.shape is {shape[1]} x {shape[2]}, and images are scaled to {size[0]} x {size[1]}")
    if shape[0] != channels:
        raise ExportError(f"input.shape has {shape[0]} channels, and the backbone takes {channels}")
    mean, std = (
        [_number(value, f"input.{key}") for value in _list(given[key], f"input.{key}", channels)]
        for key in ("mean", "std")
    )
    if min(std) <= 0:
        raise ExportError(f"input.std must be above 0, got {min(std)}")
    names = _list(given["classes"], "input.classes", classes)
    for name in names:
        if not isinstance(name, str):
            raise ExportError(f'input.classes must be texts, got {_spoken(name)}; write "{_spoken(name)}"')
    return Input((shape[0], shape[1], shape[2]), tuple(mean), tuple(std), tuple(names))


def scores(plain: Mapping[str, Any]) -> dict[str, float]:
    """Finite numbers by name."""
    given = section(plain, "scores")
    for name, value in given.items():
        if not isinstance(name, str):
            raise ExportError(f"scores: the name of a score must be a text, got {_spoken(name)}")
        _number(value, f"scores.{name[:40]}")
    return given


def hidden_widths(blocks: object) -> None:
    """Raises ExportError for a bottleneck that no network has."""
    for site, block in blocks.items() if isinstance(blocks, dict) else ():
        hidden = block.get("hidden") if isinstance(block, dict) else None
        if type(hidden) is int and hidden > HIDDEN:
            raise ExportError(f"se: site {_spoken(site)}: hidden must be at most {HIDDEN:,}, got {_spoken(hidden)}")


def modules(count: int) -> None:
    """Raises ExportError for a network with more modules than MODULES."""
    if count > MODULES:
        raise ExportError(f"the network would have more than {MODULES:,} modules, and no more are built from a file")


def parameters(count: int) -> None:
    """Raises ExportError for a network with more parameters than PARAMETERS."""
    if count > PARAMETERS:
        raise ExportError(
            f"the network would have {count:,} parameters, and at most {PARAMETERS:,} are built from a file"
        )


def _whole(value: object, key: str, largest: int) -> None:
    if type(value) is not int or not 1 <= value <= largest:
        raise ExportError(f"{key} must be a whole number from 1 to {largest:,}, got {_spoken(value)}")


def _number(value: object, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        raise ExportError(f"{key} must be a finite number, got {_spoken(value)}")
    return value


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest float
        return False


def _texts(value: object, key: str) -> list[str]:
    if not isinstance(value, list) or len(value) > PATHS or not all(isinstance(each, str) for each in value):
        raise ExportError(f"{key} must be a list of at most {PATHS:,} texts, got {_spoken(value)}")
    return value


def _list(value: object, key: str, length: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != length:
        raise ExportError(f"{key} must be a list of {length}, got {_spoken(value)}")
    return value


def _spoken(value: object) -> str:
    """On one line, and short."""
    try:
        text = " ".join(str(value).split())
    except ValueError:  # of thousands of digits
        text = "a number that is too long to show"
    return text if len(text) <= 40 else f"{text[:40]}..."
