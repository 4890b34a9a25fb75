"""The LightningModule: image classification with cross-entropy, many optimizer steps in each of its training steps."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from senas.core.objective import VAL_LOSS_EVEN
from senas.core.recipe import Recipe
from senas.training.data import Chunk
from senas.training.metric import OwnMetric

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": partial(torch.optim.AdamW, foreach=True),
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True, foreach=True),
}


class Classification(pl.LightningModule):
    """Trains `net`, (B, C, H, W) -> logits (B, classes), and measures it on the validation part after each epoch.

    A training step of Lightning's takes what the loader gives, a batch or a `Chunk` of many, and the optimizer a step
    for each batch in it, or for `recipe.accumulate` of them: what a training comes to does not depend on the chunks.
    Lightning's hooks around a training step are called once a chunk, those around an optimizer step at each.

    logs:     whether scores are among `trainer.callback_metrics` too, for callbacks of the user's own.
    scores:   of the last epoch: train_loss (with label smoothing), val_loss (without), val_accuracy, val_error, and
              those of `metrics` on the whole validation part, where the loss is finite.
    halves:   of the last epoch: val_loss_even, over every other image of the validation part.
    tested:   test_loss, test_accuracy and test_error, once it was tested.
    stepped:  called after each step of the optimizer.
    whole:    training batches in an epoch, once it began.
    planned:  steps of the optimizer in the whole training.
    """

    def __init__(
        self, net: nn.Module, recipe: Recipe, metrics: Sequence[OwnMetric] = (), *, logs: bool = False
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net, self.recipe, self.metrics, self.logs = net, recipe, metrics, logs
        self.scores: dict[str, float] = {}
        self.halves: dict[str, float] = {}
        self.tested: dict[str, float] = {}
        self.stepped: list[Callable[[], None]] = []
        self.whole = self.planned = 0
        self._backward: Callable[[Tensor], Any] = self.manual_backward
        # Losses and sums stay on the device during an epoch; reading them each step would make it wait.
        self._train = _Losses()
        self._val, self._even = _Sums(), _Sums()
        self._predicted: list[tuple[Tensor, Tensor]] = []

    def forward(self, images: Tensor) -> Tensor:
        if self.recipe.channels_last:
            images = images.to(memory_format=torch.channels_last)
        logits: Tensor = self.net(images)
        return logits.float()

    def on_train_epoch_start(self) -> None:
        self._train = _Losses()

    def training_step(self, batch: Chunk | tuple[Tensor, Tensor], batch_idx: int) -> None:
        optimizer: Any = self.optimizers()
        schedule: Any = self.lr_schedulers()
        accumulate, smoothing = self.recipe.accumulate, self.recipe.label_smoothing
        # Lightning casts all of a training step, and only the forward pass and the loss are to be.
        mixed = torch.is_autocast_enabled(self.device.type)
        uncast = torch.autocast(self.device.type, enabled=False) if mixed else nullcontext()
        for images, labels in batch.batches() if isinstance(batch, Chunk) else (batch,):
            loss = F.cross_entropy(self(images), labels, label_smoothing=smoothing)
            number = self.batches
            first = number - number % accumulate
            together = min(accumulate, self.whole - first)  # fewer in the last step of an epoch
            self._train.add(loss.detach(), len(labels))
            with uncast:
                if number == first:
                    optimizer.zero_grad()
                self._backward(loss / together if together > 1 else loss)
                if number + 1 == first + together:
                    optimizer.step()
                    if schedule:
                        schedule.step()
                    for told in self.stepped:
                        told()
        self._train.fold()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        # Here, and not before the step: with 16-mixed, gradients are scaled until now.
        if self.recipe.clip is not None:
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.recipe.clip)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        first = self._val.images % 2  # the place of an image in the part, not in its batch
        logits, labels = self._measured(batch)
        logits_even, labels_even = logits[first::2], labels[first::2]
        self._even.add(F.cross_entropy(logits_even, labels_even, reduction="sum"), None, len(labels_even))
        if self.metrics:
            self._predicted.append((logits, labels))

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._measured(batch)

    def _measured(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The logits of a batch, and its labels, once they are counted."""
        images, labels = batch
        logits = self(images)
        correct = (logits.argmax(1) == labels).sum()
        self._val.add(F.cross_entropy(logits, labels, reduction="sum"), correct, len(labels))
        return logits, labels

    def on_test_epoch_end(self) -> None:
        loss, accuracy = self._val.means()
        self.tested = {"test_loss": loss, "test_accuracy": accuracy, "test_error": 1 - accuracy}

    def on_validation_epoch_end(self) -> None:
        train_loss = self._train.mean()
        val_loss, val_accuracy = self._val.means()
        even, _ = self._even.means()
        self.halves = {VAL_LOSS_EVEN: even}
        self.scores = {
            "train_loss": train_loss,
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
            "val_error": 1 - val_accuracy,
        }
        if self.metrics:
            logits, labels = (torch.cat(parts).cpu() for parts in zip(*self._predicted, strict=True))
            self._predicted.clear()
            if math.isfinite(val_loss):
                self.scores |= {metric.name: metric(logits, labels) for metric in self.metrics}
        if self.logs:
            self.log_dict(self.scores)

    @property
    def batches(self) -> int:
        """Of the epoch that were trained on so far."""
        return len(self._train.images)

    def running_loss(self) -> float:
        """Mean training loss over the part of the epoch that is done. Waits for the device."""
        return self._train.mean()

    def configure_optimizers(self) -> Any:
        recipe = self.recipe
        self.whole = self.trainer.datamodule.batches  # type: ignore[attr-defined]
        self.planned = math.ceil(self.whole / recipe.accumulate) * (self.trainer.max_epochs or 1)
        callbacks = self.trainer.callbacks  # type: ignore[attr-defined]
        if self.trainer.precision != "16-mixed" and not any(map(_hears_backward, callbacks)):
            self._backward = Tensor.backward  # all that is left of it then
        optimizer = OPTIMIZERS[recipe.optimizer](self.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
        scheduler: LRScheduler | None = None
        if recipe.schedule == "one_cycle":
            # At least one step up and one down: a single one has no cycle.
            scheduler = OneCycleLR(optimizer, max_lr=recipe.lr, total_steps=max(self.planned, 4))
        elif recipe.schedule == "cosine":
            scheduler = CosineAnnealingLR(optimizer, T_max=self.planned)
        return optimizer if scheduler is None else ([optimizer], [scheduler])


def _hears_backward(callback: pl.Callback) -> bool:
    hooks = ("on_before_backward", "on_after_backward")
    return any(getattr(type(callback), hook) is not getattr(pl.Callback, hook) for hook in hooks)


class _Losses:
    """Mean losses of an epoch's batches, as they come."""

    def __init__(self) -> None:
        self.folded: list[Tensor] = []
        self.newest: list[Tensor] = []
        self.images: list[int] = []

    def add(self, loss: Tensor, images: int) -> None:
        """The mean loss of a batch of so many images: a scalar without a gradient."""
        self.newest.append(loss)
        self.images.append(images)

    def fold(self) -> None:
        """Makes one tensor of many; an epoch may have very many."""
        if self.newest:
            self.folded.append(torch.stack(self.newest))
            self.newest.clear()

    def mean(self) -> float:
        """Over the images so far. Waits for the device."""
        self.fold()
        losses = torch.cat(self.folded).cpu() * torch.tensor(self.images, dtype=torch.float32)
        total = 0.0
        for loss in losses.tolist():  # one after another: Python's sum rounds by another rule from 3.12 on
            total += loss
        return total / sum(self.images)


class _Sums:
    """Sum of losses and of correct answers over an epoch, and their means once it is over."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.loss: Tensor | float = 0.0
        self.correct: Tensor | float = 0.0
        self.images = 0

    def add(self, loss: Tensor, correct: Tensor | None, images: int) -> None:
        # Apple's GPUs have no double precision.
        self.loss = self.loss + (loss.float() if loss.device.type == "mps" else loss.double())
        self.correct = self.correct + (0.0 if correct is None else correct)
        self.images += images

    def means(self) -> tuple[float, float]:
        loss, correct = float(self.loss) / self.images, float(self.correct) / self.images
        self._reset()
        return loss, correct
