"""Progress of an audit: a search whose trainings are known beforehand."""

from collections.abc import Collection, Sequence
from typing import Any

from senas.core.config import SEConfig
from senas.core.trial import Trial
from senas.report.progress import SearchProgress


class AuditProgress(SearchProgress):
    """Listens to the training of (configuration, seed) pairs.

    wanted:  all of them, those that are there already too.
    what:    one of them is called in the bar.
    """

    def __init__(
        self, *arguments: Any, wanted: Collection[tuple[SEConfig, int]], what: str = "audit run", **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.wanted, self.what = wanted, what

    def spoken(self, trials: Sequence[Trial]) -> str:
        """How many trainings there are, and how many of them are behind already."""
        done = sum(map(self._counts, trials))
        return f"{self.total} {self.what}s{f', {done} of them there already' if done else ''}"

    def _planned(self, trial: Trial) -> bool:
        return True

    def _counts(self, trial: Trial) -> bool:
        return trial.trained and (trial.config, trial.seed) in self.wanted
