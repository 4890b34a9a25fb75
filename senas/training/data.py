"""What every dataset becomes: labelled images in three parts, most of them in memory.

Which images are in which part depends on the split seed alone, the order of the batches on (seed, epoch) alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Sampler

from senas.errors import DataError

VALIDATION_BATCH = 500


@dataclass(frozen=True, slots=True)
class Part:
    """Images (N, C, H, W), float32 in [0, 1], and their labels (N,), int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, indices: npt.NDArray[np.intp]) -> "Part":
        """The images at these places."""
        return Part(self.images[indices], self.labels[indices])

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


class Images(pl.LightningDataModule):
    """Labelled images in three parts: what senas needs of data. The test part is never handed to a search.

    classes:     names of the classes, in the order of the labels.
    mean, std:   (C,), of pixels in [0, 1]: the loaders yield (pixel - mean) / std.
    batch_size:  images in a training batch.
    seed:        of the training batches, whose order depends on (seed, epoch) alone. Set before each training.
    contents:    digest of the images, where the configuration does not say what they are; "" where it does.
    remarks:     what people should know about the data, a line each.
    """

    classes: tuple[str, ...]
    mean: Tensor
    std: Tensor
    batch_size: int
    seed: int = 0
    contents: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        raise NotImplementedError

    @property
    def counts(self) -> Counts:
        """Images in each part."""
        raise NotImplementedError

    def train_dataloader(self) -> Iterable[Any]:
        raise NotImplementedError

    def val_dataloader(self) -> Iterable[Any]:
        raise NotImplementedError

    def test_dataloader(self) -> Iterable[Any]:
        """Raises DataError where there are no test images."""
        raise NotImplementedError

    def repeat_channels(self, channels: int) -> None:
        """Make grey images have `channels` equal channels. Raises DataError for images that are not grey."""
        if self.shape[0] == channels:
            return
        if self.shape[0] != 1:
            raise DataError(f"the backbone takes {channels} channels, and the images have {self.shape[0]}")
        self._repeat(channels)
        self.mean, self.std = self.mean.repeat(channels), self.std.repeat(channels)

    def _repeat(self, channels: int) -> None:
        """As `repeat_channels`, for images that are grey."""
        raise NotImplementedError

    def resize(self, size: tuple[int, int]) -> None:
        """Have the loaders scale images to (height, width), batch by batch; see `scaled`."""
        raise NotImplementedError


class ImageData(Images):
    """Images in memory, normalised by the mean and standard deviation of the training part.

    Takes images in [0, 1].
    """

    def __init__(
        self,
        train: Part,
        val: Part,
        test: Part,
        *,
        classes: tuple[str, ...],
        batch_size: int,
        contents: str = "",
        remarks: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        if not 1 <= batch_size <= len(train):
            raise DataError(
                f"trainer.batch_size must be between 1 and {len(train)}, the training images there are, "
                f"got {batch_size}"
            )
        self.classes, self.batch_size, self.contents, self.remarks = classes, batch_size, contents, remarks
        self.mean = train.images.mean((0, 2, 3))
        self.std = train.images.std((0, 2, 3)).clamp_min(1e-6)
        self.train, self.val, self.test = (self._normalised(part) for part in (train, val, test))
        self.size: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        _, channels, height, width = self.train.images.shape
        return channels, *(self.size or (height, width))

    @property
    def counts(self) -> Counts:
        return Counts(len(self.train), len(self.val), len(self.test))

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return self._loader(self.train, ShuffledBatches(len(self.train), self.batch_size, self.seed))

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return self._loader(self.val, OrderedBatches(len(self.val), VALIDATION_BATCH))

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return self._loader(self.test, OrderedBatches(len(self.test), VALIDATION_BATCH))

    def _repeat(self, channels: int) -> None:
        self.train, self.val, self.test = (
            Part(part.images.repeat(1, channels, 1, 1), part.labels) for part in (self.train, self.val, self.test)
        )

    def resize(self, size: tuple[int, int]) -> None:
        self.size = size

    def _loader(self, part: Part, batches: Sampler[Tensor]) -> DataLoader[tuple[Tensor, ...]]:
        # A whole batch is one index into the tensors: no collation of single images.
        return DataLoader(_Scaled(part, self.size), sampler=batches, batch_size=None)

    def _normalised(self, part: Part) -> Part:
        return Part((part.images - self.mean[:, None, None]).div_(self.std[:, None, None]), part.labels)


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


class _Scaled(Dataset[tuple[Tensor, ...]]):
    """A part, whose images are scaled as they are taken: all of them at once could be more than memory holds."""

    def __init__(self, part: Part, size: tuple[int, int] | None) -> None:
        self.part, self.size = part, size

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, indices: Tensor) -> tuple[Tensor, ...]:
        images = self.part.images[indices]
        return scaled(images, self.size) if self.size else images, self.part.labels[indices]


def scaled(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (B, C, H, W) at another height and width: bilinear, with antialiasing where it makes them smaller."""
    return F.interpolate(images, size, mode="bilinear", antialias=True)
