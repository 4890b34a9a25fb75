"""The front as a page: whole without a network, and with what people look for."""

import re
from dataclasses import replace
from html import unescape

import pytest

from senas.core.config import SEConfig
from senas.core.verdict import Pick
from senas.report.drawing import alike, ticks
from senas.report.html import FrontPage


@pytest.fixture
def page(sites, findings):
    def html(found=findings, **changes):
        facts = {
            "title": "pilot",
            "subtitle": "resnet8 on digits",
            "question": "Which sites?",
            "findings": found,
            "sites": sites,
            "hypervolumes": {2: 100.0, 4: 150.0, 7: 150.0, 11: 180.0},
        }
        return FrontPage(**{**facts, **changes}).html()

    return html


def test_the_page_asks_for_nothing_from_anywhere(page):
    assert re.findall(r"(?:src|href|url|@import|https?:)[^ ]*", page()) == []


def test_every_training_is_a_dot_and_every_point_of_the_front_a_large_one(page):
    points = re.findall(r'<circle class="dot (\w+)"[^>]*?data-n="(\d+)"', page())
    # Trial 9 is of the configuration that trial 4 was the first to train, and 7 is a baseline.
    assert sorted(points) == sorted(
        [("on", "4"), ("on", "11"), ("on", "2"), ("off", "7")] + [("one", n) for n in ("4", "11", "2", "7", "4")]
    )


def test_every_point_has_its_interval_and_so_have_random_places(page):
    kinds = re.findall(r'class="interval (\w+)"', page())
    assert sorted(kinds) == ["off", "on", "on", "on", "random"]


def test_an_interval_is_as_long_as_what_it_holds(page, findings, about):
    def length(half):
        front = [findings.front[0]._replace(loss=about(0.5, half)), *findings.front[1:]]
        first = re.search(
            r'class="interval on" d="M\S+ (\S+?)V([\d.]+)', page(replace(findings, front=front, points=front))
        )
        return float(first[1]) - float(first[2])

    assert length(0.04) == pytest.approx(2 * length(0.02), rel=0.02)


def test_a_point_that_is_hardly_on_the_front_is_paler(page):
    shown = [float(value) for value in re.findall(r'<g opacity="([\d.]+)"', page())]
    assert shown[0] > shown[1] > shown[2]


def test_the_baselines_are_named_in_the_picture_and_compared(page):
    text = page()
    assert re.findall(r'class="label"[^>]*>(\w+)<', text) == ["none", "all16"]
    assert "no SE (none)" in text
    assert "SE everywhere at r = 16 (all16)" in text
    assert "as many SE blocks at random places" in text


def test_the_pick_is_ringed_and_described_with_its_reason(page, front, sites):
    text = unescape(page())
    assert text.count('class="ring"') == 1
    assert f"Recommended: trial 11: {front[1].config.words(sites)}" in text
    assert "fewest SE parameters within 0.1 of the lowest" in text
    assert "<li>val loss minus that of no SE: -0.1100 (-0.1400 to -0.0800)</li>" in text


def test_a_leader_is_ringed_by_dashes_and_nowhere_called_recommended(page, undecided):
    text = unescape(page(undecided))
    assert text.count('class="ring open"') == 1
    assert "leads, undecided</text>" in text
    assert "Undecided; what leads: trial 11" in text
    assert "undecided at this budget: more" in text
    assert "recommended" not in re.sub(r"<style>.*?</style>", "", text, flags=re.S).lower()


def test_commands_that_would_decide_it_can_be_copied(page, undecided):
    command = """senas resume 'study.name="a b"' study.confirm=16"""
    assert f"<pre>{command}</pre>" in unescape(page(replace(undecided, ways_out=[command])))


def test_the_table_has_a_row_a_configuration_the_front_first_with_numbers_that_sort(page, findings):
    text = page()
    assert re.findall(r'<tr class="config[^"]*" data-n="(\d+)"', text) == ["4", "11", "2", "7"]
    first, second, *_ = re.findall(r'<tr class="config.*?</tr>', text, re.S)
    assert f'data-v="{findings.front[0].loss.mean!r}"' in first
    assert "<small>-0.1400 to -0.0800</small>" in second
    assert 'data-v="0.625">62%<' in second


def test_each_configuration_is_a_strip_with_a_slot_a_site(page):
    rows = re.findall(r"<tr class=\"config.*?</tr>", page(), re.S)
    assert [row.count('class="slot"') for row in rows] == [2, 2, 2, 2]
    assert [row.count('class="none"') for row in rows] == [2, 0, 0, 0]
    assert 'class="p-pre"' in rows[2]


def test_the_hypervolume_is_drawn_once_there_are_two_trials(page):
    assert "Hypervolume of the front after each trial" in page()
    assert "one trial has no course yet" in page(hypervolumes={0: 1.0})


def test_what_rounding_does_to_a_hypervolume_is_not_drawn_as_a_course(page):
    same = page(hypervolumes={0: 4366.000000000002, 1: 4366.000000000001, 2: 4366.0})
    (path,) = re.findall(r'class="front" d="(M[^"]*V[^"]*)"', same[same.index("How the search went") :])
    assert len({float(y) for y in re.findall(r"(?:V| )([\d.]+)", path)}) == 1


def test_it_says_how_much_stands_behind_the_figures(page):
    assert "How far to trust these figures:</strong> Behind these figures stand 5 trainings." in page()


def test_a_name_is_text_and_not_markup(page):
    text = page(title="<script>alert(1)</script> $title")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; $title" in text


@pytest.fixture
def alone(findings):
    def only(point):
        pick = Pick(point.trial, "", decided=True)
        known = {"measured": [point.trial], "points": [point], "front": [point], "picked": point, "pick": pick}
        return replace(findings, **known, against={}, elsewhere=None)

    return only


def test_a_study_of_one_training_has_a_page(page, alone, findings):
    assert page(alone(findings.points[0]), hypervolumes={4: 0.0}).count('class="dot on"') == 1


@pytest.mark.parametrize(("low", "high"), [(0, 8000), (0.45, 0.6), (0.5, 0.5), (0, 1), (1e-6, 2e-6), (0, 5e7)])
def test_ticks_are_few_round_and_span_the_values(low, high):
    found = ticks(low, high, padded=True)
    assert 2 <= len(found) <= 12
    assert found[0] <= low
    assert found[-1] >= high


@pytest.mark.parametrize(
    ("values", "texts"),
    [([0.08, 0.1, 0.12], ["0.08", "0.10", "0.12"]), ([6160, 6240], ["6,160", "6,240"]), ([0, 2e-6], ["0", "2e-06"])],
)
def test_the_numbers_of_an_axis_have_as_many_decimals_each(values, texts):
    assert alike(values) == texts


def test_a_latency_that_was_measured_is_told_beside_the_point(page, alone, point, make):
    trial = make(8, SEConfig(), 0.7)
    trial.scores["latency_ms"] = 1.23456
    assert "1.235 ms" in page(alone(point(trial, 0.7)))
    assert " ms" not in unescape(page())
