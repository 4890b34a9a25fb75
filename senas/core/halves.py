"""How much of the noise of a validation loss is that there are only so many validation images.

Two halves of the images, those of even index and the others, are looked at by the same trained networks. What the
training did to a network shows in both alike; which images there happen to be does not. So half the difference between
the halves varies, from training to training, as much as the whole part's loss does on account of its images.
"""

from dataclasses import dataclass

import numpy as np

from senas.core.certainty import Estimate
from senas.core.scales import Array
from senas.core.two_way import freedom, residuals

DRAWS = 4000


@dataclass(frozen=True, slots=True)
class Halves:
    """share: of the variance of the noise, what the images make; between 0 and 1."""

    share: Estimate

    @property
    def with_twice(self) -> float:
        """What twice as many validation images would leave of the noise, 1 for all of it."""
        return float(np.sqrt(1 - self.share.mean / 2))


def halves(losses: Array, even: Array, seed: int = 0) -> Halves | None:
    """Of tables (configurations, seeds) of the mean loss over all images, and over those of even index.

    None where no training tells its half, or where there are too few trainings to see the noise.
    """
    there = ~np.isnan(losses) & ~np.isnan(even)
    whole, apart = np.where(there, losses, np.nan), np.where(there, even - losses, np.nan)
    left = freedom(whole)
    if left < 1:
        return None
    squares = [float((residuals(table) ** 2).sum()) for table in (apart, whole)]
    if not squares[1]:
        return None
    rng = np.random.default_rng(seed)
    images, noise = (square / rng.chisquare(left, DRAWS) for square in squares)
    return Halves(Estimate.of(np.minimum(images / noise, 1.0)))
