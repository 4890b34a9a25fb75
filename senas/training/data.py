"""What every dataset becomes: labelled images in three parts, most of them in memory.

Which images are in which part depends on the split seed alone.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from torch import Tensor

from senas.errors import DataError
from senas.training.augment import Augmentation
from senas.training.batches import VALIDATION_BATCH, Change, Ordered, Shuffled, ShuffledBatches, Take, scaled
from senas.training.memory import free_on

CHUNK_BATCHES, CHUNK_BYTES = 64, 2**25
"""What is taken at once is at most so many batches, and no more bytes than this unless a single batch has more."""
RESIDENT_SHARE = 0.4
"""A part of the images lies on an accelerator where it takes no more than this share of the memory that is free."""


@dataclass(frozen=True, slots=True)
class Part:
    """Images (N, C, H, W), float32 in [0, 1], and their labels (N,), int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def bytes(self) -> int:
        """Of memory."""
        return self.images.nbytes + self.labels.nbytes

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

    @property
    def batches(self) -> int:
        """Training batches in an epoch."""
        raise NotImplementedError

    def train_dataloader(self) -> Iterable[Any]:
        raise NotImplementedError

    def val_dataloader(self) -> Iterable[Any]:
        raise NotImplementedError

    def test_dataloader(self) -> Iterable[Any]:
        """Raises DataError where there are no test images."""
        raise NotImplementedError

    def plain_training_images(self, most: int) -> Iterable[Any] | None:
        """Batches of at most so many training images, spread over the part evenly, without augmentation; None where
        they cannot be had so."""
        return None

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

    def augment(self, augmentation: Augmentation) -> None:
        """Have the training loader change its images so. Raises DataError where that cannot be."""
        raise NotImplementedError


class ImageData(Images):
    """Images in memory, normalised by the mean and standard deviation of the training part.

    Takes images in [0, 1]. The training loader gives a `Chunk` of batches at a time, the others a batch.
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
        self.augmentation = Augmentation()
        self.device = torch.device("cpu")
        self._near: dict[str, Part] = {}

    @property
    def shape(self) -> tuple[int, int, int]:
        _, channels, height, width = self.train.images.shape
        return channels, *(self.size or (height, width))

    @property
    def counts(self) -> Counts:
        return Counts(len(self.train), len(self.val), len(self.test))

    @property
    def batches(self) -> int:
        return len(self.train) // self.batch_size

    def setup(self, stage: str) -> None:
        if self.trainer:
            self.reside(self.trainer.strategy.root_device)

    def reside(self, device: torch.device) -> None:
        """From now on the loaders take their images from this device, each part moved there once, where it fits."""
        if device != self.device:
            self.device, self._near = device, {}

    def train_dataloader(self) -> Shuffled:
        bytes_a_batch = 4 * math.prod(self.shape) * self.batch_size
        together = max(1, min(CHUNK_BATCHES, CHUNK_BYTES // bytes_a_batch))
        sampler = ShuffledBatches(len(self.train), self.batch_size, self.seed)
        return Shuffled(sampler, together, self._takes("train"), self.augmentation)

    def val_dataloader(self) -> Ordered:
        return Ordered(len(self.val), self._takes("val"))

    def test_dataloader(self) -> Ordered:
        return Ordered(len(self.test), self._takes("test"))

    def plain_training_images(self, most: int) -> Iterable[Any]:
        step, take = -(-len(self.train) // most), self._takes("train")
        for first in range(0, len(self.train), VALIDATION_BATCH * step):
            yield take(slice(first, first + VALIDATION_BATCH * step, step))

    def _repeat(self, channels: int) -> None:
        self.train, self.val, self.test = (
            Part(part.images.repeat(1, channels, 1, 1), part.labels) for part in (self.train, self.val, self.test)
        )
        self._near = {}

    def resize(self, size: tuple[int, int]) -> None:
        self.size = size

    def augment(self, augmentation: Augmentation) -> None:
        side = min(self.shape[1:])
        if augmentation.crop >= side:
            raise DataError(
                f"trainer.crop must be below {side}, the shorter side of the images, got {augmentation.crop}"
            )
        self.augmentation = augmentation

    def _takes(self, name: str) -> Take:
        """What gives images of a part. All of them scaled at once could be more than memory holds."""
        part, pinned = self._nearest(name)

        def taken(places: Tensor | slice, change: Change | None = None) -> tuple[Tensor, Tensor]:
            images, labels = part.images[places], part.labels[places]
            if self.size:
                images = scaled(images, self.size)
            if change:
                images = change(images)
            return (images.pin_memory(), labels.pin_memory()) if pinned else (images, labels)

        return taken

    def _nearest(self, name: str) -> tuple[Part, bool]:
        """A part, on the device where it fits, and whether its images travel there batch by batch."""
        part: Part = getattr(self, name)
        if self.device.type in ("cpu", "mps"):  # whose memory is the machine's
            return part, False
        if name not in self._near and part.bytes <= RESIDENT_SHARE * free_on(self.device):
            self._near[name] = Part(part.images.to(self.device), part.labels.to(self.device))
        return self._near.get(name, part), name not in self._near

    def _normalised(self, part: Part) -> Part:
        return Part((part.images - self.mean[:, None, None]).div_(self.std[:, None, None]), part.labels)
