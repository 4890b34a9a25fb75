"""Learning curves: all trainings as thin lines, what matters as thick ones; SVG as text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np

from senas.report.drawing import Axes, svg, ticks

MOST, POINTS = 300, 60
"""Thin lines, and points of a line, beyond which a picture says no more."""
SEEN = 0.97
"""Share of all values that the picture is high enough for: first epochs would press the rest together."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A score after each epoch, from the first. kind: `pick`, the name of a baseline, or "" for a thin line."""

    values: Sequence[float]
    kind: str = ""
    name: str = ""


def curves(lines: Sequence[Curve], axis: str, *, more_is_better: bool = False) -> str:
    """Nothing where no training has two epochs."""
    lines = [line for line in lines if len(line.values) > 1 and np.isfinite(line.values).all()]
    if not lines:
        return ""
    thin, thick = [c for c in lines if not c.kind][-MOST:], [c for c in lines if c.kind]
    values = np.concatenate([c.values for c in [*thin, *thick]])
    low, high = float(values.min()), float(np.quantile(values, SEEN))
    if more_is_better:
        low, high = float(np.quantile(values, 1 - SEEN)), float(values.max())
    high = high if high > low else low + 1
    y_ticks = ticks(low, high, padded=True)
    longest = max(len(c.values) for c in lines)
    axes = Axes((1, longest), (y_ticks[0], y_ticks[-1]), 320)
    x_ticks = sorted({float(round(tick)) for tick in ticks(1, longest, count=8)})
    drawn = "".join(
        f'<path class="curve {escape(c.kind) or "thin"}" d="{_path(axes, c)}"><title>{escape(c.name)}</title></path>'
        for c in [*thin, *thick]
    )
    return svg(axes.frame(x_ticks, y_ticks, "epoch", escape(axis)) + drawn, escape(f"{axis} after each epoch"), 320)


def _path(axes: Axes, curve: Curve) -> str:
    epochs = np.unique(np.linspace(0, len(curve.values) - 1, POINTS).round().astype(int)).tolist()
    points = [(epoch + 1.0, float(curve.values[epoch])) for epoch in epochs]
    path, before = [], None
    for start, end in _within(points, *axes.ys):
        path.append(f"{'' if start == before else f'M{axes.at(*start)}'}L{axes.at(*end)}")
        before = end
    return "".join(path)


Place = tuple[float, float]


def _within(points: Sequence[Place], low: float, high: float) -> Iterator[tuple[Place, Place]]:
    """The parts of a line's pieces that lie between two heights."""
    for (x, y), (to_x, to_y) in pairwise(points):
        ends = [0.0, 1.0]
        if y != to_y:
            cuts = sorted(((low - y) / (to_y - y), (high - y) / (to_y - y)))
            ends = [max(0.0, cuts[0]), min(1.0, cuts[1])]
        elif not low <= y <= high:
            continue
        if ends[0] < ends[1]:
            begin, end = ((x + at * (to_x - x), y + at * (to_y - y)) for at in ends)
            yield begin, end
