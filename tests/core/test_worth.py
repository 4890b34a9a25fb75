"""What SE blocks are worth, as rows."""

from dataclasses import replace

import numpy as np
import pytest

from senas.core.effects import STAGE, Design, fit
from senas.core.space import Axes, search_space
from senas.core.worth import ANY, worths

from .test_effects import SITES, SPACE, P, observed


@pytest.fixture(scope="module")
def rows():
    return worths(fit(SPACE, observed(np.random.default_rng(0), 80, noise=0.002), effort=0.3))


@pytest.fixture(scope="module")
def together():
    """Of blocks that harm each other, every other configuration trained twice; and the trainings."""
    seen = observed(np.random.default_rng(1), 40, noise=0.002)
    harmed = [
        replace(each, loss=each.loss + 0.03 * Design(SPACE).columns(each.config).get((STAGE, ""), 0.0)) for each in seen
    ]
    harmed += [replace(each, seed=1) for each in harmed[::2]]
    return worths(fit(SPACE, harmed, effort=0.3)), harmed


def row(rows, kind, name, option=""):
    (found,) = [each for each in rows if (each.kind, each.name, each.option) == (kind, name, option)]
    return found


def test_a_block_that_lowers_the_loss_is_known_to(rows):
    helps, harms = row(rows, "place", "layer1.0", "r2 standard"), row(rows, "place", "layer2.1", "r2 standard")
    assert helps.loss.low < -0.04 < helps.loss.high < 0
    assert 0 < harms.loss.low < 0.02 < harms.loss.high
    assert helps.lowers > 0.99 > 0.01 > harms.lowers


def test_the_row_of_a_place_is_the_mean_over_its_options(rows):
    options = [each for each in rows if each.kind == "place" and each.name == "layer1.1"]
    assert options[0].option == ANY
    assert options[0].loss.mean == pytest.approx(np.mean([each.loss.mean for each in options[1:]]))


def test_placements_and_widths_are_compared_over_all_places(rows):
    assert row(rows, "placement", "standard").loss.mean < row(rows, "placement", "pre").loss.mean < 0
    assert row(rows, "width", "r2").loss.mean < row(rows, "width", "r4").loss.mean < 0


def test_the_row_of_a_placement_is_the_mean_over_all_options_that_have_it(rows):
    having = [each for each in rows if each.kind == "place" and each.option.endswith(" pre")]
    assert len(having) == 8
    assert row(rows, "placement", "pre").loss.mean == pytest.approx(np.mean([each.loss.mean for each in having]))


def test_placements_and_widths_come_first_then_places_in_network_order_and_pairs_last(rows):
    named = list(dict.fromkeys((each.kind, each.name) for each in rows))
    places = [("place", site.name) for site in SITES]
    assert [kind for kind, _ in named[:4]] == ["placement", "placement", "width", "width"]
    assert named[4:] == [*places, ("pair", "layer1.0, layer1.1"), ("pair", "layer2.0, layer2.1")]


def test_each_training_of_a_configuration_that_was_trained_again_counts(together):
    rows, seen = together
    had = [each for each in seen if SPACE.encode(each.config)["layer2.0"] == "r2 pre"]
    assert row(rows, "place", "layer2.0", "r2 pre").trainings == len(had) > len({each.config for each in had})


def test_a_pair_says_how_many_trainings_had_both(together):
    rows, seen = together
    had = [each for each in seen if {"layer1.0", "layer1.1"} <= set(each.config)]
    assert row(rows, "pair", "layer1.0, layer1.1").trainings == len(had) > len({each.config for each in had})


def test_two_blocks_that_harm_each_other_are_seen_to(together):
    pairs = [each.loss for each in together[0] if each.kind == "pair"]
    assert all(0.0 < loss.low < 0.03 < loss.high for loss in pairs)


def test_rows_say_how_many_trainings_had_it(rows):
    of_options = [each.trainings for each in rows if each.kind == "place" and each.name == "layer2.0"]
    assert of_options[0] == sum(of_options[1:])
    assert 0 < of_options[0] < 80


def test_two_blocks_that_do_not_interact_add_nothing_together(rows):
    pairs = [each for each in rows if each.kind == "pair"]
    assert [each.name for each in pairs] == ["layer1.0, layer1.1", "layer2.0, layer2.1"]
    assert all(each.loss.low < 0 < each.loss.high for each in pairs)


def test_what_every_block_has_is_no_row():
    narrow = search_space(SITES, Axes(reduction=(4,), placement=P[:1]))
    seen = [each for each in observed(np.random.default_rng(0), 120, noise=0.002) if each.config in narrow]
    found = worths(fit(narrow, seen, effort=0.1))
    assert {each.name for each in found if each.kind == "place"} == {site.name for site in SITES}
    assert not [each for each in found if each.kind in ("placement", "width") or each.option == ANY]
