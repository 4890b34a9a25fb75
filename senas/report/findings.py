"""What a study found, as every report of it shows it, and how it is put in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from senas.core.certainty import LEVEL, Estimate
from senas.core.config import BASELINES, SEConfig
from senas.core.objective import MINUS, bare
from senas.core.trial import Trial
from senas.core.verdict import RANDOM, RECOMMENDED, Pick, Point

SPOKEN = {"val_loss": "val loss", "val_error": "val error"}
AXES = {"val_loss": "validation loss (nats)", "val_error": "validation error"}
WORDS = {**BASELINES, RANDOM: "as many SE blocks at random places"}
"""What a configuration is measured against, in words."""


class Elsewhere(NamedTuple):
    """The blocks of the pick at random places. se_params: a mean; they differ where sites do."""

    se_params: float
    loss: Estimate


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that is shown of a study's front.

    measured:   every trial trained to its end.
    points:     every configuration that was trained; `front` those that none beats, fewest SE parameters first.
    how:        was asked for: `recommended`, `best`, ...
    pick:       what that is, or what only leads, and why; `picked` what is known of it.
    against:    the picked loss minus that of others, by name.
    outside:    names of baselines that are not in the space.
    elsewhere:  None where the picked blocks cannot be moved.
    metric:     the score that counts, with MINUS before it where more of it is better.
    behind:     how much stands behind the figures, a sentence or two.
    failed:     how many trainings of a configuration failed, where any did.
    ways_out:   commands of which each decides, or may decide, what is undecided.
    unlearned:  that these networks have hardly learned anything, in a sentence, where it is so.
    """

    measured: Sequence[Trial]
    points: Sequence[Point]
    front: Sequence[Point]
    how: str = RECOMMENDED
    pick: Pick
    picked: Point
    against: Mapping[str, Estimate]
    baselines: Mapping[str, SEConfig]
    outside: Sequence[str] = ()
    elsewhere: Elsewhere | None = None
    metric: str = "val_loss"
    behind: str = ""
    failed: Mapping[SEConfig, int] = field(default_factory=dict)
    ways_out: Sequence[str] = ()
    unlearned: str = ""

    @property
    def verdict(self) -> str:
        """`recommended`, `undecided`, or by which other rule it was picked: `picked: best`."""
        if not self.pick.decided:
            return "undecided"
        return RECOMMENDED if self.how == RECOMMENDED else f"picked: {self.how}"

    @property
    def kind(self) -> str:
        """What the pick is: `recommended`, `picked` by another rule, or what `leads`."""
        return "leads" if not self.pick.decided else RECOMMENDED if self.how == RECOMMENDED else "picked"

    @property
    def name(self) -> str:
        """Of the score that counts."""
        return bare(self.metric)

    @property
    def spoken(self) -> str:
        """The score that counts, at the head of a column."""
        return SPOKEN.get(self.name, self.name)

    @property
    def axis(self) -> str:
        """The score that counts, along an axis."""
        return AXES.get(self.name, self.name)

    def shown(self, loss: Estimate) -> Estimate:
        """An estimate of what is minimised as one of the score that counts, or of a difference of it."""
        return Estimate(-loss.mean, -loss.high, -loss.low) if self.metric.startswith(MINUS) else loss

    def is_picked(self, point: Point) -> bool:
        return point.config == self.pick.trial.config

    @property
    def listed(self) -> list[Point]:
        """The front, and the pick where it is not on it; fewest SE parameters first."""
        if any(map(self.is_picked, self.front)):
            return list(self.front)
        return sorted([*self.front, self.picked], key=size)

    @property
    def comparisons(self) -> list[str]:
        """What is picked beside the baselines, a line each."""
        lines = [
            f"{self.spoken} minus that of {WORDS[name]}: {signed(self.shown(apart_by))}{_told_apart(name, apart_by)}"
            for name, apart_by in self.against.items()
        ]
        lines += [f"it is {WORDS[name]}" for name, config in self.baselines.items() if config == self.picked.config]
        return lines + [f"{WORDS[name]} is not in this study's space" for name in self.outside]

    @property
    def like_no_se(self) -> bool:
        """Whether what is picked has SE blocks that cannot be told from none."""
        difference = self.picked.from_none
        return bool(self.picked.config) and difference is not None and not difference.excludes_zero


def apart(x: float, taken: Sequence[float], gap: float) -> float:
    """The place nearest to x that is not within `gap` of those that are taken: what is at one place hides the other."""
    return min(
        (x + n * gap for n in range(-len(taken), len(taken) + 1)), key=lambda at: (_near(at, taken, gap), abs(at - x))
    )


def _near(at: float, taken: Sequence[float], gap: float) -> bool:
    return any(abs(at - other) < 0.99 * gap for other in taken)


def size(point: Point) -> float:
    """SE parameters."""
    return point.trial.scores["se_params"] if point.trial else 0.0


def ranged(estimate: Estimate) -> str:
    """`0.0951 (0.0866 to 0.1034)`"""
    return f"{estimate.mean:.4f} ({between(estimate)})"


def between(estimate: Estimate) -> str:
    """`0.0866 to 0.1034`"""
    return f"{estimate.low:.4f} to {estimate.high:.4f}"


def signed(estimate: Estimate) -> str:
    """A difference: `-0.0123 (-0.0201 to -0.0044)`."""
    return f"{estimate.mean:+.4f} ({signed_between(estimate)})"


def signed_between(estimate: Estimate) -> str:
    """`-0.0201 to -0.0044`"""
    return f"{estimate.low:+.4f} to {estimate.high:+.4f}"


def percent(probability: float) -> str:
    """A probability that comes from draws: neither never nor always."""
    return "<1%" if probability < 0.01 else ">99%" if probability > 0.99 else f"{probability:.0%}"


INTERVAL = f"{LEVEL:.0%} interval"


def _told_apart(name: str, difference: Estimate) -> str:
    words = WORDS[name] if name == "none" else "that"
    return "" if difference.excludes_zero else f": not distinguishable from {words}"
