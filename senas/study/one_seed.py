"""What a sampler that knows nothing of seeds sees of a study: the trainings with the study's own seed, and no others.

Audits and replicates train one configuration with several seeds, and to such a sampler these would be several truths.
"""

from collections.abc import Container, Mapping
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from senas.study.written import RECORD, SEED


class OneSeed(BaseSampler):
    """A sampler that is shown only trials whose seed is that of the search."""

    def __init__(self, sampler: BaseSampler, seed: int) -> None:
        self.sampler, self.seed = sampler, seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.sampler.infer_relative_search_space(_Seen(study, self.seed), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self.sampler.sample_relative(_Seen(study, self.seed), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.sampler.sample_independent(_Seen(study, self.seed), trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        self.sampler.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self.sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        self.sampler.after_trial(study, trial, state, values)


class _Seen(Study):
    """The same study, with fewer trials."""

    def __init__(self, study: Study, seed: int) -> None:
        self.__dict__.update(study.__dict__)
        self._seen = seed

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = super()._get_trials(deepcopy=deepcopy, states=states, use_cache=use_cache)
        return [trial for trial in trials if self._seed(trial) == self._seen]

    def _seed(self, trial: FrozenTrial) -> int:
        """Of a trial that ended, or that was asked for with a seed; of others, the search's."""
        told: Mapping[str, int] = trial.user_attrs.get(RECORD, trial.user_attrs)
        return told.get(SEED, self._seen)
