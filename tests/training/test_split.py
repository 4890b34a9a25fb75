"""Which image goes to which part."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from senas.errors import DataError
from senas.training.split import by_count, by_share

shares = st.lists(st.floats(0.1, 0.4), min_size=1, max_size=2).filter(lambda sizes: sum(sizes) < 0.9)
uneven = st.lists(st.integers(1, 40), min_size=1, max_size=6).filter(lambda sizes: sum(sizes) > 1)


def in_turn(count, classes=3):
    return np.arange(count) % classes


def of_sizes(sizes):
    """Labels of classes of these sizes, mixed."""
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))


# By share


@given(st.integers(60, 200), shares, st.integers(0, 5))
def test_every_image_is_in_exactly_one_part(count, sizes, seed):
    parts = by_share(in_turn(count), sizes, seed)
    assert sorted(number for part in parts for number in part) == list(range(count))


@given(st.integers(60, 200), shares, st.integers(0, 5))
def test_every_part_has_every_class_in_proportion(count, sizes, seed):
    labels = in_turn(count)
    rest = 1 - sum(sizes)
    for part, share in zip(by_share(labels, sizes, seed), [*sizes, rest], strict=True):
        for label in range(3):
            assert abs((labels[part] == label).sum() - share * (labels == label).sum()) <= 1


def test_a_split_depends_on_its_seed_alone():
    def split(seed):
        return [part.tolist() for part in by_share(in_turn(90), (0.2, 0.2), seed)]

    first = split(1)
    torch.manual_seed(9)
    np.random.seed(9)
    assert split(1) == first
    assert split(2) != first


@pytest.mark.parametrize("sizes", [(0.0, 0.2), (0.5, 0.5), (0.9, 0.2), (-0.1,), (1.0,), (float("nan"),)])
def test_shares_that_leave_nothing_are_refused(sizes):
    with pytest.raises(DataError, match=r"\Adata\.val and data\.test must be shares above 0.*\Z"):
        by_share(in_turn(90), sizes, 0)


def test_a_part_that_would_be_empty_is_refused():
    with pytest.raises(DataError, match="a part would have none of the 6 images; give more, or larger shares"):
        by_share(in_turn(6), (0.1,), 0)


# By count


@given(uneven, st.data(), st.integers(0, 5))
def test_a_count_is_taken_exactly_and_the_rest_is_the_rest(sizes, data, seed):
    labels = of_sizes(sizes)
    count = data.draw(st.integers(1, len(labels) - 1))
    taken, rest = by_count(labels, count, seed, "data.val")
    assert len(taken) == count
    assert sorted([*taken, *rest]) == list(range(len(labels)))


@given(uneven, st.data())
def test_no_class_gives_a_whole_image_more_or_less_than_its_share_of_a_count(sizes, data):
    labels = of_sizes(sizes)
    count = data.draw(st.integers(1, len(labels) - 1))
    taken, _ = by_count(labels, count, 0, "data.val")
    given = np.bincount(labels[taken], minlength=len(sizes))
    assert np.abs(given - np.array(sizes) * count / len(labels)).max() < 1


def test_what_rounding_leaves_goes_to_the_classes_that_lost_most_by_it():
    # Of 10 images in classes of 5, 3 and 2 the shares of 4 are 2.0, 1.2 and 0.8.
    labels = of_sizes([5, 3, 2])
    taken, _ = by_count(labels, 4, 0, "data.val")
    assert np.bincount(labels[taken]).tolist() == [2, 1, 1]


def test_a_count_takes_the_images_that_the_same_share_takes():
    labels = in_turn(120, classes=10)
    (by_its_share, _), (by_its_count, _) = by_share(labels, [1 / 6], 3), by_count(labels, 20, 3, "data.val")
    assert by_its_count.tolist() == by_its_share.tolist()


def test_a_count_depends_on_its_seed_alone():
    first = by_count(in_turn(90), 31, 1, "data.val")[0].tolist()
    np.random.seed(9)
    assert by_count(in_turn(90), 31, 1, "data.val")[0].tolist() == first
    assert by_count(in_turn(90), 31, 2, "data.val")[0].tolist() != first


@pytest.mark.parametrize("count", [0, 90, 91, -1])
def test_a_count_that_leaves_nothing_is_refused(count):
    with pytest.raises(DataError, match=rf"\Adata\.val must be between 1 and 89, .* got {count}\Z"):
        by_count(in_turn(90), count, 0, "data.val")


def test_the_images_of_published_studies_stay_where_they_were():
    # Scores of studies that people have, of digits (by share) and of Fashion-MNIST (by count), are of these images.
    labels = in_turn(40, classes=4)
    first = [8, 9, 13, 16, 18, 19, 22, 23, 24, 31, 37, 38]
    assert by_share(labels, (0.3, 0.2), 0)[0].tolist() == first
    assert by_count(labels, 12, 0, "data.val")[0].tolist() == first
