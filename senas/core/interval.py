"""Confidence intervals of means, after Student: how far a mean of few numbers can be trusted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
"""How often an interval of this kind holds the true mean, where the numbers are normally distributed."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean of `count` numbers, their standard deviation, and the interval that holds the true mean.

    With one number there is no spread to be seen: `sd` is NaN, and the interval is everything.
    """

    mean: float
    sd: float
    low: float
    high: float
    count: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the mean differs from zero by more than chance would have it."""
        return self.low > 0 or self.high < 0


def interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Of the mean of `values`: mean +- t sd / sqrt(n), with Student's t of n - 1 degrees of freedom.

    Student, "The probable error of a mean", Biometrika 6 (1908). Raises ValueError for no values.
    """
    if not len(values):
        raise ValueError("an interval needs at least one value, got none")
    mean, count = float(np.mean(values)), len(values)
    if count == 1:
        return Interval(mean, math.nan, -math.inf, math.inf, count)
    sd = float(np.std(values, ddof=1))
    half = student_t(level, count - 1) * sd / math.sqrt(count)
    return Interval(mean, sd, mean - half, mean + half, count)


def student_t(level: float, freedom: int) -> float:
    """The t that Student's distribution stays within, on both sides, with probability `level`."""
    low, high = 0.0, 1.0
    while _within(high, freedom) < level:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _within(middle, freedom) < level else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """P(|T| < t), in closed form for a whole number of degrees of freedom.

    Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and 26.7.4.
    """
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term = total = cosine if odd else 1.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    if not odd:
        return sine * total
    return 2 / math.pi * (angle + (sine * total if freedom > 1 else 0.0))
