"""Intervals below each other, as bars with their means, in groups; SVG as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from senas.core.certainty import Estimate
from senas.report.drawing import alike, ticks

WIDTH, ROW, HEAD, LETTER, TICK = 820, 19, 24, 6.4, 90
MOST = 58
"""Letters of a name: what is longer is cut."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a number is of, what is known of it, and what stands behind it."""

    name: str
    known: Estimate
    note: str = ""


Group = tuple[str, Sequence[Bar]]
"""A heading, and what is below it."""


def forest(groups: Sequence[Group], axis: str, label: str, *, signed: bool = True) -> str:
    """signed: a bar that lies below 0 is blue, one that lies above orange, and one that holds 0 grey; else all grey."""
    bars = [bar for _, some in groups for bar in some]
    if not bars:
        return ""
    low, high = min(0.0, *(b.known.low for b in bars)), max(0.0, *(b.known.high for b in bars))
    left = 24 + LETTER * max(min(len(bar.name), MOST) for bar in bars)
    right = WIDTH - 24 - LETTER * max(len(bar.note) for bar in bars)
    marks = ticks(low, high, padded=True, count=max(2, round((right - left) / TICK)))

    def x(value: float) -> float:
        return left + (value - marks[0]) / ((marks[-1] - marks[0]) or 1) * (right - left)

    parts, y = [], 0.0
    for heading, some in groups:
        if heading:
            parts.append(f'<text class="label" x="0" y="{y + 17:.1f}">{escape(heading)}</text>')
            y += HEAD
        for bar in some:
            middle, known = y + ROW / 2, bar.known
            kind = "even" if not signed or not known.excludes_zero else "down" if known.mean < 0 else "up"
            parts.append(
                f"<g><title>{escape(f'{bar.name}: {told(known, signed)}')}</title>"
                f'<text x="{left - 12}" y="{middle + 4:.1f}" text-anchor="end">{escape(_cut(bar.name))}</text>'
                f'<path class="bar {kind}" d="M{x(known.low):.1f} {middle:.1f}H{x(known.high):.1f}"/>'
                f'<circle class="mean" cx="{x(known.mean):.1f}" cy="{middle:.1f}" r="3"/>'
                f'<text class="tick" x="{right + 12}" y="{middle + 4:.1f}">{escape(bar.note)}</text></g>'
            )
            y += ROW
        y += 6
    grid = "".join(
        f'<line class="grid" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="0" y2="{y:.1f}"/>'
        f'<text class="tick" x="{x(t):.1f}" y="{y + 15:.1f}" text-anchor="middle">{text}</text>'
        for t, text in zip(marks, alike(marks), strict=True)
    )
    zero = f'<line class="axis" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="0" y2="{y:.1f}"/>'
    title = f'<text class="title" x="{(left + right) / 2}" y="{y + 36:.1f}" text-anchor="middle">{escape(axis)}</text>'
    return (
        f'<svg class="forest" viewBox="0 0 {WIDTH} {y + 44:.0f}" role="img" aria-label="{escape(label)}">'
        f"{grid}{zero}{''.join(parts)}{title}</svg>"
    )


def told(known: Estimate, signed: bool = True) -> str:
    """`-0.0123 (-0.0201 to -0.0044)`; a size has no sign."""
    sign = "+" if signed else ""
    return f"{known.mean:{sign}.4f} ({known.low:{sign}.4f} to {known.high:{sign}.4f})"


def _cut(name: str) -> str:
    return name if len(name) <= MOST else f"{name[: MOST - 1]}…"
