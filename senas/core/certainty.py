"""How sure one can be of a front, and of what it recommends: probabilities, from draws of losses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from senas.core.config import SEConfig
from senas.core.scales import Array

LEVEL = 0.9
"""How often an interval of this kind holds the true value, and how probable what is recommended has to be."""
SETTLED = 0.1
"""A probability below this, or above 1 minus this, is settled."""
FEWEST = 4
"""Trainings without which nothing is recommended: the losses of two or three are often near each other by accident, and
then pass for noise that is small."""

RIVAL = 0.02
"""A candidate that is lower by more than the margin with a smaller probability than this is left alone."""
ONE_SIDED = 1.2816
"""Standard deviations below which a normal number lies with probability LEVEL."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known of the mean of a number over seeds: its mean, and the interval that holds it with LEVEL."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, draws: Array) -> "Estimate":
        """From draws (n,)."""
        low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return cls(float(draws.mean()), float(low), float(high))

    @property
    def excludes_zero(self) -> bool:
        """Whether it says on which side of zero the number is."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Certainty:
    """Candidates for the front over (loss, size), and joint draws of their losses.

    configs:  the candidates, each once.
    sizes:    (candidates,), such as SE parameters; known exactly.
    losses:   (draws, candidates), means over seeds.
    trained:  (candidates,), how many trainings stand behind each.
    """

    configs: Sequence[SEConfig]
    sizes: Array
    losses: Array
    trained: npt.NDArray[np.intp]

    def estimate(self, config: SEConfig) -> Estimate:
        """Of a candidate's loss."""
        return Estimate.of(self.losses[:, self._place(config)])

    def difference(self, config: SEConfig, other: SEConfig) -> Estimate:
        """Of the loss of one candidate minus that of another."""
        return Estimate.of(self.losses[:, self._place(config)] - self.losses[:, self._place(other)])

    def on_front(self, config: SEConfig) -> float:
        """The probability that no other candidate beats this one in loss and size."""
        return float(self.front_probabilities[self._place(config)])

    def trainings(self, config: SEConfig) -> int:
        """How many stand behind a candidate."""
        return int(self.trained[self._place(config)])

    @cached_property
    def front_probabilities(self) -> Array:
        """(candidates,), for each the probability that no other beats it in loss and size."""
        beaten = np.empty((len(self.losses), len(self.configs)), dtype=bool)
        for n, size in enumerate(self.sizes):
            rivals = self.sizes <= size
            rivals[n] = False
            beaten[:, n] = (self.losses[:, rivals] <= self.losses[:, [n]]).any(1)
        probabilities: Array = 1.0 - beaten.mean(0)
        return probabilities

    @property
    def front(self) -> list[SEConfig]:
        """The candidates that no other beats in mean loss and size, smallest first."""
        order = np.lexsort((self.means, self.sizes))
        front: list[SEConfig] = []
        lowest = np.inf
        for n in order:
            if self.means[n] < lowest:
                front.append(self.configs[n])
                lowest = self.means[n]
        return front

    @cached_property
    def means(self) -> Array:
        """(candidates,), of the losses."""
        means: Array = self.losses.mean(0)
        return means

    @property
    def lowest(self) -> SEConfig:
        """The candidate of the lowest mean loss."""
        return self.configs[int(self.means.argmin())]

    def near_best(self, margin: float) -> Array:
        """(candidates,), for each the probability that its loss is within `margin` of the lowest of all."""
        near: Array = (self.losses <= self.losses.min(1, keepdims=True) + margin).mean(0)
        return near

    def recommended(self, margin: float) -> SEConfig | None:
        """The smallest candidate whose loss is, with probability LEVEL, within `margin` of the lowest of all.

        Of equals in size, the one of the lowest mean. None where no candidate is sure to be so near: it is undecided.
        So it is where there is but one candidate, which is the lowest of nothing, and where fewer than FEWEST trainings
        stand behind all of them.
        """
        if len(self.configs) < 2 or self.trained.sum() < FEWEST:
            return None
        near = [int(n) for n in np.flatnonzero(self.near_best(margin) >= LEVEL)]
        return self.configs[min(near, key=lambda n: (self.sizes[n], self.means[n]))] if near else None

    def would_decide(self, margin: float, noise: float) -> list[tuple[SEConfig, int]]:
        """What to train more often, and how often, for there to be something recommended; roughly.

        noise:  standard deviation of one training.

        The smallest candidate whose mean is near the lowest has to be told from those that may be lower by more than
        `margin`: its loss and theirs have to be known so well that what their means leave of the margin is no accident.
        """
        near = np.flatnonzero(self.means <= self.means.min() + margin / 2)
        leader = min(near, key=lambda n: (self.sizes[n], self.means[n]))
        above = self.losses[:, [leader]] - self.losses
        rivals = [n for n in range(len(self.configs)) if n != leader and (above[:, n] > margin).mean() > RIVAL]
        wanted = []
        for n in sorted({int(leader), *rivals}, key=lambda n: self.means[n]):
            left = max(margin - max(0.0, float(self.means[leader] - self.means[n])), noise / 10)
            enough = math.ceil(2 * (noise * ONE_SIDED / left) ** 2)
            wanted.append((self.configs[n], max(1, enough - int(self.trained[n]))))
        return wanted

    @property
    def settled(self) -> bool:
        """Whether it is known of every candidate if it is on the front."""
        return not _open(self.front_probabilities).any()

    def _place(self, config: SEConfig) -> int:
        return self.configs.index(config)


def _open(probabilities: Array) -> npt.NDArray[np.bool_]:
    return (probabilities > SETTLED) & (probabilities < 1 - SETTLED)
