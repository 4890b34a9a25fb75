"""Objectives: what a trial's scores are worth. All are minimised."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from senas.errors import ConfigError, ScoreError

Scores = Mapping[str, float]
"""What was measured on a configuration, by name; see METRICS."""

METRICS = {
    "val_loss": "validation loss (mean cross-entropy, nats)",
    "val_error": "validation error (share of images misclassified)",
    "se_params": "parameters of the SE blocks",
    "params": "parameters of the whole network",
    "macs": "multiply-accumulates of convolutions and linear layers for one image",
    "latency_ms": "milliseconds of a forward pass, measured (median; as `latency` says)",
}
VAL_LOSS_EVEN = "val_loss_even"
"""No objective, and measured after the last epoch alone: val_loss over images with an even place, 0 being the first.

With val_loss it gives that of the other half. How well the two agree on which of two configurations is better tells how
much of the noise is due to the validation part being finite."""
COSTS = ("se_params", "params", "macs", "latency_ms")
"""Those of METRICS that are known before training."""
SHARED = "shared_"
"""Before the name of a score that was measured with weights that all configurations share, before any training."""
FRONT = ("val_loss", "se_params")
"""The front that every study keeps, whatever its objective."""
MINUS = "minus_"
"""Before the name of a score that is to be as high as can be: the negative of it, which is minimised."""


class Objective(Protocol):
    """Turns scores into the numbers that are minimised."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each number is called."""

    @property
    def words(self) -> str:
        """What is minimised, or maximised, for people."""

    @property
    def axes(self) -> tuple[str, ...]:
        """The scores between which it decides, all to be minimised: one of them may begin with MINUS."""

    @property
    def sign(self) -> int:
        """What a value is multiplied by to be what `words` says: -1 where that is to be as high as can be."""

    def values(self, scores: Scores) -> tuple[float, ...]:
        """One finite number a name. Raises ScoreError for a score that is missing, NaN or infinite."""


@dataclass(frozen=True, slots=True)
class Penalized:
    """metric + penalty x (SE parameters / those of the space's largest configuration).

    Relative, so that a penalty of 0.1 means the same for every backbone: 0.1 nats for all the SE one could buy.

    metric:  a score, the validation loss unless told; with MINUS before it where more of it is better.
    """

    penalty: float
    largest_params: int
    metric: str = "val_loss"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.penalty) and self.penalty >= 0):
            raise ConfigError(f"objective.penalty must be a number of at least 0, got {self.penalty}")

    @property
    def names(self) -> tuple[str, ...]:
        return (f"penalized_{self.metric.removeprefix('val_')}",)

    @property
    def words(self) -> str:
        spoken = {"val_loss": "validation loss", "val_error": "validation error"}
        name = spoken.get(self.metric, bare(self.metric))
        return f"{name} {'plus' if self.sign > 0 else 'minus'} a penalty of {self.penalty:g}"

    @property
    def axes(self) -> tuple[str, ...]:
        return (self.metric, "se_params")

    @property
    def sign(self) -> int:
        return -1 if self.metric.startswith(MINUS) else 1

    def values(self, scores: Scores) -> tuple[float, ...]:
        share = score(scores, "se_params") / self.largest_params
        return (score(scores, self.metric) + self.penalty * share,)


@dataclass(frozen=True, slots=True)
class Pareto:
    """Several numbers at once, none traded against another.

    own:  those of the metrics that are none of METRICS.
    """

    metrics: tuple[str, ...]
    own: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if unknown := [name for name in self.metrics if name not in (*METRICS, *self.own)]:
            raise ConfigError(
                f'objective.metrics: "{unknown[0]}" is not among {", ".join(METRICS)}, and names no function of yours '
                "as package.module:function"
            )
        if len(set(self.metrics)) != len(self.metrics) or len(self.metrics) < 2:
            raise ConfigError(
                f"objective.metrics must be at least two different ones, got {', '.join(self.metrics) or 'none'}; "
                "for one number use objective=penalized"
            )

    @property
    def names(self) -> tuple[str, ...]:
        return self.metrics

    @property
    def words(self) -> str:
        return " and ".join(map(bare, self.metrics))

    @property
    def axes(self) -> tuple[str, ...]:
        return self.metrics

    @property
    def sign(self) -> int:
        return 1

    def values(self, scores: Scores) -> tuple[float, ...]:
        return tuple(score(scores, name) for name in self.metrics)


def score(scores: Scores, name: str) -> float:
    """The score called `name`, or with MINUS before it the negative of that.

    Raises ScoreError where it is missing, NaN or infinite: it has no rank.
    """
    if name.startswith(MINUS):
        return -score(scores, bare(name))
    value = scores.get(name, math.nan)
    if not math.isfinite(value):
        raise ScoreError(f"{name} must be a finite number, got {value}")
    return value


def bare(name: str) -> str:
    """The name of a score without MINUS."""
    return name.removeprefix(MINUS)


def judged(objective: Objective) -> str:
    """The score that says how good a network is, whatever it costs: an objective's own, or else the validation loss."""
    return objective.axes[0] if len(objective.names) == 1 else "val_loss"


def own_scores(objective: Objective) -> list[str]:
    """Names of the scores that an objective reads and senas has no name for: metrics of the user's own."""
    return [bare(name) for name in objective.axes if name not in METRICS and not name.startswith("test_")]


def points(trials_scores: Sequence[Scores], names: Sequence[str] = FRONT) -> list[tuple[float, ...]]:
    """One point a trial: its scores by `names`. Raises ScoreError as `score` does."""
    known = [[scores.get(word, math.nan) for scores in trials_scores] for word in map(bare, names)]
    if not all(all(map(math.isfinite, column)) for column in known):
        return [tuple(score(scores, name) for name in names) for scores in trials_scores]  # which says what is wrong
    signed = [[-each for each in c] if name.startswith(MINUS) else c for name, c in zip(names, known, strict=True)]
    return list(zip(*signed, strict=True))
