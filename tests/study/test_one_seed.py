"""What samplers that know nothing of seeds are shown of a study."""

from dataclasses import replace

import optuna
import pytest

from senas.core.config import SEConfig
from senas.core.objective import Penalized
from senas.core.seeds import Seeds
from senas.core.trial import AUDIT, Status, Wanted
from senas.study.one_seed import OneSeed
from senas.study.optuna import OptunaProposer
from senas.study.thompson import EffectsSampler
from senas.study.written import RECORD, SEED


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


class Witness(optuna.samplers.BaseSampler):
    """Notes what it is asked, and the numbers of the trials that it sees."""

    def __init__(self):
        self.noted = []

    def note(self, method, study):
        self.noted.append((method, [trial.number for trial in study.get_trials(deepcopy=False)]))

    def infer_relative_search_space(self, study, trial):
        self.note("infer_relative_search_space", study)
        return {}

    def sample_relative(self, study, trial, search_space):
        self.note("sample_relative", study)
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        self.note("sample_independent", study)
        return 0.5

    def reseed_rng(self):
        self.noted.append("reseed_rng")

    def before_trial(self, study, trial):
        self.noted.append("before_trial")

    def after_trial(self, study, trial, state, values):
        self.noted.append(("after_trial", values))


@pytest.fixture
def witness():
    """A study by seed 7, and the sampler of it. Trial 0 has the seed 7 in its record, trial 1 another."""
    witness = Witness()
    study = optuna.create_study(sampler=OneSeed(witness, 7))
    for seed in (7, 8):
        study.add_trial(optuna.trial.create_trial(value=0.5, user_attrs={RECORD: {SEED: seed}}))
    return witness, study


def test_whatever_a_sampler_is_asked_it_sees_one_seed(witness):
    witness, study = witness
    study.ask().suggest_float("x", 0.0, 1.0)
    assert [each for each in witness.noted if each != "before_trial"] == [
        ("infer_relative_search_space", [0, 2]),
        ("sample_relative", [0, 2]),
        ("sample_independent", [0, 2]),
    ]


def test_a_training_that_runs_and_was_asked_for_with_another_seed_is_not_seen(witness):
    witness, study = witness
    study.enqueue_trial({}, user_attrs={SEED: 8})
    study.enqueue_trial({}, user_attrs={SEED: 7})
    study.ask()
    study.ask()
    study.ask().suggest_float("x", 0.0, 1.0)
    assert ("sample_relative", [0, 3, 4]) in witness.noted


def test_a_sampler_is_told_when_trials_begin_and_end(witness):
    witness, study = witness
    study.tell(study.ask(), 0.25)
    study.sampler.reseed_rng()
    assert [witness.noted[n] for n in (0, -2, -1)] == ["before_trial", ("after_trial", [0.25]), "reseed_rng"]


def test_other_seeds_are_no_other_truths_to_a_sampler_that_knows_nothing_of_them(shown):
    assert shown(optuna.samplers.TPESampler, Seeds(2)) == [1]


def test_a_sampler_that_rotates_over_seeds_is_shown_all(shown):
    assert shown(optuna.samplers.TPESampler, Seeds(0, 4)) == [6]


@pytest.mark.parametrize("rotated", [1, 4])
def test_the_effects_sampler_is_shown_all(shown, space, rotated):
    objective = Penalized(0.0, space.largest_params)
    assert shown(EffectsSampler, Seeds(0, rotated), space=space, objective=objective) == [6]
