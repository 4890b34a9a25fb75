"""What SE blocks are worth, as rows."""

import numpy as np
import pytest

from senas.core.effects import fit
from senas.core.space import Axes, search_space
from senas.core.worth import ANY, worths

from .test_effects import SITES, SPACE, P, observed


@pytest.fixture(scope="module")
def rows():
    return worths(fit(SPACE, observed(np.random.default_rng(0), 80, noise=0.002), effort=0.3))


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
