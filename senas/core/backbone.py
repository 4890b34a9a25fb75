"""Which network gets the SE blocks, as a value: it can be compared, written to a file and checked without torch."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from senas.core.arguments import check_arguments
from senas.errors import ConfigError

LIBRARIES = ("senas", "torchvision", "timm", "custom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A backbone by name, or by what builds it.

    name:      in its library; of a custom one what it is called in tables and file names.
    library:   `senas` (the CIFAR residual networks, and a few of torchvision's), `torchvision`, `timm` or `custom`.
    target:    package.module:name of a function or class of the user's that builds it; for `custom` only.
    args:      further arguments for what builds it: numbers, words, lists and mappings.
    weights:   initial ones: a file (safetensors, or a state dict), or a name that the library knows; None draws them.
    width:     channels of the first stage; for the CIFAR residual networks only.
    size:      (height, width) that images are scaled to; None takes them as they are.
    strip_se:  take the backbone's own SE blocks out, and make each of their places a site.
    leaves:    modules, by path or by class, that are not traced into.
    modules:   module paths whose outputs are the sites, in place of what tracing finds; nothing is traced then.
    """

    name: str
    library: str = "senas"
    target: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    weights: str | None = None
    width: int | None = None
    size: tuple[int, int] | None = None
    strip_se: bool = False
    leaves: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.+-]{1,64}", self.name):
            raise ConfigError(
                f'backbone.name must be a plain name of at most 64 letters, digits and . _ + -, got "{self.name:.80}"'
            )
        if self.library not in LIBRARIES:
            raise ConfigError(f'backbone.library must be one of {", ".join(LIBRARIES)}, got "{self.library}"')
        if self.library == "custom" and not self.target:
            raise ConfigError("backbone.target must be given for a backbone of your own: package.module:name")
        if self.library != "custom" and self.target:
            raise ConfigError(
                f"backbone.target is for backbone=custom, got {self.target} for {self.library}'s {self.name}"
            )
        check_arguments(self.args, by_name=self.library != "custom")
        if self.width is not None and self.library != "senas":
            raise ConfigError(
                f"backbone.width is for the CIFAR residual networks, got {self.width} for {self.name}; leave it out"
            )
        if self.size is not None and min(self.size) < 1:
            raise ConfigError(f"backbone.size must be at least 1, got {self.size}")
        if self.modules and (self.strip_se or self.leaves):
            other = "strip_se" if self.strip_se else "leaves"
            raise ConfigError(f"backbone.modules names the sites without tracing, and backbone.{other} is of the trace")

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Backbone":
        """The inverse of `plain`."""
        told: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()}
        return cls(**told)

    def plain(self) -> dict[str, Any]:
        """What differs from the defaults, as plain mappings, lists, texts and numbers."""
        told, default = asdict(self), asdict(Backbone(name=self.name))
        kept = {key: value for key, value in told.items() if key == "name" or value != default[key]}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in kept.items()}
