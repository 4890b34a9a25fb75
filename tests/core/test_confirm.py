"""Which training comes next, rule by rule, where what is known of a study is written down."""

from types import SimpleNamespace

import numpy as np
import pytest

from senas.core.certainty import OWN, Certainty
from senas.core.config import SEConfig
from senas.core.confirm import FAILURES, Confirmation, most_open
from senas.core.seeds import Seeds
from senas.core.trial import CONFIRM, Status, Trial, Wanted
from senas.core.verdict import BASELINE, ELSEWHERE, Verdict

from .test_effects import SITES, SPACE

NONE = SEConfig()


def at(**options):
    """A configuration of these options, by site without its dot: `at(layer10="r2 pre")`."""
    return SPACE.draw(lambda name, _: options.get(name.replace(".", ""), "none"))


ONE, TWO, PLACED = at(layer10="r2 pre"), at(layer10="r2 pre", layer11="r2 pre"), at(layer20="r4 standard")


def trial(config, seed=0, status=Status.COMPLETE, origin="sampler"):
    return Trial(number=0, status=status, config=config, seed=seed, origin=origin)


def claims(trained, *, leads=NONE, baselines=(), settled=True):
    """A study of these configurations and numbers of trainings; `leads` is 0.1 better than all others.

    settled:  whether that is all there is to know.
    """
    configs = list(trained)
    losses = np.where([config == leads for config in configs], 0.4, 0.5) + np.zeros((100, 1))
    if not settled:
        losses += np.random.default_rng(0).normal(0, 1.0, losses.shape)
    sizes = np.array([config.params(SITES) for config in configs], dtype=float)
    found = SimpleNamespace(
        standing=SimpleNamespace(trials=[], margin=0.01),
        certainty=Certainty(configs, sizes, losses, np.array(list(trained.values()))),
        effects=SimpleNamespace(trained=trained, noise=np.array([0.01])),
        baselines={str(config): config for config in baselines},
        space=SPACE,
        first=dict.fromkeys(configs),
        seed=0,
        alike=lambda leader, coming: Verdict.alike(found, leader, coming),
    )
    return found


def asked(verdict, trials=(), *, budget=9, seeds=4):
    return Confirmation(budget, Seeds(0, seeds)).next(verdict, trials)


def test_replicates_of_earlier_runs_are_part_of_the_budget():
    trials = [trial(NONE, origin=CONFIRM), trial(NONE, origin=CONFIRM), trial(NONE), trial(NONE, origin="audit")]
    assert [Confirmation(budget, Seeds(0)).left(trials) for budget in (4, 2, 1)] == [2, 0, 0]


def test_a_budget_that_was_overspent_asks_for_nothing():
    trials = [trial(NONE, seed, origin=CONFIRM) for seed in range(3)]
    assert asked(claims({NONE: 1, ONE: 9}), trials, budget=2) is None


def test_a_replicate_has_the_first_seed_that_its_own_configuration_has_not_had():
    trials = [trial(ONE, 0), trial(ONE, 1), trial(ONE, 2), trial(NONE, 0), trial(NONE, 2)]
    assert asked(claims({NONE: 2, ONE: 9}), trials) == Wanted(NONE, 1, CONFIRM)


def test_a_seed_with_which_it_failed_is_not_fresh():
    assert asked(claims({NONE: 1, ONE: 9}), [trial(NONE, 0), trial(NONE, 1, Status.FAILED)]).seed == 2


def test_a_baseline_comes_before_what_leads():
    assert asked(claims({NONE: 2, ONE: 1}, leads=ONE, baselines=[NONE])).config == NONE


def test_of_two_baselines_the_one_with_fewer_trainings_comes_first():
    assert asked(claims({NONE: 2, ONE: 1, TWO: 9}, leads=TWO, baselines=[NONE, ONE])).config == ONE


def test_a_baseline_that_was_trained_often_enough_is_left_alone():
    known = {NONE: BASELINE, ONE: 1}
    assert asked(claims(known, leads=ONE, baselines=[NONE])).config == ONE


def test_a_baseline_that_the_study_never_trained_is_not_asked_for():
    """It is not in the space, or costs too much."""
    assert asked(claims({NONE: 1, ONE: 9}, baselines=[TWO])).config == NONE


def test_what_leads_comes_before_its_blocks_at_other_places():
    assert asked(claims({NONE: 9, ONE: OWN - 1}, leads=ONE)).config == ONE


def test_what_leads_and_was_trained_often_enough_is_left_alone():
    assert asked(claims({NONE: 9, ONE: OWN}, leads=ONE)).config not in (NONE, ONE)


def test_blocks_at_random_places_are_those_of_what_leads():
    wanted = asked(claims({NONE: 9, ONE: 9}, leads=ONE)).config
    assert sorted(SPACE.encode(wanted).values()) == sorted(SPACE.encode(ONE).values())
    assert wanted != ONE


def test_so_many_at_random_places_are_enough_and_one_fewer_is_not():
    """Two blocks at four sites can be in five other ways."""
    others = [at(**{one: "r2 pre", "layer21": "r2 pre"}) for one in ("layer10", "layer11", "layer20")]
    assert len(others) == ELSEWHERE
    few, enough = ({NONE: 9, TWO: 9} | dict.fromkeys(some, 1) for some in (others[:-1], others))
    trials = [trial(config) for config in others]
    assert asked(claims(few, leads=TWO), trials[:-1]).config not in (NONE, TWO, *others[:-1])
    assert asked(claims(enough, leads=TWO), trials) is None


def test_places_that_a_screener_disliked_are_as_random_as_others():
    claimed, others = claims({NONE: 9, ONE: 9}, leads=ONE), {}
    for status in (Status.PRUNED, Status.FAILED):
        first = asked(claimed).config
        others[status] = asked(claimed, [trial(first, status=status)]).config == first
    assert others == {Status.PRUNED: True, Status.FAILED: False}


@pytest.mark.parametrize("status", [Status.FAILED, Status.REJECTED])
def test_places_that_were_tried_in_vain_are_not_tried_again(status):
    tried = [trial(at(layer11="r2 pre"), status=status), trial(at(layer20="r2 pre"), status=status)]
    assert asked(claims({NONE: 9, ONE: 9}, leads=ONE), tried).config == at(layer21="r2 pre")


def test_random_places_are_the_same_when_a_study_is_resumed():
    assert len({asked(claims({NONE: 9, TWO: 9}, leads=TWO)) for _ in range(8)}) == 1


def test_no_se_has_no_blocks_to_be_elsewhere():
    assert asked(claims({NONE: 9, ONE: 9})) is None


@pytest.mark.parametrize(
    "verdict",
    [
        claims({ONE: 1, NONE: 9}, baselines=[ONE]),
        claims({ONE: 1, NONE: 9}, leads=ONE),
        claims({ONE: 9, NONE: 9}, settled=False),
    ],
    ids=["baseline", "leader", "open"],
)
def test_what_failed_once_is_trained_again_and_what_failed_too_often_is_not(verdict):
    failed = [trial(ONE, seed, Status.FAILED) for seed in range(FAILURES)]
    elsewhere = [trial(at(**{site: "r2 pre"})) for site in ("layer11", "layer20", "layer21")]
    assert asked(verdict, [*elsewhere, *failed[:-1]]).config == ONE
    wanted = asked(verdict, [*elsewhere, *failed])
    assert wanted is None or wanted.config != ONE


def open_(means, sds, *, noise=0.01, trained=(9, 9, 9), failing=()):
    """What is asked for, by number, of candidates of growing size with these beliefs about their losses."""
    configs = [ONE, TWO, PLACED]
    losses = np.random.default_rng(0).normal(means, sds, (4000, 3))
    verdict = SimpleNamespace(
        certainty=Certainty(configs, np.array([0.0, 10.0, 20.0]), losses, np.array(trained)),
        standing=SimpleNamespace(margin=0.01),
        effects=SimpleNamespace(noise=np.array([0.0, noise, 99.0])),
    )
    wanted = most_open(verdict, [configs[n] for n in failing])
    return None if wanted is None else configs.index(wanted)


def test_of_two_that_are_as_good_the_one_of_which_less_is_known_is_trained():
    """Whether the larger one is on the front hangs on both."""
    assert open_((0.3, 0.3, 0.1), (0.001, 0.02, 0.001)) == 1
    assert open_((0.3, 0.3, 0.1), (0.02, 0.001, 0.001)) == 0


def test_what_surely_is_or_is_not_on_the_front_and_near_the_lowest_is_left_alone_however_little_is_known():
    assert open_((0.9, 0.32, 0.30), (0.2, 0.01, 0.01)) != 0


def test_what_may_or_may_not_be_near_the_lowest_is_open_too():
    assert open_((0.31, 0.9, 0.30), (0.01, 0.001, 0.001)) == 0  # on the front for sure


def test_where_noise_is_small_a_training_settles_all_and_where_it_is_large_what_it_can():
    """Of two that are tied, the wide one is that of which a training tells most; more so by little noise."""
    beliefs = Certainty(
        [ONE, TWO], np.array([0.0, 1.0]), np.random.default_rng(0).normal(0, (1.0, 0.5), (9999, 2)), None
    )
    small, large = (beliefs.settles(0.0, noise) for noise in (1e-6, 3.0))
    assert small == pytest.approx(0.5 * np.array([1.0, 0.25]) / 1.25, abs=0.1)
    assert large == pytest.approx(small * [1 / 10, 0.25 / 9.25], rel=0.01)


def test_a_front_that_is_settled_is_not_enough_where_nothing_is_recommended():
    assert open_((0.3, 0.2095, 0.2), (0.0005, 0.0005, 0.0005), trained=(9, 9, 2)) in (1, 2)


def test_a_recommendation_is_not_enough_where_the_front_is_not_settled():
    assert open_((0.1, 0.1, 0.1), (0.001, 0.001, 0.001)) is not None


def test_a_front_that_is_settled_and_a_recommendation_leave_nothing_open():
    assert open_((0.3, 0.2, 0.1), (0.002, 0.002, 0.002)) is None


def test_where_what_is_open_keeps_failing_the_next_is_trained():
    first = open_((0.3, 0.3, 0.3), (0.02, 0.03, 0.02))
    second = open_((0.3, 0.3, 0.3), (0.02, 0.03, 0.02), failing=[first])
    assert first == 1
    assert second in (0, 2)
    assert open_((0.3, 0.3, 0.3), (0.02, 0.03, 0.02), failing=[0, 1, 2]) is None


def test_a_configuration_that_has_none_beside_it_is_trained_often_enough_and_no_more():
    assert asked(claims({ONE: OWN - 1}, leads=ONE)).config == ONE
    elsewhere = [trial(at(**{site: "r2 pre"}), status=Status.FAILED) for site in ("layer11", "layer20", "layer21")]
    assert asked(claims({ONE: OWN}, leads=ONE), elsewhere) is None


# Beside trainings that are running


def running(config, count=1):
    return [trial(config, 50 + seed, Status.RUNNING, CONFIRM) for seed in range(count)]


def test_a_baseline_whose_last_training_is_running_is_not_trained_once_more():
    known = claims({NONE: BASELINE - 1, ONE: 1}, leads=ONE, baselines=[NONE])
    assert asked(known, [trial(ONE)]).config == NONE
    assert asked(known, [trial(ONE), *running(NONE)]).config == ONE


def test_what_leads_is_not_trained_more_often_because_its_trainings_are_running():
    known = claims({NONE: 9, ONE: OWN - 1}, leads=ONE)
    assert asked(known, [trial(NONE)]).config == ONE
    assert asked(known, [trial(NONE), *running(ONE)]).config not in (NONE, ONE)


def test_what_is_running_settles_a_part_of_what_is_open_already():
    known = claims({NONE: 9, ONE: 9, TWO: 9}, settled=False)
    first = most_open(known)
    assert most_open(known, coming={first: 1000}) not in (first, None)
