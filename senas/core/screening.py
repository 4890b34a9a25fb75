"""Whether weights that all configurations share tell which proposals are worth a training, and which these are.

Shared weights rank configurations for the price of a validation pass each, and often wrongly. They are believed only
where they agree with stand-alone trainings clearly better than a ranking that trains nothing does: by the number of SE
blocks. Kendall's tau says how well, and a bootstrap over the configurations how sure that is: Efron, "Bootstrap
methods: another look at the jackknife", Annals of Statistics 7 (1979).
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from senas.core.certainty import LEVEL, Estimate
from senas.core.config import SEConfig
from senas.core.objective import COSTS, MINUS, SHARED, Objective, Scores, bare, judged, score
from senas.core.rungs import signs
from senas.core.scales import Array
from senas.core.trial import Job, Status, Trial
from senas.errors import ConfigError

FEWEST = 30
"""Configurations that were trained by themselves, without which nobody can tell what a ranking is worth."""
OFTEN = 5
"""Trainings with a seed, of different configurations, from which it is told what the seed adds."""
RESAMPLED = 2000
ROUNDING = 1e-9


class Screened(NamedTuple):
    """scores: what was found out of a proposal. reason: why it is not worth a training; empty where it is."""

    scores: Scores
    reason: str = ""


Screen = Callable[[Job, Sequence[Trial]], Screened]
"""Asked of each proposal before it is trained, with trials that ended. Its answer hangs on nothing else."""


class Compared(NamedTuple):
    """Configurations of one study, (n,) each: scores by shared weights, scores of their own trainings, SE blocks."""

    shared: Array
    alone: Array
    blocks: Array


@dataclass(frozen=True, slots=True)
class Worth:
    """What a ranking by shared weights is worth, by its agreement with stand-alone trainings.

    count:   of the configurations.
    tau:     Kendall's, of the shared scores with those of stand-alone trainings.
    blocks:  of the number of SE blocks with them: of more or of fewer, whichever agrees with the trainings.
    over:    the first minus the second.
    fewer:   whether it is fewer.
    """

    count: int
    tau: Estimate
    blocks: Estimate
    over: Estimate
    fewer: bool

    @property
    def ranks(self) -> bool:
        """Whether it is clearly better than counting. A ranking that is backwards never is."""
        return self.over.low > 0

    @property
    def words(self) -> str:
        """One line, for people."""
        taus = ", ".join(
            f"{what} {each.mean:+.2f} ({each.low:+.2f} to {each.high:+.2f})"
            for what, each in (
                ("Kendall's tau", self.tau),
                (f"that of counting SE blocks ({'fewer' if self.fewer else 'more'} are better)", self.blocks),
                ("difference", self.over),
            )
        )
        verdict = (
            "shared weights rank the proposals"
            if self.ranks
            else "that is not clearly above 0, so shared weights step aside, and every proposal is trained"
        )
        return f"supernet: {self.count} configurations by shared weights and by themselves: {taus}: {verdict}"


def worth(*studies: Compared, seed: int = 0) -> Worth:
    """Of the mean taus over the studies, each within itself; intervals of LEVEL, from configurations drawn anew.

    The direction of counting is chosen with the same trainings, which makes it look better than it is: what is above it
    nevertheless is no accident of the direction.
    """
    rng = np.random.default_rng(seed)
    ones = [np.ones((1, len(study.alone))) for study in studies]
    drawn = [_resampled(len(study.alone), rng) for study in studies]

    def of(ranking: str) -> tuple[float, Array]:
        pairs = [(getattr(study, ranking), study.alone) for study in studies]
        once, again = (np.mean([taus(*p, w) for p, w in zip(pairs, times, strict=True)], 0) for times in (ones, drawn))
        return float(once[0]), again

    tau, taus_drawn = of("shared")
    blocks, blocks_drawn = of("blocks")
    sign = -1 if blocks < 0 else 1  # scores are as low as can be: where they rise with the blocks, fewer are better

    def estimate(mean: float, draws: Array) -> Estimate:
        return Estimate(mean, *(float(q) for q in np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])))

    return Worth(
        sum(len(study.alone) for study in studies),
        estimate(tau, taus_drawn),
        estimate(sign * blocks, sign * blocks_drawn),
        estimate(tau - sign * blocks, taus_drawn - sign * blocks_drawn),
        fewer=blocks > 0,
    )


def _resampled(count: int, rng: np.random.Generator) -> Array:
    """(draws, count), how often each of so many configurations is drawn when as many are, with replacement."""
    return rng.multinomial(count, np.full(count, 1 / count), RESAMPLED).astype(float)


def taus(one: Array, other: Array, times: Array) -> Array:
    """(draws,), Kendall's tau-b of two rankings (n,) with each item so many `times` (draws, n); 0 where one of them
    ranks nothing."""
    first, second = signs(one), signs(other)

    def summed(pairs: Array) -> Array:
        total: Array = ((times @ pairs) * times).sum(1)
        return total

    ranked = np.sqrt(summed(first**2) * summed(second**2))
    both = summed(first * second)
    return np.divide(both, ranked, out=np.zeros_like(ranked), where=ranked > 0)


def ranked_by(objective: Objective) -> str:
    """The score that proposals are ranked by: the one for which networks are trained.

    Raises ConfigError where an objective decides between several of them.
    """
    trained = [name for name in objective.axes if name not in COSTS]
    if len(trained) > 1:
        raise ConfigError(
            f"evaluator=supernet ranks by one score that training brings, and objective.metrics has "
            f"{len(trained)}: {', '.join(map(bare, trained))}; name one of them, or evaluator=standalone"
        )
    return trained[0] if trained else judged(objective)


def trained_first(trials: Sequence[Trial], count: int, name: str) -> dict[SEConfig, float]:
    """The `count` configurations that were trained first, and their score `name` without the seed's part, the mean over
    seeds; all there are, where these are fewer.

    The seed's part is how far the mean of its trainings is from that of all; of a seed with fewer than OFTEN, nothing
    is known. What was trained later changes nothing, so that a study that is resumed decides as it did.
    """
    first: dict[SEConfig, list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        if trial.status is Status.COMPLETE and trial.repeats is None and len(first) < count:
            first.setdefault(trial.config, []).append(trial)
    by_seed: dict[int, list[float]] = {}
    for trial in itertools.chain.from_iterable(first.values()):
        by_seed.setdefault(trial.seed, []).append(score(trial.scores, name))
    overall = _mean([each for scores in by_seed.values() for each in scores])
    parts = {seed: _mean(scores) - overall for seed, scores in by_seed.items() if len(scores) >= OFTEN}
    return {
        config: _mean([score(trial.scores, name) - parts.get(trial.seed, 0.0) for trial in trained])
        for config, trained in first.items()
    }


def _mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


@dataclass(frozen=True, slots=True)
class Contenders:
    """Which proposals are among the best of what was proposed so far.

    A proposal is compared with those that cost no more than it does: a small network that is the best for its size may
    be what a study is after, and is never thrown away for what a large one scores.

    keep:    the share of them that are trained; the best one always is.
    metric:  the score by which they are ranked; with MINUS before it, more is better.
    costs:   scores, all of them to be low.
    """

    keep: float
    metric: str
    costs: tuple[str, ...]

    @classmethod
    def by(cls, objective: Objective, keep: float) -> "Contenders":
        """SE parameters are among the costs of every study, as its front is over them. Raises as `ranked_by` does."""
        named = [name for name in objective.axes if name in COSTS and name != "se_params"]
        return cls(keep, ranked_by(objective), ("se_params", *named))

    @property
    def shared(self) -> str:
        """What the score by shared weights is called among those of a trial."""
        return f"{SHARED}{bare(self.metric)}"

    def reason(self, config: SEConfig, scores: Scores, seen: Mapping[SEConfig, Scores]) -> str:
        """Why a proposal is no contender, in words; empty where it is.

        scores:  its own, by shared weights: costs, and the one called `shared`.
        seen:    those of all configurations so far.
        """
        name = f"{MINUS if self.metric.startswith(MINUS) else ''}{self.shared}"
        rivals = [
            score(other, name)
            for known, other in seen.items()
            if known != config and all(other[cost] <= scores[cost] for cost in self.costs)
        ]
        own = score(scores, name)
        rank, of = 1 + sum(rival < own for rival in rivals), 1 + len(rivals)
        if rank <= max(1, math.floor(self.keep * of + ROUNDING)):
            return ""
        return f"no contender: {self.shared} {scores[self.shared]:.4f} is number {rank} of {of} that cost no more"
