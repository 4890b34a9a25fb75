"""A LightningDataModule of the user's own as senas's data."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from typing import Any

import torch

from senas.core.imported import imported, spoken
from senas.errors import DataError
from senas.training.augment import Augmentation
from senas.training.data import Counts, Images
from senas.training.seeded import Batch, Batches, Stream

LIGHTNING = ("pytorch_lightning", "lightning")


def custom(*, target: str, options: dict[str, Any], batch_size: int) -> "CustomData":
    """The LightningDataModule that `target` names as `package.module:name`, made with `options`.

    batch_size:  handed over where its constructor takes one and the options have none.
    Raises DataError, ConfigError for the target, in one line for whatever is wrong with it.
    """
    made = imported("data.target", target)
    if not callable(made):
        raise DataError(f"data.target: {target} is no LightningDataModule but {made!r:.60}; name the class")
    try:
        takes_batch_size = "batch_size" in signature(made).parameters
    except (TypeError, ValueError):
        takes_batch_size = False
    arguments = {**({"batch_size": batch_size} if takes_batch_size else {}), **options}
    module = _told(target, "", made, **arguments)
    if not any(cls.__name__ == "LightningDataModule" for cls in type(module).__mro__):
        raise DataError(
            f"data.target: {target} is no LightningDataModule but gives something of type {type(module).__name__}"
        )
    return CustomData(module, target)


class CustomData(Images):
    """A LightningDataModule, with its own loaders, augmentation and workers.

    Its images are taken as they come: mean 0, standard deviation 1. It is set up once, for all trainings, and not torn
    down between them. What is random in its loaders is drawn anew from (seed, epoch), see `Batches`; what is random in
    its hooks on batches from (seed, epoch, index of the batch), whatever was drawn before and by whom.

    Classes are named by the attribute `classes` of the module or of its training dataset, counted by `num_classes`, or
    counted in the labels of the training and validation parts.
    """

    def __init__(self, module: Any, target: str) -> None:
        super().__init__()
        self.module, self.target, self._channels, self._tests = module, target, 0, -1
        self._size: tuple[int, int] | None = None
        self._stream: Stream | None = None
        for part in ("train", "val"):
            if not _defines(module, f"{part}_dataloader"):
                raise DataError(f"data.target: {target} has no {part}_dataloader; senas trains on one and validates")
        _told(target, ".prepare_data", module.prepare_data)
        _told(target, '.setup("fit")', module.setup, "fit")
        train, val = self._batches("train"), self._batches("val")
        (images, labels), (again, _) = train.first(), train.first()
        val.first()
        self.batch_size, self._shape = len(labels), tuple(images.shape[1:])
        if not torch.equal(images, again):
            self.remarks = (
                f"{target}: two passes with one seed gave different images, so a trial cannot be had again exactly; "
                "draw augmentation from torch, numpy.random or random, which senas seeds",
            )
        self._counts, self._length = (train.images, val.images), len(train)
        self.classes = self._named_classes(train, val)
        self.mean, self.std = torch.zeros(self._shape[0]), torch.ones(self._shape[0])

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self._shape
        return self._channels or channels, *(self._size or (height, width))

    @property
    def counts(self) -> Counts:
        """The test part counts 0 until it was asked for: a search has no use for it."""
        return Counts(*self._counts, max(self._tests, 0))

    @property
    def batches(self) -> int:
        return self._length

    def train_dataloader(self) -> Batches:
        return self._batches("train")

    def val_dataloader(self) -> Batches:
        return self._batches("val")

    def test_dataloader(self) -> Batches:
        """Raises DataError where the module has none."""
        if not _defines(self.module, "test_dataloader"):
            raise DataError(f"data.target: {self.target} has no test_dataloader; give it one to test on")
        if self._tests < 0:
            _told(self.target, '.setup("test")', self.module.setup, "test")
            self._tests = self._batches("test").images
        return self._batches("test")

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        # Called first of the three, and with what the loader gave: the others get what the module makes of it.
        self._stream = Stream(*batch.place) if isinstance(batch, Batch) else None
        plain = tuple(batch) if isinstance(batch, Batch) else batch
        with self._drawn():
            return self.module.on_before_batch_transfer(plain, dataloader_idx)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return self.module.transfer_batch_to_device(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        with self._drawn(next((part.device for part in batch if isinstance(part, torch.Tensor)), None)):
            return self.module.on_after_batch_transfer(batch, dataloader_idx)

    def _drawn(self, device: torch.device | None = None) -> AbstractContextManager[None]:
        return self._stream.drawn_from(device) if self._stream else nullcontext()

    def _repeat(self, channels: int) -> None:
        self._channels = channels

    def resize(self, size: tuple[int, int]) -> None:
        self._size = size

    def augment(self, augmentation: Augmentation) -> None:
        if augmentation != Augmentation():
            raise DataError(
                f"trainer.flip and trainer.crop change images that senas loads, not those of {self.target}; its own "
                "train_dataloader can"
            )

    def _batches(self, part: str) -> Batches:
        self.module.trainer = self.trainer  # some loaders ask it for the epoch
        loader = _told(self.target, f".{part}_dataloader", getattr(self.module, f"{part}_dataloader"))
        if isinstance(loader, list | tuple) and len(loader) == 1:
            (loader,) = loader
        if isinstance(loader, list | tuple | Mapping) or not isinstance(loader, Iterable):
            raise DataError(
                f"data.target: {self.target}.{part}_dataloader gives something of type {type(loader).__name__}; senas "
                "takes one DataLoader"
            )
        return Batches(
            loader,
            seed=self.seed if part == "train" else 0,
            channels=self._channels,
            size=self._size,
            classes=len(getattr(self, "classes", ())) or None,
            shape=getattr(self, "_shape", None),
            measured=part != "train",
            source=f"data.target: {self.target}.{part}_dataloader",
        )

    def _named_classes(self, train: Batches, val: Batches) -> tuple[str, ...]:
        for holder in (self.module, *_datasets(train.loader)):
            names = getattr(holder, "classes", None)
            if isinstance(names, list | tuple) and len(names) > 1:
                return tuple(map(str, names))
            count = names if isinstance(names, int) else getattr(holder, "num_classes", None)
            if isinstance(count, int) and count > 1:
                return tuple(map(str, range(count)))
        seen = {label for part in (train, val) for _, labels in part for label in labels.tolist()}
        if len(seen) < 2 or min(seen) < 0:
            raise DataError(
                f"data.target: the labels of {self.target} are {', '.join(map(str, sorted(seen)))}; at least two "
                "classes are needed, counted from 0"
            )
        return tuple(map(str, range(max(seen) + 1)))


def _datasets(loader: Any) -> list[Any]:
    """The dataset of a loader, and those inside it, as in a Subset."""
    inside: list[Any] = []
    dataset = getattr(loader, "dataset", None)
    while dataset is not None and len(inside) < 9:
        inside.append(dataset)
        dataset = getattr(dataset, "dataset", None)
    return inside


def _defines(module: Any, name: str) -> bool:
    """Whether the user's class has the method, and not only Lightning's, which raises."""
    if name in vars(module):
        return True
    owner = next((cls for cls in type(module).__mro__ if name in vars(cls)), object)
    return owner.__module__.partition(".")[0] not in (*LIGHTNING, "builtins")


def _told(target: str, what: str, call: Any, *arguments: Any, **options: Any) -> Any:
    """What the user's code gives; what it raises becomes one line."""
    try:
        return call(*arguments, **options)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # somebody else's code: anything
        given = ", ".join([*map(repr, arguments), *(f"{key}={value!r}" for key, value in options.items())])
        shown = f"{target}{what}" if what else f"{target}({given})"
        raise DataError(f"data.target: {shown} raised {spoken(error)}") from error
