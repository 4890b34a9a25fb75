"""The list of a study's seeds, as a value."""

import pytest

from senas.core.seeds import Seeds
from senas.errors import ConfigError


def test_one_seed_is_every_proposals():
    assert [Seeds(7).of(number) for number in range(4)] == [7, 7, 7, 7]


def test_several_seeds_are_taken_in_turn():
    assert [Seeds(7, 3).of(number) for number in range(7)] == [7, 8, 9, 7, 8, 9, 7]


def test_each_of_them_serves_as_many_proposals_as_the_others():
    seeds = Seeds(3, 4)
    taken = [seeds.of(number) for number in range(40)]
    assert {seed: taken.count(seed) for seed in seeds} == dict.fromkeys([3, 4, 5, 6], 10)


def test_it_holds_those_that_proposals_take():
    assert [seed for seed in range(10) if seed in Seeds(7, 2)] == [7, 8] == list(Seeds(7, 2))


def test_a_fresh_seed_is_the_first_that_was_not_used_and_goes_beyond_those_of_proposals():
    seeds = Seeds(7, 2)
    assert [seeds.fresh(used) for used in ([], [8], [7], [7, 8], [9, 7, 8, 0])] == [7, 7, 8, 9, 10]


def test_no_seed_at_all_is_refused():
    with pytest.raises(ConfigError, match=r"^study.seeds must be at least 1, got 0$"):
        Seeds(7, 0)
