"""SE configurations drawn on the network they are for: a row each, a unit a site, each block where its gate sits.

A unit is read from left to right: what it computes along the line, its shortcut above, the addition at the circle.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from senas.core.block import Block, Placement, SEBlock
from senas.core.config import SEConfig, spoken_block
from senas.core.site import Place, Site, stages
from senas.report.drawing import block_words, fullness

WIDTH, NAMES, END = 1000, 176, 8
"""Of the picture, of the column of names on its left, and of what is left free on its right."""
NARROW, BROAD = 40, 160
"""Widths of a unit: where more sites are to be drawn, they go on below."""
HEAD, ROW, GAP = 58, 82, 18
"""Heights: above the rows, of a row, between two parts of one network."""
ALONG = {
    Placement.PRE: 0.2,
    Placement.INNER_BEFORE_RELU: 0.43,
    Placement.INNER: 0.47,
    Placement.STANDARD: 0.72,
    Placement.IDENTITY: 0.47,
    Placement.POST_BEFORE_RELU: 0.92,
    Placement.POST: 0.94,
}
"""Where along a unit a gate sits."""
CONVOLUTIONS, FORK, SUM = (0.32, 0.58), 0.1, 0.83
TALL, RISE = 30, 20
"""Height of the widest block's bar, and of the shortcut above the line."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A configuration to be drawn. told: lines below its name; strong: the one that it is about."""

    name: str
    config: SEConfig
    told: Sequence[str] = ()
    strong: bool = False


def network(rows: Sequence[Drawn], sites: Sequence[Site], shape: tuple[int, int, int], classes: int) -> str:
    """shape: of an image: channels, height, width."""
    parts, top = [], 0.0
    for number, part in enumerate(_cuts(sites)):
        room = min(BROAD, (WIDTH - NAMES - END) / len(part))
        parts.append(_head(part, room, top))
        if not number:
            parts.append(
                f'<text class="tick" x="0" y="{top + 16:.0f}">image {_size(Place(*shape))}</text>'
                f'<text class="tick" x="0" y="{top + 32:.0f}">to {classes} classes</text>'
            )
        top += HEAD
        for row in rows:
            parts.append(_row(row, part, room, top))
            top += ROW
        top += GAP
    words = "; ".join(f"{row.name}: {row.config.words(sites)}" for row in rows)
    return (
        f'<svg class="network" viewBox="0 0 {WIDTH} {top - GAP:.0f}" role="img" '
        f'aria-label="{escape(f"SE blocks on the network. {words}")}">{"".join(parts)}</svg>'
    )


def _cuts(sites: Sequence[Site]) -> Iterator[Sequence[Site]]:
    """Parts of about equal length that fit side by side."""
    count = -(-len(sites) * NARROW // (WIDTH - NAMES - END))
    each = -(-len(sites) // count)
    for start in range(0, len(sites), each):
        yield sites[start : start + each]


def _head(part: Sequence[Site], room: float, top: float) -> str:
    """The stages with what their units give out, and the name of each site."""
    texts, x = [], float(NAMES)
    for stage in stages(part):
        end = x + room * len(stage)
        texts.append(
            f'<path class="stage" d="M{x + 3:.1f} {top + 26:.1f}v-5H{end - 3:.1f}v5"/>'
            f'<text class="tick" x="{(x + end) / 2:.1f}" y="{top + 16:.1f}" text-anchor="middle">'
            f"{_size(stage[0].output)}</text>"
        )
        for place, site in enumerate(stage):
            middle = x + room * (place + 0.5)
            name = site.name if len(site.name) * 6.5 < room * 1.05 else f"…{site.name[-max(4, int(room / 7.5)) :]}"
            texts.append(
                f'<text x="{middle:.1f}" y="{top + 42:.1f}" text-anchor="middle" class="name">'
                f"<title>{escape(site.name)}</title>{escape(name)}</text>"
            )
        x = end
    return "".join(texts)


def _size(place: Place) -> str:
    return f"{place.channels} x {place.height} x {place.width}"


def _row(row: Drawn, part: Sequence[Site], room: float, top: float) -> str:
    ground = (
        f'<rect class="strong" x="0" y="{top:.1f}" width="{WIDTH}" height="{ROW - 4}" rx="5"/>' if row.strong else ""
    )
    lines = [f'<text class="who" x="10" y="{top + 20:.1f}">{escape(row.name)}</text>']
    lines += [
        f'<text class="tick" x="10" y="{top + 36 + 14 * n:.1f}">{escape(line)}</text>'
        for n, line in enumerate(row.told)
    ]
    units = [_unit(row.config.get(site.name), site, NAMES + room * n, top + 30, room) for n, site in enumerate(part)]
    return ground + "".join(lines + units)


def _unit(block: Block | None, site: Site, x: float, y: float, room: float) -> str:
    """A site, with the block that it has."""
    residual = Placement.IDENTITY in site.places
    wires = f'<path class="wire" d="M{x:.1f} {y:.1f}h{room:.1f}'
    if residual:
        fork, end = x + FORK * room, x + SUM * room
        wires += f"M{fork:.1f} {y:.1f}v{-RISE + 6}q0 -6 6 -6H{end - 6:.1f}q6 0 6 6v{RISE - 10}"
    wires += '"/>'
    convolutions = "".join(
        f'<rect class="conv" x="{x + (at - 0.045) * room:.1f}" y="{y - 6:.1f}" width="{0.09 * room:.1f}" height="12"/>'
        for at in (CONVOLUTIONS if residual else CONVOLUTIONS[:1])
    )
    addition = f'<circle class="sum" cx="{x + SUM * room:.1f}" cy="{y:.1f}" r="4"/>' if residual else ""
    tip = f"<title>{escape(f'{site.name}: {block_words(block, site)}')}</title>"
    return f"<g>{tip}{wires}{convolutions}{addition}{_gate(block, site, x, y, room)}</g>"


def _gate(block: Block | None, site: Site, x: float, y: float, room: float) -> str:
    """The block's bar, the higher the more hidden units a channel, and its width in words."""
    middle = x + room / 2
    if block is None:
        return f'<text class="tick" x="{middle:.1f}" y="{y + 26:.1f}" text-anchor="middle">none</text>'
    placement = site.placement(block)
    at, height = x + ALONG[placement] * room, TALL * fullness(block, site)
    level = y - RISE if placement is Placement.IDENTITY else y
    broad = max(6.0, 0.1 * room)
    texts = [spoken_block(block, site).split()[0]]
    if isinstance(block, SEBlock):
        texts.append(f"{block.hidden} of {site.seen(block).channels}")
    words = "".join(
        f'<text class="{kind}" x="{middle:.1f}" y="{y + 26 + 13 * n:.1f}" text-anchor="middle">{text}</text>'
        for n, (kind, text) in enumerate(zip(("width", "tick"), texts, strict=False))
    )
    return (
        f'<rect class="gate p-{placement}" x="{at - broad / 2:.1f}" y="{level - height / 2:.1f}" width="{broad:.1f}" '
        f'height="{height:.1f}" rx="2"/>{words}'
    )
