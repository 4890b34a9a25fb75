"""Batches of a loader of the user's own, looked at, and drawn from (seed, epoch, index) alone."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from senas.core.imported import spoken
from senas.errors import DataError
from senas.training.batches import scaled


class Batch(tuple[Tensor, Tensor]):
    """Images and labels, and the place that they have: what is drawn for them further on is drawn from it alone."""

    place: tuple[int, int, int]  # (seed, epoch, index)


class Batches:
    """A loader whose order and augmentation depend on (seed, epoch) alone, and which checks what it passes on.

    A pass over a part that is only measured is the same in every epoch: epoch 0 of its seed.

    Before each pass, torch, numpy and random are seeded for the loader alone: what is drawn elsewhere, by dropout say,
    moves neither its numbers nor the other way round. Workers take their seeds from it; those that would persist
    between epochs are started anew.

    channels:  grey images are repeated to so many; 0 leaves them.
    size:      (height, width) that images are scaled to; None leaves them.
    classes:   labels must be below; None does not ask.
    shape:     (C, H, W) that images must have; None does not ask.
    measured:  whether the part is only measured.
    source:    of the loader, as errors name it.
    """

    def __init__(
        self,
        loader: Any,
        *,
        seed: int,
        channels: int,
        size: tuple[int, int] | None = None,
        classes: int | None,
        shape: tuple[int, ...] | None,
        measured: bool,
        source: str,
    ) -> None:
        self.loader, self.seed, self.epoch, self.channels = loader, seed, 0, channels
        self.size = size
        self.classes, self.shape, self.measured, self.source = classes, shape, measured, source
        if not len(self):
            raise DataError(f"{source} has no batches")

    batch_sampler = None

    @property
    def sampler(self) -> "Batches":
        """Where Lightning looks for something that wants to be told of the epoch."""
        return self

    def set_epoch(self, epoch: int) -> None:
        if self.measured:
            return
        self.epoch = epoch
        for sampler in _samplers(self.loader):
            if callable(tell := getattr(sampler, "set_epoch", None)):
                tell(epoch)

    def __len__(self) -> int:
        try:
            return len(self.loader)
        except TypeError as error:
            raise DataError(
                f"{self.source} has no length, and the learning rate is planned over its batches; use a dataset "
                "with __len__"
            ) from error

    @property
    def images(self) -> int:
        """How many images a pass has; an estimate where the loader makes its own batches."""
        sampler, size = getattr(self.loader, "sampler", None), getattr(self.loader, "batch_size", None)
        if size is None or sampler is None:
            return len(self) * (len(self.first()[1]))
        images = len(sampler)
        return images - images % size if self.loader.drop_last else images

    def first(self) -> tuple[Tensor, Tensor]:
        """The first batch of a pass."""
        return next(iter(self))

    def __iter__(self) -> Iterator[Batch]:
        stream = Stream(self.seed, self.epoch)
        try:
            with stream.drawn_from():
                for generator in _generators(self.loader):
                    generator.manual_seed(stream.first)
                batches = iter(self.loader)
            for index in count():
                with stream.drawn_from():
                    batch = next(batches, None)
                if batch is None:
                    return
                checked = Batch(self._checked(batch))
                checked.place = self.seed, self.epoch, index
                yield checked
        except (DataError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # somebody else's code: anything
            raise DataError(f"{self.source} raised {spoken(error)}") from error
        finally:
            _end_workers(self.loader)  # those that persist would draw on in the next pass

    def _checked(self, batch: Any) -> tuple[Tensor, Tensor]:
        if not (isinstance(batch, list | tuple) and len(batch) == 2 and all(isinstance(t, Tensor) for t in batch)):
            raise self._refusal(_described(batch))
        images, labels = batch
        fits = images.ndim == 4 and labels.ndim == 1 and len(images) == len(labels) > 0
        if not (fits and images.dtype == torch.float32 and labels.dtype == torch.int64):
            raise self._refusal(_described(batch))
        if self.shape is not None and tuple(images.shape[1:]) != self.shape:
            raise DataError(
                f"{self.source} gives images of {tuple(images.shape[1:])} after others of {self.shape}; make them of "
                "one size in the module's transforms"
            )
        if self.classes is not None and not (0 <= int(labels.min()) <= int(labels.max()) < self.classes):
            raise DataError(
                f"{self.source} gives labels from {int(labels.min())} to {int(labels.max())}, and there are "
                f"{self.classes} classes, counted from 0; mend the labels, or the module's classes"
            )
        images = scaled(images, self.size) if self.size else images
        return images.repeat(1, self.channels, 1, 1) if self.channels else images, labels

    def _refusal(self, seen: str) -> DataError:
        return DataError(
            f"{self.source} gives {seen}; senas takes (images (B, C, H, W) float32, labels (B,) int64): convert them "
            "in the module's transforms or in its collate_fn"
        )


class Stream:
    """Random numbers of torch, numpy and random that go on where they stopped, apart from everybody else's.

    Those of an epoch, or with an index those of one batch of it. On an accelerator each `drawn_from` begins anew.
    """

    def __init__(self, seed: int, epoch: int, index: int | None = None) -> None:
        source = np.random.SeedSequence((seed, epoch), spawn_key=() if index is None else (index,))
        torch_seed, numpy_seed, python_seed = source.generate_state(3, np.uint32)
        self.first = int(torch_seed)
        self.states: tuple[Any, ...] = (
            torch.Generator().manual_seed(self.first).get_state(),
            np.random.RandomState(numpy_seed).get_state(),
            random.Random(int(python_seed)).getstate(),
        )

    @contextmanager
    def drawn_from(self, device: torch.device | None = None) -> Iterator[None]:
        """Makes these the random numbers of the host, and where a device is named, of that accelerator."""
        with undisturbed(device):
            _set_states(self.states)
            if on := _accelerator(device):
                on.manual_seed(self.first)
            try:
                yield
            finally:
                self.states = _states()


@contextmanager
def undisturbed(device: torch.device | None = None) -> Iterator[None]:
    """Whatever is drawn in here, elsewhere the random numbers go on as if it had not been."""
    host, on = _states(), _accelerator(device)
    there = on.get_rng_state() if on else None
    try:
        yield
    finally:
        _set_states(host)
        if on:
            on.set_rng_state(there)


def _accelerator(device: torch.device | None) -> Any:
    """Torch's module for the device, with its random numbers; None for a CPU."""
    return None if device is None or device.type == "cpu" else torch.get_device_module(device)


def _states() -> tuple[Any, ...]:
    return torch.get_rng_state(), np.random.get_state(), random.getstate()


def _set_states(states: tuple[Any, ...]) -> None:
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])


def _samplers(loader: Any) -> list[Any]:
    batches = getattr(loader, "batch_sampler", None)
    return [s for s in (getattr(loader, "sampler", None), batches, getattr(batches, "sampler", None)) if s is not None]


def _generators(loader: Any) -> list[torch.Generator]:
    """Those that the user gave the loader or its samplers."""
    found = (getattr(part, "generator", None) for part in (loader, *_samplers(loader)))
    return [generator for generator in found if isinstance(generator, torch.Generator)]


def _end_workers(loader: Any) -> None:
    """Those that a DataLoader keeps for its next pass."""
    kept = getattr(loader, "_iterator", None)
    if kept is not None:
        kept._shutdown_workers()
        loader._iterator = None


def _described(batch: Any) -> str:
    if isinstance(batch, Tensor):
        return f"{str(batch.dtype).removeprefix('torch.')} {tuple(batch.shape)}"
    if isinstance(batch, list | tuple):
        return f"({', '.join(map(_described, batch))})"
    if isinstance(batch, dict):
        return f"a dict of {', '.join(map(str, batch))}"
    return f"a {type(batch).__name__}"
