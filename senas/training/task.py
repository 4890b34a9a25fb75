"""The LightningModule: image classification with cross-entropy."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from senas.core.objective import VAL_LOSS_EVEN
from senas.core.recipe import Recipe
from senas.training.metric import OwnMetric

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
}


class Classification(pl.LightningModule):
    """Trains `net`, (B, C, H, W) -> logits (B, classes), and measures it on the validation part after each epoch.

    scores:  of the last epoch: train_loss (with label smoothing), val_loss (without), val_accuracy, val_error, and
             those of `metrics` on the whole validation part, where the loss is finite.
    halves:  of the last epoch: val_loss_even, over every other image of the validation part.
    tested:  test_loss, test_accuracy and test_error, once it was tested.
    """

    def __init__(self, net: nn.Module, recipe: Recipe, metrics: Sequence[OwnMetric] = ()) -> None:
        super().__init__()
        self.net, self.recipe, self.metrics = net, recipe, metrics
        self.scores: dict[str, float] = {}
        self.halves: dict[str, float] = {}
        self.tested: dict[str, float] = {}
        # Sums stay on the device during an epoch; reading them each step would make it wait.
        self._train = _Sums()
        self._val, self._even = _Sums(), _Sums()
        self._predicted: list[tuple[Tensor, Tensor]] = []

    def forward(self, images: Tensor) -> Tensor:
        if self.recipe.channels_last:
            images = images.to(memory_format=torch.channels_last)
        logits: Tensor = self.net(images)
        return logits.float()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        loss = F.cross_entropy(self(images), labels, label_smoothing=self.recipe.label_smoothing)
        self._train.add(loss.detach() * len(labels), None, len(labels))
        return loss

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
        train_loss, _ = self._train.means()
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

    def running_loss(self) -> float:
        """Mean training loss over the part of the epoch that is done. Waits for the device."""
        return self._train.mean()

    def configure_optimizers(self) -> Any:
        recipe, steps = self.recipe, int(self.trainer.estimated_stepping_batches)
        optimizer = OPTIMIZERS[recipe.optimizer](self.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
        scheduler: LRScheduler | None = None
        if recipe.schedule == "one_cycle":
            # At least one step up and one down: a single one has no cycle.
            scheduler = OneCycleLR(optimizer, max_lr=recipe.lr, total_steps=max(steps, 4))
        elif recipe.schedule == "cosine":
            scheduler = CosineAnnealingLR(optimizer, T_max=steps)
        if scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


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

    def mean(self) -> float:
        """Of the losses so far."""
        return float(self.loss) / self.images

    def means(self) -> tuple[float, float]:
        loss, correct = float(self.loss) / self.images, float(self.correct) / self.images
        self._reset()
        return loss, correct
