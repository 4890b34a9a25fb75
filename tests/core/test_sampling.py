"""Which configurations shared weights are trained on, step by step."""

import itertools
from collections import Counter

import pytest

from senas.core.block import Placement
from senas.core.config import SEConfig
from senas.core.constraint import Constraints
from senas.core.sampling import DRAWN, SAMPLINGS, fair, sandwich, uniform
from senas.core.site import Place, Site
from senas.core.space import Axes, search_space

P = Placement
PLACES = {P.PRE: Place(8, 4, 4), P.STANDARD: Place(8, 4, 4), P.POST: Place(8, 4, 4)}
SITES = [Site("a", PLACES, PLACES[P.POST]), Site("b", {P.POST: PLACES[P.POST]}, PLACES[P.POST])]
SPACE = search_space(SITES, Axes(reduction=(2, 4), placement=tuple(PLACES)))  # a has 7 options, b has 3


def steps(sampling, count, seed=0):
    return list(itertools.islice(SAMPLINGS[sampling](SPACE, seed), count))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_configuration_is_of_the_space_and_all_come_in_time(sampling):
    drawn = {config for step in steps(sampling, 300) for config in step}
    assert drawn == set(SPACE)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_seed_says_what_is_drawn(sampling):
    assert steps(sampling, 5) == steps(sampling, 5)
    assert steps(sampling, 5) != steps(sampling, 5, seed=1)


def test_uniform_draws_one_configuration_a_step():
    assert [len(step) for step in itertools.islice(uniform(SPACE, 0), 5)] == [1] * 5


def test_a_fair_step_has_each_option_of_a_choice_equally_often():
    for step in itertools.islice(fair(SPACE, 0), 20):
        for choice in SPACE.choices:
            counts = Counter(SPACE.encode(config)[choice.name] for config in step)
            assert set(counts) == set(choice.options)
            assert max(counts.values()) - min(counts.values()) <= 1


def test_a_sandwich_has_the_largest_first_and_the_smallest_last():
    for step in itertools.islice(sandwich(SPACE, 0), 20):
        assert len(step) == DRAWN + 2
        assert step[0].params(SITES) == SPACE.largest_params
        assert step[-1] == SEConfig()


def test_a_sandwich_draws_among_places_that_are_equally_large():
    largest = [step[0]["a"].placement for step in itertools.islice(sandwich(SPACE, 0), 60)]
    assert set(largest) == set(PLACES)


def test_weights_are_trained_for_all_of_the_product_whatever_the_caps():
    capped = SPACE.capped(Constraints(se_params=0), 100, 100)
    assert capped.size == 1
    assert next(sandwich(capped, 0))[0].params(SITES) == SPACE.largest_params
