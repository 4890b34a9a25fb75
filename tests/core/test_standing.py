"""Standing: the front, the picks and the hypervolume of a study, read off its trials."""

import math

import numpy as np
import pytest

from senas.core.config import SEConfig
from senas.core.objective import Pareto, Penalized
from senas.core.standing import PICKS, Standing
from senas.core.trial import Failure, Status, Trial
from senas.errors import ConfigError, ScoreError, StudyError

LARGEST = 1000


def trial(number, loss, params, status=Status.COMPLETE, *, macs=0.0, repeats=None):
    scores = {"val_loss": loss, "se_params": float(params), "macs": macs}
    return Trial(number=number, status=status, config=SEConfig(), seed=0, scores=scores, repeats=repeats)


def standing(trials, objective=None, *, classes=10, margin=0.0):
    return Standing(
        trials=trials,
        objective=objective or Penalized(0.1, LARGEST),
        classes=classes,
        largest_params=LARGEST,
        margin=margin,
    )


# Losses 0.9, 0.5, 0.42, 0.4 at 0, 100, 500, 1000 parameters are on the front; the fifth is beaten.
CLOUD = [trial(0, 0.4, 1000), trial(1, 0.9, 0), trial(2, 0.5, 100), trial(3, 0.6, 200), trial(4, 0.42, 500)]
OTHERS = [
    trial(5, 0.1, 0, Status.PRUNED),
    trial(6, 0.1, 0, Status.COMPLETE, repeats=1),
    Trial(number=7, status=Status.FAILED, config=SEConfig(), seed=0, failure=Failure.DIVERGED, reason="lost"),
    trial(8, 0.1, 0, Status.RUNNING),
]


def numbers(trials):
    return [each.number for each in trials]


def test_the_front_is_what_no_other_beats_smallest_first():
    assert numbers(standing(CLOUD).front()) == [1, 2, 4, 0]


def test_equals_are_all_on_the_front_by_number():
    assert numbers(standing([trial(3, 0.5, 10), trial(1, 0.5, 10)]).front()) == [1, 3]


def test_a_front_over_other_scores_is_another():
    cloud = [trial(0, 0.5, 10, macs=9.0), trial(1, 0.6, 20, macs=1.0)]
    assert numbers(standing(cloud).front()) == [0]
    assert numbers(standing(cloud).front(("val_loss", "macs"))) == [0, 1]


@pytest.mark.parametrize("other", OTHERS, ids=["pruned", "repeated", "failed", "running"])
def test_only_trials_trained_to_the_end_are_measured(other):
    assert numbers(standing([*CLOUD, other]).measured) == numbers(CLOUD)


@pytest.mark.parametrize("other", OTHERS, ids=["pruned", "repeated", "failed", "running"])
def test_only_trials_trained_to_the_end_are_on_the_front(other):
    assert numbers(standing([*CLOUD, other]).front()) == [1, 2, 4, 0]


@pytest.mark.parametrize("other", OTHERS, ids=["pruned", "repeated", "failed", "running"])
def test_only_trials_trained_to_the_end_add_to_the_hypervolume(other):
    assert standing([*CLOUD, other]).hypervolume() == standing(CLOUD).hypervolume()


@pytest.mark.parametrize("how", PICKS)
@pytest.mark.parametrize("other", OTHERS, ids=["pruned", "repeated", "failed", "running"])
def test_only_trials_trained_to_the_end_are_picked(other, how):
    assert standing([*CLOUD, other]).pick(how)[0].number < 5


def test_without_a_measured_trial_there_is_no_front():
    empty = standing(OTHERS)
    assert (empty.front(), empty.hypervolume(), empty.kept()) == ([], 0.0, set())


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_the_reference_is_guessing_with_the_largest_configuration(classes):
    assert standing([], classes=classes).reference == (math.log(classes), LARGEST)


def test_the_hypervolume_is_the_area_between_the_front_and_the_reference():
    corner = math.log(10)
    expected = (corner - 0.9) * 100 + (corner - 0.5) * 400 + (corner - 0.42) * 500
    assert standing(CLOUD).hypervolume() == pytest.approx(expected)


def test_a_trial_worse_than_guessing_adds_no_hypervolume():
    assert standing([trial(0, 2.4, 0)]).hypervolume() == 0


def test_weights_of_the_front_are_kept():
    assert standing(CLOUD).kept() == {0, 1, 2, 4}


def test_weights_of_the_objectives_front_are_kept_too():
    cloud = [trial(0, 0.5, 10, macs=9.0), trial(1, 0.6, 20, macs=1.0), trial(2, 0.7, 30, macs=5.0)]
    assert standing(cloud).kept() == {0}
    assert standing(cloud, Pareto(("val_loss", "macs"))).kept() == {0, 1}


@pytest.mark.parametrize(("penalty", "number"), [(0.0, 0), (0.1, 4), (0.2, 2), (3.9, 2), (4.1, 1)])
def test_best_is_the_lowest_loss_plus_penalty(penalty, number):
    picked, why = standing(CLOUD, Penalized(penalty, LARGEST)).pick("best")
    assert picked.number == number
    assert why.startswith("lowest validation loss plus a penalty of ")


def test_best_of_several_objectives_is_the_lowest_loss():
    picked, why = standing(CLOUD, Pareto(("se_params", "val_loss"))).pick("best")
    assert (picked.number, why) == (0, "lowest validation loss")


def test_the_knee_is_where_the_front_bends():
    picked, why = standing(CLOUD).pick("knee")
    assert (picked.number, why) == (2, "the knee of the front over val_loss and se_params")


def test_the_knee_of_several_objectives_is_that_of_their_front():
    cloud = [trial(0, 0.4, 0, macs=10.0), trial(1, 0.9, 0, macs=0.0), trial(2, 0.5, 0, macs=1.0)]
    picked, why = standing(cloud, Pareto(("val_loss", "macs"))).pick("knee")
    assert (picked.number, why) == (2, "the knee of the front over val_loss and macs")


@pytest.mark.parametrize(("margin", "number"), [(0.0, 0), (0.05, 4), (0.1, 2), (0.49, 2), (0.5, 1)])
def test_smallest_has_the_fewest_parameters_within_the_margin(margin, number):
    picked, why = standing(CLOUD, margin=margin).pick("smallest")
    assert picked.number == number
    assert why == f"fewest SE parameters within {margin:g} of the lowest validation loss"


@pytest.mark.parametrize("margin", [-0.1, math.nan])
def test_a_margin_below_zero_is_refused(margin):
    with pytest.raises(ConfigError, match=r"study\.margin must be at least 0"):
        standing(CLOUD, margin=margin).pick("smallest")


@pytest.mark.parametrize(
    ("budget", "number"), [(0, 1), (99, 1), (100, 2), (499, 2), (500, 4), (999, 4), (1000, 0), (10**9, 0)]
)
def test_a_budget_buys_the_lowest_loss_with_at_most_that_many_parameters(budget, number):
    picked, why = standing(CLOUD).pick(f"budget:{budget}")
    assert picked.number == number
    assert why == f"lowest validation loss with at most {budget:,} SE parameters"


def test_of_equal_losses_a_budget_buys_the_smallest():
    cloud = [trial(0, 0.5, 90), trial(1, 0.5, 40), trial(2, 0.5, 40), trial(3, 0.6, 0)]
    assert standing(cloud).pick("budget:100")[0].number == 1


def test_what_a_budget_buys_does_not_depend_on_the_penalty():
    assert {standing(CLOUD, Penalized(p, LARGEST)).pick("budget:1000")[0].number for p in (0.0, 0.1, 100.0)} == {0}


@pytest.mark.parametrize("budget", [0, 100, 450, 1000])
def test_weights_of_what_a_budget_buys_are_kept(budget):
    state = standing(CLOUD, Pareto(("val_loss", "macs")))
    assert state.pick(f"budget:{budget}")[0].number in state.kept()


@pytest.mark.parametrize("other", OTHERS, ids=["pruned", "repeated", "failed", "running"])
def test_a_budget_buys_only_trials_trained_to_the_end(other):
    assert standing([*CLOUD, other]).pick("budget:0")[0].number == 1


def test_a_budget_below_the_cheapest_is_answered_with_the_smallest_there_is(refused):
    with refused(StudyError, "pick=budget:99", "so few SE parameters", "the smallest there is, trial 2, has 100"):
        standing([trial(0, 0.4, 1000), trial(2, 0.5, 100)]).pick("budget:99")


@pytest.mark.parametrize(
    "number", ["", "x", "-1", "1.5", "1e3", " 5", "1_000", "\u0661", "nan", pytest.param("9" * 5000, id="long")]
)
def test_a_budget_that_is_no_number_is_refused(refused, number):
    with refused(StudyError, f"pick=budget:{number}", "a whole number of SE parameters", "pick=budget:500"):
        standing(CLOUD).pick(f"budget:{number}")


def test_a_budget_buys_nothing_where_no_trial_was_trained_to_the_end(refused):
    with refused(StudyError, "no trial of this study was trained to the end yet"):
        standing(OTHERS).pick("budget:100")


def test_a_trial_is_picked_by_its_number_on_the_front_or_not():
    assert standing(CLOUD).pick("trial:3") == (CLOUD[3], "named by you")


@pytest.mark.parametrize("how", ["trial:5", "trial:99", "trial:", "trial:x", "trial:-1"])
def test_a_number_that_was_not_trained_to_the_end_is_answered_with_those_that_were(refused, how):
    with refused(StudyError, f"pick={how}", "no trial", "it has 0, 1, 2, 3, 4"):
        standing([*CLOUD, OTHERS[0]]).pick(how)


def test_a_number_is_answered_with_none_where_nothing_was_trained(refused):
    with refused(StudyError, "it has none"):
        standing(OTHERS).pick("trial:5")


@pytest.mark.parametrize("how", ["", "Best", "cheapest", "7"])
def test_an_unknown_pick_is_answered_with_those_there_are(refused, how):
    with refused(StudyError, f'"{how}"', "best, knee, smallest, budget:<params> or trial:<n>"):
        standing(CLOUD).pick(how)


@pytest.mark.parametrize("how", PICKS)
def test_nothing_is_picked_where_no_trial_was_trained_to_the_end(refused, how):
    with refused(StudyError, "no trial of this study was trained to the end yet", "senas search"):
        standing(OTHERS).pick(how)


def test_a_score_without_a_rank_is_refused():
    with pytest.raises(ScoreError, match="val_loss must be a finite number, got nan"):
        standing([trial(0, math.nan, 0)]).front()


def test_hypervolumes_are_those_that_there_were_after_each_trial():
    rng = np.random.default_rng(0)
    cloud = [trial(n, float(rng.random()), int(rng.integers(1100))) for n in range(40)]
    found = standing([*cloud, OTHERS[0]]).hypervolumes()
    assert found == pytest.approx({n: standing(cloud[: n + 1]).hypervolume() for n in range(40)})
