"""A comparison of a few SE configurations, each trained with the same seeds: what differs by more than chance."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from senas.core.config import SEConfig
from senas.core.interval import Interval, interval
from senas.core.objective import Scores, score
from senas.core.standing import Standing
from senas.core.trial import Status, Trial


@dataclass(frozen=True, slots=True)
class LossOnTest:
    """Objective of trainings that are compared: nothing is chosen by it, it only says what counts."""

    names: tuple[str, ...] = ("test_loss",)
    words: str = "test loss"
    axes: tuple[str, ...] = ("test_loss", "se_params")
    sign: int = 1

    def values(self, scores: Scores) -> tuple[float, ...]:
        return (score(scores, "test_loss"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Standing):
    """Where a comparison stands. It has no front: several seeds of one configuration are not rivals.

    contenders:  SE configurations by name, in the order in which they are shown.
    others:      numbers of trainings that are in the same folder and in no part of this comparison.
    """

    contenders: Mapping[str, SEConfig]
    others: Collection[int] = ()

    def front(self, names: Sequence[str] = ()) -> list[Trial]:
        return []

    def kept(self) -> set[int]:
        return {trial.number for trial in self.trials} | set(self.others)

    def hypervolume(self) -> float:
        return float("nan")

    def of(self, name: str) -> list[Trial]:
        """The trainings of a contender that came to their end, by seed."""
        config = self.contenders[name]
        return sorted((t for t in self.measured if t.config == config), key=lambda trial: trial.seed)

    def failed(self, name: str) -> int:
        """How many of its trainings failed."""
        config = self.contenders[name]
        return sum(trial.status is Status.FAILED and trial.config == config for trial in self.trials)

    def interval(self, name: str, metric: str) -> Interval | None:
        """Of a contender's mean of `metric` over its seeds; None where none came to its end."""
        values = [score(trial.scores, metric) for trial in self.of(name)]
        return interval(values) if values else None

    def difference(self, name: str, other: str, metric: str) -> Interval | None:
        """Of `metric` of one contender minus that of the other, paired by seed: what the seed does to both cancels.

        None where no seed has both.
        """
        mine, theirs = ({t.seed: score(t.scores, metric) for t in self.of(n)} for n in (name, other))
        pairs = [mine[seed] - theirs[seed] for seed in mine if seed in theirs]
        return interval(pairs) if pairs else None

    def pairs(self) -> list[tuple[str, str]]:
        """Every contender against every one that is shown before it."""
        names = list(self.contenders)
        return [(name, other) for i, name in enumerate(names) for other in names[:i]]
