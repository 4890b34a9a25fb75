"""Which image goes to which part: decided by labels and seed alone, with every class in proportion."""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from senas.errors import DataError

Labels = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]


def by_share(labels: Labels, sizes: Sequence[float], seed: int) -> list[Indices]:
    """Indices of len(sizes) + 1 parts: those of the given shares, then the rest; ascending in each.

    Raises DataError for shares that leave a part, or the rest, without images.
    """
    if any(not 0 < size < 1 for size in sizes) or sum(sizes) >= 1:
        raise DataError(f"data.val and data.test must be shares above 0 that leave some images, got {list(sizes)}")
    place, members = _place_within_class(labels, seed)
    rank = (place + 0.5) / members
    edges = np.cumsum((0.0, *sizes, 1.0))
    edges[-1] = np.inf
    picks = [np.flatnonzero((rank >= low) & (rank < high)) for low, high in itertools.pairwise(edges)]
    if not all(map(len, picks)):
        raise DataError(
            f"data.val, data.test: a part would have none of the {len(labels)} images; give more, or larger shares"
        )
    return picks


def by_count(labels: Labels, count: int, seed: int, key: str) -> tuple[Indices, Indices]:
    """Indices of exactly `count` images, each class with its share of them, and of the rest; ascending in both.

    Shares are rounded down, and what is then missing goes to the classes that lost most by it; of equals, to the first.
    Raises DataError, naming the key, for a count that leaves either part without images.
    """
    if not 1 <= count < len(labels):
        raise DataError(f"{key} must be between 1 and {len(labels) - 1}, the images there are but one, got {count}")
    classes, members = np.unique(labels, return_counts=True)
    quota, remainder = np.divmod(members * count, len(labels))
    quota[np.argsort(-remainder, kind="stable")[: count - quota.sum()]] += 1
    place, _ = _place_within_class(labels, seed)
    taken = place < quota[np.searchsorted(classes, labels)]
    return np.flatnonzero(taken), np.flatnonzero(~taken)


def _place_within_class(labels: Labels, seed: int) -> tuple[Labels, Labels]:
    """For each image its random place among those of its class, from 0, and how many these are."""
    rng = np.random.default_rng(seed)
    place, members = np.empty_like(labels), np.empty_like(labels)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        place[rng.permutation(of_class)] = np.arange(len(of_class))
        members[of_class] = len(of_class)
    return place, members
