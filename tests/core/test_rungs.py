"""Whether short trainings rank as long ones do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from senas.core.rungs import agreement, by_chance, kendall, rungs


def test_kendall_is_that_of_a_textbook():
    """Kendall 1938: of 10 pairs of (1 2 3 4 5) and (3 1 2 5 4), 7 agree and 3 do not."""
    assert kendall(np.arange(5.0), np.array([3.0, 1.0, 2.0, 5.0, 4.0])) == pytest.approx(0.4)


def test_ties_are_corrected_for():
    """tau-b of (1 2 2 3) and (1 2 3 4): 5 pairs agree, of 5 and of 6 that are ranked."""
    assert kendall(np.array([1.0, 2.0, 2.0, 3.0]), np.arange(4.0)) == pytest.approx(5 / np.sqrt(30))


@given(st.permutations(range(6)))
def test_a_ranking_agrees_with_itself_and_disagrees_with_its_reverse(order):
    ranks = np.array(order, dtype=float)
    assert (kendall(ranks, ranks), kendall(ranks, -ranks)) == pytest.approx((1, -1))


def test_means_that_differ_by_rounding_alone_are_tied():
    """The mean of 0.1, 0.2 and 0.3 depends on their order in the last digit."""
    errors = np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.2, 0.1, 0.3]])
    assert len(set(errors.mean(1))) > 1
    assert agreement(errors, np.arange(9.0).reshape(3, 3)) is None


def test_what_ranks_nothing_has_no_tau():
    assert np.isnan(kendall(np.ones(4), np.arange(4.0)))


def test_a_configuration_without_a_number_in_either_ranking_is_left_out():
    missing, whole = np.array([1.0, np.nan, 3.0]), np.array([1.0, 9.0, 2.0])
    assert kendall(missing, whole) == kendall(whole, missing) == 1.0


@pytest.mark.parametrize(("count", "least"), [(5, 1.0), (6, 0.867), (7, 0.714)])
def test_what_chance_reaches_is_that_of_the_tables(count, least):
    """Critical values of Kendall's tau, two-sided at 5 %, as tabulated."""
    assert by_chance(count) == pytest.approx(least, abs=0.001)


def test_a_ranking_that_reaches_what_chance_does_is_not_below_it():
    order = np.arange(6.0)
    assert kendall(order[[1, 0, 2, 3, 4, 5]], order) >= by_chance(6)


def test_of_many_configurations_what_chance_reaches_is_drawn():
    """The table has 0.511 for 10."""
    assert by_chance(10) == pytest.approx(0.511, abs=0.05)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_of_four_configurations_even_perfect_agreement_may_be_chance(count):
    assert by_chance(count) is None


@pytest.fixture
def curves():
    """Five configurations x 3 seeds x 4 epochs: the ranking turns around after the second epoch."""
    worth = np.arange(5.0)[:, None, None]
    signs = np.array([-1.0, -1.0, 1.0, 1.0])
    return worth * signs + np.random.default_rng(0).normal(size=(5, 3, 4)) * 0.01


def test_rungs_tell_from_which_epoch_on_the_ranking_stands(curves):
    assert [rung.tau for rung in rungs(curves)] == [-1, -1, 1, 1]
    assert [rung.epoch for rung in rungs(curves)] == [1, 2, 3, 4]


def test_an_epoch_at_which_configurations_do_not_differ_is_not_reliable(curves):
    curves[:, :, 0] = np.random.default_rng(1).normal(size=(5, 3))
    first, *others = rungs(curves)
    assert first.reliability < 0.7 < min(rung.reliability for rung in others)


def test_trainings_that_rank_alike_agree_for_any_seeds(curves):
    found = agreement(curves[:, :, 2], curves[:, :, 3])
    assert (found.mean, found.low, found.high) == (1, 1, 1)


def test_each_rung_agrees_with_full_length_as_far_as_it_does(curves):
    assert [rung.full for rung in rungs(curves, -curves[:, :, 3])] == [1, 1, -1, -1]
    assert all(np.isnan(rung.full) for rung in rungs(curves))


def test_equal_losses_agree_on_nothing():
    """Errors of few images are often equal."""
    assert agreement(np.full((3, 2), 0.1), np.arange(6.0).reshape(3, 2)) is None


def test_the_agreement_of_noise_is_wide():
    rng = np.random.default_rng(0)
    found = agreement(rng.normal(size=(6, 4)), rng.normal(size=(6, 4)))
    assert found.high - found.low > 0.5


def test_agreement_is_about_what_both_have(curves):
    short, long = curves[:, :, 2].copy(), curves[:, :, 3].copy()
    short[0] = long[1] = np.nan
    assert agreement(short, long).mean == 1.0


@pytest.fixture
def few_resampled(monkeypatch):
    """A twentieth of the draws: a twentieth of the time."""
    monkeypatch.setattr("senas.core.rungs.RESAMPLED", 100)


@pytest.mark.usefixtures("few_resampled")
def test_a_training_that_the_other_table_has_not_is_left_out(curves):
    short, long = curves[:, :, 2].copy(), curves[:, :, 3].copy()
    short[0, 1], long[0, 1] = 99.0, np.nan
    assert agreement(short, long).mean == agreement(long, short).mean == 1.0


@pytest.mark.usefixtures("few_resampled")
def test_a_table_agrees_with_itself_whichever_seeds_are_drawn():
    table = np.random.default_rng(0).normal(size=(6, 4))
    found = agreement(table, table)
    assert (found.low, found.high) == (1, 1)


@pytest.mark.usefixtures("few_resampled")
def test_the_same_tables_agree_by_the_same_interval():
    short, long = np.random.default_rng(0).normal(size=(2, 15, 4))
    assert agreement(short, long) == agreement(short, long) != agreement(short, long, seed=1)


@pytest.mark.usefixtures("few_resampled")
def test_drawn_seeds_that_leave_one_configuration_rank_nothing_and_count_for_nothing():
    table = np.array([[1.0, np.nan, np.nan], [2.0, 3.0, 4.0]])
    found = agreement(table, table)
    assert (found.mean, found.low, found.high) == (1, 1, 1)


def test_one_configuration_in_common_has_no_ranking(curves):
    short = curves[:, :, 2].copy()
    short[1:] = np.nan
    assert agreement(short, curves[:, :, 3]) is None
