"""Weights that all SE configurations share: trained on configurations that are drawn, and measured by configuration.

One training stands for all, so what a configuration scores here is an indication, not what it would reach by itself.
Source of in-place distillation: Yu and Huang, "Universally Slimmable Networks", arXiv:1903.05134.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR

from senas.core.config import SEConfig
from senas.core.recipe import Recipe
from senas.core.sampling import Step
from senas.model.supernet import Supernet
from senas.training.batches import Chunk
from senas.training.metric import OwnMetric
from senas.training.norms import counting, norms_of
from senas.training.tally import Tally
from senas.training.task import OPTIMIZERS, wide

Batches = Iterable[tuple[Tensor, Tensor]]
"""Images (B, C, H, W) and their labels (B,)."""


def shared_loss(
    supernet: Supernet,
    configs: Sequence[SEConfig],
    images: Tensor,
    labels: Tensor,
    *,
    smoothing: float = 0.0,
    distill: bool = False,
) -> Tensor:
    """Mean cross-entropy of these configurations on a batch, all with the weights that `supernet.net` has.

    distill:  the first configuration alone learns from the labels; the others learn what it answers.
    """
    targets, losses = labels, []
    for number, config in enumerate(configs):
        logits = functional_call(supernet.net, supernet.selection(config), (images,)).float()
        losses.append(F.cross_entropy(logits, targets, label_smoothing=smoothing if number == 0 or not distill else 0))
        if distill and number == 0:
            targets = logits.detach().softmax(1)
    return torch.stack(losses).mean()


class Shared(pl.LightningModule):
    """Trains a supernet's weights; a step of the optimizer is on the configurations that `steps` gives next.

    supernet:  built with `sliced`, so that each configuration reads its part of the weights.
    recipe:    optimizer, learning rate, decay and smoothing are followed; the schedule is always one cycle.
    A batch is images and labels, or a `Chunk` of one batch.
    """

    def __init__(self, supernet: Supernet, steps: Iterator[Step], recipe: Recipe, *, distill: bool = False) -> None:
        super().__init__()
        self.supernet, self.steps, self.recipe, self.distill = supernet, steps, recipe, distill
        self.net = supernet.net

    def on_train_epoch_start(self) -> None:
        self.net.train()  # it may have been measured between epochs

    def training_step(self, batch: Chunk | tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels, *_ = batch
        smoothing = self.recipe.label_smoothing
        return shared_loss(self.supernet, next(self.steps), images, labels, smoothing=smoothing, distill=self.distill)

    def configure_optimizers(self) -> Any:
        recipe, steps = self.recipe, int(self.trainer.estimated_stepping_batches)
        optimizer = OPTIMIZERS[recipe.optimizer](self.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
        schedule = OneCycleLR(optimizer, max_lr=recipe.lr, total_steps=max(steps, 4))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def recalibrate(supernet: Supernet, config: SEConfig, batches: Batches) -> None:
    """Selects the configuration, and sets the statistics of batch norm to its own over these batches.

    During shared training they are a mixture of all configurations'. Without batches they stay as they are.
    """
    net = supernet.select(config).eval()
    batches = list(batches)
    if not batches:
        return
    with torch.no_grad(), counting(norms_of(net)):
        for images, _ in batches:
            net(images)


def measured(
    supernet: Supernet,
    config: SEConfig,
    calibration: Batches,
    validation: Batches,
    metrics: Sequence[OwnMetric] = (),
) -> dict[str, float]:
    """val_loss, val_accuracy, val_error and `metrics` of one configuration with shared weights, its batch norm
    recalibrated before. Where the loss is not finite, there are no `metrics`."""
    recalibrate(supernet, config, calibration)
    tally = Tally(metrics)
    with torch.no_grad():
        for images, labels in validation:
            tally.validated(wide(supernet.net(images)), labels)
    tally.validation_ended(math.nan)
    return {name: value for name, value in tally.scores.items() if name != "train_loss"}
