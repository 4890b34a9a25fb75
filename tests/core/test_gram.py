"""The sums of products know of numbers what their covariance does."""

import numpy as np
import pytest

from senas.core.gram import Gram

RNG = np.random.default_rng(0)
OWN = np.array([0, 1, 2, 2, 3, 3, 3, 4, 0, 5])
TABLE = RNG.integers(0, 3, (10, 4)).astype(float)
KIND = np.array([0, 1, 1, 3])
Y = RNG.normal(size=10)
VARIANCES = np.array([[100.0, 0.5, 0.3, 0.2, 0.04], [4.0, 1e-6, 2.0, 1e-3, 0.5], [1.0, 0.2, 1e-7, 0.1, 0.3]])
"""Of three kinds in the table, of the own effects (the third), and of the noise (the last)."""
GRAM = Gram(Y, TABLE, KIND, OWN, 2)


def covariance(variances):
    members = np.eye(6)[OWN]
    return (TABLE * variances[KIND]) @ TABLE.T + variances[2] * members @ members.T + variances[-1] * np.eye(10)


def by_covariance(variances):
    matrix = covariance(variances)
    return -0.5 * np.linalg.slogdet(matrix)[1] - 0.5 * Y @ np.linalg.solve(matrix, Y)


def test_the_density_is_that_of_the_covariance():
    assert GRAM.density(VARIANCES) == pytest.approx([by_covariance(each) for each in VARIANCES], rel=1e-9)


def test_where_each_number_is_of_another_member_the_density_is_that_of_the_covariance():
    alone = Gram(Y, TABLE, KIND, np.arange(10), 2)
    matrix = [(TABLE * v[KIND]) @ TABLE.T + (v[2] + v[-1]) * np.eye(10) for v in VARIANCES]
    wanted = [-0.5 * np.linalg.slogdet(each)[1] - 0.5 * Y @ np.linalg.solve(each, Y) for each in matrix]
    assert alone.density(VARIANCES) == pytest.approx(wanted, rel=1e-9)


@pytest.fixture(scope="module")
def drawn():
    """Draws of all effects, the own ones last, and the mean and the covariance that they should have."""
    variances = VARIANCES[0]
    effects, owns = GRAM.draw(np.tile(variances, (40_000, 1)), np.random.default_rng(1))
    table = np.hstack([TABLE, np.eye(6)[OWN]])
    prior = np.diag([*variances[KIND], *[variances[2]] * 6])
    gain = prior @ table.T @ np.linalg.inv(covariance(variances))
    return np.hstack([effects, owns]), gain @ Y, prior - gain @ table @ prior


def test_effects_have_the_mean_of_their_posterior(drawn):
    draws, mean, matrix = drawn
    assert (np.abs(draws.mean(0) - mean) < 4 * np.sqrt(np.diag(matrix) / len(draws))).all()


def test_effects_have_the_covariance_of_their_posterior(drawn):
    draws, _, matrix = drawn
    spread = np.sqrt(np.diag(matrix))
    assert np.cov(draws, rowvar=False) / np.outer(spread, spread) == pytest.approx(
        matrix / np.outer(spread, spread), abs=0.03
    )
