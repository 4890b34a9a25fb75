"""Image classification data, in memory: what every dataset becomes.

Which images are in which part depends on the split seed alone, the order of the batches on (seed, epoch) alone.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, TensorDataset

from senas.errors import DataError

VALIDATION_BATCH = 500


@dataclass(frozen=True, slots=True)
class Part:
    """Images (N, C, H, W), float32 in [0, 1], and their labels (N,), int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, count: int | None, key: str) -> "Part":
        """The first `count`. Raises DataError, naming the key, where there are fewer."""
        if count is not None and not 1 <= count <= len(self):
            raise DataError(f"{key} must be between 1 and {len(self)}, the images there are, got {count}")
        return Part(self.images[:count], self.labels[:count])


class Counts(NamedTuple):
    """Images in each part."""

    train: int
    val: int
    test: int


class ImageData(pl.LightningDataModule):
    """Three parts of one dataset, normalised by the mean and standard deviation of the training part.

    classes:   names of the classes, in the order of the labels.
    shape:     (C, H, W) of an image. Grey images are repeated where the backbone wants 3 channels.
    The test part is never handed to a search.
    """

    def __init__(self, train: Part, val: Part, test: Part, *, classes: tuple[str, ...], batch_size: int) -> None:
        super().__init__()
        if not 1 <= batch_size <= len(train):
            raise DataError(
                f"trainer.batch_size must be between 1 and {len(train)}, the training images there are, "
                f"got {batch_size}"
            )
        self.classes, self.batch_size, self.seed = classes, batch_size, 0
        self.mean = train.images.mean((0, 2, 3))
        self.std = train.images.std((0, 2, 3)).clamp_min(1e-6)
        self.train, self.val, self.test = (self._normalised(part) for part in (train, val, test))

    @property
    def shape(self) -> tuple[int, int, int]:
        _, channels, height, width = self.train.images.shape
        return channels, height, width

    @property
    def counts(self) -> Counts:
        return Counts(len(self.train), len(self.val), len(self.test))

    def repeat_channels(self, channels: int) -> None:
        """Make grey images have `channels` equal channels. Raises DataError for images that are not grey."""
        if self.shape[0] == channels:
            return
        if self.shape[0] != 1:
            raise DataError(f"the backbone takes {channels} channels, and the images have {self.shape[0]}")
        self.train, self.val, self.test = (
            Part(part.images.repeat(1, channels, 1, 1), part.labels) for part in (self.train, self.val, self.test)
        )
        self.mean, self.std = self.mean.repeat(channels), self.std.repeat(channels)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return _loader(self.train, ShuffledBatches(len(self.train), self.batch_size, self.seed))

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return _loader(self.val, OrderedBatches(len(self.val), VALIDATION_BATCH))

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return _loader(self.test, OrderedBatches(len(self.test), VALIDATION_BATCH))

    def _normalised(self, part: Part) -> Part:
        return Part((part.images - self.mean[:, None, None]) / self.std[:, None, None], part.labels)


def seed_of(seed: int, epoch: int) -> int:
    """What everything random in an epoch of a training with `seed` is drawn from."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0] >> 1)


class ShuffledBatches(Sampler[Tensor]):
    """Indices of each batch, in an order that depends on (seed, epoch) alone. The last, partial batch is left out.

    Lightning calls `set_epoch` before each epoch, also when a training goes on from a checkpoint.
    """

    def __init__(self, images: int, batch_size: int, seed: int) -> None:
        self.images, self.batch_size, self.seed, self.epoch = images, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.images // self.batch_size

    def __iter__(self) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(seed_of(self.seed, self.epoch))
        order = torch.randperm(self.images, generator=generator)
        for batch in range(len(self)):
            yield order[batch * self.batch_size : (batch + 1) * self.batch_size]


class OrderedBatches(Sampler[Tensor]):
    """Indices of each batch, first to last, the last one as large as it is."""

    def __init__(self, images: int, batch_size: int) -> None:
        self.images, self.batch_size = images, batch_size

    def __len__(self) -> int:
        return -(-self.images // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        yield from torch.split(torch.arange(self.images), self.batch_size)


def stratified(part: Part, sizes: tuple[float, ...], seed: int) -> list[Part]:
    """Split into len(sizes) + 1 parts: those of the given shares, then the rest; each with every class in proportion.

    Raises DataError for shares that leave a part, or the rest, without images.
    """
    if any(not 0 < size < 1 for size in sizes) or sum(sizes) >= 1:
        raise DataError(f"data.val and data.test must be shares above 0 that leave some images, got {list(sizes)}")
    labels = part.labels.numpy()
    rank = _rank_within_class(labels, np.random.default_rng(seed))
    edges = np.cumsum((0.0, *sizes, 1.0))
    edges[-1] = np.inf
    picks = [np.flatnonzero((rank >= low) & (rank < high)) for low, high in itertools.pairwise(edges)]
    if empty := [i for i, pick in enumerate(picks) if not len(pick)]:
        raise DataError(f"part {empty[0] + 1} of the data would be empty; there are only {len(part)} images")
    return [Part(part.images[pick], part.labels[pick]) for pick in picks]


def _rank_within_class(labels: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """For each image its random rank among those of its class, in [0, 1)."""
    rank = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        rank[rng.permutation(members)] = (np.arange(len(members)) + 0.5) / len(members)
    return rank


def _loader(part: Part, batches: Sampler[Tensor]) -> DataLoader[tuple[Tensor, ...]]:
    # A whole batch is one index into the tensors: no collation of single images.
    return DataLoader(TensorDataset(part.images, part.labels), sampler=batches, batch_size=None)
