"""How sure a front is: probabilities from draws."""

import numpy as np
import pytest

from senas.core.block import SEBlock
from senas.core.certainty import Certainty, Estimate
from senas.core.config import SEConfig

CONFIGS = [SEConfig(), SEConfig({"a": SEBlock(hidden=1)}), SEConfig({"a": SEBlock(hidden=2)})]
NONE, SMALL, LARGE = CONFIGS


def certainty(*losses, trained=(4, 4, 4), sizes=(0, 10, 20)):
    """Of three candidates with 0, 10 and 20 parameters; one row a draw."""
    return Certainty(CONFIGS, np.array(sizes, dtype=float), np.array(losses, dtype=float), np.array(trained))


def normal(means, sds, draws=4000):
    return certainty(*np.random.default_rng(0).normal(means, sds, (draws, 3)))


def test_an_estimate_holds_nine_tenths_of_the_draws():
    estimate = Estimate.of(np.arange(1001.0))
    assert (estimate.mean, estimate.low, estimate.high) == pytest.approx((500, 50, 950))


@pytest.mark.parametrize(("low", "high", "excludes"), [(-2, -1, True), (1, 2, True), (-1, 1, False)])
def test_an_interval_around_zero_does_not_say_on_which_side_a_number_is(low, high, excludes):
    assert Estimate.of(np.linspace(low, high, 100)).excludes_zero is excludes


def test_the_probability_of_being_on_the_front_is_the_share_of_draws_in_which_nothing_beats_it():
    sure = certainty((3, 2, 1), (3, 1, 2), (1, 2, 3), (3, 2, 1))
    assert [sure.on_front(config) for config in CONFIGS] == [1.0, 0.75, 0.5]


def test_of_two_that_are_as_large_the_lower_beats_the_other():
    alike = certainty((3, 2, 1), (3, 2, 1), (3, 1, 2), (3, 2, 1), sizes=(0, 10, 10))
    assert [alike.on_front(config) for config in CONFIGS] == [1.0, 0.25, 0.75]


def test_a_difference_is_that_of_the_first_minus_that_of_the_second():
    assert certainty((3, 2, 1), (3, 1, 1)).difference(NONE, SMALL).mean == 1.5


def test_the_smallest_is_always_on_the_front():
    assert normal((1.0, 0.0, 0.0), (0.1, 0.1, 0.1)).on_front(NONE) == 1.0


def test_the_front_is_of_means_smallest_first():
    assert normal((0.3, 0.4, 0.1), (0.01, 0.01, 0.01)).front == [NONE, LARGE]
    assert normal((0.1, 0.2, 0.3), (0.01, 0.01, 0.01)).front == [NONE]


def test_of_two_on_the_front_none_is_as_large_or_as_low_as_the_other():
    assert certainty((3, 2, 1), sizes=(0, 10, 10)).front == [NONE, LARGE]
    assert certainty((3, 1, 1)).front == [NONE, SMALL]


def test_a_front_is_settled_where_every_probability_is_near_0_or_1():
    assert normal((0.3, 0.2, 0.1), (0.01, 0.01, 0.01)).settled
    assert not normal((0.3, 0.2, 0.19), (0.01, 0.02, 0.02)).settled


@pytest.mark.parametrize(("beaten", "settled"), [(1, True), (3, False), (17, False), (19, True)])
def test_a_twentieth_of_doubt_is_none_and_three_twentieths_are_on_either_side(beaten, settled):
    assert certainty(*[(1, 3, 2)] * beaten, *[(3, 2, 1)] * (20 - beaten)).settled is settled


def test_the_smallest_that_is_surely_near_the_lowest_is_recommended():
    state = normal((0.30, 0.205, 0.200), (0.001, 0.001, 0.001))
    assert state.recommended(margin=0.01) == SMALL
    assert state.recommended(margin=0.001) == LARGE
    assert state.recommended(margin=0.2) == NONE


def test_nothing_is_recommended_where_nothing_is_sure():
    state = normal((0.3, 0.2, 0.2), (0.2, 0.2, 0.2))
    assert state.recommended(margin=0.01) is None


def test_the_only_candidate_is_not_recommended():
    alone = Certainty([NONE], np.array([0.0]), np.zeros((10, 1)), np.array([5]))
    assert alone.recommended(margin=1.0) is None


def test_four_trainings_in_all_are_enough_and_three_are_too_few():
    draws = ((0.30, 0.205, 0.200), (0.31, 0.204, 0.201))
    assert certainty(*draws, trained=(1, 3, 0)).recommended(margin=0.01) == SMALL
    assert certainty(*draws, trained=(0, 3, 0)).recommended(margin=0.01) is None


def test_of_two_that_are_as_large_and_near_the_lowest_the_lower_is_recommended():
    draws = ((0.30, 0.205, 0.200), (0.31, 0.204, 0.201))
    assert certainty(*draws, sizes=(0, 10, 10)).recommended(margin=0.01) == LARGE


def test_what_was_trained_once_or_twice_is_not_recommended_however_sure_the_model_is():
    draws = ((0.30, 0.205, 0.200), (0.31, 0.204, 0.201))
    assert certainty(*draws, trained=(9, 3, 9)).recommended(margin=0.01) == SMALL
    assert certainty(*draws, trained=(9, 2, 9)).recommended(margin=0.01) == LARGE
    assert certainty(*draws, trained=(9, 2, 2)).recommended(margin=0.01) is None


def test_what_leads_is_what_would_be_recommended_if_it_were_trained_often_enough():
    draws = ((0.30, 0.205, 0.200), (0.31, 0.204, 0.201))
    assert certainty(*draws, trained=(9, 1, 9)).leader(margin=0.01) == SMALL
    assert certainty(*draws, trained=(9, 1, 9)).leader(margin=0.001) == LARGE


def test_what_is_passed_over_does_not_lead_unless_it_is_all_there_is():
    draws = ((0.30, 0.205, 0.200), (0.31, 0.204, 0.201))
    assert certainty(*draws).leader(margin=0.01, without=[SMALL]) == LARGE
    assert certainty(*draws).leader(margin=0.01, without=[SMALL, LARGE]) == NONE
    assert certainty(*draws).leader(margin=0.01, without=CONFIGS) == SMALL


def test_where_nothing_is_sure_the_lowest_mean_leads():
    assert normal((0.3, 0.2, 0.19), (0.2, 0.2, 0.01)).leader(margin=0.01) == LARGE


def test_it_says_by_which_margin_something_would_be_recommended():
    state = normal((0.3, 0.21, 0.2), (0.03, 0.03, 0.03), draws=512)
    wide = state.sure_within
    assert state.recommended(wide) is not None
    assert state.recommended(0.99 * wide) is None


def test_no_margin_is_wide_enough_where_nothing_was_trained_often_enough():
    assert certainty((0.3, 0.2, 0.1), trained=(2, 2, 2)).sure_within is None
