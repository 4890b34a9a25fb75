"""Shares, ranks and intervals of gates, against what is known of them."""

import math

import numpy as np
import pytest

from senas.core.block import Gate, Original, SEBlock
from senas.core.explained import between_classes_share, effective_rank, largest, over_images, over_images_share
from senas.core.interval import interval


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_the_variance_over_images_and_channels_is_split_without_rest(rng):
    gates = rng.random((40, 6)) * rng.random(6)
    share = over_images_share(gates.mean(0), gates.var(0))
    assert share * gates.var() == pytest.approx(((gates - gates.mean(0)) ** 2).mean())


def test_a_gate_that_is_constant_over_images_does_nothing_per_image():
    assert over_images_share(np.array([0.2, 0.7]), np.zeros(2)) == 0.0


def test_a_gate_that_is_alike_in_all_channels_varies_over_images_alone():
    assert over_images_share(np.array([0.5, 0.5]), np.array([0.1, 0.1])) == 1.0


def test_a_gate_that_never_varies_has_no_share_made_of_rounding():
    assert over_images_share(np.array([1.0, 1.0 + 1e-8]), np.array([1e-15, 0.0])) == 0.0


def by_class(gates, labels, classes):
    return np.stack([gates[labels == k].mean(0) for k in range(classes)]), np.bincount(labels, minlength=classes)


def test_what_the_class_decides_lies_between_classes():
    labels = np.repeat([0, 1, 2], [5, 10, 20])
    gates = np.array([[0.1, 0.9], [0.5, 0.5], [0.8, 0.3]])[labels]
    means, counts = by_class(gates, labels, 3)
    assert between_classes_share(means, counts, gates.var(0)) == pytest.approx(1.0)


def test_classes_that_mean_nothing_get_nothing_however_many_they_are(rng):
    found = []
    for _ in range(200):
        labels = rng.permutation(np.repeat(np.arange(20), 3))
        gates = rng.normal(size=(60, 8))
        means, counts = by_class(gates, labels, 20)
        found.append(between_classes_share(means, counts, gates.var(0)))
    assert np.mean(found) < 0.05  # without the correction it is 19 / 59


def test_the_share_between_classes_is_that_of_the_model_it_is_drawn_from(rng):
    labels = np.repeat(np.arange(50), 200)
    gates = rng.normal(size=(50, 4))[labels] + math.sqrt(3) * rng.normal(size=(10_000, 4))
    means, counts = by_class(gates, labels, 50)
    assert between_classes_share(means, counts, gates.var(0)) == pytest.approx(0.25, abs=0.08)


def test_a_class_without_images_changes_nothing(rng):
    labels, gates = np.repeat([0, 1], 20), rng.random((40, 3))
    means, counts = by_class(gates, labels, 2)
    missing = np.vstack([means[:1], np.full((1, 3), np.nan), means[1:]])
    expected = between_classes_share(means, counts, gates.var(0))
    assert between_classes_share(missing, [counts[0], 0, counts[1]], gates.var(0)) == pytest.approx(expected)


def test_with_an_image_a_class_nothing_is_known_of_classes(rng):
    gates = rng.random((3, 2))
    assert math.isnan(between_classes_share(gates, [1, 1, 1], gates.var(0)))


@pytest.mark.parametrize(
    ("singular", "rank"),
    [([1, 1, 1, 0], 3.0), ([5, 0, 0, 0], 1.0), ([0, 0, 0, 0], 0.0), ([2, 1, 1, 0], 2**1.5)],
)
def test_the_effective_rank_is_that_of_the_singular_values(rng, singular, rank):
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert effective_rank(turn @ np.diag(np.square(singular)) @ turn.T) == pytest.approx(rank, abs=1e-5)


def test_the_interval_is_that_of_the_differences_one_by_one(rng):
    differences = rng.normal(0.1, 1.0, size=50)
    expected, found = interval(differences, 0.9), over_images(differences.sum(), (differences**2).sum(), 50)
    assert (found.mean, found.low, found.high) == pytest.approx((expected.mean, expected.low, expected.high))


def test_differences_that_are_all_zero_are_surely_zero():
    found = over_images(0.0, 0.0, 50)
    assert (found.mean, found.low, found.high) == (0.0, 0.0, 0.0)


def test_of_one_image_nothing_is_sure():
    found = over_images(0.5, 0.25, 1)
    assert (found.mean, found.low, found.high) == (0.5, -math.inf, math.inf)


def test_the_largest_gate_is_that_of_its_function():
    assert largest(SEBlock(hidden=1, gate=Gate.TWICE_SIGMOID)) == 2.0
    assert (
        largest(SEBlock(hidden=1, gate=Gate.HARD_SIGMOID)) == largest(SEBlock(hidden=1)) == largest(Original()) == 1.0
    )
