"""Arguments of what builds a backbone: numbers, words, lists and mappings.

One rule for the command line and for files, since an export says them again: no text is a path or an address, no number
is beyond what a network has, and initial weights come by `backbone.weights` alone.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from senas.errors import ConfigError

LARGEST = 1_000_000
ENTRIES = 64
LEVELS = 3
BY_IMAGES = dict.fromkeys(
    ("num_classes", "classes", "in_chans", "in_channels", "channels"), "the images tell it; leave it out"
)
"""What a library's constructors are told of the images, and why nobody else tells them."""
NEVER = {
    **dict.fromkeys(
        ("pretrained", "weights", "weights_backbone", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path"),
        "initial weights are named by backbone.weights; leave it out",
    ),
    **dict.fromkeys(("progress", "cache_dir"), "it is of no use here; leave it out"),
}


def check_arguments(args: object, *, by_name: bool) -> None:
    """Raises ConfigError naming the first argument that cannot be.

    by_name:  whether it is a library's network, which is told of the images' classes and channels.
    """
    if not isinstance(args, Mapping):
        raise ConfigError(f"backbone.args must have keys below it, as in backbone.args.dropout=0.1, got {_short(args)}")
    _check(args, "backbone.args", NEVER | (BY_IMAGES if by_name else {}), 0)


def _check(value: Any, key: str, refused: Mapping[str, str], level: int) -> None:
    if isinstance(value, Mapping | list | tuple):
        if len(value) > ENTRIES or level >= LEVELS:
            raise ConfigError(f"{key} has more than {ENTRIES} entries, or more than {LEVELS} levels")
        inner = value.items() if isinstance(value, Mapping) else ((None, each) for each in value)
        for name, each in inner:
            if name is not None:
                _check_name(name, key, refused)
            _check(each, key if name is None else f"{key}.{name}", refused, level + 1)
    elif isinstance(value, str):
        if not re.fullmatch(r"[A-Za-z0-9_+-]{0,64}", value):
            raise ConfigError(f"{key} must be a word of letters, digits and _ + -, no path, got {_short(value)}")
    elif isinstance(value, int | float):
        if not (abs(value) <= LARGEST if isinstance(value, int) else math.isfinite(value) and abs(value) <= LARGEST):
            raise ConfigError(f"{key} must be a number of at most {LARGEST:,}, got {_short(value)}")
    elif value is not None:
        raise ConfigError(f"{key} must be a number, a word, a list or a mapping, got {_short(value)}")


def _check_name(name: object, key: str, refused: Mapping[str, str]) -> None:
    if not isinstance(name, str) or not name.isidentifier() or len(name) > 64:
        raise ConfigError(f"{key}: {_short(name)} is no name of an argument")
    if name in refused:
        raise ConfigError(f"{key}.{name}: {refused[name]}")


def _short(value: object) -> str:
    try:
        text = " ".join(str(value).split())
    except ValueError:  # a number of thousands of digits
        return "a number that is too long to show"
    return text if len(text) <= 40 else f"{text[:40]}..."
