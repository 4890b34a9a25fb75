"""Numbers that are sums of groups of normal effects and noise: draws of every effect, and of how large each kind is.

The standard deviation of each group is learned (see `scales`), and then the effects, given these: by Matheron's rule,
drawn from their prior and moved by what the data differ from what these would give. Lindley and Smith, "Bayes estimates
for the linear model", J. Royal Statistical Society B 34 (1972).
"""

from collections.abc import Sequence

import numpy as np

from senas.core.gram import Gram
from senas.core.scales import Array, draw_scales

WIDE = 100.0
"""Standard deviation of what is not shrunken, the mean, in units of that of the numbers: as good as not known."""
FEWER = 1.5
"""How many numbers a column of effects there have to be for sums of products to be quicker than covariances."""
AT_ONCE = 4_000_000
"""Numbers in the covariances that are in memory together."""


def draw_effects(
    numbers: Array,
    free: Array,
    groups: Sequence[Array],
    shares: Sequence[float | None],
    rng: np.random.Generator,
    *,
    rest: float = 1.0,
    ensembles: int = 1,
    effort: float = 1.0,
    own: int | None = None,
    scales: Array | None = None,
) -> tuple[Array, Array]:
    """Draws of effects (draws, columns), and of standard deviations (draws, groups + 1), that of the noise last.

    numbers:    (n,).
    free:       (n, columns), how often each number has each effect that is not shrunken; the mean's is the first.
    groups:     the same for each group of effects that share a standard deviation. Columns of effects stand in this
                order, those of `free` first.
    shares:     see `draw_scales`, as for `rest`.
    ensembles:  how many times as many draws there are; `effort` of each: see `draw_scales`.
    own:        a group of which each number has one effect, once; where numbers are many, that is quicker to know.
    scales:     standard deviations that are known, (draws, groups + 1): these are not drawn.
    """
    centre, unit = numbers.mean(), numbers.std() or 1.0
    y = (numbers - centre) / unit
    gram = None if own is None else _gram(y, free, groups, own)
    if scales is None:
        drawn = _scales(y, free, groups, gram, shares, rng, rest=rest, ensembles=ensembles, effort=effort)
    else:
        drawn = scales / unit
    kinds = np.column_stack([np.full(len(drawn), WIDE), drawn[:, :-1]])
    columns = [table.shape[1] for table in (free, *groups)]
    if gram is None or own is None:
        table, spread = np.hstack([free, *groups]), np.repeat(kinds, columns, axis=1)
        draws = _given_scales(y, table, spread, drawn[:, -1], rng) * unit
    else:
        others, owns = gram.draw(np.column_stack([kinds, drawn[:, -1]]) ** 2, rng)
        place = sum(columns[: own + 1])
        draws = np.hstack([others[:, :place], owns, others[:, place:]]) * unit
    draws[:, 0] += centre
    return draws, drawn * unit


def _scales(
    y: Array,
    free: Array,
    groups: Sequence[Array],
    gram: Gram | None,
    shares: Sequence[float | None],
    rng: np.random.Generator,
    *,
    rest: float,
    ensembles: int,
    effort: float,
) -> Array:
    """Draws of the standard deviations, (draws, groups + 1), in units of that of the numbers."""
    kernels = [table @ table.T for table in groups]
    sizes = np.array([_share(kernel) for kernel in kernels])
    scaled, known = [kernel / size for kernel, size in zip(kernels, sizes, strict=True)], WIDE**2 * free @ free.T

    def density(variances: Array) -> Array:
        assert gram is not None
        learned = np.column_stack([variances[:, :-1] / sizes, variances[:, -1]])
        return gram.density(np.column_stack([np.full(len(learned), WIDE**2), learned]))

    quick = density if gram else None
    walks = [
        draw_scales(y, scaled, rng, shares=shares, rest=rest, known=known, effort=effort, likelihood=quick)
        for _ in range(ensembles)
    ]
    scales = np.concatenate(walks)
    scales[:, :-1] /= np.sqrt(sizes)
    return scales


def _gram(y: Array, free: Array, groups: Sequence[Array], own: int) -> Gram | None:
    """None where the covariance of the numbers is the smaller one."""
    others = [free, *(table for n, table in enumerate(groups) if n != own)]
    columns = [table.shape[1] for table in others]
    if sum(columns) * FEWER > len(y):
        return None
    kinds = np.array([0, *(n + 1 for n in range(len(groups)) if n != own)])
    return Gram(y, np.hstack(others), np.repeat(kinds, columns), groups[own].argmax(1), own + 1)


def _share(kernel: Array) -> float:
    """The variance of the numbers, but for their mean, that effects of standard deviation 1 give."""
    return float(np.trace(kernel) / len(kernel) - kernel.mean()) or 1.0


def _given_scales(y: Array, table: Array, spread: Array, noise: Array, rng: np.random.Generator) -> Array:
    """One draw of all effects for each draw of the standard deviations: (draws, columns)."""
    prior = rng.normal(size=spread.shape) * spread
    shown = prior @ table.T + rng.normal(size=(len(spread), len(y))) * noise[:, None]
    weights = np.empty_like(shown)
    at_once = max(1, AT_ONCE // len(y) ** 2)
    for first in range(0, len(spread), at_once):
        part = slice(first, first + at_once)
        covariance = np.einsum("nc,sc,mc->snm", table, spread[part] ** 2, table, optimize=True)
        covariance += noise[part, None, None] ** 2 * np.eye(len(y))
        weights[part] = np.linalg.solve(covariance, (y - shown[part])[:, :, None])[:, :, 0]
    moved: Array = prior + spread**2 * (weights @ table)
    return moved
