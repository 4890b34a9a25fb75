"""A training that is compared with others, in MLflow: named after whose it is, and in that one's colour."""

from dataclasses import dataclass
from typing import ClassVar

from senas.core.trial import Trial
from senas.record.trial_run import COLOR, TrialRuns

COLORS = ("#8C959F", "#0969DA", "#D1242F", "#1A7F37", "#8250DF", "#BF8700", "#BF3989", "#1B7C83")
CONTENDER = "contender"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRuns(TrialRuns):
    """What the runs of a comparison hold. named: the SE configurations that are compared.

    It has no front: several seeds of one configuration are not rivals.
    """

    with_front: ClassVar[bool] = False

    def run_name(self, trial: Trial) -> str:
        return f"{self._contender(trial)}, seed {trial.seed}"

    def marks(self, trial: Trial, on_front: bool) -> dict[str, str]:
        name = self._contender(trial)
        place = list(self.named).index(name) if name in self.named else 0
        return {CONTENDER: name, COLOR: COLORS[place % len(COLORS)]}

    def _contender(self, trial: Trial) -> str:
        return next((name for name, config in self.named.items() if config == trial.config), f"training {trial.number}")
