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
}
COSTS = ("se_params", "params", "macs")
"""Those of METRICS that are known before training."""
FRONT = ("val_loss", "se_params")
"""The front that every study keeps, whatever its objective."""


class Objective(Protocol):
    """Turns scores into the numbers that are minimised."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each number is called."""

    @property
    def words(self) -> str:
        """What is minimised, for people."""

    def values(self, scores: Scores) -> tuple[float, ...]:
        """One finite number a name. Raises ScoreError for a score that is missing, NaN or infinite."""


@dataclass(frozen=True, slots=True)
class Penalized:
    """validation loss + penalty x (SE parameters / those of the space's largest configuration).

    Relative, so that a penalty of 0.1 means the same for every backbone: 0.1 nats for all the SE one could buy.
    """

    penalty: float
    largest_params: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.penalty) and self.penalty >= 0):
            raise ConfigError(f"objective.penalty must be a number of at least 0, got {self.penalty}")

    @property
    def names(self) -> tuple[str, ...]:
        return ("penalized_loss",)

    @property
    def words(self) -> str:
        return f"validation loss plus a penalty of {self.penalty:g}"

    def values(self, scores: Scores) -> tuple[float, ...]:
        share = score(scores, "se_params") / self.largest_params
        return (score(scores, "val_loss") + self.penalty * share,)


@dataclass(frozen=True, slots=True)
class Pareto:
    """Several numbers at once, none traded against another."""

    metrics: tuple[str, ...]

    def __post_init__(self) -> None:
        if unknown := [name for name in self.metrics if name not in METRICS]:
            raise ConfigError(f'objective.metrics: "{unknown[0]}" is not among {", ".join(METRICS)}')
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
        return " and ".join(self.metrics)

    def values(self, scores: Scores) -> tuple[float, ...]:
        return tuple(score(scores, name) for name in self.metrics)


def score(scores: Scores, name: str) -> float:
    """The score called `name`. Raises ScoreError where it is missing, NaN or infinite: it has no rank."""
    value = scores.get(name, math.nan)
    if not math.isfinite(value):
        raise ScoreError(f"{name} must be a finite number, got {value}")
    return value


def points(trials_scores: Sequence[Scores], names: Sequence[str] = FRONT) -> list[tuple[float, ...]]:
    """One point a trial: its scores by `names`."""
    return [tuple(score(scores, name) for name in names) for scores in trials_scores]
