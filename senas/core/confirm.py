"""Which training comes next, so that a front is known for sure: contenders again, with seeds that they have not had."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from senas.core.certainty import OWN
from senas.core.config import SEConfig
from senas.core.elsewhere import elsewhere
from senas.core.seeds import Seeds
from senas.core.trial import CONFIRM, Status, Trial, Wanted
from senas.core.verdict import BASELINE, ELSEWHERE, Verdict

EFFORT = 0.5
"""Of fitting, for a verdict that only decides what comes next."""
FAILURES = 2
"""Trainings of a configuration that failed, until it is not trained again: one more would likely fail too."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Asks for replicates until the budget is spent or the front is settled.

    budget:  trainings at most, those of earlier runs of the study included.
    seeds:   of the study; a replicate has the first that its configuration was not trained with.
    """

    budget: int
    seeds: Seeds

    def left(self, trials: Sequence[Trial]) -> int:
        """How much of the budget is not spent."""
        return max(0, self.budget - sum(trial.origin == CONFIRM for trial in trials))

    def next(self, verdict: Verdict, trials: Sequence[Trial] | None = None) -> Wanted | None:
        """The next training; None where nothing is open, or no budget is left.

        trials:  all of the study, which the answer is not among, also those that are running; None where the verdict
                 read them all.
        """
        trials = verdict.standing.trials if trials is None else trials
        if not self.left(trials):
            return None
        # Also those that cost too much, or failed; not those that a screener disliked, or none of them would be random.
        tried = {trial.config for trial in trials if not trial.screened_out}
        coming = Counter(trial.config for trial in trials if trial.status is Status.RUNNING)
        failures = Counter(trial.config for trial in trials if trial.status is Status.FAILED)
        failing = {config for config, count in failures.items() if count >= FAILURES}
        for rule in (
            partial(self._baseline, failing=failing, coming=coming),
            partial(self._leader, failing=failing, coming=coming),
            partial(self._random_places, tried=tried, coming=coming),
            partial(most_open, failing=failing, coming=coming),
        ):
            config = rule(verdict)
            if config is not None:  # none at all is a configuration too, and false
                return Wanted(config, self._fresh(config, trials), CONFIRM)
        return None

    def _fresh(self, config: SEConfig, trials: Sequence[Trial]) -> int:
        """Failed ones have had their seed too: they would fail again."""
        return self.seeds.fresh({trial.seed for trial in trials if trial.config == config})

    def _baseline(
        self, verdict: Verdict, failing: Collection[SEConfig], coming: Mapping[SEConfig, int]
    ) -> SEConfig | None:
        """A baseline that too few trainings stand behind: everything is measured against it."""
        trained = verdict.effects.trained
        there = {c: trained[c] + coming.get(c, 0) for c in verdict.baselines.values() if trained.get(c, 0)}
        few = [config for config, count in there.items() if count < BASELINE and config not in failing]
        return min(few, key=there.__getitem__, default=None)

    def _leader(
        self, verdict: Verdict, failing: Collection[SEConfig], coming: Mapping[SEConfig, int]
    ) -> SEConfig | None:
        """What would be recommended, until trainings of its own speak for it: another may lead after each of them."""
        leader = verdict.certainty.leader(verdict.standing.margin, failing)
        there = verdict.certainty.trainings(leader) + coming.get(leader, 0)
        return leader if there < OWN and leader not in failing else None

    def _random_places(
        self, verdict: Verdict, tried: Collection[SEConfig], coming: Collection[SEConfig]
    ) -> SEConfig | None:
        """The leader's blocks at other places, drawn at random: each of these configurations is trained once."""
        leader = verdict.certainty.leader(verdict.standing.margin)
        alike = verdict.alike(leader, coming)
        if len(alike) >= ELSEWHERE:
            return None
        rng = np.random.default_rng((verdict.seed, len(alike)))
        moved = elsewhere(verdict.space, leader, ELSEWHERE + len(tried), rng)
        return next((config for config in moved if config not in tried), None)


def most_open(
    verdict: Verdict, failing: Collection[SEConfig] = (), coming: Mapping[SEConfig, int] = MappingProxyType({})
) -> SEConfig | None:
    """The configuration of which one more training would settle most; None where all is settled, but for `failing`.

    coming:  trainings that are running, by configuration. The next one of n takes 1 / n (n + 1) of one training's
             variance off their mean, so after those it settles as much less.
    What is open, and what settles it: see `Certainty.settles`.
    """
    certainty, margin = verdict.certainty, verdict.standing.margin
    if certainty.settled and certainty.recommended(margin) is not None:
        return None
    gain = certainty.settles(margin, float(np.median(verdict.effects.noise)))
    for config, count in coming.items():
        if config in certainty.configs:
            own = max(1, certainty.trainings(config))
            gain[certainty.configs.index(config)] *= own * (own + 1) / ((own + count) * (own + count + 1))
    gain[[config in failing for config in certainty.configs]] = -1.0
    return None if gain.max() <= 0 else certainty.configs[int(gain.argmax())]
