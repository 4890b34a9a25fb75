"""The sampler that reads results through the effects model: it knows of seeds, and that one training proves little.

Each proposal is the best configuration of one possible truth, drawn from all that agree with the results: Thompson,
"On the likelihood that one unknown probability exceeds another in view of the evidence of two samples", Biometrika 25
(1933). So what is likely good is tried often, and what is not known is tried now and then.

The effects are drawn from all results for each proposal. How large each kind of effect is takes longer to learn, and
changes little with one result more: it is learned again once there are a fifth more of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from senas.core.config import SEConfig
from senas.core.constraint import UNBOUNDED
from senas.core.effects import Design, Effects, Observation, fit
from senas.core.objective import Objective, Penalized, judged, score
from senas.core.scales import Array
from senas.core.space import SearchSpace
from senas.core.trial import Status, Trial
from senas.core.truth import Truth, Way
from senas.study.written import STATUSES, Ended, config_of

RESTARTS = 4
"""Random configurations from which the best of a truth is looked for, by changing one choice at a time."""
EFFORT = 0.4
"""Of learning how large each kind of effect is: one draw is taken of those that it gives."""
NEWEST = 200
"""Trainings that are read: where there are more effects than trainings, learning is cubic in their number."""
AGAIN = 1.2
"""How many times as many trainings there have to be until it is learned again how large each kind of effect is."""


@dataclass
class Memory:
    """What a sampler that is made anew for each proposal need not find out again. It depends on results alone, so that
    a study that is resumed proposes what an uninterrupted one would."""

    space: SearchSpace
    interactions: bool = True
    scales: dict[tuple[Observation, ...], Array] = field(default_factory=dict)

    @cached_property
    def ended(self) -> Ended:
        return Ended(self.space)

    @cached_property
    def design(self) -> Design:
        return Design(self.space, self.interactions)


class EffectsSampler(BaseSampler):
    """Thompson sampling over the effects of SE blocks.

    startup:       trainings before results are read; until then proposals are random.
    interactions:  whether blocks in one stage may strengthen or weaken each other.
    memory:        of the study's earlier proposals; without, each takes longer and is the same.
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        objective: Objective,
        seed: int = 0,
        startup: int = 10,
        interactions: bool = True,
        memory: Memory | None = None,
    ) -> None:
        if startup < 1:
            raise ValueError(f"startup must be at least 1, got {startup}")
        self.space, self.objective, self.startup, self.interactions = space, objective, startup, interactions
        self.memory = memory or Memory(space, interactions)
        self.rng = np.random.default_rng(seed)
        self.seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {choice.name: CategoricalDistribution(list(choice.options)) for choice in self.space.choices}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        told = self.memory.ended.read(study.get_trials(deepcopy=False, states=tuple(STATUSES)))
        running = [config_of(t, self.space) for t in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))]
        trained = [done for done in told if done.status is Status.COMPLETE and done.repeats is None]
        if len(trained) < self.startup:
            return self._encoded(self._random())
        scales = self._scales(trained)
        drawn = scales[[int(self.rng.integers(len(scales)))]]
        effects = fit(self.space, self._seen(trained), seed=self.seed, scales=drawn, design=self.memory.design)
        tried = {*(trial.config for trial in told), *(config for config in running if config is not None)}
        return self._encoded(self._best(effects, tried))

    def _scales(self, trained: Sequence[Trial]) -> Array:
        """How large each kind of effect is, (draws, kinds + 1), by what there was when it was learned."""
        count = self.startup
        while (more := max(count + 1, round(count * AGAIN))) <= len(trained):
            count = more
        seen = self._seen(trained[:count])
        if seen not in self.memory.scales:
            found = fit(self.space, seen, effort=EFFORT, design=self.memory.design)
            self.memory.scales = {seen: found.scales}
        return self.memory.scales[seen]

    def _seen(self, trained: Sequence[Trial]) -> tuple[Observation, ...]:
        metric = judged(self.objective)
        return tuple(Observation(t.config, t.seed, score(t.scores, metric)) for t in trained[-NEWEST:])

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        assert isinstance(param_distribution, CategoricalDistribution)  # of a choice, as all of senas's are
        return param_distribution.choices[int(self.rng.integers(len(param_distribution.choices)))]

    def _encoded(self, way: Way) -> dict[str, Any]:
        return {choice.name: list(choice.options)[n] for choice, n in zip(self.space.choices, way, strict=True)}

    def _random(self) -> Way:
        """Within the caps, if there is one that can be drawn."""
        way = tuple(int(self.rng.integers(len(choice.options))) for choice in self.space.choices)
        if self.space.caps != UNBOUNDED and not self.space.fits(self.space.at(way)):
            way = self.space.draw_way_within(lambda count: int(self.rng.integers(count))) or way
        return way

    def _best(self, effects: Effects, tried: set[SEConfig]) -> Way:
        """The best untried configuration of one truth, as far as changing one choice at a time finds it.

        What failed or was rejected was tried too: no result says so, and it would be proposed again and again.
        """
        truth = Truth.drawn(effects, self.rng).priced(self._penalty(effects))
        looked: dict[Way, float] = {}
        for _ in range(RESTARTS):
            looked |= truth.climb(self._random())
        best = sorted(looked, key=looked.__getitem__)
        return next((way for way in best if self.space.at(way) not in tried), None) or self._random()

    def _penalty(self, effects: Effects) -> float:
        """On all the SE parameters there are. Of several objectives each proposal weighs the two anew: between a tenth
        and ten times the spread of the losses that were seen."""
        if isinstance(self.objective, Penalized):
            return self.objective.penalty
        spread = effects.losses(list(effects.trained)).std(1)
        return float(spread[0] * 10 ** self.rng.uniform(-1, 1))
