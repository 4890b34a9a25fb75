"""What an epoch came to: losses and scores, added up on the device and read once it is over."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from senas.core.objective import VAL_LOSS_EVEN
from senas.training.metric import OwnMetric


class Losses:
    """Mean losses of an epoch's batches, as they come: of one network, or of several beside each other."""

    def __init__(self) -> None:
        self.folded: list[Tensor] = []
        self.newest: list[Tensor] = []
        self.images: list[int] = []

    def add(self, loss: Tensor, images: int) -> None:
        """The mean loss of a batch of so many images, without a gradient: (), or (K,) of K networks."""
        self.newest.append(loss)
        self.images.append(images)

    def fold(self) -> None:
        """Makes one tensor of many; an epoch may have very many."""
        if self.newest:
            self.folded.append(torch.stack(self.newest))
            self.newest.clear()

    def means(self) -> list[float]:
        """Over the images so far, of each network. Waits for the device."""
        self.fold()
        losses = torch.cat(self.folded).cpu()
        weighted = losses.reshape(len(losses), -1) * torch.tensor(self.images, dtype=torch.float32)[:, None]
        return [_total(column) / sum(self.images) for column in weighted.T.tolist()]


class Tally:
    """What one network scores on the images that it is measured on, (B, classes) logits after logits.

    scores:  of the last epoch: train_loss (with label smoothing), val_loss (without), val_accuracy, val_error, and
             those of `metrics` on the whole validation part, where the loss is finite.
    halves:  of the last epoch: val_loss_even, over every other image of the validation part.
    tested:  test_loss, test_accuracy and test_error, once it was tested.
    """

    def __init__(self, metrics: Sequence[OwnMetric]) -> None:
        self.metrics = metrics
        self.scores: dict[str, float] = {}
        self.halves: dict[str, float] = {}
        self.tested: dict[str, float] = {}
        self._all, self._even = _Sums(), _Sums()
        self._predicted: list[tuple[Tensor, Tensor]] = []

    def validated(self, logits: Tensor, labels: Tensor) -> None:
        """A batch of the validation part was measured."""
        first = self._all.images % 2  # the place of an image in the part, not in its batch
        self.measured(logits, labels)
        logits_even, labels_even = logits[first::2], labels[first::2]
        self._even.add(F.cross_entropy(logits_even, labels_even, reduction="sum"), None, len(labels_even))
        if self.metrics:
            self._predicted.append((logits, labels))

    def measured(self, logits: Tensor, labels: Tensor) -> None:
        """A batch was."""
        correct = (logits.argmax(1) == labels).sum()
        self._all.add(F.cross_entropy(logits, labels, reduction="sum"), correct, len(labels))

    def validation_ended(self, train_loss: float) -> None:
        """Sets `scores` and `halves`. Waits for the device."""
        val_loss, val_accuracy = self._all.means()
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

    def test_ended(self) -> None:
        """Sets `tested`."""
        loss, accuracy = self._all.means()
        self.tested = {"test_loss": loss, "test_accuracy": accuracy, "test_error": 1 - accuracy}


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


def _total(numbers: Sequence[float]) -> float:
    """One after another: Python's sum rounds by another rule from 3.12 on."""
    total = 0.0
    for number in numbers:
        total += number
    return total
