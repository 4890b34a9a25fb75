"""Where a study stands: its front, its hypervolume and which configuration to recommend."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from senas.core.front import best, front, hypervolume, knee, smallest
from senas.core.objective import FRONT, Objective, bare, points, score
from senas.core.trial import Status, Trial
from senas.errors import StudyError

PICKS = ("best", "knee", "smallest")
"""Picks by score that every study can answer; beside them there are `budget:<params>` and `trial:<n>`."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A study's trials, read by an objective: as they are when it is first asked for something.

    classes:         of the data; guessing costs ln(classes) of validation loss.
    largest_params:  SE parameters of the space's largest configuration.
    margin:          by how much `smallest`, or what is recommended, may miss the lowest: nats, or units of the metric.
    """

    trials: Sequence[Trial]
    objective: Objective
    classes: int
    largest_params: int
    margin: float = 0.0
    _read: dict[tuple[str, ...], list[tuple[float, ...]]] = field(default_factory=dict, init=False, repr=False)
    _fronts: dict[tuple[str, ...], list[Trial]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def measured(self) -> list[Trial]:
        """Trials trained to the end: not pruned, not failed, not answered from another."""
        return [trial for trial in self.trials if trial.status is Status.COMPLETE and trial.repeats is None]

    def front(self, names: Sequence[str] = FRONT) -> list[Trial]:
        """The trials that no other beats in all of `names`, fewest SE parameters first."""
        measured, axes = self.measured, tuple(names)
        if axes not in self._fronts:
            on_front = [measured[i] for i in front(self._points(axes))] if measured else []
            self._fronts[axes] = sorted(on_front, key=lambda trial: (trial.scores["se_params"], trial.number))
        return list(self._fronts[axes])

    def _points(self, names: tuple[str, ...] = FRONT) -> list[tuple[float, ...]]:
        """One a measured trial, read once."""
        if names not in self._read:
            self._read[names] = points([trial.scores for trial in self.measured], names)
        return self._read[names]

    @property
    def reference(self) -> tuple[float, float]:
        """(validation loss of guessing, SE parameters of the largest configuration): the corner of the hypervolume."""
        return math.log(self.classes), float(self.largest_params)

    def hypervolume(self) -> float:
        """Of the front over (validation loss, SE parameters), in nats x parameters."""
        return hypervolume(self._points(), self.reference)

    def hypervolumes(self) -> dict[int, float]:
        """The hypervolume after each trial that was trained to its end, by its number."""
        volumes: dict[int, float] = {}
        beaten_by: list[tuple[float, ...]] = []  # the front so far: no other point adds to the volume
        volume = 0.0
        measured = self.measured
        for trial, point in zip(measured, self._points(), strict=True):
            if not any(all(a <= b for a, b in zip(other, point, strict=True)) for other in beaten_by):
                beaten_by = [*(beaten_by[i] for i in front([*beaten_by, point]) if i < len(beaten_by)), point]
                volume = hypervolume(beaten_by, self.reference)
            volumes[trial.number] = volume
        return volumes

    def kept(self) -> set[int]:
        """Numbers of the trials whose weights are worth keeping: those that a pick can name, whatever the penalty."""
        return {trial.number for on_front in (self.front(), self.front(self.objective.axes)) for trial in on_front}

    def pick(self, how: str) -> tuple[Trial, str]:
        """The trial that `best`, `knee`, `smallest`, `budget:<params>` or `trial:<n>` names, and why it, in words.

        By the scores that its trials have.

        Raises StudyError where no trial was trained to the end, or where `how` names none.
        """
        measured = self.measured
        if how.startswith("trial:"):
            return self._numbered(how), "named by you"
        budget = _budget(how) if how.startswith("budget:") else None
        if how not in PICKS and budget is None:
            raise StudyError(f'pick must be one of {", ".join(PICKS)}, budget:<params> or trial:<n>, got "{how}"')
        if not measured:
            raise StudyError("no trial of this study was trained to the end yet; run `senas search` on it again")
        if budget is not None:
            return self._within(budget), f"lowest validation loss with at most {budget:,} SE parameters"
        scores = [trial.scores for trial in measured]
        if how == "smallest":
            chosen = smallest([s["val_loss"] for s in scores], [s["se_params"] for s in scores], self.margin)
            return measured[chosen], f"fewest SE parameters within {self.margin:g} of the lowest validation loss"
        if how == "knee":
            axes = self.objective.axes
            return measured[knee(points(scores, axes))], f"the knee of the front over {' and '.join(map(bare, axes))}"
        if len(self.objective.names) > 1:
            return measured[best([s["val_loss"] for s in scores])], "lowest validation loss"
        values = [self.objective.values(s)[0] for s in scores]
        end = "lowest" if self.objective.sign > 0 else "highest"
        return measured[best(values)], f"{end} {self.objective.words}: {self.objective.sign * min(values):.4f}"

    def _within(self, budget: int) -> Trial:
        """The lowest validation loss that so many SE parameters bought; of equals, the fewest parameters.

        Whatever the objective is: it is always on the front, and its weights are kept.
        """
        affordable = [trial for trial in self.measured if trial.scores["se_params"] <= budget]
        if not affordable:
            cheapest = min(self.measured, key=lambda trial: trial.scores["se_params"])
            raise StudyError(
                f"pick=budget:{budget}: no trial that was trained to the end has so few SE parameters; the smallest "
                f"there is, trial {cheapest.number}, has {cheapest.scores['se_params']:.0f}"
            )
        return min(affordable, key=lambda trial: (score(trial.scores, "val_loss"), trial.scores["se_params"]))

    def _numbered(self, how: str) -> Trial:
        measured = {str(trial.number): trial for trial in self.measured}
        number = how.removeprefix("trial:")
        if number not in measured:
            raise StudyError(
                f"pick={how}: this study has no trial {number} that was trained to the end; it has "
                f"{', '.join(measured) or 'none'}"
            )
        return measured[number]


def _budget(how: str) -> int:
    """The number in `budget:<params>`. Raises StudyError where there is none."""
    text = how.removeprefix("budget:")
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise StudyError(
            f"pick={how}: a budget is a whole number of SE parameters, of at least 0, such as pick=budget:500"
        )
    return int(text)
