"""What a study can claim: pooled fronts and picks, or that it is undecided."""

import re
from dataclasses import replace

import numpy as np
import pytest

from senas.core.config import SEConfig, baselines
from senas.core.confirm import BASELINE, Confirmation
from senas.core.objective import Penalized
from senas.core.seeds import Seeds
from senas.core.standing import Standing
from senas.core.trial import CONFIRM, Status, Trial
from senas.core.verdict import RANDOM, Verdict
from senas.errors import StudyError

from .test_effects import SITES, SPACE, drawn, worth

EFFORT = 0.2
SEEDS = Seeds(0, 4)
NONE = SEConfig()


def trial(number, config, seed, loss, origin="sampler"):
    scores = {"val_loss": loss, "se_params": float(config.params(SITES)), "val_accuracy": 0.9}
    return Trial(number=number, status=Status.COMPLETE, config=config, seed=seed, scores=scores, origin=origin)


def searched(rng, count, noise, times=1):
    """Trials of the baselines with two seeds more than others, which are random, all with rotated ones."""
    configs = [NONE, SPACE.draw(lambda name, options: "r4 standard")] * 2 + drawn(rng, count) * times
    return [
        trial(n, config, SEEDS.of(n // 2), worth(config) + noise * rng.normal()) for n, config in enumerate(configs)
    ]


def verdict(trials, *, margin=0.01, penalty=0.0, effort=EFFORT):
    objective = Penalized(penalty, SPACE.largest_params)
    state = Standing(trials=trials, objective=objective, classes=10, largest_params=SPACE.largest_params, margin=margin)
    return Verdict(state, SPACE, baselines(SITES), seed=0, effort=effort)


@pytest.fixture(scope="module")
def clear():
    """With so little noise that what the blocks are worth is plain."""
    return verdict(searched(np.random.default_rng(0), 20, noise=0.001, times=3))


def test_a_lucky_seed_is_not_taken_for_what_a_configuration_is_worth():
    rng = np.random.default_rng(1)
    trials = searched(rng, 30, noise=0.02)
    worst = max((t.config for t in trials), key=worth)
    lucky = trial(99, worst, 7, min(t.scores["val_loss"] for t in trials) - 0.01)
    again = [trial(100 + n, worst, 8 + n, worth(worst)) for n in range(4)]
    best, _, _ = verdict([*trials, lucky, *again]).pick("best")
    assert best.config != worst


def test_the_pick_that_no_margin_allows_is_the_best_that_was_trained(clear):
    found, _, _ = clear.pick("best")
    assert worth(found.config) <= min(worth(config) for config in clear.first) + 0.003


def test_a_clear_study_recommends_the_smallest_that_is_near_the_best(clear):
    pick = clear.pick("recommended")
    near = [config for config in clear.first if worth(config) <= min(map(worth, clear.first)) + 0.008]
    assert pick.decided
    assert clear.undecided is None
    assert pick.trial.scores["se_params"] <= min(config.params(SITES) for config in near)
    assert worth(pick.trial.config) <= min(map(worth, clear.first)) + 0.01


def test_as_noise_grows_the_answer_becomes_undecided_and_never_no_se():
    answers = []
    for noise in (0.001, 0.02, 0.1, 0.5):
        trials = searched(np.random.default_rng(2), 12, noise, times=3)
        trials.append(trial(99, NONE, 9, worth(NONE) + noise))
        pick = verdict(trials).pick("recommended")
        answers.append((pick.decided, pick.trial.config))
    assert answers[0][0]
    assert [decided for decided, _ in answers] == sorted((decided for decided, _ in answers), reverse=True)
    assert not answers[-1][0]
    assert NONE not in [config for decided, config in answers if decided]


@pytest.mark.parametrize("losses", [[0.5], [0.5, 0.501], [0.5, 0.501, 0.5005]])
def test_two_or_three_trainings_that_happen_to_agree_recommend_nothing(losses):
    configs = [NONE, SPACE.draw(lambda name, options: "r4 standard"), *drawn(np.random.default_rng(3), 1)]
    pick = verdict([trial(n, configs[n], n, loss) for n, loss in enumerate(losses)]).pick("recommended")
    assert not pick.decided
    assert "cannot show how large the noise is" in pick.why


def test_undecided_says_how_sure_what_leads_is_and_what_would_decide_it():
    undecided = verdict(searched(np.random.default_rng(2), 12, 0.03, times=3)).undecided
    assert undecided is not None
    assert re.fullmatch(
        r"undecided at this budget: no configuration is within 0.01 of the lowest loss with a probability of 0.9; what "
        r"leads is so with 0\.\d\d; about \d+ more trainings decide it as likely as not: study.confirm=\d+; with "
        r"study.margin=0\.\d+ it is decided now",
        undecided,
    )


def test_the_margin_that_undecided_names_decides_it():
    trials = searched(np.random.default_rng(2), 12, 0.03, times=3)
    margin = float(re.search(r"study.margin=(\S+)", verdict(trials).undecided).group(1))
    assert verdict(trials, margin=margin).pick("recommended").decided


def test_undecided_says_so_where_more_trainings_would_hardly_help():
    undecided = verdict(searched(np.random.default_rng(2), 12, 0.5, times=3), margin=0.0001).undecided
    assert undecided is not None
    assert "study.confirm" not in undecided
    assert "study.margin=" in undecided


def test_what_was_trained_once_is_not_recommended_and_undecided_says_why():
    seen = searched(np.random.default_rng(2), 30, 0.001)
    pick = verdict(seen).pick("recommended")
    assert not pick.decided
    assert "was trained once, and nothing is recommended that was not trained 3 times" in pick.why
    again = [trial(100 + n, pick.trial.config, 5 + n, worth(pick.trial.config)) for n in range(2)]
    assert verdict([*seen, *again]).pick("recommended").decided


def test_one_configuration_alone_decides_nothing():
    alone = verdict([trial(n, NONE, n, 0.5) for n in range(4)])
    assert not alone.pick("recommended").decided
    assert "one configuration was trained" in (alone.undecided or "")


def test_a_point_says_how_far_it_is_from_no_se(clear):
    point = clear.point(clear.certainty.lowest)
    assert point.from_none is not None
    assert point.from_none.excludes_zero
    assert point.from_none.low <= worth(point.config) - worth(NONE) <= point.from_none.high


def test_blocks_at_random_places_are_among_what_a_pick_is_held_against(clear):
    against = clear.against(clear.certainty.lowest)
    assert {"none", RANDOM} <= set(against)
    assert against[RANDOM].high < 0  # where blocks are is what makes it good here


def test_a_configuration_is_shown_by_its_first_trial(clear):
    assert all(
        t.number == min(u.number for u in clear.standing.measured if u.config == c) for c, t in clear.first.items()
    )


def test_a_verdict_does_not_depend_on_the_order_in_which_trials_ended():
    trials = searched(np.random.default_rng(6), 6, 0.03)
    one, other = (verdict(each).front for each in (trials, [*trials[3:], *trials[:3]]))
    assert one == other


def test_nothing_can_be_claimed_where_no_trial_came_to_its_end():
    with pytest.raises(StudyError, match="trained to the end"):
        verdict([])


def test_a_pick_of_another_name_is_refused(clear):
    with pytest.raises(StudyError, match=r'one of recommended, best, knee, smallest.*got "lucky"'):
        clear.pick("lucky")


def confirmed(trials, budget, noise, rng):
    """The study after its replicates."""
    confirmation, trials = Confirmation(budget, SEEDS), list(trials)
    while (wanted := confirmation.next(verdict(trials))) is not None:
        trials.append(
            trial(len(trials), wanted.config, wanted.seed, worth(wanted.config) + noise * rng.normal(), CONFIRM)
        )
    return trials


def test_replicates_have_seeds_that_their_configuration_was_not_trained_with():
    rng = np.random.default_rng(3)
    trials = confirmed(searched(rng, 12, 0.03), 8, 0.03, rng)
    assert sum(t.origin == CONFIRM for t in trials) == 8
    pairs = [(t.config, t.seed) for t in trials]
    assert len(set(pairs)) >= len(set(pairs[:-8])) + 8


def test_a_replicate_is_none_of_the_trainings_that_the_verdict_did_not_read():
    read = searched(np.random.default_rng(3), 12, 0.05)
    unread = [trial(100 + n, each.config, seed, 0.5) for n, each in enumerate(read) for seed in range(6)]
    wanted = Confirmation(8, SEEDS).next(verdict(read), [*unread, *read])
    assert wanted.seed == 6
    assert (wanted.config, wanted.seed) not in [(each.config, each.seed) for each in unread]


def test_baselines_come_first_no_se_among_them():
    rng = np.random.default_rng(4)
    trials = [t for t in searched(rng, 12, 0.03) if not (t.config == NONE and t.number > 1)]
    assert sum(t.config == NONE for t in trials) == 1
    ended = confirmed(trials, 6, 0.03, rng)
    assert sum(t.config == NONE for t in ended) >= BASELINE
    assert ended[len(trials)].config == NONE


def test_what_leads_is_trained_again_before_its_blocks_at_random_places_are():
    rng = np.random.default_rng(4)
    seen = [*searched(rng, 12, 0.001), trial(50, NONE, 7, worth(NONE))]
    leader = verdict(seen).pick("recommended")
    assert not leader.decided
    ended = confirmed(seen, 2, 0.001, rng)
    assert [t.config for t in ended[len(seen) :]] == [leader.trial.config] * 2


def test_what_fails_with_every_other_seed_is_given_up():
    trials = searched(np.random.default_rng(4), 6, 0.1)[1:]  # of no SE one training alone came to its end
    confirmation, failed = Confirmation(12, SEEDS), []
    while (wanted := confirmation.next(verdict([*trials, *failed]))) is not None:
        lost = trial(100 + len(failed), wanted.config, wanted.seed, np.nan, CONFIRM)
        failed.append(replace(lost, status=Status.FAILED, scores={}))
    asked = [each.config for each in failed]
    assert asked[:2] == [NONE, NONE]
    assert len(asked) == 12
    assert max(map(asked.count, asked)) == 2


def test_a_settled_front_asks_for_nothing_more():
    rng = np.random.default_rng(5)
    trials = confirmed(searched(rng, 3, 0.00001), 60, 0.00001, rng)
    assert sum(t.origin == CONFIRM for t in trials) < 60
    assert verdict(trials).certainty.settled


def test_no_budget_asks_for_nothing(clear):
    assert Confirmation(0, SEEDS).next(clear) is None
