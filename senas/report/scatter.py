"""The front as a picture in a page: loss against SE parameters, with what stands behind each point; SVG as text."""

from dataclasses import dataclass
from html import escape

from senas.core.certainty import Estimate
from senas.core.site import Site
from senas.core.verdict import Point
from senas.report.drawing import WIDTH, Axes, svg, ticks
from senas.report.findings import Findings, apart, percent, ranged, size


@dataclass(frozen=True, slots=True)
class Scatter:
    """Every training as a small dot; the front as a staircase of intervals; baselines and random places beside it."""

    findings: Findings
    sites: tuple[Site, ...]

    def svg(self) -> str:
        """The picture. What is under the pointer is told in `data-tip`."""
        found = self.findings
        xs = [trial.scores["se_params"] for trial in found.measured]
        axes, frame = self._axes(max(xs))
        parts = [frame]
        stairs = [(size(point), found.shown(point.loss).mean) for point in found.front]
        if stairs:
            path = f"M{axes.at(*stairs[0])}" + "".join(f"H{axes.x(x):.1f}V{axes.y(y):.1f}" for x, y in stairs[1:])
            parts.append(f'<path class="front" d="{path}H{axes.x(axes.xs[1]):.1f}"/>')
        first = {point.config: number_of(point) for point in found.points}
        for trial in found.measured:
            value = trial.scores[found.name]
            tip = f"trial {trial.number}, seed {trial.seed}: one training\n{trial.config.words(self.sites)}\n"
            tip += f"{found.spoken} {value:.4f}"
            parts.append(
                f'<circle class="dot one" cx="{axes.x(trial.scores["se_params"]):.1f}" cy="{axes.y(value):.1f}" '
                f'r="2.5" data-n="{first.get(trial.config, trial.number)}" data-tip="{escape(tip)}"/>'
            )
        gap, places = 0.022 * (axes.xs[1] - axes.xs[0]), {point.config: size(point) for point in found.listed}
        baselines = trained_baselines(found)
        for point in baselines.values():
            places.setdefault(point.config, apart(size(point), list(places.values()), gap))
        shown = {point.config: point for point in [*found.listed, *baselines.values()]}
        parts += [self._point(axes, point, places[config]) for config, point in shown.items()]
        parts += [self._baseline(axes, name, point, places[point.config]) for name, point in baselines.items()]
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
        return svg("".join(parts), escape(f"{found.spoken} against SE parameters"))

    def _axes(self, most: float) -> tuple[Axes, str]:
        """Wide enough for every training and every interval that is drawn."""
        found = self.findings
        drawn = [found.shown(point.loss) for point in [*found.listed, *trained_baselines(found).values()]]
        drawn += [found.shown(found.elsewhere.loss)] if found.elsewhere else []
        ys = [t.scores[found.name] for t in found.measured]
        ys += [end for loss in drawn for end in (loss.low, loss.high)]
        x_ticks, y_ticks = ticks(0, most * 1.04 or 1), ticks(min(ys), max(ys), padded=True)
        axes = Axes((-0.02 * most, max(x_ticks[-1], most * 1.04)), (y_ticks[0], y_ticks[-1]))
        return axes, axes.frame(x_ticks, y_ticks, "SE parameters", escape(found.axis))

    def _point(self, axes: Axes, point: Point, at: float) -> str:
        found, loss = self.findings, self.findings.shown(point.loss)
        titles = roles(found, point)
        kind = "on" if "front" in titles else "off"
        sure = 0.3 + 0.7 * point.on_front if kind == "on" else 0.8
        tip = (
            f"trial {number_of(point)}{' · ' + ', '.join(titles) if titles else ''}\n{point.config.words(self.sites)}\n"
            f"{found.spoken} {ranged(loss)}\n{point.trainings} trained, on the front: {percent(point.on_front)}\n"
            f"{size(point):,.0f} SE parameters"
        )
        if point.trial and "latency_ms" in point.trial.scores:
            tip += f"\n{point.trial.scores['latency_ms']:.4g} ms"
        return (
            f'<g opacity="{sure:.2f}">{_interval(axes, at, loss, kind)}'
            f'<circle class="dot {kind}" cx="{axes.x(at):.1f}" cy="{axes.y(loss.mean):.1f}" r="6" '
            f'tabindex="0" data-n="{number_of(point)}" data-tip="{escape(tip)}"/></g>'
        )

    def _baseline(self, axes: Axes, name: str, point: Point, at: float) -> str:
        x, y = axes.x(at), axes.y(self.findings.shown(point.loss).mean)
        return (
            f'<path class="base" d="M{x:.1f} {y - 10:.1f}l10 10l-10 10l-10 -10z"/>'
            f'<text class="label" x="{x + 8:.1f}" y="{y - 12:.1f}">{name}</text>'
        )


def trained_baselines(found: Findings) -> dict[str, Point]:
    """Those of the baselines that were trained, by name."""
    known = {point.config: point for point in found.points}
    return {name: known[config] for name, config in found.baselines.items() if config in known}


def roles(found: Findings, point: Point) -> list[str]:
    """What a configuration is in a study: picked, on the front, a baseline."""
    titles = [kind_of(found)] if found.is_picked(point) else []
    titles += ["front"] if point.config in {each.config for each in found.front} else []
    return titles + [f"baseline {name}" for name, c in found.baselines.items() if c == point.config]


def kind_of(found: Findings) -> str:
    """What the pick is called: `recommended`, `picked`, or what leads."""
    return found.kind if found.pick.decided else "leads, undecided"


def number_of(point: Point) -> int:
    """Of the first trial that trained a configuration; -1 where none did."""
    return point.trial.number if point.trial else -1


def _interval(axes: Axes, x: float, loss: Estimate, kind: str) -> str:
    """A vertical line with ends."""
    at, low, high = axes.x(x), axes.y(loss.low), axes.y(loss.high)
    ends = "".join(f"M{at - 4:.1f} {y:.1f}h8" for y in (low, high))
    return f'<path class="interval {kind}" d="M{at:.1f} {low:.1f}V{high:.1f}{ends}"/>'
