"""How many more trainings would decide what to recommend: what they may show is drawn before they are run.

Preposterior analysis: Raiffa and Schlaifer, "Applied Statistical Decision Theory" (1961). What is known of the losses
is taken for a normal distribution; each truth that agrees with it is given so many more trainings, and the share of
truths after which something is sure enough to be recommended is counted.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from senas.core.certainty import LEVEL, OWN, Certainty
from senas.core.config import SEConfig
from senas.core.scales import Array

TIMES = (1, 2, 3, 4, 6, 8, 12, 16, 24)
"""How often each contender is trained again, as far as it is looked at."""
CONTENDERS = (1, 2, 3, 4, 6, 8, 12)
CHANCE = 0.5
"""Share of truths that have to be decided."""
TRUTHS, DRAWS = 64, 256


class More(NamedTuple):
    """So many more trainings of each of these configurations."""

    configs: Sequence[SEConfig]
    times: int

    @property
    def trainings(self) -> int:
        return len(self.configs) * self.times


def would_decide(certainty: Certainty, margin: float, noise: float, seed: int = 0) -> More | None:
    """The fewest further trainings after which something is recommended, as likely as not; None for too many.

    noise:  standard deviation of one training.
    """
    contenders = np.argsort(-certainty.near_best(margin), kind="stable")
    counts = sorted({min(count, len(contenders)) for count in CONTENDERS})
    plans = sorted(((count, times) for count in counts for times in TIMES), key=lambda plan: plan[0] * plan[1])
    for count, times in plans:
        chosen = contenders[:count]
        if chance(certainty, margin, noise, chosen, times, seed) >= CHANCE:
            return More([certainty.configs[n] for n in chosen], times)
    return None


def chance(
    certainty: Certainty, margin: float, noise: float, chosen: npt.NDArray[np.intp], times: int, seed: int = 0
) -> float:
    """The share of truths for which something is recommended after `times` more trainings of each of `chosen`."""
    rng = np.random.default_rng(seed)
    own = certainty.trained.copy()
    own[chosen] += times
    if not (own >= OWN).any():
        return 0.0
    covariance = np.atleast_2d(np.cov(certainty.losses, rowvar=False))
    shown = covariance[np.ix_(chosen, chosen)] + noise**2 / times * np.eye(len(chosen))
    gain = np.linalg.solve(shown, covariance[chosen]).T
    left = _root(covariance - gain @ covariance[chosen])
    truths = certainty.losses[rng.choice(len(certainty.losses), TRUTHS)]
    seen = truths[:, chosen] + rng.normal(0, noise / np.sqrt(times), (TRUTHS, len(chosen)))
    means = certainty.means + (seen - certainty.means[chosen]) @ gain.T
    around = rng.normal(size=(DRAWS, len(left))) @ left.T
    return float(np.mean([_decided(mean + around, margin, own) for mean in means]))


def _decided(losses: Array, margin: float, own: npt.NDArray[np.intp]) -> bool:
    near = (losses <= losses.min(1, keepdims=True) + margin).mean(0)
    return bool((near[own >= OWN] >= LEVEL).any())


def _root(covariance: Array) -> Array:
    """A matrix whose product with its transpose this is."""
    values, vectors = np.linalg.eigh(covariance)
    root: Array = vectors * np.sqrt(np.maximum(values, 0.0))
    return root
