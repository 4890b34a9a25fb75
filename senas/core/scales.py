"""How large each kind of effect is, learned from the data: standard deviations drawn from their posterior.

Numbers y (n,) are a sum of groups of normal effects, each group with a standard deviation of its own, and of noise.
They are integrated over, not set to their likeliest values: the likeliest is often zero, and then the intervals of
all effects of that group are too narrow. The prior is about the share of the variance that all effects together
explain, which may be anything from none to all, and about how the groups divide that share: Zhang, Naughton, Bondell
and Reich, "Bayesian regression using a prior on the model fit: the R2-D2 shrinkage prior", J. American Statistical
Association 117 (2022). A wide prior on each group by itself would say that noise is small before a number was seen.

The draws are those of an ensemble of walkers, which needs no tuning: Goodman and Weare, "Ensemble samplers with
affine invariance", Comm. App. Math. Comp. Sci. 5 (2010).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

WALKERS = 64
BURN_IN, KEPT, APART = 150, 8, 10
"""Steps that are forgotten; ensembles that are kept, and how many steps these lie apart."""
CANDIDATES = 512
TEMPERATURE = 2.0
"""Of places where walkers may begin: above 1 the likeliest few do not take it all; at 4 some of those that begin where
there is no mass stay there, and noise that is small seems to be ten times what it is."""
STRETCH = 2.0  # of the sampler's moves, as its authors have it
SMALLEST, LARGEST = -8.0, 4.0
"""Logarithms of standard deviations, in units of that of y: smaller is nothing to it, larger cannot be."""
CORNER = 1e18  # larger than any y' K^-1 y


def draw_scales(
    y: Array,
    kernels: Sequence[Array],
    rng: np.random.Generator,
    *,
    shares: Sequence[float | None],
    rest: float = 1.0,
    known: Array | None = None,
    effort: float = 1.0,
    likelihood: Callable[[Array], Array] | None = None,
) -> Array:
    """Draws of the standard deviations, (draws, groups + 1), that of the noise last.

    y:        (n,), of mean 0 and standard deviation 1.
    kernels:  for each group the (n, n) covariance of y that its effects give with standard deviation 1; it should add
              1 to the variance of y, so that a share means the same for all.
    shares:   for each group, how much of what is explained it is expected to explain, before anything was seen:
              weights whose sum says how sure that is. None for what belongs to the noise, such as seeds: it is compared
              with the rest of the noise by a half-Cauchy prior.
    rest:     the weight of what is not explained, beside those of `shares`; the less, the larger effects may be.
    known:    (n, n), covariance that is not learned.
    effort:   1 for what is reported, 512 draws; with less, the ensemble walks shorter and fewer draws are kept.
    likelihood:  a quicker way to the logarithm of the density of y, but for a constant, given variances (count,
                 groups + 1).
    """
    stack = np.stack([*kernels, np.eye(len(y))]).reshape(len(kernels) + 1, -1)
    fixed = np.zeros((len(y), len(y))) if known is None else known
    explaining = np.array([share is not None for share in shares], dtype=bool)
    weights = np.array([share for share in shares if share is not None])

    def density(logs: Array) -> Array:
        within = np.clip(logs, SMALLEST, LARGEST)  # beyond, the prior is zero, and no Cholesky factor need exist
        variances = np.exp(2 * within)
        given = likelihood(variances) if likelihood else _likelihood(y, variances @ stack, fixed)
        return given + _prior(logs, explaining, weights, rest)

    walkers = _begin(density, len(stack), rng)
    heights = density(walkers)
    first, second = slice(None, WALKERS // 2), slice(WALKERS // 2, None)
    kept = []
    burn_in, ensembles = round(BURN_IN * effort), max(1, round(KEPT * effort))
    for step in range(burn_in + ensembles * APART):
        for half, others in ((first, second), (second, first)):
            _move(walkers[half], heights[half], walkers[others], density, rng)
        if step >= burn_in and (step - burn_in) % APART == APART - 1:
            kept.append(walkers.copy())
    scales: Array = np.exp(np.concatenate(kept))
    return scales


def _begin(density: Callable[[Array], Array], dimension: int, rng: np.random.Generator) -> Array:
    """Where the walkers begin: of many places, where groups may be anything from nothing to everything, likely ones."""
    places = rng.uniform(SMALLEST, 0.5, (CANDIDATES, dimension))
    places[:, -1] = rng.uniform(-3.0, 0.5, CANDIDATES)  # there is always some noise
    heights = np.concatenate([density(part) for part in np.split(places, CANDIDATES // WALKERS)])
    likely = np.exp((heights - heights.max()) / TEMPERATURE)
    chosen = rng.choice(CANDIDATES, WALKERS, p=likely / likely.sum())
    return np.clip(places[chosen] + rng.normal(0.0, 0.3, (WALKERS, dimension)), SMALLEST + 0.1, LARGEST - 0.1)


def _move(
    walkers: Array, heights: Array, others: Array, density: Callable[[Array], Array], rng: np.random.Generator
) -> None:
    """Each walker, in place, along the line to one of the others."""
    count, dimension = walkers.shape
    root = math.sqrt(STRETCH)
    stretch = (rng.random((count,)) * (root - 1 / root) + 1 / root) ** 2
    pivots = others[rng.integers(len(others), size=count)]
    proposed = pivots + stretch[:, None] * (walkers - pivots)
    reached = density(proposed)
    accepted = np.log(rng.random(count)) < (dimension - 1) * np.log(stretch) + reached - heights
    walkers[accepted], heights[accepted] = proposed[accepted], reached[accepted]


def _likelihood(y: Array, covariances: Array, known: Array) -> Array:
    """Logarithm of the density of y, but for a constant, for each covariance of (count, n * n)."""
    n = len(y)
    bordered = np.empty((len(covariances), n + 1, n + 1))
    bordered[:, :n, :n] = covariances.reshape(-1, n, n) + known
    bordered[:, n, :n] = bordered[:, :n, n] = y  # the last row of the Cholesky factor is then L^-1 y
    bordered[:, n, n] = CORNER
    factors = np.linalg.cholesky(bordered)
    logs = np.log(np.diagonal(factors[:, :n, :n], axis1=1, axis2=2)).sum(1)
    density: Array = -logs - 0.5 * (factors[:, n, :n] ** 2).sum(1)
    return density


def _prior(logs: Array, explaining: npt.NDArray[np.bool_], weights: Array, rest: float) -> Array:
    """Logarithm of the prior density of the logarithms of the standard deviations, but for a constant.

    With w_g the variance of a group over that of the noise, sum(w) / (1 + sum(w)) is the explained share: Beta with the
    sum of the weights and `rest`, uniform where both are 1, and divided by Dirichlet's distribution with these weights.
    """
    inside = ((logs > SMALLEST) & (logs < LARGEST)).all(1)
    ratios = logs[:, :-1] - logs[:, -1:]
    effects, noises = 2 * ratios[:, explaining], ratios[:, ~explaining]
    shares = effects @ weights - (weights.sum() + rest) * np.log1p(np.exp(effects).sum(1))
    cauchy = (noises - np.log1p(np.exp(2 * noises))).sum(1)
    return np.where(inside, shares + cauchy, -np.inf)
