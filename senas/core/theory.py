"""What theory says of SE blocks, in closed form: the best ratio, the best gate against noise, costs.

Each formula is the answer to a minimisation problem that its docstring states; the tests solve that problem by numbers.
The block is that of Hu et al., "Squeeze-and-Excitation Networks", arXiv:1709.01507. Statistics: Gauss and Markov's best
linear unbiased estimate, Wiener's filter, ridge regression (Hoerl and Kennard, Technometrics 12, 1970).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from senas.core.block import SEBlock
from senas.core.certainty import LEVEL, Estimate
from senas.core.config import SEConfig
from senas.core.interval import student_t
from senas.core.scales import Array
from senas.core.space import Blocks, Choice, SearchSpace

CONFIGURATIONS = 8
"""Different ones that have to be trained for kappa to be identified: places, placements and widths differ at once from
one to the next. Of simulated studies without a kappa one in ten had an interval above 0 where 6 were trained, and one
in twenty, as it should be, where there were 8 and more."""


def best_ratio(price: float, channels: float, kappa: float) -> float:
    """r* = (price C^2 / kappa)^(1/3): where kappa/2 r^2 + price C^2 / r is least, with price and kappa above 0.

    The loss is taken to rise with the square of the ratio, and a block to cost what its weights are, C^2 / r of them
    but for a factor. The slope, kappa r - price C^2 / r^2, is zero at r* alone, and the curve is convex: its second
    derivative is kappa + 2 price C^2 / r^3. Sites whose ratio is one choice have the root mean square of their C.
    """
    if not (price > 0 and channels > 0 and kappa > 0):
        raise ValueError(
            f"the best ratio needs a price, channels and a kappa above 0, got {price}, {channels}, {kappa}"
        )
    return float((price * channels**2 / kappa) ** (1 / 3))


def price(penalty: float, largest_params: int) -> float:
    """The lambda of `best_ratio`, in units of the loss, of a study's penalty: 2 penalty / largest_params, at any site.

    `objective.Penalized` adds penalty / largest_params for each SE parameter. A block of ratio r has two layers of C x
    C / r weights: 2 C^2 / r parameters, so that lambda C^2 / r is what they cost. Neglected: the biases, C + C / r, of
    which only C / r depends on r: with them r* is larger by the factor (1 + 1 / (2 C))^(1/3), 1 % at C = 16; and that a
    hidden width is a whole number.
    """
    return 2 * penalty / largest_params


@dataclass(frozen=True, slots=True)
class RatioTheory:
    """What trainings say of kappa in loss = L0 + kappa/2 r^2, with r = C / hidden width; and of the best ratio with it.

    kappa:   one for all blocks, in units of the loss; None where the blocks that were trained had one ratio.
    price:   lambda (see `price`); None where the objective has no penalty.
    ratios:  of the blocks that were trained, ascending.
    configurations:  how many were trained, no SE among them.
    """

    kappa: Estimate | None
    price: float | None
    ratios: tuple[float, ...]
    configurations: int

    @property
    def identified(self) -> bool:
        """Whether kappa is above 0, with all of an interval that can be believed: else there is no best ratio."""
        return self.kappa is not None and self.enough and self.kappa.low > 0

    @property
    def enough(self) -> bool:
        """Whether the interval can be believed."""
        return self.configurations >= CONFIGURATIONS

    def best(self, channels: float) -> Estimate | None:
        """r* at a site of so many channels, its ends those of kappa; None where there is no kappa, or no penalty."""
        if self.kappa is None or not self.identified or not self.price:
            return None
        mean, low, high = self.kappa.mean, self.kappa.high, self.kappa.low
        return Estimate(*(best_ratio(self.price, channels, kappa) for kappa in (mean, low, high)))


def kappa_of(ratios: Sequence[float], losses: Sequence[float]) -> Estimate:
    """kappa by least squares of one loss a ratio on r^2 / 2, with Student's interval: for a table that was published.

    Raises ValueError for fewer than three different ratios, which leave nothing to see the noise by.
    """
    if len(set(ratios)) < 3:
        raise ValueError(f"kappa and its interval need at least three different ratios, got {sorted(set(ratios))}")
    squares, y = np.square(ratios) / 2, np.asarray(losses, dtype=float)
    x = squares - squares.mean()
    slope = float(x @ y / (x @ x))
    left, freedom = y - y.mean() - slope * x, len(y) - 2
    half = student_t(LEVEL, freedom) * math.sqrt(float(left @ left) / freedom / float(x @ x))
    return Estimate(slope, slope - half, slope + half)


def best_blocks(space: SearchSpace, kappa: float, penalty: float) -> SEConfig:
    """SE at every site, as theory has it best: at the usual placement, and of the ratios offered there, that of the
    least kappa/2 r^2 + penalty x SE parameters / those of the largest configuration.

    By the widths and the parameters as they are, biases and rounding included, summed over the sites of a choice. Where
    a choice has no option with a block of ours at all of its sites, they stay without.
    """
    places = {site.name: site for site in space.sites}

    def value(choice: Choice, blocks: Blocks) -> float:
        pairs = [(places[name], b) for name, b in zip(choice.sites, blocks, strict=True) if isinstance(b, SEBlock)]
        squares = sum((site.seen(block).channels / block.hidden) ** 2 for site, block in pairs)
        return kappa / 2 * squares + penalty * sum(s.params(b) for s, b in pairs) / space.largest_params

    chosen: dict[str, SEBlock] = {}
    for choice in space.choices:
        ours = [b for b in choice.options.values() if all(isinstance(block, SEBlock) for block in b)]
        usual = [
            blocks
            for blocks in ours
            if all(b and places[n].placement(b) == places[n].usual for n, b in zip(choice.sites, blocks, strict=True))
        ]
        if offered := usual or ours:
            best = min(offered, key=lambda blocks: value(choice, blocks))
            chosen |= {n: b for n, b in zip(choice.sites, best, strict=True) if isinstance(b, SEBlock)}
    return SEConfig(chosen)


def best_gate(means: Array, variances: Array, *, target: float = 1.0, readout: Array | float = 1.0) -> Array:
    """(C,), the gates g that make the expectation of (sum_c w_c g_c X_c - target)^2 least, for a fixed readout w.

    The channels X_c are independent, of means mu_c and variances sigma_c^2 above 0. With u_c = w_c g_c the expectation
    is (sum u_c mu_c - target)^2 + sum u_c^2 sigma_c^2. Its slope in u_c is zero where u_c = (target - sum u mu) mu_c /
    sigma_c^2: so u is proportional to mu_c / sigma_c^2, and by putting that in, target - sum u mu = target / (1 + k),
    with k = sum mu_c^2 / sigma_c^2. The same proportions have the least variance of all unbiased combinations. The
    gates are proportional to mu_c / sigma_c^2 where all w_c are alike; else to that over w_c. Where the readout learns
    too, only the products w_c g_c are determined, and gates alone have no order.
    """
    k = float(np.sum(means**2 / variances))
    gates: Array = target / (1 + k) * means / variances / readout
    return gates


def shrunken(coefficient: Array | float, variance: Array | float, penalty: Array | float) -> Array | float:
    """The g that makes the expectation of (b x - g x)^2 + penalty g^2 least: b variance / (variance + penalty).

    x has mean 0 and the variance given, b is the coefficient without a penalty. The expectation is variance (b - g)^2 +
    penalty g^2, of slope zero there. The factor is between 0 and 1, falls with the penalty and rises with the variance:
    a ridge regression of one predictor. With noise of variance sigma^2 on x instead of a penalty it is Wiener's filter.
    """
    return coefficient * variance / (variance + penalty)


def gate_macs(channels: int, ratio: float, locations: int = 1) -> float:
    """Multiply-accumulates of the two layers of a gate: C x C / r twice, 2 C^2 / r, wherever a gate is computed.

    Once for the squeezed gate, O(C^2 / r); at each of the H W locations for the local one, O(H W C^2 / r), whose layers
    are 1x1 convolutions: on a 1 x 1 map they are the same. Squeeze and scale are not counted, of C H W each.
    """
    return 2 * channels**2 / ratio * locations


def rectified(mean: float, sd: float) -> tuple[float, float]:
    """Mean and variance of relu(X) for X normal, sd above 0.

    With a = mean / sd, and Phi and phi the normal distribution and its density: E relu(X) = mean Phi(a) + sd phi(a),
    and E relu(X)^2 = (mean^2 + sd^2) Phi(a) + mean sd phi(a), by parts, from the integral of x^n phi over x > -a.
    """
    a = mean / sd
    above, density = math.erfc(-a / math.sqrt(2)) / 2, math.exp(-(a**2) / 2) / math.sqrt(2 * math.pi)
    first = mean * above + sd * density
    return first, (mean**2 + sd**2) * above + mean * sd * density - first**2


def signal_to_noise(mean: float, variance: float) -> float:
    """mean^2 / variance.

    It is the same for g X as for X, whatever g but 0 is. And relu(g x) = g relu(x) for g at least 0: so a gate of the
    same value before a ReLU gives what it gives behind it, and the same ratio, that of `rectified`, either way. It is
    not so for g below 0; where g is 0 both are 0, and there is no ratio; and where the gate is computed from what it is
    applied to, it has not the same value in both orders.
    """
    return mean**2 / variance
