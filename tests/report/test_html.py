"""The front as a page: whole without a network, and with what people look for."""

import re
from html import unescape

import pytest

from senas.core.config import SEConfig, baselines
from senas.report.html import FrontPage, alike, ticks


@pytest.fixture
def page(sites, front, make):
    def html(**changes):
        beaten = make(7, SEConfig.everywhere(sites, 16), 0.8)
        facts = {
            "title": "pilot",
            "subtitle": "resnet8 on digits",
            "question": "Which sites?",
            "measured": [*front, beaten],
            "front": front,
            "picked": front[1],
            "why": "lowest validation loss",
            "sites": sites,
            "hypervolumes": {2: 100.0, 4: 150.0, 7: 150.0, 11: 180.0},
            "seeds": "Each figure is one training with seed 3.",
            "baselines": baselines(sites),
        }
        return FrontPage(**{**facts, **changes}).html()

    return html


def test_the_page_asks_for_nothing_from_anywhere(page):
    assert re.findall(r"(?:src|href|url|@import|https?:)[^ ]*", page()) == []


def test_every_trial_is_a_point_and_those_of_the_front_are_marked(page):
    points = re.findall(r'<circle class="dot (\w+)"[^>]*?data-n="(\d+)"', page())
    assert sorted(points) == [("off", "7"), ("on", "11"), ("on", "2"), ("on", "4")]


def test_the_baselines_are_named_in_the_picture_and_compared(page):
    text = page()
    assert re.findall(r'class="label"[^>]*>(\w+)<', text) == ["none", "all16"]
    assert "no SE (none)" in text
    assert "SE everywhere at r = 16 (all16)" in text


def test_the_pick_is_ringed_and_described_with_its_reason(page, front, sites):
    text = unescape(page())
    assert text.count('class="ring"') == 1
    assert f"trial 11: {front[1].config.words(sites)}" in text
    assert "lowest validation loss · validation loss 0.4000" in text


def test_the_table_has_a_row_a_trial_the_front_first_with_numbers_that_sort(page, front):
    text = page()
    assert re.findall(r'<tr class="trial[^"]*" data-n="(\d+)"', text) == ["4", "11", "2", "7"]
    assert f'data-v="{front[0].scores["val_loss"]!r}"' in text


def test_each_configuration_is_a_strip_with_a_slot_a_site(page):
    rows = re.findall(r"<tr class=\"trial.*?</tr>", page(), re.S)
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


def test_it_says_how_many_seeds_stand_behind_the_figures(page):
    assert "Each figure is one training with seed 3." in page()


def test_a_name_is_text_and_not_markup(page):
    text = page(title="<script>alert(1)</script> $title")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; $title" in text


def test_a_study_of_one_trial_has_a_page(page, front):
    assert (
        page(measured=front[:1], front=front[:1], picked=front[0], hypervolumes={4: 0.0}).count('class="dot on"') == 1
    )


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


def test_a_latency_that_was_measured_is_told_beside_the_point(page, sites, make):
    trial = make(8, SEConfig(), 0.7)
    trial.scores["latency_ms"] = 1.23456
    assert "1.235 ms" in page(measured=[trial], front=[trial], picked=trial)
    assert " ms" not in unescape(page())
