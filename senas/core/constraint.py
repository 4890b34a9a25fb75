"""Constraints: upper bounds on what a configuration may cost."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

from senas.core.objective import Scores
from senas.errors import SpaceError

KEY = "space.constraints"
MEASURED = "latency_ms"
"""The bound that no closed form decides: the network has to be run."""


class Caps(NamedTuple):
    """The most that all SE blocks of a configuration may add: parameters, and multiply-accumulates for one image."""

    params: float = math.inf
    macs: float = math.inf

    def hold(self, params: float, macs: float) -> bool:
        """Whether so much is within both."""
        return params <= self.params and macs <= self.macs


UNBOUNDED = Caps()


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """At most so much of each, as scores are called; infinity where there is no bound.

    params, macs:  of the whole network, macs for one image.
    se_params:     of the SE blocks alone.
    latency_ms:    for one batch, measured as `senas.core.latency.Timing` says.
    """

    params: float = math.inf
    macs: float = math.inf
    se_params: float = math.inf
    latency_ms: float = math.inf

    @classmethod
    def parse(cls, given: object) -> "Constraints":
        """From a mapping to numbers, or texts such as 12e6; None is no bound. Raises SpaceError naming the key."""
        if not isinstance(given, Mapping):
            raise SpaceError(f"{KEY} must have keys below it, as in {KEY}.params=12e6, got {given}")
        known = [field.name for field in fields(cls)]
        if unknown := [key for key in given if key not in known]:
            raise SpaceError(f'{KEY}: there is no "{unknown[0]}"; there are {", ".join(known)}')
        return cls(**{key: _bound(key, value) for key, value in given.items() if value is not None})

    @property
    def given(self) -> dict[str, float]:
        """Those that there are."""
        bounds = {field.name: float(getattr(self, field.name)) for field in fields(self)}
        return {name: bound for name, bound in bounds.items() if bound < math.inf}

    @property
    def measured(self) -> bool:
        """Whether a network has to be run to know that it is within them."""
        return MEASURED in self.given

    def caps(self, params: float, macs: float) -> Caps:
        """What is left for the SE blocks of a backbone that has so much by itself."""
        return Caps(min(self.se_params, self.params - params), self.macs - macs)

    def excess(self, scores: Scores) -> dict[str, float]:
        """By how much each bounded score is above its bound, as a share of the bound: 0 or less is within.

        Scores that are not there, because they are not known yet, are left out.
        """
        if self == UNCONSTRAINED:
            return {}
        return {name: (scores[name] - bound) / (bound or 1.0) for name, bound in self.given.items() if name in scores}

    def broken(self, scores: Scores) -> str:
        """The bounds that these scores break, in words; empty where there are none."""
        return ", ".join(
            f"{name} {spoken(scores[name])} over {spoken(self.given[name])}"
            for name, excess in self.excess(scores).items()
            if excess > 0
        )

    def rules_out(self, scores: Scores) -> bool:
        """Whether a closed form is enough to know that these scores break a bound."""
        return any(excess > 0 for name, excess in self.excess(scores).items() if name != MEASURED)


UNCONSTRAINED = Constraints()


def spoken(value: float) -> str:
    """Whole numbers with commas, others with four digits."""
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"


def _bound(key: str, value: object) -> float:
    number = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not 0 <= number < math.inf:
        raise SpaceError(f"{KEY}.{key} must be a number of at least 0, got {value}; null sets no bound")
    return number
