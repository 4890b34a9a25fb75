"""Standard deviations of groups of effects, drawn from their posterior."""

import numpy as np
import pytest

from senas.core.scales import draw_scales


def one_way(rng, groups, members, sd, noise):
    """Numbers of mean 0 and standard deviation 1, their group's kernel, and what they were divided by."""
    belongs = np.repeat(np.eye(groups), members, axis=0)
    y = belongs @ rng.normal(0, sd, groups) + rng.normal(0, noise, groups * members)
    unit = y.std()
    return (y - y.mean()) / unit, belongs @ belongs.T, unit


def by_brute_force(y, kernel, weight):
    """Posterior means of (sd of the effects, sd of the noise) on a grid, with the prior as it is documented."""
    n, logs = len(y), np.linspace(-8, 4, 160)
    heights = np.empty((len(logs), len(logs)))
    for i, effect in enumerate(logs):
        for j, noise in enumerate(logs):
            covariance = np.exp(2 * effect) * kernel + np.exp(2 * noise) * np.eye(n)
            _, determinant = np.linalg.slogdet(covariance)
            ratio = np.exp(2 * (effect - noise))
            prior = weight * np.log(ratio) - (weight + 1) * np.log1p(ratio)
            heights[i, j] = -0.5 * determinant - 0.5 * y @ np.linalg.solve(covariance, y) + prior
    weights = np.exp(heights - heights.max())
    weights /= weights.sum()
    return (weights.sum(1) * np.exp(logs)).sum(), (weights.sum(0) * np.exp(logs)).sum()


def test_the_draws_are_those_of_the_posterior_that_a_grid_gives():
    y, kernel, _ = one_way(np.random.default_rng(5), groups=6, members=4, sd=1.0, noise=0.7)
    draws = np.concatenate([draw_scales(y, [kernel], np.random.default_rng(k), shares=[0.5]) for k in range(6)])
    assert draws.mean(0) == pytest.approx(by_brute_force(y, kernel, 0.5), rel=0.05)


def test_much_data_leave_little_doubt():
    rng = np.random.default_rng(0)
    effects, belongs = rng.normal(0, 0.5, 40), np.repeat(np.eye(40), 3, axis=0)
    y = belongs @ effects + rng.normal(0, 0.2, 120)
    unit = y.std()
    draws = draw_scales((y - y.mean()) / unit, [belongs @ belongs.T], rng, shares=[1.0]) * unit
    assert draws.mean(0) == pytest.approx([effects.std(), 0.2], rel=0.15)
    assert (draws.std(0) / draws.mean(0) < 0.2).all()


def test_no_group_collapses_to_zero_where_there_is_nothing_but_noise():
    y, kernel, _ = one_way(np.random.default_rng(1), groups=5, members=4, sd=0.0, noise=1.0)
    effect = draw_scales(y, [kernel], np.random.default_rng(0), shares=[1.0])[:, 0]
    assert np.quantile(effect, 0.95) > 0.2
    assert np.quantile(effect, 0.05) < 0.1


def test_what_belongs_to_the_noise_takes_no_share_of_what_is_explained():
    rng = np.random.default_rng(2)
    seeds = np.tile(np.eye(4), (8, 1))
    y = seeds @ rng.normal(0, 2.0, 4) + rng.normal(0, 0.5, 32)
    unit, rows = y.std(), np.repeat(np.eye(8), 4, axis=0)
    kernels = [rows @ rows.T, seeds @ seeds.T]
    scales = draw_scales((y - y.mean()) / unit, kernels, rng, shares=[1.0, None]) * unit
    configurations, seed, noise = np.median(scales, axis=0)
    assert seed > 2 * noise
    assert configurations < noise


def test_the_same_seed_gives_the_same_draws():
    y, kernel, _ = one_way(np.random.default_rng(3), groups=4, members=3, sd=1.0, noise=1.0)
    one, same, other = (draw_scales(y, [kernel], np.random.default_rng(k), shares=[1.0]) for k in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()


def test_less_effort_gives_fewer_draws():
    y, kernel, _ = one_way(np.random.default_rng(3), groups=4, members=3, sd=1.0, noise=1.0)
    counts = [len(draw_scales(y, [kernel], np.random.default_rng(0), shares=[1.0], effort=e)) for e in (0.1, 0.5, 1.0)]
    assert counts == [64, 256, 512]
