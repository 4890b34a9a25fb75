"""A measure of the user's own on the validation part, besides loss and error."""

import inspect
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from senas.core.imported import imported, spoken
from senas.core.objective import METRICS, VAL_LOSS_EVEN
from senas.errors import ConfigError

TAKEN = {
    *METRICS,
    VAL_LOSS_EVEN,
    "train_loss",
    "val_accuracy",
    "test_loss",
    "test_accuracy",
    "test_error",
    "seconds",
    "se_share",
}
"""Names of scores that senas gives itself."""
TRIED = 20
"""Made-up images a class on which a metric is tried before anything is trained."""


@dataclass(frozen=True, slots=True)
class OwnMetric:
    """A function (logits (N, classes) float32, labels (N,) int64) -> one number; both tensors are on the CPU.

    name:      of the score: that of the function.
    maximise:  whether more is better.
    target:    where it comes from, for errors.
    """

    name: str
    function: Any
    maximise: bool
    target: str

    def __call__(self, logits: Tensor, labels: Tensor) -> float:
        """Raises ConfigError, in one line, where it raises, or gives something else than one finite number."""
        try:
            with torch.random.fork_rng(devices=[]):
                given = self.function(logits, labels)
                value = float(given)
            if callable(reset := getattr(self.function, "reset", None)):
                reset()  # one of torchmetrics would remember every image it saw
        except MemoryError:
            raise
        except Exception as error:  # somebody else's code: anything
            raise ConfigError(f"objective.metric: {self.target} raised {spoken(error)}") from error
        if not math.isfinite(value):
            raise ConfigError(f"objective.metric: {self.target} gave {value}; it must give one finite number")
        return value

    def check(self, classes: int) -> None:
        """Tries it on made-up predictions. Raises as calling it does."""
        random = torch.Generator().manual_seed(0)
        self(torch.randn(TRIED * classes, classes, generator=random), torch.arange(TRIED * classes) % classes)


def own_metric(target: str, mode: str | None, classes: int) -> OwnMetric:
    """What `target` names as `package.module:name`: a function, or a class or object of torchmetrics' kind.

    mode:     `max` or `min`; None takes its attribute `higher_is_better`, and `max` where it has none.
    classes:  handed to the constructor of a class that takes `num_classes`.
    Raises ConfigError where there is no such thing, or where it cannot be called.
    """
    found: Any = imported("objective.metric", target)
    name = target.rpartition(":")[2].rpartition(".")[2]
    if name in TAKEN:
        raise ConfigError(f'objective.metric: "{name}" is the name of a score of senas; rename your function')
    if mode not in ("max", "min", None):
        raise ConfigError(f'objective.mode must be max, min or null, got "{mode}"')
    if inspect.isclass(found):
        try:
            takes_classes = "num_classes" in inspect.signature(found).parameters
            options = {"num_classes": classes} if takes_classes else {}
            found = found(**options)
        except Exception as error:  # somebody else's code: anything
            raise ConfigError(f"objective.metric: {target} cannot be made: {spoken(error)}") from error
    if not callable(found):
        raise ConfigError(
            f"objective.metric: {target} is no function but {found!r:.60}; it must take (logits, labels) and give a "
            "number"
        )
    higher = getattr(found, "higher_is_better", None)
    maximise = mode == "max" if mode else higher is not False
    return OwnMetric(name, found, maximise, target)
