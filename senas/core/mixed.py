"""Numbers that are sums of groups of normal effects and noise: draws of every effect, and of how large each kind is.

The standard deviation of each group is learned (see `scales`), and then the effects, given these: by Matheron's rule,
drawn from their prior and moved by what the data differ from what these would give. Lindley and Smith, "Bayes estimates
for the linear model", J. Royal Statistical Society B 34 (1972).
"""

from collections.abc import Sequence

import numpy as np

from senas.core.scales import Array, draw_scales

WIDE = 100.0
"""Standard deviation of what is not shrunken, the mean, in units of that of the numbers: as good as not known."""
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
) -> tuple[Array, Array]:
    """Draws of effects (draws, columns), and of standard deviations (draws, groups + 1), that of the noise last.

    numbers:    (n,).
    free:       (n, columns), how often each number has each effect that is not shrunken; the mean's is the first.
    groups:     the same for each group of effects that share a standard deviation. Columns of effects stand in this
                order, those of `free` first.
    shares:     see `draw_scales`, as for `rest`.
    ensembles:  how many times as many draws there are; `effort` of each: see `draw_scales`.
    """
    centre, unit = numbers.mean(), numbers.std() or 1.0
    y = (numbers - centre) / unit
    kernels = [table @ table.T for table in groups]
    sizes = np.array([_share(kernel) for kernel in kernels])
    scaled, known = [kernel / size for kernel, size in zip(kernels, sizes, strict=True)], WIDE**2 * free @ free.T
    walks = [
        draw_scales(y, scaled, rng, shares=shares, rest=rest, known=known, effort=effort) for _ in range(ensembles)
    ]
    scales = np.concatenate(walks)
    scales[:, :-1] /= np.sqrt(sizes)
    kinds = np.column_stack([np.full(len(scales), WIDE), scales[:, :-1]])
    columns = [table.shape[1] for table in (free, *groups)]
    draws = _given_scales(y, np.hstack([free, *groups]), np.repeat(kinds, columns, axis=1), scales[:, -1], rng) * unit
    draws[:, 0] += centre
    return draws, scales * unit


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
