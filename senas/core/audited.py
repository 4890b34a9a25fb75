"""An audit: a few configurations x a few seeds, and all that their trainings tell of noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from senas.core import halves as parts
from senas.core.audit import Audit, audit
from senas.core.certainty import Estimate
from senas.core.config import SEConfig
from senas.core.objective import MINUS, Scores, bare
from senas.core.rungs import Rung, agreement, rungs
from senas.core.scales import Array
from senas.core.trial import Trial
from senas.core.two_way import means, reliability

LOSS, EVEN = "val_loss", "val_loss_even"
SHOWN_SEEDS = (1, 4, 8, 16)
"""Numbers of seeds that the smallest difference is told for, beside those of the audit."""
LARGE = 0.3
"""Images that make so much of the noise, or of what separates the means, come first: they cost no training."""
SURE = 0.8
"""A single training of which so much is the configuration's part is enough."""
SEEDS_HALVE = 0.5
"""Twice the trainings leave half of the variance of a mean."""


@dataclass(frozen=True, eq=False)
class Audited:
    """What the trainings of an audit came to.

    contenders:  SE configurations by name, in the order in which they are shown.
    seeds:       that each was to be trained with.
    trials:      trainings that came to their end; others than these may be among them.
    longer:      the same at full length, where that was asked for.
    epochs:      of a search's training, and of one at full length.
    images:      in the validation part.
    metric:      the score that is to be low; with MINUS before it where it is to be high.
    """

    contenders: Mapping[str, SEConfig]
    seeds: Sequence[int]
    trials: Sequence[Trial]
    longer: Sequence[Trial] = ()
    epochs: tuple[int, int] = (0, 0)
    images: int = 0
    metric: str = LOSS

    @cached_property
    def names(self) -> list[str]:
        """Of the contenders that were trained to the end with one seed at least."""
        trained = {trial.config for trial in self.trials if trial.seed in self.seeds}
        return [name for name, config in self.contenders.items() if config in trained]

    def of(self, name: str, *, longer: bool = False) -> list[Trial]:
        """The trainings of a contender, by seed."""
        trials = self.longer if longer else self.trials
        found = {t.seed: t for t in trials if t.config == self.contenders[name] and t.seed in self.seeds}
        return [found[seed] for seed in sorted(found)]

    def table(self, score: str = "", *, longer: bool = False) -> Array:
        """(names, seeds) of a score, or of what the audit is about; NaN where a training has none."""
        score = score or self.metric
        table = np.full((len(self.names), len(self.seeds)), np.nan)
        for row, name in enumerate(self.names):
            for trial in self.of(name, longer=longer):
                table[row, list(self.seeds).index(trial.seed)] = _score(trial.scores, score)
        return table

    @cached_property
    def noise(self) -> Audit:
        """Raises ValueError where too few trainings came to their end."""
        return audit(self.table())

    @cached_property
    def halves(self) -> parts.Halves | None:
        """What of the noise the validation images make; None where the trainings do not tell."""
        return parts.halves(self.table(), self.table(EVEN)) if self.metric == LOSS else None

    @cached_property
    def rungs(self) -> list[Rung]:
        """Every epoch that all trainings have."""
        length = min((len(trial.curve) for name in self.names for trial in self.of(name)), default=0)
        curves = np.full((len(self.names), len(self.seeds), length), np.nan)
        for row, name in enumerate(self.names):
            for trial in self.of(name):
                losses = [_score(scores, self.metric) for scores in trial.curve[:length]]
                curves[row, list(self.seeds).index(trial.seed)] = losses
        return rungs(curves, self.table(longer=True) if self.longer else None)

    @cached_property
    def agreement(self) -> Estimate | None:
        """Kendall's tau of the search's budget with full length, and how it varies with the seeds."""
        return agreement(self.table(), self.table(longer=True)) if self.longer else None

    @property
    def reliability_at_length(self) -> float:
        """Of single trainings at full length, by one seed."""
        return reliability(self.table(longer=True))

    @property
    def means(self) -> dict[str, float]:
        """Of each contender over its seeds."""
        return dict(zip(self.names, means(self.table()).tolist(), strict=True))

    @property
    def pairs(self) -> int:
        return len(self.names) * (len(self.names) - 1) // 2

    @property
    def told_apart(self) -> list[tuple[str, str]]:
        """Pairs of contenders whose difference has a sign, the one of the lower loss first."""
        return [(self.names[one], self.names[other]) for one, other in self.noise.told_apart]

    @property
    def undecided(self) -> bool:
        """Whether these configurations cannot be told apart at this budget: not one pair of them."""
        return self.noise.undecided

    def difference(self, name: str, other: str) -> Estimate:
        """Of the mean loss of one contender minus that of another, shrunken."""
        return self.noise.difference(self.names.index(name), self.names.index(other))

    @property
    def epochs_leave(self) -> float | None:
        """What twice the epochs leave of the variance of the noise, against that between configurations.

        By full length where it was trained; else by the second half of the epochs, which ends a schedule that a shorter
        training would have ended sooner. None where either shows no difference between configurations.
        """
        if self.longer:
            before, after = reliability(self.table()), self.reliability_at_length
            doublings = float(np.log2(self.epochs[1] / self.epochs[0]))
        elif len(self.rungs) > 1:
            half = self.rungs[len(self.rungs) // 2 - 1]
            before, after = half.reliability, self.rungs[-1].reliability
            doublings = float(np.log2(len(self.rungs) / half.epoch))
        else:
            return None
        if not (0 < before < 1 and 0 < after < 1):
            return None
        ratio = ((1 - after) / after) / ((1 - before) / before)
        return float(ratio ** (1 / doublings))

    @property
    def lever(self) -> str:
        """What would help most: `nothing` more than one run, `images`, `epochs` or `seeds`."""
        if self.noise.reliability.low >= SURE:
            return "nothing"
        if self.halves and max(self.halves.noise.mean, self.halves.means.mean) >= LARGE:
            return "images"
        if self.epochs_leave is not None and self.epochs_leave < SEEDS_HALVE and not self.undecided:
            return "epochs"
        return "seeds"


def _score(scores: Scores, name: str) -> float:
    """NaN where it is not among them."""
    return (-1 if name.startswith(MINUS) else 1) * scores.get(bare(name), float("nan"))
