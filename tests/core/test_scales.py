"""Standard deviations of groups of effects, drawn from their posterior."""

import numpy as np
import pytest

from senas.core.scales import LARGEST, SMALLEST, draw_scales


def one_way(rng, groups, members, sd, noise):
    """Numbers of mean 0 and standard deviation 1, their group's kernel, and what they were divided by."""
    belongs = np.repeat(np.eye(groups), members, axis=0)
    y = belongs @ rng.normal(0, sd, groups) + rng.normal(0, noise, groups * members)
    unit = y.std()
    return (y - y.mean()) / unit, belongs @ belongs.T, unit


def by_brute_force(y, kernel, weight):
    """Of the effects and of the noise on a grid, with the prior as it is documented: means of the standard deviations,
    and standard deviations of their logarithms."""
    logs = np.linspace(-8, 4, 160)
    values, vectors = np.linalg.eigh(kernel)
    effect, noise = np.meshgrid(logs, logs, indexing="ij")
    variances = np.exp(2 * effect)[..., None] * values + np.exp(2 * noise)[..., None]
    prior = weight * 2 * (effect - noise) - (weight + 1) * np.log1p(np.exp(2 * (effect - noise)))
    heights = -0.5 * (np.log(variances) + (vectors.T @ y) ** 2 / variances).sum(2) + prior
    weights = np.exp(heights - heights.max())
    weights /= weights.sum()
    both = [weights.sum(1), weights.sum(0)]
    return [each @ np.exp(logs) for each in both], [np.sqrt(each @ (logs - each @ logs) ** 2) for each in both]


def test_the_draws_are_those_of_the_posterior_that_a_grid_gives():
    y, kernel, _ = one_way(np.random.default_rng(5), groups=6, members=4, sd=1.0, noise=0.7)
    draws = np.concatenate([draw_scales(y, [kernel], np.random.default_rng(k), shares=[0.5]) for k in range(6)])
    means, doubt = by_brute_force(y, kernel, 0.5)
    assert draws.mean(0) == pytest.approx(means, rel=0.05)
    assert np.log(draws).std(0) == pytest.approx(doubt, rel=0.1)


def test_much_data_leave_little_doubt():
    rng = np.random.default_rng(0)
    effects, belongs = rng.normal(0, 0.5, 40), np.repeat(np.eye(40), 3, axis=0)
    y = belongs @ effects + rng.normal(0, 0.2, 120)
    unit = y.std()
    draws = draw_scales((y - y.mean()) / unit, [belongs @ belongs.T], rng, shares=[1.0], effort=0.5) * unit
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


@pytest.fixture(scope="module")
def untold():
    """Draws for three groups of which the data tell nothing: two explain, one is noise."""
    y, shares = np.random.default_rng(0).normal(size=8), [0.7, 0.3, None]
    return draw_scales(y, [np.zeros((8, 8))] * 3, np.random.default_rng(0), shares=shares, effort=3.0)


def ratios(scales):
    """Variances over that of the noise, a row a group."""
    return ((scales[:, :-1] / scales[:, -1:]) ** 2).T


def test_where_data_tell_nothing_any_share_may_be_explained(untold):
    explained = ratios(untold)[:2].sum(0)
    quantiles = np.quantile(explained / (1 + explained), [0.1, 0.25, 0.5, 0.75, 0.9])
    assert quantiles == pytest.approx([0.1, 0.25, 0.5, 0.75, 0.9], abs=0.07)


def test_the_less_is_kept_for_the_rest_the_more_may_be_explained():
    y = np.random.default_rng(0).normal(size=8)
    scales = draw_scales(y, [np.zeros((8, 8))], np.random.default_rng(0), shares=[1.0], rest=0.5, effort=3.0)
    (explained,) = ratios(scales)
    quantiles = np.quantile(explained / (1 + explained), [0.25, 0.5, 0.75])
    assert quantiles == pytest.approx(1 - (1 - np.array([0.25, 0.5, 0.75])) ** 2, abs=0.07)  # Beta(1, 1/2)


def test_where_data_tell_nothing_groups_explain_what_they_are_expected_to(untold):
    first, second, _ = ratios(untold)
    assert (first / (first + second)).mean() == pytest.approx(0.7, abs=0.05)


def test_where_data_tell_nothing_what_belongs_to_the_noise_is_half_cauchy_beside_it(untold):
    sizes = np.sqrt(ratios(untold)[2])
    below = [(sizes < np.tan(np.pi / 2 * share)).mean() for share in (0.25, 0.5, 0.75)]
    assert below == pytest.approx([0.25, 0.5, 0.75], abs=0.07)


def test_no_standard_deviation_is_beyond_what_the_prior_allows(untold):
    assert np.exp(SMALLEST) < untold.min() < 0.01
    assert 1.0 < untold.max() < np.exp(LARGEST)


def test_the_same_seed_gives_the_same_draws():
    y, kernel, _ = one_way(np.random.default_rng(3), groups=4, members=3, sd=1.0, noise=1.0)
    one, same, other = (draw_scales(y, [kernel], np.random.default_rng(k), shares=[1.0]) for k in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()


def test_less_effort_gives_fewer_draws():
    y, kernel, _ = one_way(np.random.default_rng(3), groups=4, members=3, sd=1.0, noise=1.0)
    counts = [len(draw_scales(y, [kernel], np.random.default_rng(0), shares=[1.0], effort=e)) for e in (0.1, 0.5, 1.0)]
    assert counts == [64, 256, 512]
