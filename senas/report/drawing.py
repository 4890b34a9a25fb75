"""What the front's page draws: axes with their ticks, and a configuration over the sites; SVG as text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from senas.core.block import Block, Placement, SEBlock
from senas.core.config import SEConfig
from senas.core.site import Site

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 74, 18, 18, 46
MANY = 10**7
"""Below it a whole number on an axis has all its digits."""
MEANING = {
    Placement.PRE: "before the branch's first layer",
    Placement.INNER_BEFORE_RELU: "inside the branch, before an activation",
    Placement.INNER: "inside the branch",
    Placement.STANDARD: "at the end of the branch",
    Placement.IDENTITY: "on the shortcut",
    Placement.POST_BEFORE_RELU: "after the addition, before its activation",
    Placement.POST: "after the addition",
}
"""Where in a unit a gate sits, in words."""


@dataclass(frozen=True, slots=True)
class Axes:
    """From values to places in the picture."""

    xs: tuple[float, float]
    ys: tuple[float, float]
    height: int = HEIGHT

    def x(self, value: float) -> float:
        return LEFT + (value - self.xs[0]) / ((self.xs[1] - self.xs[0]) or 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return (
            self.height
            - BOTTOM
            - (value - self.ys[0]) / ((self.ys[1] - self.ys[0]) or 1) * (self.height - TOP - BOTTOM)
        )

    def at(self, x: float, y: float) -> str:
        return f"{self.x(x):.1f} {self.y(y):.1f}"

    def frame(self, x_ticks: Sequence[float], y_ticks: Sequence[float], x_title: str, y_title: str) -> str:
        bottom, middle = self.height - BOTTOM, (self.height - BOTTOM + TOP) / 2
        lines = [
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{self.y(t):.1f}" y2="{self.y(t):.1f}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{self.y(t) + 4:.1f}" text-anchor="end">{text}</text>'
            for t, text in zip(y_ticks, alike(y_ticks), strict=True)
        ]
        lines += [
            f'<text class="tick" x="{self.x(t):.1f}" y="{bottom + 18}" text-anchor="middle">{number(t)}</text>'
            for t in x_ticks
            if self.xs[0] <= t <= self.xs[1]
        ]
        lines.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
        lines.append(
            f'<text class="title" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{self.height - 8}" text-anchor="middle">'
            f'{x_title}</text><text class="title" transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">'
            f"{y_title}</text>"
        )
        return "".join(lines)


def alike(values: Sequence[float]) -> list[str]:
    """Numbers of an axis, with as many decimals each."""
    if all(value == int(value) and abs(value) < MANY for value in values):
        return [f"{value:,.0f}" for value in values]
    texts = [f"{value:,.4g}" for value in values]
    if any("e" in text for text in texts):
        return texts
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return [f"{value:,.{decimals}f}" for value in values]


def number(value: float) -> str:
    """A tick: whole where it is whole."""
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.3g}"


def ticks(low: float, high: float, *, padded: bool = False, count: int = 5) -> list[float]:
    """About `count` round numbers from low to high; padded: one beyond each end."""
    span = (high - low) or abs(high) or 1.0
    size = 10.0 ** len(f"{int(span / count)}") if span >= count else 1.0
    while size > span / count:
        size /= 10
    step = min((factor * size for factor in (1, 2, 2.5, 5, 10)), key=lambda s: abs(span / s - count))
    first, last = int(low // step), -int(-high // step)
    if not padded:
        last = int(high // step)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


def svg(inside: str, label: str, height: int = HEIGHT) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{inside}</svg>'


def strip(config: SEConfig, sites: Sequence[Site], *, named: bool = False) -> str:
    """A configuration over the sites in network order: a bar a site, the higher the more hidden units a channel."""
    room = 46 if named else 14
    width, high = len(sites) * room, 34 if named else 22
    parts = []
    for place, site in enumerate(sites):
        block = config.get(site.name)
        x, spoken_site = place * room + 1, f"{site.name}: {block_words(block, site)}"
        bar = 3.0 if block is None else high * fullness(block, site)
        kind = "none" if block is None else f"p-{site.placement(block)}"
        parts.append(
            f'<g data-tip="{escape(spoken_site)}"><rect class="slot" x="{x}" y="0" width="{room - 2}" height="{high}"/>'
            f'<rect class="{kind}" x="{x}" y="{high - bar:.1f}" width="{room - 2}" height="{bar:.1f}"/></g>'
        )
    labels = ""
    if named:
        labels = "".join(
            f'<text class="tick" transform="translate({place * room + room / 2} {high + 10}) rotate(40)">'
            f"{escape(site.name)}</text>"
            for place, site in enumerate(sites)
        )
    wide, tall = width + (40 if named else 0), high + (64 if named else 0)
    return (
        f'<svg class="strip" width="{wide}" height="{tall}" viewBox="0 0 {wide} {tall}" role="img" '
        f'aria-label="{escape(config.words(sites))}">{"".join(parts)}{labels}</svg>'
    )


def titled(drawing: str) -> str:
    """The same, with what a script would show of what is under the pointer as titles, which need none."""

    def with_title(found: re.Match[str]) -> str:
        tag, before, tip, after, closed = found.groups()
        end = f"</{tag}>" if closed else ""
        return f"<{tag}{before}{after}><title>{tip}</title>{end}"

    return re.sub(r'<(\w+)([^<>]*?) data-tip="([^"]*)"([^<>]*?)(/?)>', with_title, drawing)


def legend(sites: Sequence[Site], configs: Sequence[SEConfig]) -> str:
    """What the colours of these configurations' blocks stand for."""
    there = {site.placement(block) for config in configs for site, block in config.on(sites)}
    items = "".join(
        f'<span><i style="background:var(--{str(placement).removesuffix("_before_relu")})"></i>'
        f"{placement}: {MEANING[placement]}</span>"
        for placement in Placement
        if placement in there
    )
    return f'<p class="legend">{items}</p>' if items else ""


def fullness(block: Block, site: Site) -> float:
    """Height of a block's bar: 1 for r = 2, less by a fixed step for each halving of its width."""
    seen = site.seen(block).channels
    # Of a module that has no width that senas knows, the width that would cost as much.
    share = (block.hidden if isinstance(block, SEBlock) else site.params(block) / (2 * seen)) / seen
    halvings = 0
    while share < 0.4 and halvings < 5:
        share, halvings = share * 2, halvings + 1
    return 1.0 - 0.15 * halvings


def block_words(block: Block | None, site: Site) -> str:
    """What a site has, in words: `standard, 4 hidden of 16 channels, 148 parameters`."""
    if block is None:
        return "no SE"
    channels, added = site.seen(block).channels, f"{site.params(block):,} parameters"
    if not isinstance(block, SEBlock):
        return f"the backbone's own block on {channels} channels, {added}"
    return f"{block.traits}, {block.hidden} hidden of {channels} channels, {added}"
