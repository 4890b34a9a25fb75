"""Objectives: penalized and Pareto, and scores that have no rank."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senas.core.objective import FRONT, METRICS, Pareto, Penalized, own_scores, points, score
from senas.errors import ConfigError, ScoreError

SCORES = {"val_loss": 0.75, "val_error": 0.25, "se_params": 500.0, "params": 10_500.0, "macs": 9e6}


def test_the_penalty_is_for_the_share_of_all_the_se_one_could_buy():
    assert Penalized(penalty=0.5, largest_params=1000).values(SCORES) == (0.75 + 0.5 * 0.5,)


def test_the_largest_configuration_pays_the_whole_penalty():
    assert Penalized(penalty=0.1, largest_params=500).values(SCORES) == (pytest.approx(0.85),)


def test_without_a_penalty_the_objective_is_the_validation_loss():
    assert Penalized(penalty=0, largest_params=1000).values(SCORES) == (0.75,)


@given(st.floats(0, 10), st.integers(1, 10**9), st.integers(0, 10**6))
def test_the_penalty_does_not_depend_on_the_size_of_the_backbone(penalty, largest, scale):
    small = Penalized(penalty, largest).values({"val_loss": 1.0, "se_params": largest})
    large = Penalized(penalty, largest * (scale + 1)).values({"val_loss": 1.0, "se_params": largest * (scale + 1)})
    assert small == large


@pytest.mark.parametrize("penalty", [-0.1, math.nan, math.inf])
def test_a_penalty_that_is_no_number_of_at_least_0_is_refused(refused, penalty):
    with refused(ConfigError, "objective.penalty", "at least 0", f"got {penalty}"):
        Penalized(penalty=penalty, largest_params=1)


def test_pareto_gives_the_metrics_in_the_order_asked_for():
    assert Pareto(("macs", "val_error", "params")).values(SCORES) == (9e6, 0.25, 10_500.0)


@pytest.mark.parametrize("objective", [Penalized(penalty=0.1, largest_params=1000), Pareto(("macs", "val_loss"))])
def test_every_objective_names_each_of_its_values(objective):
    assert len(objective.names) == len(objective.values(SCORES))


def test_pareto_values_are_called_by_their_metrics():
    assert Pareto(("macs", "val_loss")).names == ("macs", "val_loss")


@pytest.mark.parametrize("objective", [Penalized(penalty=0.1, largest_params=1000), Pareto(("se_params", "val_loss"))])
@pytest.mark.parametrize("name", ["val_loss", "se_params"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_every_objective_refuses_a_score_without_a_rank_by_its_name(refused, objective, name, value):
    scores = {**SCORES, name: value}
    if value is None:
        del scores[name]
    with refused(ScoreError, name, "finite"):
        objective.values(scores)


def test_an_unknown_metric_is_answered_with_those_there_are(refused):
    with refused(ConfigError, "objective.metrics", '"val_los"', *METRICS):
        Pareto(("val_los", "se_params"))


@pytest.mark.parametrize("metrics", [(), ("val_loss",), ("val_loss", "val_loss")])
def test_fewer_than_two_different_metrics_are_sent_to_penalized(refused, metrics):
    with refused(ConfigError, "objective.metrics", "two", ", ".join(metrics) or "none", "objective=penalized"):
        Pareto(metrics)


# Metrics of the user's own


MINE = {**SCORES, "f1": 0.9, "brier": 0.2}


def test_a_metric_of_which_less_is_better_takes_the_place_of_the_loss():
    assert Penalized(0.5, 1000, "brier").values(MINE) == (pytest.approx(0.2 + 0.25),)


def test_a_metric_of_which_more_is_better_pays_the_penalty_too():
    assert Penalized(0.5, 1000, "minus_f1").values(MINE) == (pytest.approx(-(0.9 - 0.25)),)


@pytest.mark.parametrize(
    ("metric", "names", "words", "sign"),
    [
        ("val_loss", ("penalized_loss",), "validation loss plus a penalty of 0.5", 1),
        ("val_error", ("penalized_error",), "validation error plus a penalty of 0.5", 1),
        ("brier", ("penalized_brier",), "brier plus a penalty of 0.5", 1),
        ("minus_f1", ("penalized_minus_f1",), "f1 minus a penalty of 0.5", -1),
    ],
)
def test_what_is_penalized_is_in_the_name_and_in_the_words(metric, names, words, sign):
    objective = Penalized(0.5, 1000, metric)
    assert (objective.names, objective.words, objective.sign) == (names, words, sign)
    assert objective.axes == (metric, "se_params")


def test_a_metric_of_ones_own_can_be_one_of_several():
    objective = Pareto(("minus_f1", "se_params"), own=("minus_f1",))
    assert objective.values(MINE) == (-0.9, 500.0)
    assert (objective.words, objective.axes) == ("f1 and se_params", ("minus_f1", "se_params"))


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_metric_without_a_rank_is_refused_by_its_own_name(refused, value):
    with refused(ScoreError, "f1 must be a finite number"):
        Penalized(0.5, 1000, "minus_f1").values({**SCORES, **({} if value is None else {"f1": value})})


def test_only_metrics_that_are_not_senass_are_ones_own():
    assert own_scores(Penalized(0.1, 1)) == own_scores(Pareto(("val_error", "macs"))) == []
    assert own_scores(Penalized(0.1, 1, "minus_f1")) == ["f1"]
    assert own_scores(Pareto(("macs", "brier", "minus_f1"), ("brier", "minus_f1"))) == ["brier", "f1"]


def test_a_score_is_found_by_its_name():
    assert score(SCORES, "val_error") == 0.25


def test_the_front_that_every_study_keeps_is_made_of_known_metrics():
    assert set(FRONT) <= set(METRICS)


def test_points_are_loss_and_se_parameters_of_each_trial():
    assert points([SCORES, {**SCORES, "se_params": 0.0}]) == [(0.75, 500.0), (0.75, 0.0)]


def test_points_take_the_metrics_asked_for():
    assert points([SCORES], ["macs", "params", "val_loss"]) == [(9e6, 10_500.0, 0.75)]


def test_a_trial_without_a_score_has_no_point(refused):
    with refused(ScoreError, "se_params"):
        points([SCORES, {"val_loss": 0.75}])
