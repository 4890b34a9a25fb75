"""A two-way table by least squares: what an additive table is made of is found, also where cells are missing."""

import numpy as np
import pytest

from senas.core.two_way import freedom, means, reliability, residuals

ADDITIVE = np.add.outer([0.1, 0.3, 0.2], [0.0, 0.5, -0.1, 0.2])


@pytest.fixture
def holed():
    table = ADDITIVE.copy()
    table[0, 1] = table[2, 3] = np.nan
    return table


def test_an_additive_table_leaves_nothing(holed):
    assert residuals(holed) == pytest.approx(np.zeros(10), abs=1e-12)


def test_residuals_have_the_degrees_of_freedom_that_cells_leave(holed):
    assert (freedom(ADDITIVE), freedom(holed)) == (6, 4)


def test_seeds_that_no_configurations_share_leave_none():
    assert freedom(np.array([[1.0, np.nan], [np.nan, 2.0]])) == 0


def test_an_empty_table_leaves_none():
    assert freedom(np.full((2, 2), np.nan)) == 0


def test_means_are_those_of_the_whole_table_where_cells_are_missing(holed):
    assert means(holed) == pytest.approx(ADDITIVE.mean(1))


def test_a_configuration_that_always_failed_has_no_mean(holed):
    holed[1] = np.nan
    assert np.isnan(means(holed)).tolist() == [False, True, False]


def test_a_seed_with_which_all_failed_changes_no_mean(holed):
    holed += 1.0
    with_it = np.column_stack([holed, np.full(3, np.nan)])
    assert means(with_it) == pytest.approx(means(holed))


def test_the_reliability_is_that_of_the_analysis_of_variance():
    table = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 5.0], [4.0, 6.0, 5.0], [0.0, 1.0, 2.0]])
    rows, left = table.mean(1), table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    noise, between = (left**2).sum() / 6, 3 * rows.var(ddof=1)
    spread = (between - noise) / 3
    assert reliability(table) == pytest.approx(spread / (spread + noise))


def test_seeds_and_configurations_that_always_failed_change_no_reliability(holed):
    holed += np.random.default_rng(0).normal(0, 0.02, holed.shape)
    wide = np.column_stack([holed, np.full(3, np.nan)])
    assert reliability(np.vstack([wide, np.full(5, np.nan)])) == pytest.approx(reliability(holed))


def test_the_reliability_is_never_negative():
    assert reliability(np.array([[1.0, 0.0], [0.0, 1.0]])) == 0.0


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3, 0.7])
def test_losses_that_are_all_alike_have_no_reliability_and_no_rounding_error_has_one(loss):
    """As errors after the first epoch, where all networks still answer with one class."""
    losses = np.full((6, 4), loss)
    assert np.isnan(reliability(losses))
    losses[0, 0] = np.nan
    assert np.isnan(reliability(losses))


def test_without_a_second_seed_there_is_no_reliability():
    assert np.isnan(reliability(np.array([[1.0], [2.0], [3.0]])))
