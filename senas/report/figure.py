"""The front as a picture."""

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from senas.core.certainty import Estimate
from senas.core.site import Site
from senas.core.verdict import Point
from senas.report.findings import Findings, apart, size

GREY, BLUE, ORANGE, DARK, VIOLET = "#b0b7c3", "#1f6feb", "#d9480f", "#22272e", "#7c5cd6"
FAINTEST = 0.25
"""Opacity of a point that is surely not on the front; 1 for one that surely is."""


def front_png(*, title: str, findings: Findings, sites: Sequence[Site]) -> bytes:
    """`front_figure` as a file."""
    buffer = io.BytesIO()
    front_figure(title=title, findings=findings, sites=sites).savefig(buffer, format="png")
    return buffer.getvalue()


def front_figure(*, title: str, findings: Findings, sites: Sequence[Site]) -> Figure:
    """SE parameters against what is known of the loss: the front as a staircase with its intervals, the paler the less
    sure; single trainings as small dots; baselines and random places beside it; the pick named."""
    figure = Figure(figsize=(8, 5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    sign = findings.shown(Estimate(1.0, 1.0, 1.0)).mean
    name = findings.name
    single = [(t.scores["se_params"], t.scores[name]) for t in findings.measured if name in t.scores]
    axes.scatter(
        [x for x, _ in single],
        [y for _, y in single],
        s=9,
        color=GREY,
        label=f"single trainings ({len(single)})",
        zorder=2,
    )
    right = max(x for x, _ in single) * 1.03 + 1
    front = findings.front
    xs, ys = [size(point) for point in front], [sign * point.loss.mean for point in front]
    axes.step([*xs, right], [*ys, ys[-1]], where="post", color=BLUE, linewidth=1.2, alpha=0.5, zorder=3)
    for point in front:
        _interval(axes, size(point), findings.shown(point.loss), BLUE, FAINTEST + (1 - FAINTEST) * point.on_front)
    axes.errorbar([], [], yerr=[], fmt="o", color=BLUE, label=f"front ({len(front)}), 90 % intervals, pale: less sure")
    for point, x, y in zip(front, xs, ys, strict=True):
        number = point.trial.number if point.trial else ""
        axes.annotate(f"{number}", (x, y), xytext=(6, 6), textcoords="offset points", fontsize=8, color=DARK)
    _baselines(axes, findings, gap=0.015 * right)
    _picked(axes, findings, sites)
    axes.set_xlabel("SE parameters")
    axes.set_ylabel(findings.axis)
    axes.set_title(title, fontsize=11)
    axes.set_xlim(-0.03 * right, right)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _interval(axes: Axes, x: float, loss: Estimate, color: str, alpha: float, marker: str = "o") -> None:
    below, above = loss.mean - loss.low, loss.high - loss.mean
    axes.errorbar(
        [x],
        [loss.mean],
        yerr=[[below], [above]],
        fmt=marker,
        markersize=6,
        color=color,
        alpha=alpha,
        elinewidth=1.4,
        capsize=3,
        zorder=4,
    )


def _baselines(axes: Axes, findings: Findings, gap: float) -> None:
    """Those that were trained and are not on the front stand for themselves; those on it are only named."""
    on_front = {point.config for point in findings.front}
    taken = [size(point) for point in findings.listed]
    for name, point in _named(findings):
        x, loss = size(point), findings.shown(point.loss)
        if point.config not in on_front:
            x = apart(x, taken, gap)
            taken.append(x)
            _interval(axes, x, loss, DARK, 0.8, "D")
        at = (x, loss.mean)
        axes.annotate(name, at, xytext=(6, -12), textcoords="offset points", fontsize=8, color=DARK, fontweight="bold")
    if findings.elsewhere:
        x, loss = findings.elsewhere
        _interval(axes, apart(x, taken, gap), findings.shown(loss), VIOLET, 0.9, "s")
        axes.errorbar([], [], yerr=[], fmt="s", color=VIOLET, label="as many blocks at random places")


def _named(findings: Findings) -> list[tuple[str, Point]]:
    return [(n, p) for n, config in findings.baselines.items() for p in findings.points if p.config == config]


def _picked(axes: Axes, findings: Findings, sites: Sequence[Site]) -> None:
    x, y = size(findings.picked), findings.shown(findings.picked.loss).mean
    style = "solid" if findings.pick.decided else "dashed"
    kind = findings.kind if findings.pick.decided else "leads, undecided"
    ring = {"facecolors": "none", "edgecolors": ORANGE, "linestyles": style}
    axes.scatter([x], [y], s=190, linewidths=2.2, zorder=5, **ring)  # type: ignore[arg-type]
    words = f"{kind}: {findings.picked.config.words(sites)}"
    axes.scatter([], [], s=60, linewidths=2, label=_short(words), **ring)  # type: ignore[arg-type]


def _short(words: str, limit: int = 70) -> str:
    return words if len(words) <= limit else f"{words[: limit - 3]}..."
