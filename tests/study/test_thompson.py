"""The sampler that reads results through the effects model."""

import numpy as np
import optuna
import pytest

from senas.core.block import Placement
from senas.core.constraint import Constraints
from senas.core.objective import Pareto, Penalized
from senas.core.seeds import Seeds
from senas.core.site import Place, Site
from senas.core.space import Axes, search_space
from senas.core.trial import Status, Trial
from senas.study.optuna import OptunaProposer
from senas.study.thompson import EffectsSampler

P = (Placement.STANDARD, Placement.PRE)
SITES = tuple(Site(f"layer{n}.0", dict.fromkeys(P, Place(16, 8, 8)), Place(16, 8, 8 * n)) for n in (1, 2, 3, 4, 5))
SPACE = search_space(SITES, Axes(reduction=(2, 4), placement=P))
SEED_EFFECTS = (0.05, -0.05)


def loss(config):
    """Each block in the first two sites gains, each in the others costs."""
    names = {site: 0.02 if site in ("layer1.0", "layer2.0") else -0.02 for site in config}
    return 0.5 - sum(names.values())


def searched(trials, *, space=SPACE, objective=None, startup=10, seeds=2, ends=lambda config: Status.COMPLETE):
    objective = objective or Penalized(0.0, space.largest_params)
    rng = np.random.default_rng(0)
    proposer = OptunaProposer(
        study=optuna.create_study(directions=["minimize"] * len(objective.names)),
        space=space,
        objective=objective,
        sampler=lambda seed: EffectsSampler(space=space, objective=objective, seed=seed, startup=startup),
        pruner=None,
        seeds=Seeds(0, seeds),
    )
    done = []
    for _ in range(trials):
        trial = proposer.ask()
        found = loss(trial.config) + SEED_EFFECTS[trial.seed % 2] + 0.005 * rng.normal()
        scores = {"val_loss": found, "se_params": float(trial.config.params(SITES))}
        status = ends(trial.config)
        done.append(
            Trial(
                number=trial.number,
                status=status,
                config=trial.config,
                seed=trial.seed,
                scores=scores,
                values=objective.values(scores) if status is Status.COMPLETE else (),
            )
        )
        proposer.tell(done[-1])
    return done


@pytest.fixture(scope="module")
def thirty():
    return searched(30)


def test_proposals_get_better_once_results_are_read(thirty):
    random, read = (np.mean([loss(trial.config) for trial in part]) for part in (thirty[:10], thirty[20:]))
    assert read < random - 0.03


def test_no_configuration_is_proposed_twice(thirty):
    assert len({trial.config for trial in thirty[10:]}) == 20


@pytest.mark.parametrize("end", [Status.REJECTED, Status.FAILED])
def test_what_did_not_come_to_its_end_is_not_proposed_again(end):
    """The best there is: a block in the first two sites, and no other."""
    few = search_space(SITES, Axes(reduction=(2,), placement=P[:1]))
    trials = searched(18, space=few, ends=lambda config: end if loss(config) < 0.465 else Status.COMPLETE, startup=4)
    assert sum(trial.status is end for trial in trials) == 1


def test_seeds_that_differ_by_more_than_configurations_do_not_mislead_it(thirty):
    gains = [len({"layer1.0", "layer2.0"} & set(trial.config)) for trial in thirty[20:]]
    assert np.mean(gains) > 1.5


def test_the_same_search_proposes_the_same_again(thirty):
    assert [trial.config for trial in searched(14)] == [trial.config for trial in thirty[:14]]


def test_what_breaks_a_bound_is_not_proposed():
    tight = SPACE.capped(Constraints.parse({"se_params": 400}), 1000, 1000)
    assert all(trial.config.params(SITES) <= 400 for trial in searched(14, space=tight))


@pytest.mark.slow
def test_a_penalty_makes_proposals_smaller():
    objective = Penalized(1.0, SPACE.largest_params)
    cheap, free = (
        np.mean([trial.config.params(SITES) for trial in searched(15, objective=each)[10:]])
        for each in (objective, Penalized(0.0, SPACE.largest_params))
    )
    assert cheap < free / 2


@pytest.mark.slow
def test_of_several_objectives_it_proposes_small_and_large_ones():
    params = [t.scores["se_params"] for t in searched(18, objective=Pareto(("val_loss", "se_params")))[10:]]
    assert len(set(params)) > 2


def test_a_startup_of_none_is_refused():
    with pytest.raises(ValueError, match="startup must be at least 1, got 0"):
        EffectsSampler(space=SPACE, objective=Penalized(0.0, 1), startup=0)
