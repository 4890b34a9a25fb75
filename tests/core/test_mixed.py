"""Draws of effects, held against what can be written down: the normal posterior at known standard deviations."""

from unittest.mock import patch

import numpy as np
import pytest

from senas.core.mixed import WIDE, draw_effects

NUMBERS = np.array([7.0, 9.0, 8.0, 13.0, 12.0, 15.0])
GROUP = np.repeat(np.eye(3), 2, axis=0)
FREE = np.ones((6, 1))
SIZE = 1 - 1 / 3  # what effects of standard deviation 1 add to the variance of the numbers
TAU, NOISE = 2.0, 0.8
"""Standard deviations of the group and of the noise, in the unit of the numbers."""


def at_known_scales(draws, tau=TAU, noise=NOISE):
    """Effects, scales, and what `draw_scales` was given, where it answers with these standard deviations."""
    given = {}
    unit = NUMBERS.std()

    def answer(y, kernels, rng, **options):
        given.update(options, y=y, kernels=kernels)
        return np.tile([tau * np.sqrt(SIZE) / unit, noise / unit], (draws, 1))

    with patch("senas.core.mixed.draw_scales", answer):
        effects, scales = draw_effects(NUMBERS, FREE, [GROUP], [1.0], np.random.default_rng(0))
    return effects, scales, given


def posterior():
    """Mean and covariance of (mean, three effects), by the equations of the linear model."""
    table = np.hstack([FREE, GROUP])
    precision = table.T @ table / NOISE**2 + np.diag([0.0, *[TAU**-2] * 3])
    covariance = np.linalg.inv(precision)
    return covariance @ table.T @ NUMBERS / NOISE**2, covariance


def test_effects_have_the_mean_of_their_posterior():
    effects, _, _ = at_known_scales(20_000)
    assert effects.mean(0) == pytest.approx(posterior()[0], abs=0.05)


def test_effects_have_the_covariance_of_their_posterior():
    effects, _, _ = at_known_scales(20_000)
    assert np.cov(effects, rowvar=False) == pytest.approx(posterior()[1], abs=0.05)


def test_standard_deviations_are_in_the_unit_of_the_numbers():
    _, scales, _ = at_known_scales(1)
    assert scales == pytest.approx(np.array([[TAU, NOISE]]))


def test_a_group_adds_1_to_the_variance_of_the_numbers_before_it_is_scaled():
    _, _, given = at_known_scales(1)
    (kernel,) = given["kernels"]
    drawn = np.random.default_rng(0).multivariate_normal(np.zeros(6), kernel, 20_000)
    assert drawn.var(1).mean() == pytest.approx(1.0, abs=0.05)


def test_what_is_not_shrunken_is_covariance_that_is_not_learned():
    _, _, given = at_known_scales(1)
    assert given["known"] == pytest.approx(np.full((6, 6), WIDE**2))


def test_the_mean_takes_a_degree_of_freedom_from_the_noise():
    """Of five numbers and no effects, sum of squares / noise^2 is chi-squared of four degrees: its median is 3.357."""
    numbers = NUMBERS[:5]
    _, scales = draw_effects(numbers, np.ones((5, 1)), [], [], np.random.default_rng(0), ensembles=2)
    squares = ((numbers - numbers.mean()) ** 2).sum()
    assert np.median(squares / scales[:, -1] ** 2) == pytest.approx(3.357, rel=0.08)


def test_draws_that_do_not_fit_into_memory_together_are_the_same(monkeypatch):
    together, _, _ = at_known_scales(10)
    monkeypatch.setattr("senas.core.mixed.AT_ONCE", 4 * len(NUMBERS) ** 2)
    assert at_known_scales(10)[0] == pytest.approx(together)


def test_ensembles_are_so_many_times_as_many_draws_and_effort_is_of_each():
    counts = [
        len(draw_effects(NUMBERS, FREE, [GROUP], [1.0], np.random.default_rng(0), effort=0.25, ensembles=ensembles)[0])
        for ensembles in (1, 3)
    ]
    assert counts == [128, 384]


def test_numbers_that_are_all_alike_are_drawn_about_what_they_are():
    effects, scales = draw_effects(np.full(6, 7.0), FREE, [GROUP], [1.0], np.random.default_rng(0), effort=0.25)
    assert effects[:, 0] == pytest.approx(7.0, abs=0.1)
    assert np.median(scales) < 0.01


def test_many_numbers_of_few_effects_have_the_same_standard_deviations_either_way(monkeypatch):
    """By products of columns, or by the covariance: the same walk, as likelihoods are the same."""
    rng = np.random.default_rng(3)
    members, group = np.repeat(np.arange(20), 2), np.eye(4)[rng.integers(4, size=40)]
    own = np.eye(20)[members]
    numbers = group @ rng.normal(size=4) + own @ rng.normal(0, 0.5, 20) + rng.normal(0, 0.3, 40)
    both = []
    for fewer in (1.5, np.inf):
        monkeypatch.setattr("senas.core.mixed.FEWER", fewer)
        answer = draw_effects(
            numbers, np.ones((40, 1)), [group, own], [0.5, 0.5], np.random.default_rng(0), own=1, effort=0.5
        )
        both.append(answer)
    (quick, scales), (slow, same) = both
    assert scales == pytest.approx(same, rel=1e-6)
    assert quick.mean(0) == pytest.approx(slow.mean(0), abs=0.15)
    assert quick.std(0) == pytest.approx(slow.std(0), rel=0.25)
