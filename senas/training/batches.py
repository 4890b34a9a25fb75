"""Batches of images in memory: many at a time for training, in an order that depends on (seed, epoch) alone."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from senas.training.augment import Augmentation

VALIDATION_BATCH = 500
Change = Callable[[Tensor], Tensor]
"""Of images (B, C, H, W), which keep their shape."""


class Take(Protocol):
    """Images of a part and their labels, at these places, changed on the way."""

    def __call__(self, places: Tensor | slice, change: Change | None = None) -> tuple[Tensor, Tensor]: ...


class Chunk(NamedTuple):
    """Batches of `batch_size` images that were taken at once: images (k * batch_size, C, H, W) and their labels."""

    images: Tensor
    labels: Tensor
    batch_size: int

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Views of them, one after another."""
        return zip(*(torch.split(part, self.batch_size) for part in (self.images, self.labels)), strict=True)


AUGMENTED = 1
"""What is drawn from another stream than the order of the images, so that neither hangs on the other."""


def seed_of(seed: int, epoch: int, *stream: int) -> int:
    """What everything random in an epoch of a training with `seed` is drawn from; of several streams, one each."""
    return int(np.random.SeedSequence((seed, epoch, *stream)).generate_state(1, np.uint64)[0] >> 1)


class ShuffledBatches:
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
        return self.together(1)

    def together(self, batches: int) -> Iterator[Tensor]:
        """Indices of so many batches at a time, or of those that are left."""
        generator = torch.Generator().manual_seed(seed_of(self.seed, self.epoch))
        order = torch.randperm(self.images, generator=generator)[: len(self) * self.batch_size]
        return iter(torch.split(order, batches * self.batch_size))


class Shuffled:
    """The training batches of an epoch, so many at a time. `sampler` is where Lightning looks for `set_epoch`."""

    batch_sampler = None

    def __init__(self, sampler: ShuffledBatches, together: int, take: Take, augmentation: Augmentation) -> None:
        self.sampler, self.together, self.take, self.augmentation = sampler, together, take, augmentation

    def __len__(self) -> int:
        return -(-len(self.sampler) // self.together)

    def __iter__(self) -> Iterator[Chunk]:
        sampler = self.sampler
        drawn = self.augmentation.drawn(sampler.images, seed_of(sampler.seed, sampler.epoch, AUGMENTED))
        for places in sampler.together(self.together):
            yield Chunk(*self.take(places, partial(drawn.of, places=places) if drawn else None), sampler.batch_size)


class Ordered:
    """Batches of a part that is measured, first image to last, the last batch as large as it is."""

    def __init__(self, images: int, take: Take) -> None:
        self.images, self.take = images, take

    def __len__(self) -> int:
        return -(-self.images // VALIDATION_BATCH)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for first in range(0, self.images, VALIDATION_BATCH):
            yield self.take(slice(first, first + VALIDATION_BATCH))


def scaled(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (B, C, H, W) at another height and width: bilinear, with antialiasing where it makes them smaller."""
    return F.interpolate(images, size, mode="bilinear", antialias=True)
