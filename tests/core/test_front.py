"""Fronts: dominance, hypervolume, knee and pick, against definitions that are too slow to use."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from senas.core.front import best, front, hypervolume, knee, smallest
from senas.errors import ConfigError, ScoreError


def whole_points(dimensions):
    return st.tuples(*[st.integers(0, 5)] * dimensions)


# Few whole coordinates, so that ties and duplicates are common.
clouds = st.integers(1, 4).flatmap(lambda dimensions: st.lists(whole_points(dimensions), min_size=1, max_size=12))
plane_clouds = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=20)


def beats(one, other):
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


@given(clouds)
def test_no_point_of_the_front_is_beaten(cloud):
    assert not [i for i in front(cloud) if any(beats(other, cloud[i]) for other in cloud)]


@given(clouds)
def test_every_dropped_point_is_beaten_by_one_on_the_front(cloud):
    kept = front(cloud)
    dropped = set(range(len(cloud))) - set(kept)
    assert all(any(beats(cloud[k], cloud[d]) for k in kept) for d in dropped)


@given(clouds)
def test_equal_points_are_all_kept_or_all_dropped(cloud):
    kept = front(cloud + cloud)
    assert kept == front(cloud) + [len(cloud) + i for i in front(cloud)]


@given(clouds, st.randoms(use_true_random=False))
def test_the_front_does_not_depend_on_the_order_of_the_points(cloud, random):
    shuffled = random.sample(cloud, len(cloud))
    assert sorted(shuffled[i] for i in front(shuffled)) == sorted(cloud[i] for i in front(cloud))


def test_the_front_is_given_as_ascending_indices():
    assert front([(9, 9), (3, 1), (1, 3), (2, 2), (2, 2)]) == [1, 2, 3, 4]


def test_a_front_takes_as_many_passes_as_it_has_points_and_not_as_there_are(monkeypatch):
    """A pass for each of 10,000 points, three times a trial, took longer than training."""
    cloud = [(float(x), float(1 + y)) for x in range(50) for y in range(50)] + [(-2.0, 0.5), (-1.0, 0.0)]
    passes = []

    class Watched(np.ndarray):
        def __ge__(self, other):
            passes.append(len(self))
            return np.greater_equal(np.asarray(self), other)

    monkeypatch.setattr("senas.core.front._cloud", lambda points: np.asarray(points).view(Watched))
    assert front(cloud) == [2500, 2501]
    assert passes == [2502, 1]


def test_no_points_have_an_empty_front():
    assert front([]) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_coordinate_without_a_rank_is_refused_everywhere(refused, value):
    for refuses in (
        lambda: front([(0, 1), (value, 0)]),
        lambda: hypervolume([(0, 1), (value, 0)], (2, 2)),
        lambda: knee([(0, 1), (value, 0)]),
        lambda: best([1, value]),
        lambda: smallest([1, value], [1, 2], 0),
        lambda: smallest([1, 2], [1, value], 0),
    ):
        with refused(ScoreError, "finite", f"got {value}"):
            refuses()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_reference_without_a_rank_is_refused(refused, value):
    with refused(ScoreError, f"{value}"):
        hypervolume([(0, 1)], (2, value))


@given(
    st.integers(1, 4).flatmap(
        lambda dimensions: st.tuples(st.lists(whole_points(dimensions), max_size=8), whole_points(dimensions))
    )
)
def test_hypervolume_of_whole_points_is_the_number_of_unit_cells_they_beat(case):
    cloud, reference = case
    cells = itertools.product(*(range(side) for side in reference))
    covered = sum(any(all(p <= c for p, c in zip(point, cell, strict=True)) for point in cloud) for cell in cells)
    assert hypervolume(cloud, reference) == covered


@given(
    st.sampled_from([2, 3]).flatmap(
        lambda dimensions: st.lists(st.tuples(*[st.floats(-2, 2, width=16)] * dimensions), min_size=1, max_size=6)
    )
)
def test_hypervolume_is_that_of_inclusion_and_exclusion(cloud):
    reference = (1.5,) * len(cloud[0])

    def box(points):
        return math.prod(max(0.0, r - max(side)) for side, r in zip(zip(*points, strict=True), reference, strict=True))

    expected = sum(
        (-1) ** (size + 1) * box(some)
        for size in range(1, len(cloud) + 1)
        for some in itertools.combinations(cloud, size)
    )
    assert hypervolume(cloud, reference) == pytest.approx(expected, abs=1e-9)


@given(clouds)
def test_hypervolume_is_that_of_the_front_alone(cloud):
    reference = (6,) * len(cloud[0])
    assert hypervolume(cloud, reference) == hypervolume([cloud[i] for i in front(cloud)], reference)


def test_points_that_do_not_beat_the_reference_in_every_coordinate_add_nothing():
    assert hypervolume([(0, 2), (2, 0), (3, -9)], (2, 2)) == 0
    assert hypervolume([(1, 1), (3, -9)], (2, 2)) == 1


def test_no_points_have_no_hypervolume():
    assert hypervolume([], (1, 1)) == 0


def test_the_best_is_the_lowest_and_the_first_of_equals():
    assert best([3, 1, 2, 1]) == 1


def test_the_knee_is_the_point_farthest_below_the_chord():
    assert knee([(0, 10), (1, 2), (5, 1), (10, 0)]) == 1
    assert knee([(0, 10), (5, 5), (1, 8), (10, 0)]) == 2  # not the one nearest to the ideal corner


def test_the_knee_of_three_objectives_is_farthest_below_the_plane_of_the_ends():
    assert knee([(4, 0, 0), (0, 4, 0), (0, 0, 4), (2, 2, 1), (1, 1, 1)]) == 4


def test_a_coordinate_that_all_points_share_does_not_move_the_knee():
    assert knee([(0, 10, 3), (1, 2, 3), (5, 1, 3), (10, 0, 3)]) == 1


def test_the_knee_is_an_index_into_all_points_not_into_the_front():
    assert knee([(9, 11), (0, 10), (6, 6), (1, 2), (10, 0)]) == 3


def test_a_beaten_point_does_not_stretch_the_axes_of_the_knee():
    assert knee([(0, 10), (1, 6), (5, 1), (10, 0), (5, 100)]) == 2


def test_a_knee_above_the_chord_is_no_better_than_an_end():
    assert knee([(0, 10), (9, 9), (10, 0)]) == 0


def test_the_knee_among_equals_is_the_first():
    assert knee([(0, 8), (1, 1), (1, 1), (8, 0)]) == 1


@pytest.mark.parametrize("cloud", [[(3, 5)], [(3, 5), (5, 3)], [(5, 3), (3, 5)], [(3, 5), (3, 5)]])
def test_a_front_of_one_or_two_points_gives_the_first(cloud):
    assert knee(cloud) == 0


def test_the_only_point_of_the_front_is_recommended_wherever_it_stands():
    assert knee([(9, 9), (8, 8), (1, 1)]) == 2


@given(plane_clouds)
def test_no_point_of_a_plane_front_is_farther_below_the_chord_than_the_knee(cloud):
    kept = [cloud[i] for i in front(cloud)]
    (left, top), (right, bottom) = min(kept), max(kept)

    def depth(point):  # distance to the chord in units of the scaled axes, exactly; 0 at both ends
        if left == right:
            return Fraction(0)
        return 1 - Fraction(point[0] - left, right - left) - Fraction(point[1] - bottom, top - bottom)

    chosen = cloud[knee(cloud)]
    assert chosen in kept
    assert float(depth(chosen)) == pytest.approx(float(max(map(depth, kept))))


@given(plane_clouds, st.integers(-8, 8), st.integers(-8, 8))
def test_the_knee_does_not_depend_on_the_units_of_the_axes(cloud, one, other):
    assert knee([(x * 2.0**one, y * 2.0**other) for x, y in cloud]) == knee(cloud)


LOSSES, SIZES = [0.50, 0.52, 0.55, 0.60], [400, 300, 200, 0]


@pytest.mark.parametrize(("margin", "index"), [(0, 0), (0.01, 0), (0.03, 1), (0.07, 2), (0.2, 3), (math.inf, 3)])
def test_the_pick_is_the_smallest_within_the_margin_of_the_lowest_loss(margin, index):
    assert smallest(LOSSES, SIZES, margin) == index


def test_a_loss_exactly_at_the_margin_is_within_it():
    assert smallest([0.5, 0.75], [2, 1], 0.25) == 1


def test_the_pick_of_equal_sizes_is_the_lowest_loss():
    assert smallest([0.75, 0.5, 0.25, 0.0], [1, 1, 1, 9], 1) == 2


def test_the_pick_of_equal_sizes_and_losses_is_the_first():
    assert smallest([0.5, 0.25, 0.25], [1, 1, 1], 1) == 1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12), st.integers(0, 9))
def test_the_pick_is_affordable_and_none_affordable_is_smaller(pairs, margin):
    losses, sizes = zip(*pairs, strict=True)
    pick = smallest(losses, sizes, margin)
    affordable = [i for i, loss in enumerate(losses) if loss - min(losses) <= margin]
    assert pick in affordable
    assert sizes[pick] == min(sizes[i] for i in affordable)


@pytest.mark.parametrize("margin", [-0.1, math.nan])
def test_a_margin_that_is_no_number_of_at_least_0_is_refused(refused, margin):
    with refused(ConfigError, "study.margin", "at least 0", f"got {margin}"):
        smallest([1.0], [1], margin)


def test_losses_without_sizes_are_refused():
    with pytest.raises(ValueError, match="zip"):
        smallest([1.0, 2.0], [1], 0)
