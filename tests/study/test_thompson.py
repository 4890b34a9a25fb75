"""The sampler that reads results through the effects model."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

import senas.study.thompson
from senas.core.block import Placement
from senas.core.config import SEConfig
from senas.core.constraint import Constraints
from senas.core.effects import PAIR, SITE, Design, Effects, Observation
from senas.core.objective import Pareto, Penalized
from senas.core.seeds import Seeds
from senas.core.site import Place, Site
from senas.core.space import Axes, search_space
from senas.core.trial import Status, Trial
from senas.study.optuna import OptunaProposer
from senas.study.thompson import NEWEST, EffectsSampler, Memory

P = (Placement.STANDARD, Placement.PRE)
SITES = tuple(Site(f"layer{n}.0", dict.fromkeys(P, Place(16, 8, 8)), Place(16, 8, 8 * n)) for n in (1, 2, 3, 4, 5))
SPACE = search_space(SITES, Axes(reduction=(2, 4), placement=P))
SEED_EFFECTS = (0.05, -0.05)
NONE = SEConfig()


def loss(config):
    """Each block in the first two sites gains, each in the others costs."""
    names = {site: 0.02 if site in ("layer1.0", "layer2.0") else -0.02 for site in config}
    return 0.5 - sum(names.values())


def searched(trials, *, space=SPACE, objective=None, startup=10, seeds=2, seed=0, ends=lambda config: Status.COMPLETE):
    objective = objective or Penalized(0.0, space.largest_params)
    rng, memory = np.random.default_rng(0), Memory(space)
    proposer = OptunaProposer(
        study=optuna.create_study(directions=["minimize"] * len(objective.names)),
        space=space,
        objective=objective,
        sampler=lambda seed: EffectsSampler(
            space=space, objective=objective, seed=seed, startup=startup, memory=memory
        ),
        pruner=None,
        seeds=Seeds(seed, seeds),
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


def test_what_is_drawn_within_bounds_that_only_no_se_is_within_is_no_se():
    """A configuration without blocks is false to Python, and was passed over for one that breaks the bound."""
    nothing = SPACE.capped(Constraints.parse({"se_params": 0}), 1000, 1000)
    assert [trial.config for trial in searched(3, space=nothing)] == [NONE] * 3


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


FEW = search_space(SITES, Axes(reduction=(2,), placement=P[:1]))
"""32 configurations: a block or none at each of five sites, which have 32 to 160 parameters."""
FREE = Penalized(0.0, FEW.largest_params)


def told(config, number=0, seed=0, **changes):
    scores = {"val_loss": 0.5, "val_error": 0.1, "se_params": float(config.params(SITES))}
    trial = Trial(number=number, status=Status.COMPLETE, config=config, seed=seed, scores=scores)
    return replace(trial, **changes)


def of_sites(*truths, space=FEW):
    """Effects that are known: what a block at each of these sites adds to the loss, in each truth."""
    sites = sorted({site for truth in truths for site in truth})
    columns = {("mean", ""): 0} | {(SITE, site): n for n, site in enumerate(sites, 1)}
    draws = np.array([[0.5, *(truth.get(site, 0.0) for site in sites)] for truth in truths])
    design = Design(space)
    trained = {NONE: 1, blocks("layer1.0", space=space): 1}
    return Effects(design, draws, columns, np.zeros((len(truths), len(design.kinds) + 1)), trained)


def blocks(*sites, space=FEW):
    return space.draw(lambda name, options: options[1] if name in sites else "none")


@pytest.fixture
def proposed(monkeypatch):
    """What the sampler proposes where this was told and effects are these; and what it was that it read."""
    read = []

    def propose(effects, trials=(), *, space=FEW, objective=FREE, seed=0, running=()):
        def fit(space, seen, **options):
            read.append(seen)
            return effects

        monkeypatch.setattr("senas.study.thompson.fit", fit)
        monkeypatch.setattr("senas.study.thompson.Ended.read", lambda self, trials: list(trials))
        trials = list(trials) or [told(NONE)]
        under_way = [SimpleNamespace(params=space.encode(config)) for config in running]
        study = SimpleNamespace(get_trials=lambda states, **_: under_way if TrialState.RUNNING in states else trials)
        sampler = EffectsSampler(space=space, objective=objective, seed=seed, startup=1)
        chosen = sampler.sample_relative(study, None, {})
        return space.draw(lambda name, _: chosen[name])

    propose.read = read
    return propose


GAINS = {"layer1.0": -0.1, "layer2.0": -0.08, "layer3.0": 0.06, "layer4.0": 0.05, "layer5.0": 0.04}


def test_the_best_of_a_truth_is_proposed_and_where_it_was_tried_the_second_best(proposed):
    effects, best = of_sites(GAINS), blocks("layer1.0", "layer2.0")
    assert proposed(effects) == best
    assert proposed(effects, [told(best)]) == blocks("layer1.0", "layer2.0", "layer5.0")


def test_what_is_running_is_not_proposed_again(proposed):
    best = blocks("layer1.0", "layer2.0")
    assert proposed(of_sites(GAINS), running=[best]) == blocks("layer1.0", "layer2.0", "layer5.0")


def test_a_truth_that_is_possible_is_believed_and_not_the_mean_of_all(proposed):
    """In each truth one block helps and the other harms; on average both help."""
    one, other = {"layer1.0": -0.1, "layer2.0": 0.06}, {"layer1.0": 0.06, "layer2.0": -0.1}
    rest = dict.fromkeys(("layer3.0", "layer4.0", "layer5.0"), 0.1)
    found = {proposed(of_sites(one | rest, other | rest), seed=seed) for seed in range(8)}
    assert found == {blocks("layer1.0"), blocks("layer2.0")}


def test_a_block_is_proposed_where_it_gains_more_than_its_share_of_the_penalty(proposed):
    penalty = 0.09 * FEW.largest_params / blocks("layer1.0").params(SITES)
    assert proposed(of_sites(GAINS), objective=Penalized(penalty, FEW.largest_params)) == blocks("layer1.0")


def test_of_several_objectives_each_proposal_weighs_parameters_anew(proposed):
    gains = {f"layer{n}.0": -0.1 * 0.3**n for n in range(1, 6)}
    pareto = Pareto(("val_loss", "se_params"))
    found = {len(proposed(of_sites(gains), objective=pareto, seed=seed)) for seed in range(20)}
    assert len(found) > 2


def test_the_best_is_within_the_bounds(proposed):
    least = blocks("layer1.0").params(SITES)
    tight = FEW.capped(Constraints.parse({"se_params": 2 * least}), 1000, 1000)
    found = proposed(of_sites(dict.fromkeys(GAINS, -0.1), space=tight), space=tight, seed=1)
    assert found.params(SITES) <= 2 * least


@pytest.mark.parametrize("seed", range(6))
def test_a_block_that_helps_another_is_found_though_it_harms_alone(proposed, seed, monkeypatch):
    monkeypatch.setattr("senas.study.thompson.RESTARTS", 1)
    one, other = (replace(SITES[0], name=name) for name in ("layer1.0", "layer1.1"))
    space = search_space((one, other), Axes(reduction=(2,), placement=P[:1]))
    apart = of_sites({"layer1.0": 0.1, "layer1.1": -0.2}, space=space)
    columns = {**apart.columns, (PAIR, ("layer1.0", "layer1.1")): 3}
    together = replace(apart, columns=columns, draws=np.column_stack([apart.draws, [-0.3]]))
    assert proposed(together, space=space, seed=seed) == blocks("layer1.0", "layer1.1", space=space)


def test_where_all_was_tried_something_is_proposed_nevertheless(proposed):
    two = search_space(SITES, Axes(sites=("layer1.0",), reduction=(2,), placement=P[:1]))
    assert proposed(of_sites(GAINS, space=two), [told(config) for config in two], space=two) in two


def test_trainings_are_read_with_their_seeds_and_by_what_is_judged(proposed):
    proposed(of_sites(GAINS), [told(NONE, seed=3)], objective=Penalized(0.0, 1, metric="val_error"))
    assert set(proposed.read) == {(Observation(NONE, 3, 0.1),)}


def test_what_was_answered_from_another_or_not_trained_to_its_end_is_not_read(proposed):
    ended = [told(NONE, 0), told(NONE, 1, repeats=0)]
    lost = [told(NONE, 2 + n, status=each) for n, each in enumerate((Status.PRUNED, Status.FAILED, Status.REJECTED))]
    proposed(of_sites(GAINS), [*ended, *lost])
    assert len(proposed.read[0]) == 1


def test_of_many_trainings_the_newest_are_read(proposed):
    proposed(of_sites(GAINS), [told(NONE, seed=number) for number in range(NEWEST + 5)])
    assert [each.seed for each in proposed.read[-1]] == list(range(5, NEWEST + 5))


def test_results_are_read_once_there_are_as_many_as_startup_says(proposed):
    proposed(of_sites(GAINS), [told(NONE, status=Status.FAILED)])
    assert proposed.read == []
    proposed(of_sites(GAINS), [told(NONE)])
    assert proposed.read != []


def test_how_large_kinds_of_effects_are_is_learned_again_once_there_are_a_fifth_more(monkeypatch):
    """And then by what there was at that time, so that a study that is resumed amid it proposes the same."""
    learned, fit = [], senas.study.thompson.fit

    def spy(space, seen, **options):
        if "scales" not in options:
            learned.append(len(seen))
        return fit(space, seen, **options)

    monkeypatch.setattr("senas.study.thompson.fit", spy)
    done = searched(20)
    assert learned == [10, 12, 14, 17]
    study = SimpleNamespace(get_trials=lambda states, **_: [] if TrialState.RUNNING in states else done[:19])
    monkeypatch.setattr("senas.study.thompson.Ended.read", lambda self, trials: list(trials))
    EffectsSampler(space=SPACE, objective=FREE, memory=Memory(SPACE)).sample_relative(study, None, {})
    assert learned == [10, 12, 14, 17, 17]


def test_another_seed_proposes_otherwise():
    first = [searched(1, seeds=1, seed=seed)[0].config for seed in range(4)]
    assert len(set(first)) > 1


def test_a_startup_of_none_is_refused():
    with pytest.raises(ValueError, match="startup must be at least 1, got 0"):
        EffectsSampler(space=SPACE, objective=Penalized(0.0, 1), startup=0)
