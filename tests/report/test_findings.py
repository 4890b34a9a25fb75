"""What was found, in words."""

from dataclasses import replace

import pytest

from senas.core.certainty import Estimate
from senas.core.config import SEConfig
from senas.report.findings import apart, percent


def test_a_difference_whose_interval_has_zero_is_said_to_be_none_that_can_be_told(findings, about):
    sure = findings.comparisons
    assert sure[0] == "val loss minus that of no SE: -0.1100 (-0.1400 to -0.0800)"
    unsure = replace(findings, against={"none": about(-0.01, 0.03)}).comparisons
    assert unsure[0] == "val loss minus that of no SE: -0.0100 (-0.0400 to +0.0200): not distinguishable from no SE"


def test_random_places_are_among_what_the_pick_is_compared_with(findings):
    assert findings.comparisons[2].startswith("val loss minus that of as many SE blocks at random places: +0.0100")


def test_a_pick_that_is_a_baseline_is_said_to_be_it(findings):
    assert "it is no SE" in replace(findings, picked=findings.points[0]).comparisons


def test_a_baseline_outside_the_space_is_not_passed_over_in_silence(findings):
    outside = replace(findings, outside=["none"]).comparisons
    assert outside[-1] == "no SE is not in this study's space"


def test_more_of_a_metric_that_is_to_be_high_is_a_plus(findings, about):
    found = replace(findings, metric="minus_f1", against={"none": about(-0.02, 0.01)})
    assert found.comparisons[0] == "f1 minus that of no SE: +0.0200 (+0.0100 to +0.0300)"
    assert found.shown(Estimate(-0.8, -0.9, -0.6)) == Estimate(0.8, 0.6, 0.9)


@pytest.mark.parametrize(("from_none", "like"), [(-0.11, False), (-0.02, True)])
def test_a_pick_is_like_no_se_where_the_interval_of_their_difference_has_zero(findings, point, from_none, like):
    picked = point(findings.pick.trial, 0.4, from_none=from_none)
    assert replace(findings, picked=picked).like_no_se is like


def test_no_se_itself_is_not_said_to_be_like_no_se(findings, point, make):
    none = point(make(4, SEConfig(), 0.5), 0.5, from_none=0.0)
    assert not replace(findings, picked=none).like_no_se


def test_the_verdict_says_by_which_rule_a_pick_was_made(findings, undecided):
    assert findings.verdict == "recommended"
    assert replace(findings, how="best").verdict == "picked: best"
    assert undecided.verdict == "undecided"


def test_what_another_rule_picked_is_not_called_recommended(findings, undecided):
    assert findings.kind == "recommended"
    assert replace(findings, how="trial:11").kind == "picked"
    assert undecided.kind == "leads"


@pytest.mark.parametrize(
    ("probability", "words"), [(0.0, "<1%"), (0.01, "1%"), (0.355, "36%"), (0.99, "99%"), (1.0, ">99%")]
)
def test_a_probability_from_draws_is_never_said_to_be_certain(probability, words):
    assert percent(probability) == words


def test_what_would_hide_another_point_is_drawn_beside_it():
    assert apart(5.0, [1.0, 9.0], gap=1.0) == 5.0
    assert abs(apart(5.0, [5.0], gap=1.0) - 5.0) == pytest.approx(1.0)
    assert abs(apart(5.0, [5.0, 4.0, 6.0], gap=1.0) - 5.0) == pytest.approx(2.0)
