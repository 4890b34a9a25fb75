"""A two-way table of losses, (configurations, seeds), NaN where a training failed: least squares, cell by cell.

loss = configuration + seed + residual
"""

import numpy as np

from senas.core.scales import Array


def dummies(losses: Array) -> Array:
    """(cells, configurations + seeds), 1 where a cell that is there belongs to one."""
    rows, columns = np.nonzero(~np.isnan(losses))
    table = np.zeros((len(rows), sum(losses.shape)))
    table[np.arange(len(rows)), rows] = 1.0
    table[np.arange(len(rows)), losses.shape[0] + columns] = 1.0
    return table


def lowered(losses: Array) -> Array:
    """The same table with a lowest loss of 0: of losses that are all alike, zeros, and no rounding errors later on."""
    there = ~np.isnan(losses)
    return losses - losses[there].min() if there.any() else losses


def freedom(losses: Array) -> int:
    """Degrees of freedom of the residuals: cells, less what configurations and seeds take."""
    table = dummies(losses)
    return len(table) - int(np.linalg.matrix_rank(table)) if len(table) else 0


def residuals(losses: Array) -> Array:
    """(cells,): what is left of the cells that are there, row by row."""
    table, values = dummies(losses), losses[~np.isnan(losses)]
    left: Array = values - table @ np.linalg.lstsq(table, values, rcond=None)[0]
    return left


def means(losses: Array) -> Array:
    """(configurations,): as if no cell were missing; NaN where all are.

    The seed's part of a missing cell is what the other configurations say.
    """
    there = ~np.isnan(losses)
    if there.all():
        whole: Array = losses.mean(1)
        return whole
    fitted = np.linalg.lstsq(dummies(losses), losses[there], rcond=None)[0]
    rows, seeds = fitted[: len(losses)], fitted[len(losses) :][there.any(0)]
    return np.where(there.any(1), rows + seeds.mean(), np.nan) if len(seeds) else np.full(len(losses), np.nan)


def reliability(losses: Array) -> float:
    """The part of the variance of trainings by one seed that configurations make, by the method of moments, at least 0.

    NaN where there are too few trainings to see the noise.
    """
    there, left = ~np.isnan(losses), freedom(losses)
    if left < 1:
        return float("nan")
    losses = lowered(losses)
    found = means(losses)[there.any(1)]
    noise = float((residuals(losses) ** 2).sum()) / left
    spread = max(0.0, float(found.var(ddof=1)) - noise * float((1 / there.sum(1)[there.any(1)]).mean()))
    return spread / (spread + noise) if spread + noise else float("nan")
