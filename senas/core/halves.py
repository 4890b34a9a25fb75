"""How much of what is seen of a validation loss is that there are only so many validation images.

Two halves of the images, those of even index and the others, are looked at by the same trained networks. What the
training did to a network shows in both alike; which images there happen to be does not. So half the difference between
the halves varies, from training to training and from configuration to configuration, as much as the whole part's loss
does on account of its images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from senas.core.certainty import Estimate
from senas.core.scales import Array
from senas.core.two_way import freedom, lowered, means, residuals

DRAWS = 4000


@dataclass(frozen=True, slots=True)
class Halves:
    """What the images make of a variance, between 0 and 1.

    noise:  of that of the noise of one training, compared by a common seed.
    means:  of that between the means of configurations over their seeds. No number of seeds lowers it: the images are
            the same for all.
    """

    noise: Estimate
    means: Estimate

    @property
    def with_twice(self) -> float:
        """What twice as many validation images would leave of the noise, 1 for all of it."""
        return float(np.sqrt(1 - self.noise.mean / 2))


def halves(losses: Array, even: Array, seed: int = 0) -> Halves | None:
    """Of tables (configurations, seeds) of the mean loss over all images, and over those of even index.

    None where no training tells its half, or where there are too few trainings to see the noise.
    """
    there = ~np.isnan(losses + even)
    whole, apart = (np.where(there, table, np.nan)[there.any(1)] for table in (losses, even - losses))
    left = freedom(whole)
    if left < 1:
        return None
    whole = lowered(whole)
    rng = np.random.default_rng(seed)
    noise = [float((residuals(table) ** 2).sum()) for table in (apart, whole)]
    between = [float(((means(table) - means(table).mean()) ** 2).sum()) for table in (apart, whole)]
    if not (noise[1] and between[1]):
        return None
    return Halves(_part(noise, left, rng), _part(between, len(whole) - 1, rng))


def _part(squares: Sequence[float], left: int, rng: np.random.Generator) -> Estimate:
    """Of two sums of squares of so many degrees of freedom, what the first one's variance is of the second one's."""
    images, whole = (each / rng.chisquare(left, DRAWS) for each in squares)
    ratio = images / whole
    return Estimate.of(np.minimum(ratio, 1.0))
