"""One truth of many: tables that give the loss of any configuration, and lead to better ones."""

from itertools import product

import numpy as np
import pytest

from senas.core.block import Placement
from senas.core.constraint import Constraints
from senas.core.effects import Design, Observation, fit
from senas.core.site import Place, Site
from senas.core.space import Axes, search_space
from senas.core.truth import Truth

P = (Placement.STANDARD, Placement.PRE)
SITES = tuple(
    Site(f"layer{stage}.{unit}", dict.fromkeys(P, Place(8 * stage, 8, 8)), Place(8 * stage, 8, 8))
    for stage in (1, 2)
    for unit in (0, 1)
)
SPACE = search_space(SITES, Axes(reduction=(2, 4), placement=P))
WAYS = list(product(*(range(len(choice.options)) for choice in SPACE.choices)))


@pytest.fixture(scope="module")
def effects():
    rng = np.random.default_rng(0)
    configs = [SPACE.at(WAYS[n]) for n in rng.choice(len(WAYS), 40)]
    return fit(SPACE, [Observation(config, 0, 0.1 * rng.normal()) for config in configs], effort=0.1)


@pytest.fixture(scope="module")
def truth(effects):
    return Truth.drawn(effects, np.random.default_rng(3))


def test_a_loss_is_the_sum_of_the_effects_that_a_configuration_has(effects, truth):
    draw = int(np.random.default_rng(3).integers(len(effects.draws)))
    design = Design(SPACE)
    for way in WAYS[::37]:
        columns = design.columns(SPACE.at(way))
        assert columns.keys() <= effects.columns.keys()
        wanted = sum(count * effects.draws[draw, effects.columns[column]] for column, count in columns.items())
        assert truth.loss(way) == pytest.approx(wanted)


def test_what_no_training_showed_is_drawn_once_for_all_that_have_it():
    one = fit(SPACE, [Observation(SPACE.at(WAYS[0]), 0, 0.5)], effort=0.1)
    drawn = Truth.drawn(one, np.random.default_rng(0))
    blocks = [drawn.loss((n, 0, 0, 0)) for n in range(1, 5)]
    assert len(set(blocks)) == 4
    assert blocks == [drawn.loss((n, 0, 0, 0)) for n in range(1, 5)]


def test_a_price_is_that_of_the_share_of_all_parameters(truth):
    priced = truth.priced(0.3)
    for way in WAYS[::41]:
        share = SPACE.at(way).params(SITES) / SPACE.largest_params
        assert priced.loss(way) - truth.loss(way) == pytest.approx(0.3 * share)


def test_what_was_looked_at_has_its_loss(truth):
    looked = truth.climb(WAYS[-1])
    assert len(looked) > 16
    assert list(looked.values()) == pytest.approx([truth.loss(way) for way in looked])


def test_no_choice_betters_the_best_that_was_found(truth):
    looked = truth.climb(WAYS[100])
    best = min(looked, key=looked.__getitem__)
    beside = [way for way in WAYS if sum(a != b for a, b in zip(way, best, strict=True)) == 1]
    assert truth.loss(best) <= min(map(truth.loss, beside))


def test_nothing_beyond_the_caps_is_looked_at(truth):
    bound = SPACE.largest_params // 2
    tight = SPACE.capped(Constraints.parse({"se_params": bound}), 1000, 1000)
    looked = Truth(tight, truth.mean, truth.options, truth.pairs).climb((0, 0, 0, 0))
    assert max(tight.at(way).params(SITES) for way in looked) <= bound
    assert len(looked) > 1
