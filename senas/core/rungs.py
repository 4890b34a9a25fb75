"""Whether short trainings rank configurations as long ones do: rank correlation of their means over seeds.

Kendall, "A new measure of rank correlation", Biometrika 30 (1938).
"""

import math
from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np

from senas.core.certainty import LEVEL, Estimate
from senas.core.scales import Array
from senas.core.two_way import means, reliability

CHANCE = 0.05
"""How often rankings that have nothing to do with each other agree or disagree so much."""
RESAMPLED = 2000
ROUNDING = 1e-12
"""Numbers whose difference is so small a part of the largest are equal: a mean depends on the order of its parts."""
COUNTED = 7
"""Up to so many configurations all orders are counted; of more, as many are drawn as RESAMPLED says."""


@dataclass(frozen=True, slots=True)
class Rung:
    """How far a number of epochs tells what the last one will.

    tau:          Kendall's, of the configurations' means with those of the last epoch.
    reliability:  the part of the variance of single trainings by one seed that configurations make.
    full:         as tau, with the means of trainings at full length; NaN where there are none.
    """

    epoch: int
    tau: float
    reliability: float
    full: float = math.nan


def rungs(curves: Array, longer: Array | None = None) -> list[Rung]:
    """Of losses (configurations, seeds, epochs), NaN in all epochs where a training failed. The last has tau 1.

    longer:  (configurations, seeds), losses at full length.
    """
    last = means(curves[:, :, -1])
    full = np.full(len(curves), np.nan) if longer is None else means(longer)
    found = []
    for epoch in range(curves.shape[2]):
        losses = curves[:, :, epoch]
        at = means(losses)
        found.append(Rung(epoch + 1, kendall(at, last), reliability(losses), kendall(at, full)))
    return found


def agreement(short: Array, long: Array, seed: int = 0) -> Estimate | None:
    """Kendall's tau of the means of two tables (configurations, seeds) of the same trainings, short and long ones.

    Its interval is that of other seeds: these are drawn again with replacement, the same for both tables. What has no
    counterpart in the other table is left out; None where that leaves fewer than two configurations, or ranks none.
    """
    there = ~np.isnan(short) & ~np.isnan(long)
    short, long = np.where(there, short, np.nan), np.where(there, long, np.nan)
    short, long = short[there.any(1)], long[there.any(1)]
    found = kendall(means(short), means(long)) if len(short) > 1 else math.nan
    if math.isnan(found):
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.integers(short.shape[1], size=(RESAMPLED, short.shape[1]))
    taus = np.array([kendall(means(short[:, seeds]), means(long[:, seeds])) for seeds in drawn])
    ranking = taus[~np.isnan(taus)]
    low, high = np.quantile(ranking, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(ranking) else (-1.0, 1.0)
    return Estimate(found, float(low), float(high))


def kendall(one: Array, other: Array) -> float:
    """Kendall's tau-b of two rankings, without what is NaN in either; NaN where one of them ranks nothing.

    Kendall, "The treatment of ties in ranking problems", Biometrika 33 (1945).
    """
    both = ~np.isnan(one) & ~np.isnan(other)
    first, second = (signs(values[both]) for values in (one, other))
    ranked = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / ranked if ranked else float("nan")


def signs(values: Array) -> Array:
    """(n, n), for each pair 1, -1, or 0 where they are equal."""
    apart = np.subtract.outer(values, values)
    return np.where(np.abs(apart) > ROUNDING * np.abs(values).max(initial=0.0), np.sign(apart), 0.0)


@cache
def by_chance(count: int) -> float | None:
    """The smallest |tau| that rankings of so many configurations reach by chance at most as often as CHANCE says.

    None where even perfect agreement is that likely: then tau means nothing.
    """
    order = np.arange(count, dtype=float)
    if count <= COUNTED:
        orders = [np.array(each, dtype=float) for each in permutations(range(count))]
    else:
        rng = np.random.default_rng(0)
        orders = [rng.permutation(count).astype(float) for _ in range(RESAMPLED)]
    taus = np.abs([kendall(order, each) for each in orders]) if count > 1 else np.ones(1)
    taus = np.floor(taus * 1e9) / 1e9  # not above the same tau computed in another order
    rare = [tau for tau in np.unique(taus) if (taus >= tau).mean() <= CHANCE]
    return float(rare[0]) if rare else None
