"""How much of the noise is the finite validation part, on tables whose truth is known."""

import numpy as np
import pytest

from senas.core.halves import halves


def drawn(rng, part, *, configurations=6, seeds=4, between=0.0):
    """Losses, and those of one half of the images: of the noise's variance `part` is the images."""
    shape = (configurations, seeds)
    trained = rng.normal(size=shape) * np.sqrt(1 - part) + rng.normal(size=configurations)[:, None]
    images = rng.normal(size=(*shape, 2)) * np.sqrt(2 * part)
    images += rng.normal(size=(configurations, 1, 2)) * between
    return trained + images.mean(2), trained + images[:, :, 0]


def test_halves_that_agree_leave_nothing_to_the_images():
    losses, _ = drawn(np.random.default_rng(0), 0.0)
    found = halves(losses, losses + 0.01)
    assert (found.noise.mean, found.means.mean, found.with_twice) == pytest.approx((0, 0, 1), abs=1e-9)


def test_twice_the_images_leave_half_of_the_variance_that_they_make():
    losses, even = drawn(np.random.default_rng(0), 0.999, configurations=20, seeds=20)
    assert halves(losses, even).with_twice == pytest.approx(np.sqrt(1 / 2), abs=0.05)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_intervals_hold_the_truth_about_as_often_as_they_say(part):
    rng = np.random.default_rng(1)
    found = [halves(*drawn(rng, part)).noise for _ in range(150)]
    assert np.mean([each.low <= part <= each.high for each in found]) == pytest.approx(0.9, abs=0.07)


def test_images_that_prefer_a_configuration_show_in_its_mean_and_not_in_the_noise():
    found = halves(*drawn(np.random.default_rng(2), 0.02, configurations=30, between=3.0))
    assert found.means.low > 0.5
    assert found.noise.high < 0.1


def test_trainings_from_before_the_halves_were_measured_tell_nothing():
    losses, even = drawn(np.random.default_rng(0), 0.5)
    assert halves(losses, np.full_like(even, np.nan)) is None


def test_a_training_without_its_half_is_left_out():
    losses, even = drawn(np.random.default_rng(0), 0.5)
    even[0, 0] = np.nan
    changed = losses.copy()
    changed[0, 0] = 99.0
    assert halves(changed, even) == halves(losses, even)


def test_a_configuration_that_always_failed_is_left_out():
    losses, even = drawn(np.random.default_rng(0), 0.5)
    losses[2] = np.nan
    assert halves(losses, even) == halves(*(np.delete(table, 2, axis=0) for table in (losses, even)))


def test_images_never_make_more_than_there_is():
    assert halves(*drawn(np.random.default_rng(0), 0.999)).noise.high <= 1.0


def test_what_images_make_of_the_means_of_few_configurations_is_hardly_known_however_many_seeds_they_have():
    found = halves(*drawn(np.random.default_rng(3), 0.5, configurations=3, seeds=40, between=0.5))
    assert found.means.high - found.means.low > 0.7


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.7])
def test_losses_that_are_all_alike_tell_nothing(loss):
    losses = np.full((6, 4), loss)
    assert halves(losses, 1.1 * losses) is None


def test_one_seed_is_too_few():
    assert halves(*drawn(np.random.default_rng(0), 0.5, seeds=1)) is None
