"""What a search asks of its trials that ended, answered without reading all of them again."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from senas.core.config import SEConfig
from senas.core.constraint import Constraints
from senas.core.seeds import Seeds
from senas.core.trial import Status, Trial, Wanted


@dataclass(slots=True)
class History:
    """Trials that ended, added one by one.

    seeds:        that proposals take.
    constraints:  what closed forms rule out by them was never there to be tried.
    screens:      whether proposals are screened; where they are not by now, what was screened out is still to be tried.
    counted:      how many count towards the total.
    """

    seeds: Seeds
    constraints: Constraints
    screens: bool = False
    counted: int = 0
    trained: dict[SEConfig, list[Trial]] = field(default_factory=dict)  # or rejected; not those that repeat another
    tried: set[tuple[SEConfig, int]] = field(default_factory=set)  # with a seed that proposals take
    too_slow: set[SEConfig] = field(default_factory=set)  # whatever the seed is

    def add(self, trial: Trial) -> None:
        self.counted += trial.counts
        if trial.repeats is not None or (trial.screened_out and not self.screens):
            return
        self.trained.setdefault(trial.config, []).append(trial)
        if self.constraints.rules_out(trial.scores):
            return
        if trial.status is Status.REJECTED and trial.config not in self.too_slow:
            self.too_slow.add(trial.config)
            self.tried -= {(trial.config, seed) for seed in self.seeds}
        elif self._is_new(trial):
            self.tried.add((trial.config, trial.seed))

    def earlier(self, asked: Trial | Wanted) -> Trial | None:
        """The trial that already answers this one: same configuration, same seed. The setting is the study's.

        What a network costs does not depend on the seed: one that was rejected is, with every seed. One that a screener
        found not worth a training is no answer to who asks for that training by name, and none where it was trained.
        """
        same = self.trained.get(asked.config, ())
        answers = [t for t in same if t.seed == asked.seed or t.status is Status.REJECTED]
        if isinstance(asked, Wanted) or not asked.proposed:
            answers = [trial for trial in answers if not trial.screened_out]
        return min(answers, key=lambda trial: trial.screened_out, default=None)

    def exhausts(self, size: int, running: Iterable[Trial]) -> bool:
        """Whether, with these that are running, all of so many configurations were tried with every seed."""
        tried = len(self.tried) + sum(map(self._is_new, running))
        return tried + len(self.too_slow) * self.seeds.rotated >= size * self.seeds.rotated

    def _is_new(self, trial: Trial) -> bool:
        known = trial.config in self.too_slow or (trial.config, trial.seed) in self.tried
        return trial.seed in self.seeds and not known
