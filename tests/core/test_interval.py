"""Student's intervals, against scipy and against what Student published."""

import math

import numpy as np
import pytest
from scipy import stats

from senas.core.interval import interval, student_t


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 8, 9, 30, 199])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_t_is_scipys(freedom, level):
    assert student_t(level, freedom) == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=1e-9)


def test_the_interval_of_students_sleep_data():
    """Ten patients' additional hours of sleep, one drug against the other: Biometrika 6 (1908), page 20."""
    extra = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    found = interval(extra)
    assert found.mean == pytest.approx(1.58)
    assert (found.low, found.high) == pytest.approx((0.70, 2.46), abs=0.005)
    assert found.excludes_zero


def test_the_interval_holds_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = [found.low < 3 < found.high for found in (interval(rng.normal(3, 2, 5)) for _ in range(2000))]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_one_value_says_nothing_of_the_spread():
    found = interval([0.4])
    assert (found.mean, found.low, found.high, found.count) == (0.4, -math.inf, math.inf, 1)
    assert math.isnan(found.sd)
    assert not found.excludes_zero


def test_equal_values_have_an_interval_without_width():
    assert interval([2.0, 2.0, 2.0]).low == 2.0


def test_no_values_have_no_interval():
    with pytest.raises(ValueError, match="at least one value"):
        interval([])
