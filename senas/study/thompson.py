"""The sampler that reads results through the effects model: it knows of seeds, and that one training proves little.

Each proposal is the best configuration of one possible truth, drawn from all that agree with the results: Thompson,
"On the likelihood that one unknown probability exceeds another in view of the evidence of two samples", Biometrika 25
(1933). So what is likely good is tried often, and what is not known is tried now and then.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from senas.core.config import SEConfig
from senas.core.effects import Effects, Observation, fit
from senas.core.objective import Objective, Penalized, judged, score
from senas.core.space import SearchSpace
from senas.core.trial import Status
from senas.study.written import STATUSES, config_of, trial_of

RESTARTS = 4
"""Random configurations from which the best of a truth is looked for, by changing one choice at a time."""
EFFORT = 0.4
"""Of fitting: one draw is taken of those that it gives."""
NEWEST = 200
"""Trainings that are read: fitting is cubic in their number."""


class EffectsSampler(BaseSampler):
    """Thompson sampling over the effects of SE blocks.

    startup:       trainings before results are read; until then proposals are random.
    interactions:  whether blocks in one stage may strengthen or weaken each other.
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        objective: Objective,
        seed: int = 0,
        startup: int = 10,
        interactions: bool = True,
    ) -> None:
        if startup < 1:
            raise ValueError(f"startup must be at least 1, got {startup}")
        self.space, self.objective, self.startup, self.interactions = space, objective, startup, interactions
        self.rng = np.random.default_rng(seed)
        self.seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {choice.name: CategoricalDistribution(list(choice.options)) for choice in self.space.choices}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        told = [trial_of(frozen, self.space) for frozen in study.get_trials(deepcopy=False, states=tuple(STATUSES))]
        running = [config_of(t, self.space) for t in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))]
        trained = [done for done in told if done.status is Status.COMPLETE and done.repeats is None]
        if len(trained) < self.startup:
            return self._encoded(self._random())
        metric = judged(self.objective)
        seen = [Observation(t.config, t.seed, score(t.scores, metric)) for t in trained[-NEWEST:]]
        effects = fit(self.space, seen, interactions=self.interactions, seed=self.seed, effort=EFFORT)
        return self._encoded(self._best(effects, {*(t.config for t in told), *(c for c in running if c is not None)}))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        assert isinstance(param_distribution, CategoricalDistribution)  # of a choice, as all of senas's are
        return param_distribution.choices[int(self.rng.integers(len(param_distribution.choices)))]

    def _encoded(self, config: SEConfig) -> dict[str, Any]:
        return dict(self.space.encode(config))

    def _random(self) -> SEConfig:
        """Within the caps, if there is one that can be drawn."""
        config = self.space.draw(lambda _, options: options[int(self.rng.integers(len(options)))])
        if not self.space.fits(config):
            config = self.space.draw_within(lambda count: int(self.rng.integers(count))) or config
        return config

    def _best(self, effects: Effects, tried: set[SEConfig]) -> SEConfig:
        """The best untried configuration of one truth, as far as changing one choice at a time finds it.

        What failed or was rejected was tried too: no result says so, and it would be proposed again and again.
        """
        worth = self._worth(effects)
        values: dict[SEConfig, float] = {}

        def value(config: SEConfig) -> float:
            if config not in values:
                values[config] = worth(config)
            return values[config]

        for _ in range(RESTARTS):
            best, before = self._random(), None
            while best != before:
                before = best
                for choice in self.space.choices:
                    moved = [self._with(best, choice.name, option) for option in choice.options]
                    best = min((config for config in moved if self.space.fits(config)), key=value, default=best)
        untried = [config for config in values if config not in tried]
        return min(untried, key=values.__getitem__) if untried else self._random()

    def _with(self, config: SEConfig, name: str, option: str) -> SEConfig:
        chosen: Mapping[str, str] = {**self.space.encode(config), name: option}
        return self.space.draw(lambda choice, _: chosen[choice])

    def _worth(self, effects: Effects) -> Callable[[SEConfig], float]:
        """Loss plus penalty, in one truth. Of several objectives each proposal weighs the two anew."""
        draw = int(self.rng.integers(len(effects.draws)))
        largest = self.space.largest_params
        if isinstance(self.objective, Penalized):
            penalty = self.objective.penalty
        else:
            # Between a tenth and ten times the spread of the losses that were seen, for all the parameters there are.
            spread = float(effects.losses(list(effects.trained))[draw].std())
            penalty = spread * 10 ** self.rng.uniform(-1, 1)
        loss = effects.truth(draw)
        return lambda config: loss(config) + penalty * config.params(self.space.sites) / largest
