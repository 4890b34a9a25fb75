"""What samplers that know nothing of seeds are shown of a study."""

from dataclasses import replace

import optuna
import pytest

from senas.core.config import SEConfig
from senas.core.objective import Penalized
from senas.core.seeds import Seeds
from senas.core.trial import AUDIT, Status, Wanted
from senas.study.optuna import OptunaProposer
from senas.study.thompson import EffectsSampler


@pytest.fixture
def shown(space):
    """How many trials a sampler is shown, after one configuration was trained with six seeds."""

    def count(kind, seeds, **options):
        counts = []

        class Spy(kind):
            def sample_relative(self, study, trial, search_space):
                done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
                counts.append(len(done))
                return super().sample_relative(study, trial, search_space)

        objective = Penalized(0.0, space.largest_params)
        proposer = OptunaProposer(
            study=optuna.create_study(),
            space=space,
            objective=objective,
            sampler=lambda seed: Spy(seed=seed, **options),
            pruner=None,
            seeds=seeds,
        )
        for seed in range(6):
            asked = proposer.ask_for(Wanted(SEConfig(), seed, AUDIT))
            scores = {"val_loss": 0.5 + seed, "se_params": 0.0}
            ended = replace(asked, status=Status.COMPLETE, scores=scores, values=objective.values(scores))
            proposer.tell(ended)
        proposer.ask()
        return counts

    return count


def test_other_seeds_are_no_other_truths_to_a_sampler_that_knows_nothing_of_them(shown):
    assert shown(optuna.samplers.TPESampler, Seeds(2)) == [1]


def test_a_sampler_that_rotates_over_seeds_is_shown_all(shown):
    assert shown(optuna.samplers.TPESampler, Seeds(0, 4)) == [6]


@pytest.mark.parametrize("rotated", [1, 4])
def test_the_effects_sampler_is_shown_all(shown, space, rotated):
    objective = Penalized(0.0, space.largest_params)
    assert shown(EffectsSampler, Seeds(0, rotated), space=space, objective=objective) == [6]
