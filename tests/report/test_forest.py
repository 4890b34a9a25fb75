"""Intervals as bars."""

import re

import pytest

from senas.core.certainty import Estimate
from senas.report.forest import Bar, forest

LOWERS, RAISES, EITHER = Estimate(-0.2, -0.3, -0.1), Estimate(0.2, 0.1, 0.3), Estimate(0.0, -0.1, 0.1)


def bars(text):
    found = re.findall(r'class="bar (\w+)" d="M([\d.]+) [\d.]+H([\d.]+)', text)
    return [(kind, float(start), float(end)) for kind, start, end in found]


def test_a_bar_runs_from_low_to_high_with_the_colour_of_its_sign():
    found = bars(forest([("", [Bar("a", LOWERS), Bar("b", RAISES), Bar("c", EITHER)])], "x", "y"))
    assert [kind for kind, *_ in found] == ["down", "up", "even"]
    (_, a, b), (_, c, d), (_, e, f) = found
    assert b - a == pytest.approx(d - c, abs=0.2) == pytest.approx(f - e, abs=0.2)
    assert b < c


def test_a_size_has_no_sign():
    assert [kind for kind, *_ in bars(forest([("", [Bar("a", RAISES)])], "x", "y", signed=False))] == ["even"]


def test_the_zero_is_always_in_the_picture():
    text = forest([("", [Bar("a", Estimate(5.0, 4.0, 6.0))])], "x", "y")
    (zero,) = re.findall(r'class="axis" x1="([\d.]+)"', text)
    assert float(zero) < bars(text)[0][1]


def test_nothing_is_drawn_of_nothing():
    assert forest([("by site", [])], "x", "y") == ""


def test_names_are_text():
    assert "<i>" not in forest([("<i>", [Bar("<i>", LOWERS, "<i>")])], "<i>", "<i>")
