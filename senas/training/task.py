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

from senas.core.recipe import Recipe
from senas.training.batches import Chunk
from senas.training.metric import OwnMetric
from senas.training.tally import Losses, Tally

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
    tally:    what the last epoch, or the test, came to.
    stepped:  called after each step of the optimizer.
    whole:    training batches in an epoch, once it began.
    planned:  steps of the optimizer in the whole training.
    """

    def __init__(
        self, net: nn.Module, recipe: Recipe, metrics: Sequence[OwnMetric] = (), *, logs: bool = False
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net, self.recipe, self.logs = net, recipe, logs
        self.tally = Tally(metrics)
        self.stepped: list[Callable[[], None]] = []
        self.whole = self.planned = 0
        self._backward: Callable[[Tensor], Any] = self.manual_backward
        # Losses and sums stay on the device during an epoch; reading them each step would make it wait.
        self._train = Losses()

    def forward(self, images: Tensor) -> Tensor:
        if self.recipe.channels_last:
            images = images.to(memory_format=torch.channels_last)
        logits: Tensor = self.net(images)
        return wide(logits)

    def on_train_epoch_start(self) -> None:
        self._train = Losses()

    def training_step(self, batch: Chunk | tuple[Tensor, Tensor], batch_idx: int) -> None:
        optimizer: Any = self.optimizers()
        schedule: Any = self.lr_schedulers()
        accumulate = self.recipe.accumulate
        # Lightning casts all of a training step, and only the forward pass and the loss are to be.
        mixed = torch.is_autocast_enabled(self.device.type)
        uncast = torch.autocast(self.device.type, enabled=False) if mixed else nullcontext()
        for images, labels in batch.batches() if isinstance(batch, Chunk) else (batch,):
            loss = self.loss(self(images), labels)
            number = self.batches
            first = number - number % accumulate
            together = min(accumulate, self.whole - first)  # fewer in the last step of an epoch
            self._train.add(loss.detach(), len(labels))
            with uncast:
                if number == first:
                    optimizer.zero_grad()
                whole = loss if loss.dim() == 0 else loss.sum()
                self._backward(whole / together if together > 1 else whole)
                if number + 1 == first + together:
                    optimizer.step()
                    if mixed:  # else the weights that were cast before this step are taken for those after it
                        torch.clear_autocast_cache()
                    if schedule:
                        schedule.step()
                    for told in self.stepped:
                        told()
        self._train.fold()

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """What the gradients of a batch are of: a scalar, or one for each of several networks beside each other."""
        return F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        # Here, and not before the step: with 16-mixed, gradients are scaled until now.
        if self.recipe.clip is not None:
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            nn.utils.clip_grad_norm_(parameters, self.recipe.clip)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        self.tally.validated(self(images), labels)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        self.tally.measured(self(images), labels)

    def on_test_epoch_end(self) -> None:
        self.tally.test_ended()

    def on_validation_epoch_end(self) -> None:
        self.tally.validation_ended(self.running_losses()[0])
        if self.logs:
            self.log_dict(self.tally.scores)

    @property
    def batches(self) -> int:
        """Of the epoch that were trained on so far."""
        return len(self._train.images)

    def running_losses(self) -> list[float]:
        """Mean training loss over the part of the epoch that is done, of each network. Waits for the device."""
        return self._train.means()

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


def wide(logits: Tensor) -> Tensor:
    """In float32 at least: losses of logits that were cast to half of it would be rounded."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _hears_backward(callback: pl.Callback) -> bool:
    hooks = ("on_before_backward", "on_after_backward")
    return any(getattr(type(callback), hook) is not getattr(pl.Callback, hook) for hook in hooks)
