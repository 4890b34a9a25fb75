"""What a few configurations, each trained with the same few seeds, tell of noise: a two-way table of losses.

    loss = mean + configuration + seed + noise

The seed's part is common to all configurations, because a seed gives them the same initial weights and the same order
of the data: it cancels where two configurations are compared by the same seed. The standard deviations of the three
parts are drawn from their posterior (see `scales`), with which the configurations are then shrunken towards their mean:
Lindley and Smith, "Bayes estimates for the linear model", J. Royal Statistical Society B 34 (1972). So of many pairs,
hardly any is told apart by luck: Gelman, Hill and Yajima, "Why we (usually) don't have to worry about multiple
comparisons", J. Research on Educational Effectiveness 5 (2012).
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from senas.core.certainty import LEVEL, Estimate
from senas.core.interval import student_t
from senas.core.mixed import draw_effects
from senas.core.scales import Array
from senas.core.two_way import dummies, freedom

SPREAD_SHARE = NOISE_SHARE = 0.5
"""The part of the variance that configurations explain is, before anything was seen, Beta(1/2, 1/2), and the spread
over the noise half-Cauchy: Gelman, "Prior distributions for variance parameters in hierarchical models", Bayesian
Analysis 1 (2006). Its density at zero is neither zero nor infinite, so that data may say that there is none; and it
falls so slowly that a few configurations may differ by much: with Beta(1/2, 1) nominal 90 % held 80 %."""
NEAR_ZERO = 0.2
"""Of the median: where the lower end of what the spread may be is below that, there may be none. Of a half-normal
number, which has its highest density at 0, it is 0.09. Of 100 tables without a spread, 91 to 95 are told so."""
ENSEMBLES = 4
SIGNIFICANCE, POWER = 0.05, 0.8
"""Of the smallest difference that can be shown: how often one is claimed where there is none (on both sides), and how
often one of that size is found."""
MOST_SEEDS = 1000


@dataclass(frozen=True, eq=False)
class Audit:
    """Draws from the posterior of what a table of losses is the sum of.

    losses:   (configurations, seeds); NaN where a training failed.
    scales:   (draws, 3), standard deviations: between configurations, between seeds, of the noise.
    effects:  (draws, configurations), how much each differs from the mean.
    """

    losses: Array
    scales: Array
    effects: Array

    @property
    def spread(self) -> Estimate:
        """Standard deviation between configurations. Its interval begins at 0 where there may be none."""
        return self._from_zero(self.scales[:, 0])

    @property
    def noise(self) -> Estimate:
        """Standard deviation of one training, where it is compared by a seed that others have too."""
        return Estimate.of(self.scales[:, 2])

    @property
    def noise_with_seed(self) -> Estimate:
        """Standard deviation of one training, where it is compared with one of another seed."""
        return Estimate.of(np.hypot(self.scales[:, 1], self.scales[:, 2]))

    @property
    def reliability(self) -> Estimate:
        """The part of the variance of trainings of one seed that configurations make; 1 where there is no noise."""
        spread, _, noise = self.scales.T**2
        return self._from_zero(spread / (spread + noise))

    @property
    def reliability_with_seed(self) -> Estimate:
        """As `reliability`, of trainings that each have a seed of their own."""
        spread, seed, noise = self.scales.T**2
        return self._from_zero(spread / (spread + seed + noise))

    def _from_zero(self, draws: Array) -> Estimate:
        """Of a number that is 0 where there is no spread."""
        found = Estimate.of(draws)
        low, median = np.quantile(self.scales[:, 0], [(1 - LEVEL) / 2, 0.5])
        return Estimate(found.mean, 0.0, found.high) if low < NEAR_ZERO * median else found

    @cached_property
    def freedom(self) -> int:
        """Degrees of freedom that are left for the noise."""
        return freedom(self.losses)

    def detectable(self, seeds: int) -> float:
        """The smallest difference of two configurations that so many seeds each can show, compared seed by seed.

        Judged by the noise that this table gives, with its degrees of freedom. Its power is POWER, at SIGNIFICANCE.
        """
        reach = student_t(1 - SIGNIFICANCE, self.freedom) + student_t(2 * POWER - 1, self.freedom)
        return reach * self.noise.mean * math.sqrt(2 / seeds)

    def seeds_to_show(self, difference: float) -> int | None:
        """How many seeds each show such a difference; None where MOST_SEEDS do not."""
        if difference <= 0:
            return None
        seeds = max(1, math.ceil((self.detectable(1) / difference) ** 2 - 1e-9))
        return seeds if seeds <= MOST_SEEDS else None

    def difference(self, one: int, other: int) -> Estimate:
        """Of the mean loss of one configuration minus that of another, shrunken."""
        return Estimate.of(self.effects[:, one] - self.effects[:, other])

    @property
    def told_apart(self) -> list[tuple[int, int]]:
        """Pairs of configurations whose difference has a sign, the one of the lower loss first."""
        pairs = []
        for one, other in combinations(range(len(self.losses)), 2):
            found = self.difference(one, other)
            if found.excludes_zero:
                pairs.append((one, other) if found.mean < 0 else (other, one))
        return pairs

    @property
    def undecided(self) -> bool:
        """Whether these configurations cannot be told apart: not one pair of them."""
        return not self.told_apart


def audit(losses: Array, seed: int = 0) -> Audit:
    """What a table (configurations, seeds) tells, NaN where a training failed. The same table gives the same draws.

    Raises ValueError where it leaves nothing to see the noise by: it takes two configurations with two seeds.
    """
    there = ~np.isnan(losses)
    losses = losses[there.any(1)][:, there.any(0)]
    there = ~np.isnan(losses)
    if len(losses) < 2 or freedom(losses) < 1:
        raise ValueError("noise is seen where two configurations at least have been trained with two seeds each")
    table = dummies(losses)
    count = len(losses)
    draws, scales = draw_effects(
        losses[there],
        np.ones((len(table), 1)),
        [table[:, :count], table[:, count:]],
        (SPREAD_SHARE, None),
        np.random.default_rng(seed),
        rest=NOISE_SHARE,
        ensembles=ENSEMBLES,
    )
    return Audit(losses, scales, draws[:, 1 : 1 + count])
