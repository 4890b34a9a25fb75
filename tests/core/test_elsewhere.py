"""The same SE blocks at random places."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from senas.core.config import SEConfig
from senas.core.constraint import Constraints
from senas.core.elsewhere import elsewhere
from senas.core.site import Place
from senas.core.space import Axes, search_space

from .test_effects import ALL4, SITES, SPACE, P

TWO = SPACE.draw(lambda name, _: {"layer1.0": "r2 pre", "layer2.1": "r4 standard"}.get(name, "none"))


def test_the_same_options_are_at_other_places():
    found = elsewhere(SPACE, TWO, 11, np.random.default_rng(0))
    options = [Counter(SPACE.encode(config).values()) for config in found]
    assert len(set(found)) == 11  # of the 12 ways, all but its own
    assert all(each == Counter(SPACE.encode(TWO).values()) for each in options)
    assert TWO not in found


@pytest.mark.parametrize("config", [SEConfig(), ALL4], ids=["none", "everywhere"])
def test_where_there_is_nothing_to_move_there_is_nothing(config):
    assert elsewhere(SPACE, config, 5, np.random.default_rng(0)) == []


def test_what_breaks_a_bound_is_left_out():
    least = TWO.params(SITES)
    tight = SPACE.capped(Constraints.parse({"se_params": least}), 1000, 1000)
    found = elsewhere(tight, TWO, 11, np.random.default_rng(0))
    assert 0 < len(found) < 11
    assert all(config.params(SITES) <= least for config in found)


def test_no_more_are_drawn_than_are_asked_for():
    assert len(elsewhere(SPACE, TWO, 3, np.random.default_rng(0))) == 3


def test_the_same_generator_draws_the_same():
    one, same, other = (elsewhere(SPACE, TWO, 3, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert one == same != other


def test_an_option_goes_only_where_it_is_offered():
    """At two channels r4 would be as wide as r2, and is none of the options."""
    sites = tuple(replace(site, places=dict.fromkeys(P, Place(2, 8, 8))) for site in SITES[:2]) + SITES[2:]
    space = search_space(sites, Axes(reduction=(2, 4), placement=P))
    config = space.draw(lambda name, _: "r4 pre" if name == "layer2.0" else "none")
    assert elsewhere(space, config, 5, np.random.default_rng(0)) == [
        space.draw(lambda name, _: "r4 pre" if name == "layer2.1" else "none")
    ]


def test_a_choice_that_all_sites_share_cannot_be_moved():
    network = search_space(SITES, Axes(reduction=(2, 4), placement=P, per="network"))
    config = network.draw(lambda name, options: options[1])
    assert elsewhere(network, config, 5, np.random.default_rng(0)) == []
