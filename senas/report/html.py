"""The front as a page: one file that needs no network, for a browser or MLflow's preview.

Picture and strips are SVG in the page; a few lines of script show what is under the pointer and sort the table.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from string import Template

from senas.core.certainty import Estimate
from senas.core.config import BASELINES
from senas.core.site import Site
from senas.core.verdict import RANDOM, Point
from senas.report.drawing import WIDTH, Axes, strip, svg, ticks
from senas.report.findings import WORDS, Findings, apart, between, percent, ranged, signed_between, size
from senas.report.page import PAGE
from senas.report.table import spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPage:
    """What the page shows of a study.

    subtitle:      data and backbone.
    question:      a sentence for whoever never saw senas.
    hypervolumes:  after each trial, by its number; in nats x parameters.
    """

    title: str
    subtitle: str
    question: str
    findings: Findings
    sites: Sequence[Site]
    hypervolumes: Mapping[int, float]

    def html(self) -> str:
        """The whole page."""
        found, pick = self.findings, self.findings.pick
        words = f"trial {pick.trial.number}: {pick.trial.config.words(self.sites)}"
        return Template(PAGE).substitute(
            title=escape(self.title),
            subtitle=escape(self.subtitle),
            question=escape(self.question),
            cards=_cards(found),
            scatter=self._scatter(),
            strip=strip(found.picked.config, self.sites, named=True),
            pick=f"{found.kind.capitalize() if pick.decided else 'Undecided; what leads'}: {escape(words)}",
            kind=self._kind,
            why=escape(pick.why.removesuffix(". It leads")),
            ways="".join(f"<pre>{escape(command)}</pre>" for command in found.ways_out),
            metric=escape(found.spoken),
            beside="".join(f"<li>{escape(line)}</li>" for line in found.comparisons),
            rows="".join(map(self._row, self._listed())),
            volume=_volume(self.hypervolumes),
            behind=escape(found.behind),
            trainings=f"{len(found.measured)}",
            configurations=f"{len(found.points)}",
        )

    @property
    def _kind(self) -> str:
        return self.findings.kind if self.findings.pick.decided else "leads, undecided"

    def _listed(self) -> list[Point]:
        """The front first, then the others, the lowest loss first."""
        on_front = {point.config for point in self.findings.front}
        rest = sorted((p for p in self.findings.points if p.config not in on_front), key=lambda p: p.loss.mean)
        return [*self.findings.front, *rest]

    def _roles(self, point: Point) -> list[str]:
        roles = [self._kind] if self.findings.is_picked(point) else []
        roles += ["front"] if point.config in {each.config for each in self.findings.front} else []
        return roles + [f"baseline {name}" for name, c in self.findings.baselines.items() if c == point.config]

    def _row(self, point: Point) -> str:
        loss, roles = self.findings.shown(point.loss), self._roles(point)
        none = self.findings.shown(point.from_none) if point.from_none and point.config else None
        macs = point.trial.scores.get("macs", 0) if point.trial else 0
        cells = [
            (_number(point), f"{_number(point)}"),
            (loss.mean, f"{loss.mean:.4f}<small>{between(loss)}</small>"),
            (none.mean if none else 0, f"{none.mean:+.4f}<small>{signed_between(none)}</small>" if none else ""),
            (point.on_front, escape(percent(point.on_front))),
            (point.trainings, f"{point.trainings}"),
            (size(point), f"{size(point):,.0f}"),
            (macs, spoken(macs)),
        ]
        numbers = "".join(f'<td class="n" data-v="{value!r}">{text}</td>' for value, text in cells)
        kind = (" pick" if self.findings.is_picked(point) else "") + (" onfront" if "front" in roles else "")
        label = "".join(f"<span class='tag t-{re.split('[ ,]', role)[0]}'>{escape(role)}</span>" for role in roles)
        words = escape(point.config.words(self.sites))
        return (
            f'<tr class="config{kind}" data-n="{_number(point)}">{numbers}'
            f'<td data-v="{words}" title="{words}">{strip(point.config, self.sites)}</td>'
            f'<td data-v="{escape(", ".join(roles))}">{label}</td>'
            "</tr>\n"
        )

    def _scatter(self) -> str:
        found = self.findings
        xs = [trial.scores["se_params"] for trial in found.measured]
        axes, frame = self._axes(max(xs))
        parts = [frame]
        stairs = [(size(point), found.shown(point.loss).mean) for point in found.front]
        if stairs:
            path = f"M{axes.at(*stairs[0])}" + "".join(f"H{axes.x(x):.1f}V{axes.y(y):.1f}" for x, y in stairs[1:])
            parts.append(f'<path class="front" d="{path}H{axes.x(axes.xs[1]):.1f}"/>')
        first = {point.config: _number(point) for point in found.points}
        for trial in found.measured:
            value = trial.scores[found.name]
            tip = f"trial {trial.number}, seed {trial.seed}: one training\n{trial.config.words(self.sites)}\n"
            tip += f"{found.spoken} {value:.4f}"
            parts.append(
                f'<circle class="dot one" cx="{axes.x(trial.scores["se_params"]):.1f}" cy="{axes.y(value):.1f}" '
                f'r="2.5" data-n="{first.get(trial.config, trial.number)}" data-tip="{escape(tip)}"/>'
            )
        gap, places = 0.022 * (axes.xs[1] - axes.xs[0]), {point.config: size(point) for point in found.listed}
        for point in self._baselines.values():
            places.setdefault(point.config, apart(size(point), list(places.values()), gap))
        shown = {point.config: point for point in [*found.listed, *self._baselines.values()]}
        parts += [self._point(axes, point, places[config]) for config, point in shown.items()]
        parts += [self._baseline(axes, name, point, places[point.config]) for name, point in self._baselines.items()]
        if found.elsewhere:
            x, loss = apart(found.elsewhere.se_params, list(places.values()), gap), found.elsewhere.loss
            tip = f"as many SE blocks as the pick has, at random places\n{found.spoken} {ranged(found.shown(loss))}"
            parts.append(_interval(axes, x, found.shown(loss), "random"))
            parts.append(
                f'<rect class="random" x="{axes.x(x) - 5:.1f}" y="{axes.y(found.shown(loss).mean) - 5:.1f}" '
                f'width="10" height="10" data-tip="{escape(tip)}"/>'
            )
        ring = "ring" if found.pick.decided else "ring open"
        x, y = axes.x(size(found.picked)), axes.y(found.shown(found.picked.loss).mean)
        parts.append(f'<circle class="{ring}" cx="{x:.1f}" cy="{y:.1f}" r="13"/>')
        if not found.pick.decided:
            end = x > WIDTH / 2
            parts.append(
                f'<text class="label" x="{x - 16 if end else x + 16:.1f}" y="{y + 24:.1f}" '
                f'text-anchor="{"end" if end else "start"}">leads, undecided</text>'
            )
        return svg("".join(parts), f"{found.spoken} against SE parameters")

    def _axes(self, most: float) -> tuple[Axes, str]:
        """Wide enough for every training and every interval that is drawn."""
        found = self.findings
        drawn = [found.shown(point.loss) for point in [*found.listed, *self._baselines.values()]]
        drawn += [found.shown(found.elsewhere.loss)] if found.elsewhere else []
        ys = [t.scores[found.name] for t in found.measured]
        ys += [end for loss in drawn for end in (loss.low, loss.high)]
        x_ticks, y_ticks = ticks(0, most * 1.04 or 1), ticks(min(ys), max(ys), padded=True)
        axes = Axes((-0.02 * most, max(x_ticks[-1], most * 1.04)), (y_ticks[0], y_ticks[-1]))
        return axes, axes.frame(x_ticks, y_ticks, "SE parameters", found.axis)

    @property
    def _baselines(self) -> dict[str, Point]:
        """Those that were trained, by name."""
        known = {point.config: point for point in self.findings.points}
        return {name: known[config] for name, config in self.findings.baselines.items() if config in known}

    def _point(self, axes: Axes, point: Point, at: float) -> str:
        found, loss = self.findings, self.findings.shown(point.loss)
        roles = self._roles(point)
        kind = "on" if "front" in roles else "off"
        sure = 0.3 + 0.7 * point.on_front if kind == "on" else 0.8
        tip = (
            f"trial {_number(point)}{' · ' + ', '.join(roles) if roles else ''}\n{point.config.words(self.sites)}\n"
            f"{found.spoken} {ranged(loss)}\n{point.trainings} trained, on the front: {percent(point.on_front)}\n"
            f"{size(point):,.0f} SE parameters"
        )
        if point.trial and "latency_ms" in point.trial.scores:
            tip += f"\n{point.trial.scores['latency_ms']:.4g} ms"
        return (
            f'<g opacity="{sure:.2f}">{_interval(axes, at, loss, kind)}'
            f'<circle class="dot {kind}" cx="{axes.x(at):.1f}" cy="{axes.y(loss.mean):.1f}" r="6" '
            f'tabindex="0" data-n="{_number(point)}" data-tip="{escape(tip)}"/></g>'
        )

    def _baseline(self, axes: Axes, name: str, point: Point, at: float) -> str:
        x, y = axes.x(at), axes.y(self.findings.shown(point.loss).mean)
        return (
            f'<path class="base" d="M{x:.1f} {y - 10:.1f}l10 10l-10 10l-10 -10z"/>'
            f'<text class="label" x="{x + 8:.1f}" y="{y - 12:.1f}">{name}</text>'
        )


def _number(point: Point) -> int:
    return point.trial.number if point.trial else -1


def _interval(axes: Axes, x: float, loss: Estimate, kind: str) -> str:
    """A vertical line with ends."""
    at, low, high = axes.x(x), axes.y(loss.low), axes.y(loss.high)
    ends = "".join(f"M{at - 4:.1f} {y:.1f}h8" for y in (low, high))
    return f'<path class="interval {kind}" d="M{at:.1f} {low:.1f}V{high:.1f}{ends}"/>'


def _volume(volumes: Mapping[int, float], height: int = 190) -> str:
    """The hypervolume after each trial, as a line."""
    if len(volumes) < 2:
        return "<p class='dim'>one trial has no course yet</p>"
    numbers, values = list(volumes), list(volumes.values())
    # Where nothing changes there is no course: what the last digits of a sum do is not drawn.
    low, high = min(values), max(values)
    y_ticks = ticks(low, high, padded=True, count=3) if high - low > 1e-6 * abs(high) else ticks(0.0, high, count=3)
    axes = Axes((min(numbers), max(numbers)), (y_ticks[0], y_ticks[-1]), height)
    path = "".join(
        f"{'H' if i else 'M'}{axes.x(n):.1f}{'V' if i else ' '}{axes.y(v):.1f}"
        for i, (n, v) in enumerate(zip(numbers, values, strict=True))
    )
    x_ticks = sorted({float(round(tick)) for tick in ticks(min(numbers), max(numbers), count=6)})
    frame = axes.frame(x_ticks, y_ticks, "trial", "nats x parameters")
    return svg(f'{frame}<path class="front" d="{path}"/>', "Hypervolume of the front after each trial", height)


def _cards(found: Findings) -> str:
    """The pick beside the baselines and random places, in figures."""
    known = {point.config: point for point in found.points}
    shown = [(found.kind if found.pick.decided else "leads, undecided", found.picked)]
    shown += [(f"{BASELINES[name]} ({name})", known[c]) for name, c in found.baselines.items() if c in known]
    cards = [(name, found.shown(point.loss), f"{size(point):,.0f} SE parameters") for name, point in shown]
    if found.elsewhere:
        params, loss = found.elsewhere
        cards.append((WORDS[RANDOM], found.shown(loss), f"about {params:,.0f} SE parameters"))
    return "".join(
        f'<div class="card"><div class="dim">{escape(name)}</div><div class="big">{loss.mean:.4f}</div>'
        f'<div class="dim">{escape(found.spoken)}, {between(loss)}</div><div>{params}</div></div>'
        for name, loss, params in cards
    )
