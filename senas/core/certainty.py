"""How sure one can be of a front, and of what it recommends: probabilities, from draws of losses."""

from collections.abc import Collection, Sequence
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
OWN = 3
"""Trainings of its own without which a candidate is not recommended. Until then only the model speaks for it, by what
others came to; and of many that were trained once, the one with the kindest seed stands out."""


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
        probabilities: Array = (self._ahead > 0).mean(0)
        return probabilities

    @cached_property
    def _ahead(self) -> Array:
        """(draws, candidates), the lowest loss of those that are not larger, minus that of each; inf without any."""
        ahead = np.full(self.losses.shape, np.inf)
        for n, size in enumerate(self.sizes):
            rivals = self.sizes <= size
            rivals[n] = False
            if rivals.any():
                ahead[:, n] = self.losses[:, rivals].min(1) - self.losses[:, n]
        return ahead

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

    def leader(self, margin: float, without: Collection[SEConfig] = ()) -> SEConfig:
        """The smallest candidate whose loss is, with probability LEVEL, within `margin` of the lowest of all.

        Of equals in size, that of the lowest mean; where no candidate is sure to be so near, the lowest mean of all.

        without:  candidates that are passed over as long as there are others.
        """
        others = [n for n, config in enumerate(self.configs) if config not in without] or list(range(len(self.configs)))
        near = [n for n in self._surely_near(margin) if n in others]
        return self.configs[self._smallest(near) if near else min(others, key=self.means.__getitem__)]

    def recommended(self, margin: float) -> SEConfig | None:
        """The smallest candidate, of those with OWN trainings, whose loss is with probability LEVEL so near the lowest.

        None where there is none: it is undecided. So it is where there is but one candidate, which is the lowest of
        nothing, and where fewer than FEWEST trainings stand behind all of them.
        """
        if len(self.configs) < 2 or self.trained.sum() < FEWEST:
            return None
        near = [n for n in self._surely_near(margin) if self.trained[n] >= OWN]
        return self.configs[self._smallest(near)] if near else None

    @property
    def sure_within(self) -> float | None:
        """The smallest margin by which something is recommended; None where no candidate has OWN trainings."""
        above = np.quantile(self.losses - self.losses.min(1, keepdims=True), LEVEL, axis=0, method="higher")
        own = above[self.trained >= OWN]
        return float(own.min()) if own.size else None

    def settles(self, margin: float, noise: float) -> Array:
        """(candidates,), how much of what is open one more training of each would settle.

        noise:  standard deviation of one training.

        Open is of each candidate whether it is on the front, and whether its loss is within `margin` of the lowest:
        the variance of a yes or no. Each hangs on how far its loss is from its rivals', and a training settles the
        share of that difference's variance which it explains, linearly: also one of a rival that less is known of.
        """
        centred = self.losses - self.means
        seen = centred.var(0) + noise**2
        above = self.losses.min(1, keepdims=True) + margin - self.losses
        total = np.zeros(len(self.configs))
        for yes, distance in ((self.front_probabilities, self._ahead), (self.near_best(margin), above)):
            doubt = yes * (1 - yes)
            for n in np.flatnonzero(doubt):
                apart = distance[:, n] - distance[:, n].mean()
                total += doubt[n] * (apart @ centred / len(apart)) ** 2 / (apart.var() * seen)
        return total

    @property
    def settled(self) -> bool:
        """Whether it is known of every candidate if it is on the front."""
        return not _open(self.front_probabilities).any()

    def _surely_near(self, margin: float) -> list[int]:
        return [int(n) for n in np.flatnonzero(self.near_best(margin) >= LEVEL)]

    def _smallest(self, places: Sequence[int]) -> int:
        return min(places, key=lambda n: (self.sizes[n], self.means[n]))

    def _place(self, config: SEConfig) -> int:
        return self.configs.index(config)


def _open(probabilities: Array) -> npt.NDArray[np.bool_]:
    return (probabilities > SETTLED) & (probabilities < 1 - SETTLED)
