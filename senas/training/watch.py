"""What goes on beside a training: its scores are kept and passed on, and it is saved after each epoch."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from senas.core.ports import Pulse
from senas.training.batches import seed_of
from senas.training.tally import Tally
from senas.training.task import Classification

PULSE_SECONDS = 5.0
"""Between two pulses amid an epoch. Each reads the loss, for which the device has to finish its work."""


class Watch(pl.Callback):
    """Keeps the scores of each epoch, passes them on, and stops training when told to or when the loss is lost.

    Amid a long epoch it passes on, every few seconds, how far the epoch is and its training loss so far.
    """

    def __init__(
        self,
        seed: int,
        report: Callable[[int, Mapping[str, float]], bool],
        listen: Callable[[Pulse], None] | None = None,
    ) -> None:
        self.seed, self.report, self.listen = seed, report, listen
        self.curve: list[dict[str, float]] = []
        self.halves: dict[str, float] = {}  # of the last epoch
        self.stopped = self.diverged = False
        self.spoken = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.listen is not None:
            _task(pl_module).stepped.append(partial(self._speak, trainer, _task(pl_module)))

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._speak(trainer, _task(pl_module), batch_idx + 1)

    def _speak(self, trainer: pl.Trainer, task: Classification, measured: int = 0) -> None:
        """A pulse, where the last one is long ago; so many batches of the validation part were measured already."""
        if self.due:
            done = (task.batches + measured) / (task.whole + sum(trainer.num_val_batches))
            (loss,) = task.running_losses()
            self.speak(min(done, 1.0), trainer.global_step, loss)

    @property
    def due(self) -> bool:
        """Whether there is somebody to listen, who heard the last pulse long ago."""
        return self.listen is not None and time.monotonic() - self.spoken >= PULSE_SECONDS

    def speak(self, share: float, steps: int, loss: float) -> None:
        """A pulse, with this share of the epoch behind it and this training loss over that part."""
        if self.listen is not None:
            scores = {"train_loss": loss} if _finite(loss) else {}
            self.listen(Pulse(len(self.curve) + share, steps, scores))
            self.spoken = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"curve": self.curve, "halves": self.halves}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.curve, self.halves = state_dict["curve"], state_dict.get("halves", {})

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # Whatever is random inside the network, such as dropout, is so by (seed, epoch) alone: a training that goes on
        # from a checkpoint draws what one that was never broken off does. Not at the start of the epoch: making the
        # data loader's iterator draws a number, before it or after it.
        if batch_idx == 0:
            torch.manual_seed(seed_of(self.seed, trainer.current_epoch))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.hear(_task(pl_module).tally, trainer.max_epochs)
        trainer.should_stop = trainer.should_stop or self.over

    def hear(self, tally: Tally, epochs: int | None) -> None:
        """What an epoch came to, of so many that are planned."""
        scores, self.halves = dict(tally.scores), dict(tally.halves)
        self.diverged = not all(map(_finite, scores.values()))
        if not self.diverged:
            self.curve.append(scores)
            self.stopped = self.report(len(self.curve), scores) and len(self.curve) != epochs
            self.spoken = time.monotonic()

    @property
    def over(self) -> bool:
        """Whether it was told to stop, or there is nothing to go on with."""
        return self.stopped or self.diverged


class Saved(pl.Callback):
    """Saves the training after each epoch: whole or not at all, so that a kill in the middle costs an epoch at most."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        trainer.save_checkpoint(partial)
        partial.replace(self.path)


def _task(module: pl.LightningModule) -> Classification:
    assert isinstance(module, Classification)
    return module


def _finite(value: float) -> bool:
    return value - value == 0
