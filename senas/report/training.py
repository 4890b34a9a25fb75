"""Progress of trainings that are compared: one line each, with whose and which seed it is."""

from collections.abc import Mapping
from typing import Any

from senas.core.config import SEConfig
from senas.core.standing import Standing
from senas.core.trial import Status, Trial
from senas.report.progress import SearchProgress


class TrainingProgress(SearchProgress):
    """Listens to a comparison. contenders: SE configurations by name."""

    def __init__(self, *arguments: Any, contenders: Mapping[str, SEConfig], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.contenders = contenders

    def _line(self, trial: Trial, standing: Standing) -> str:
        name = next((name for name, config in self.contenders.items() if config == trial.config), "?")
        head = f"training {len(standing.trials):>3} of {self.total}  seed {trial.seed}  {name}"
        if trial.status is Status.FAILED:
            return f"{head}: failed, {trial.reason}"
        scores = trial.scores
        return (
            f"{head}: test loss {scores['test_loss']:.4f}  acc {scores['test_accuracy']:.2%}  "
            f"(val loss {scores['val_loss']:.4f})  {trial.seconds:.1f} s"
        )
