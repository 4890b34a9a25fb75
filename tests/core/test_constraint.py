"""Constraints as values, and the budget that counts, lists and draws what is within them."""

import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from senas.core.block import Placement, SEBlock, Squeeze
from senas.core.budget import Budget
from senas.core.config import SEConfig
from senas.core.constraint import Caps, Constraints
from senas.core.space import Axes, search_space
from senas.errors import SpaceError

costs = st.tuples(st.integers(0, 6), st.integers(0, 6))
budgets = st.builds(
    Budget,
    st.lists(st.lists(costs, min_size=1, max_size=3).map(tuple), max_size=4).map(tuple),
    st.builds(Caps, st.integers(-1, 20) | st.just(math.inf), st.integers(-1, 20) | st.just(math.inf)),
)


def by_trying_all(budget):
    """Every way of the product whose sums are within the caps."""
    return [
        way
        for way in itertools.product(*(range(len(options)) for options in budget.options))
        if sum(budget.options[choice][n][0] for choice, n in enumerate(way)) <= budget.caps.params
        and sum(budget.options[choice][n][1] for choice, n in enumerate(way)) <= budget.caps.macs
    ]


@given(budgets)
def test_a_budget_lists_every_way_within_its_caps_and_no_other(budget):
    assert list(budget.walk()) == by_trying_all(budget)


@given(budgets)
def test_a_budget_counts_the_ways_that_it_lists(budget):
    assert budget.count() == len(by_trying_all(budget))


@given(budgets, st.randoms(use_true_random=False))
def test_what_is_drawn_is_within_the_caps(budget, random):
    drawn = budget.draw(random.randrange)
    assert drawn is None or drawn in by_trying_all(budget)


@given(budgets, st.data())
def test_every_way_within_the_caps_can_be_drawn(budget, data):
    ways = by_trying_all(budget)
    assume(ways)
    wanted = data.draw(st.sampled_from(ways))
    steps = iter(range(len(wanted)))

    def pick(count):
        choice = next(steps)
        spent = [sum(budget.options[n][wanted[n]][axis] for n in range(choice)) for axis in (0, 1)]
        return [option for option, _ in budget._open(choice, tuple(spent))].index(wanted[choice])

    assert budget.draw(pick) == wanted


def test_one_cap_leaves_nothing_to_regret():
    budget = Budget((((0, 0), (5, 9)), ((1, 0), (4, 9))), Caps(params=5))
    assert all(budget.draw(lambda count, n=n: n % count) is not None for n in range(4))


def test_a_space_of_too_many_sums_is_not_counted():
    primes = [(2**n, 3**n) for n in range(40)]
    assert Budget(tuple(((0, 0), each) for each in primes), Caps(2**40, 3**39)).count() is None


def test_forty_million_configurations_are_counted_without_a_walk(resnet50):
    space = search_space(resnet50, Axes(reduction=(4, 16), placement=(Placement.STANDARD, Placement.POST)))
    capped = space.capped(Constraints(se_params=2_000_000), 25_557_032, 4_089_000_000)
    assert space.size == space.product == 5**16
    assert 0 < capped.size < capped.product == 5**16


# The search space


def small(resnet50):
    return search_space(resnet50, Axes(sites=("layer1.*", "layer2.0"), reduction=(4, 16)))


@pytest.mark.parametrize(
    ("constraints", "cost"),
    [
        (Constraints(params=25_600_000), lambda config, sites: 25_557_032 + config.params(sites) <= 25_600_000),
        (Constraints(se_params=30_000), lambda config, sites: config.params(sites) <= 30_000),
        (Constraints(macs=4e9 + 60_000), lambda config, sites: config.macs(sites) <= 60_000),
        (
            Constraints(se_params=50_000, macs=4e9 + 40_000),
            lambda config, sites: config.params(sites) <= 50_000 and config.macs(sites) <= 40_000,
        ),
    ],
    ids=["params", "se_params", "macs", "both"],
)
def test_a_capped_space_is_what_costs_no_more(resnet50, constraints, cost):
    space = small(resnet50)
    capped = space.capped(constraints, 25_557_032, 4_000_000_000)
    expected = [config for config in space if cost(config, resnet50)]
    assert 0 < len(expected) < space.product
    assert list(capped) == expected
    assert capped.size == len(expected)
    assert [config for config in space if config in capped] == expected
    assert capped.product == space.size


def test_a_bound_on_multiply_accumulates_tells_a_local_gate_from_a_global_one_of_equal_parameters(resnet50):
    space = search_space(resnet50, Axes(sites=("layer1.0",), reduction=(16,), squeeze=(Squeeze.AVG, Squeeze.LOCAL)))
    one = 2 * 256 * 16
    within = space.capped(Constraints(macs=4e9 + one), 25_557_032, 4_000_000_000)
    assert [str(config) for config in within] == ["none", "layer1.0: h16 standard"]
    assert space.capped(Constraints(macs=4e9 + 56 * 56 * one), 25_557_032, 4_000_000_000).size == 3
    assert space.capped(Constraints(macs=4e9 + 56 * 56 * one - 1), 25_557_032, 4_000_000_000).size == 2


def test_a_sampler_may_still_draw_what_is_ruled_out(resnet50):
    capped = small(resnet50).capped(Constraints(se_params=0), 25_557_032, 4_000_000_000)
    config = capped.draw(lambda name, options: options[-1])
    assert config not in capped
    assert capped.draw(lambda name, options: capped.encode(config)[name]) == config


def test_the_penalty_is_relative_to_the_whole_space(resnet50):
    space = small(resnet50)
    assert space.capped(Constraints(se_params=0), 1, 1).largest_params == space.largest_params


def test_the_smallest_configuration_is_the_one_with_the_fewest_parameters(resnet50):
    space = search_space(resnet50, Axes(reduction=(4, 16), optional=False))
    assert space.smallest == SEConfig.everywhere(resnet50, 16)


@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        (Constraints(params=25_000_000), ["space.constraints.params", "25,000,000", "the smallest has 25,557,032"]),
        (Constraints(macs=1e9), ["space.constraints.macs", "1,000,000,000", "the smallest has 4,000,000,000"]),
    ],
)
def test_a_bound_that_nothing_satisfies_names_the_smallest(refused, resnet50, constraints, words):
    with refused(SpaceError, *words):
        small(resnet50).capped(constraints, 25_557_032, 4_000_000_000)


def test_bounds_that_nothing_satisfies_together_are_refused(refused):
    from senas.core.site import Former, Place, Site

    place = Place(16, 8, 8)
    former = Former(Placement.STANDARD, None, params=1, macs=100)
    unit = Site("a", {Placement.STANDARD: place}, place, former)
    space = search_space([unit], Axes(reduction=(16,), optional=False))
    with refused(SpaceError, "space.constraints", "params 40 and macs 50", "at once"):
        space.capped(Constraints(params=40, macs=50), 0, 0)


# Bounds as they are written


@pytest.mark.parametrize("written", [12e6, 12_000_000, "12e6", " 12000000 "])
def test_a_bound_may_be_a_number_or_its_text(written):
    assert Constraints.parse({"params": written, "macs": None}) == Constraints(params=12e6)


@pytest.mark.parametrize("written", [-1, math.nan, math.inf, "nan", "12 million", True, [1], ""])
def test_what_is_no_bound_is_refused_with_key_and_value(refused, written):
    with refused(SpaceError, "space.constraints.params", "at least 0", f"got {written}"):
        Constraints.parse({"params": written})


def test_an_unknown_bound_is_answered_with_those_there_are(refused):
    with refused(SpaceError, "space.constraints", '"flops"', "params, macs, se_params, latency_ms"):
        Constraints.parse({"flops": 3})


def test_excess_is_a_share_of_the_bound_and_only_of_what_is_known():
    bounds = Constraints(params=1000, latency_ms=2, se_params=0)
    assert bounds.excess({"params": 1500, "se_params": 3, "macs": 9}) == {"params": 0.5, "se_params": 3.0}


def test_exactly_the_bound_is_within():
    assert not Constraints(params=1000).broken({"params": 1000})
    assert Constraints(params=1000).broken({"params": 1001}) == "params 1,001 over 1,000"


def test_a_closed_form_does_not_rule_out_by_latency():
    bounds = Constraints(params=10, latency_ms=2)
    assert not bounds.rules_out({"params": 10, "latency_ms": 3})
    assert bounds.rules_out({"params": 11, "latency_ms": 1})


def test_caps_are_what_the_backbone_leaves():
    bounds = Constraints(params=1000, se_params=300, macs=50)
    assert bounds.caps(800, 20) == Caps(200, 30)
    assert bounds.caps(600, 20) == Caps(300, 30)


def test_a_block_counts_where_it_sits(resnet50):
    capped = small(resnet50).capped(Constraints(se_params=8_464), 0, 0)
    assert SEConfig({"layer1.1": SEBlock(hidden=16)}) in capped
    assert SEConfig({"layer1.1": SEBlock(hidden=16), "layer1.2": SEBlock(hidden=16)}) not in capped
