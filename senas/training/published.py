"""Datasets that are published as images to train with and images to test on: validation images are split off here."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from senas.errors import DataError
from senas.training.data import ImageData, Part
from senas.training.split import Indices, by_count


@dataclass(frozen=True, slots=True)
class Bytes:
    """Images (N, C, H, W) and their labels (N,), as files have them."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def part(self, indices: Indices | slice = slice(None)) -> Part:
        """The images at these places, in [0, 1]."""
        images = self.images[indices].astype(np.float32)
        images /= 255
        return Part(torch.from_numpy(images), torch.from_numpy(self.labels[indices].copy()))


def published(
    known: Bytes,
    test: Bytes,
    *,
    train: int | None,
    val: int,
    split_seed: int,
    classes: tuple[str, ...],
    batch_size: int,
) -> ImageData:
    """Takes exactly `val` images off the known ones, each class with its share; `train` limits what is left."""
    in_val, rest = by_count(known.labels, val, split_seed, "data.val")
    if train is not None and not 1 <= train <= len(rest):
        raise DataError(f"data.train must be between 1 and {len(rest)}, the images there are, got {train}")
    order = torch.randperm(len(rest), generator=torch.Generator().manual_seed(split_seed)).numpy()
    return ImageData(
        known.part(rest[order][:train]), known.part(in_val), test.part(), classes=classes, batch_size=batch_size
    )


def found(places: list[Path], *names: str) -> Path | None:
    """The first of the places that has one of the files."""
    return next((place for place in places if any((place / name).exists() for name in names)), None)
