"""Fronts: dominance, hypervolume, and which point to recommend. All coordinates are minimised."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from senas.errors import ConfigError, ScoreError

Point = Sequence[float]
Cloud = npt.NDArray[np.float64]


def front(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other point dominates, ascending.

    Ties are all kept. As many passes over the points as the front has different ones.
    Raises ScoreError for NaN or infinity, which have no rank.
    """
    cloud = _cloud(points)
    on_front: list[int] = []
    left = np.lexsort(cloud.T[::-1]) if len(cloud) else np.empty(0, dtype=np.intp)
    while left.size:  # what comes first cannot be dominated by what comes later
        lowest, others = cloud[left[0]], cloud[left]
        same = (others == lowest).all(axis=1)
        on_front += left[same].tolist()
        left = left[~(others >= lowest).all(axis=1)]
    return sorted(on_front)


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Volume between the points and `reference`, in the product of the coordinates' units.

    Points that do not beat the reference in every coordinate add nothing. Exact, by slicing along the last
    coordinate: O(n log n) for two coordinates, another factor n for each one more.
    """
    cloud, corner = _cloud(points), _cloud([reference])[0]
    cloud = cloud[(cloud < corner).all(axis=1)] if len(cloud) else cloud
    return _volume(cloud, corner) if len(cloud) else 0.0


def best(values: Sequence[float]) -> int:
    """Index of the lowest value; the first of equals."""
    return int(np.argmin(_cloud([(value,) for value in values])[:, 0]))


def knee(points: Sequence[Point]) -> int:
    """Index of the point of the front farthest below the chord of its ends, axes scaled to [0, 1].

    With more than two coordinates the chord is the hyperplane sum = 1 through the ends of the scaled axes. A front
    of one or two points has no knee: then the point nearest to the ideal corner. Ties: the first.
    Das, "On characterizing the knee of the Pareto curve", Structural Optimization 18 (1999).
    """
    on_front = front(points)
    cloud = _cloud([points[i] for i in on_front])
    low, span = cloud.min(axis=0), np.ptp(cloud, axis=0)
    scaled = (cloud - low) / np.where(span > 0, span, 1.0)
    return on_front[int(np.argmin(scaled.sum(axis=1)))]


def smallest(losses: Sequence[float], sizes: Sequence[float], margin: float) -> int:
    """Index of the smallest size whose loss is within `margin` of the lowest; of equals, the lowest loss."""
    if not margin >= 0:
        raise ConfigError(f"study.margin must be at least 0, got {margin}")
    cloud = _cloud(list(zip(losses, sizes, strict=True)))
    near = np.flatnonzero(cloud[:, 0] <= cloud[:, 0].min() + margin)
    return int(min(near, key=lambda i: (cloud[i, 1], cloud[i, 0])))


def _volume(cloud: Cloud, corner: Cloud) -> float:
    if cloud.shape[1] == 1:
        return float(corner[0] - cloud[:, 0].min())
    order = cloud[np.argsort(cloud[:, -1], kind="stable")]
    tops = np.append(order[1:, -1], corner[-1])
    if cloud.shape[1] == 2:
        heights = corner[0] - np.minimum.accumulate(order[:, 0])
        return float(np.sum(heights * (tops - order[:, 1])))
    return float(
        sum(
            _volume(order[: i + 1, :-1], corner[:-1]) * (top - order[i, -1])
            for i, top in enumerate(tops)
            if top > order[i, -1]
        )
    )


def _cloud(points: Sequence[Point]) -> Cloud:
    cloud = np.asarray(points, dtype=float)
    if not np.isfinite(cloud).all():
        raise ScoreError(f"every score must be a finite number, got {cloud[~np.isfinite(cloud)][0]}")
    return cloud
