"""How many more trainings would decide what to recommend."""

import numpy as np
import pytest

from senas.core.preposterior import TIMES, chance, would_decide

from .test_certainty import LARGE, SMALL, certainty, normal


def test_more_trainings_are_needed_where_there_is_more_noise():
    state = normal((0.3, 0.21, 0.2), (0.03, 0.03, 0.03))
    little, much = (would_decide(state, 0.01, noise) for noise in (0.003, 0.03))
    assert little.trainings < much.trainings


def test_what_is_out_of_reach_is_not_trained_again():
    state = normal((9.0, 0.21, 0.2), (0.03, 0.03, 0.03))
    assert set(would_decide(state, 0.02, 0.03).configs) == {SMALL, LARGE}


def test_what_no_number_of_trainings_tells_apart_is_said_to_be_too_much():
    state = normal((0.3, 0.2, 0.2), (0.1, 0.1, 0.1))
    assert would_decide(state, 0.0, 10.0) is None


def test_what_leads_for_sure_needs_trainings_of_its_own():
    sure = certainty(*np.random.default_rng(0).normal((0.3, 0.2, 0.1), 0.001, (512, 3)), trained=(2, 2, 1))
    assert sure.recommended(0.01) is None
    assert would_decide(sure, 0.01, 0.001) == ([LARGE], 2)


@pytest.mark.parametrize(("noise", "times"), [(0.005, 4), (0.04, 16)])
def test_the_chance_is_how_often_trainings_that_are_run_do_decide(noise, times, monkeypatch):
    """Two candidates, normal beliefs: what is predicted beside what happens when truths are drawn and trained."""
    monkeypatch.setattr("senas.core.preposterior.TRUTHS", 1000)
    rng, sd, margin = np.random.default_rng(1), 0.02, 0.01
    state = normal((9.0, 0.2, 0.2), (0.001, sd, sd))
    predicted = chance(state, margin, noise, np.array([1, 2]), times)
    left = 1 / (1 / sd**2 + times / noise**2)
    decided = 0
    for truth in rng.normal(0.2, sd, (1000, 2)):
        seen = truth + rng.normal(0, noise / np.sqrt(times), 2)
        mean = left * (0.2 / sd**2 + seen * times / noise**2)
        decided += normal((9.0, *mean), (0.001, *[np.sqrt(left)] * 2), draws=512).recommended(margin) is not None
    assert predicted == pytest.approx(decided / 1000, abs=0.05)  # two standard errors


def test_no_fewer_trainings_decide_it():
    state = normal((9.0, 0.19, 0.2), (0.001, 0.03, 0.03))
    contenders = np.argsort(-state.near_best(0.01))
    deciding = [
        count * times
        for count in (1, 2, 3)
        for times in TIMES
        if chance(state, 0.01, 0.02, contenders[:count], times) >= 0.5
    ]
    assert would_decide(state, 0.01, 0.02).trainings == min(deciding) < deciding[0]  # of fewer configurations more


def test_to_ask_what_would_decide_trains_nothing():
    state = normal((0.3, 0.205, 0.2), (0.02, 0.02, 0.02))
    would_decide(state, 0.01, 0.02)
    assert state.trained.tolist() == [4, 4, 4]


def test_trainings_of_others_decide_nothing_where_what_is_near_the_lowest_was_trained_once():
    sure = certainty(*np.random.default_rng(0).normal((0.3, 0.2, 0.1), 0.001, (512, 3)), trained=(9, 9, 1))
    assert chance(sure, 0.01, 0.001, np.array([0, 1]), 5) == 0.0
    assert chance(sure, 0.01, 0.001, np.array([2]), 2) == 1.0
