"""What an SE block is, as a value: no tensors, no frameworks.

Source: Hu et al., "Squeeze-and-Excitation Networks", arXiv:1709.01507; placements: its section 6 and figure 5; a gate
without a squeeze: its section 7.1.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from senas.errors import SpaceError

E = TypeVar("E", bound=StrEnum)
ORIGINAL = "original"
"""How `Original` is written."""


class Squeeze(StrEnum):
    """What the two layers read of (B, C, H, W).

    avg, max:  the mean, or the maximum, of each channel over all locations: (B, C), so one gate a channel.
    local:     each location by itself, with the same weights: (B, C, H, W), so a gate a channel and location.
    """

    AVG = "avg"
    MAX = "max"
    LOCAL = "local"


class Gate(StrEnum):
    """The function that turns the excitation into a factor for each channel.

    `2sigmoid` is twice the sigmoid, with a last layer that starts at zero: the gate starts at exactly 1
    (the block is the identity) with slope 1/2 (so it still learns).
    """

    SIGMOID = "sigmoid"
    HARD_SIGMOID = "hard_sigmoid"
    TWICE_SIGMOID = "2sigmoid"


class Init(StrEnum):
    """How blocks begin: `identity` gives every block the gate `2sigmoid`, so that a trained network stays as it was."""

    DEFAULT = "default"
    IDENTITY = "identity"


class Activation(StrEnum):
    """The function between the two layers of the bottleneck."""

    RELU = "relu"
    SILU = "silu"


class Placement(StrEnum):
    """Where in a residual unit the gate sits, in the order in which the unit computes."""

    PRE = "pre"
    INNER_BEFORE_RELU = "inner_before_relu"
    INNER = "inner"
    STANDARD = "standard"
    IDENTITY = "identity"
    POST_BEFORE_RELU = "post_before_relu"
    POST = "post"


def width(channels: int, reduction: int) -> int:
    """Hidden width that the reduction ratio stands for: max(1, channels // reduction)."""
    if channels < 1 or reduction < 1:
        raise SpaceError(f"a reduction ratio and its channels must be at least 1, got C={channels} r={reduction}")
    return max(1, channels // reduction)


@dataclass(frozen=True, slots=True, kw_only=True)
class SEBlock:
    """One squeeze-and-excitation block: scale(x, gate(W2 act(W1 squeeze(x)))).

    hidden:      width of the bottleneck, at least 1. People ask for it as a ratio r; see `width`.
    placement:   where in the unit it sits.
    bias:        whether the two layers have biases.
    """

    hidden: int
    placement: Placement = Placement.STANDARD
    squeeze: Squeeze = Squeeze.AVG
    gate: Gate = Gate.SIGMOID
    activation: Activation = Activation.RELU
    bias: bool = True

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise SpaceError(
                f"hidden must be at least 1, got {self.hidden}; to leave a site without SE use None, not a block"
            )

    def params(self, channels: int) -> int:
        """Weights of the block on that many channels: 2 C h, and C + h biases."""
        return 2 * channels * self.hidden + (channels + self.hidden if self.bias else 0)

    def macs(self, channels: int, height: int, width: int) -> int:
        """Multiply-accumulates of the two layers for one image: 2 C h, once for each location where the gate is local.

        Squeeze and scale are not counted.
        """
        return 2 * channels * self.hidden * (height * width if self.squeeze is Squeeze.LOCAL else 1)

    @property
    def traits(self) -> str:
        """Placement, and whatever differs from the usual block: `standard`, `pre max 2sigmoid no_bias`."""
        words = [str(self.placement)]
        words += [str(self.squeeze)] if self.squeeze is not Squeeze.AVG else []
        words += [str(self.gate)] if self.gate is not Gate.SIGMOID else []
        words += [str(self.activation)] if self.activation is not Activation.RELU else []
        words += ["no_bias"] if not self.bias else []
        return " ".join(words)

    def __str__(self) -> str:
        return f"h{self.hidden} {self.traits}"

    @classmethod
    def parse(cls, text: str) -> "SEBlock":
        """The block whose `str` is `text`. Raises SpaceError for anything else."""
        head, *words = text.split() or [""]
        if not (head.startswith("h") and head[1:].isdecimal() and words):
            raise SpaceError(f'an SE block reads like "h4 standard", got "{text}"')
        fields: dict[str, object] = {
            "hidden": int(head[1:]),
            "placement": member(Placement, words[0], "placement"),
        }
        for word in words[1:]:
            if word == "no_bias":
                fields["bias"] = False
                continue
            for name, kind in (("squeeze", Squeeze), ("gate", Gate), ("activation", Activation)):
                if word in set(kind):
                    fields[name] = kind(word)
                    break
            else:
                raise SpaceError(f'unknown word "{word}" in the SE block "{text}"')
        block = cls(**fields)  # type: ignore[arg-type]
        if str(block) != text:
            raise SpaceError(f'an SE block has one spelling: write "{block}" for "{text}"')
        return block


@dataclass(frozen=True, slots=True)
class Original:
    """The block that the backbone came with, where it cannot be written as an SEBlock: kept as the module that it is.

    What it costs, and where it sits, its site knows.
    """

    def __str__(self) -> str:
        return ORIGINAL


Block = SEBlock | Original
"""What a site can have, if not nothing."""


def member(kind: type[E], text: object, key: str) -> E:
    """The member of `kind` called `text`. Raises SpaceError naming `key` and the members there are."""
    if isinstance(text, str) and text in set(kind):
        return kind(text)
    raise SpaceError(f'{key} must be one of {", ".join(kind)}, got "{text}"')
