"""An audit as a picture: the losses, what so many seeds can show, and what the epochs rank."""

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from senas.core.audited import LOSS, Audited
from senas.report.figure import BLUE, DARK, GREY, ORANGE

MOST = 32
"""Seeds, up to which the smallest difference is drawn."""


def audit_png(audited: Audited, *, title: str) -> bytes:
    """`audit_figure` as a file."""
    buffer = io.BytesIO()
    audit_figure(audited, title=title).savefig(buffer, format="png")
    return buffer.getvalue()


def audit_figure(audited: Audited, *, title: str) -> Figure:
    """Left every loss, its configuration's mean, and lines that join the runs of one seed; in the middle the smallest
    difference that so many seeds show, against the spread between configurations; right the rungs."""
    figure = Figure(figsize=(14, max(4.4, 2.2 + 0.4 * len(audited.names))), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    _losses(left, audited)
    _seeds(middle, audited)
    _rungs(right, audited)
    for axes in (left, middle, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=11)
    return figure


def _losses(axes: Axes, audited: Audited) -> None:
    table = audited.table()
    rows = np.arange(len(audited.names))
    for number, column in enumerate(table.T):
        axes.plot(
            column, rows, color=GREY, linewidth=0.8, alpha=0.8, zorder=1, label="one seed" if not number else None
        )
        axes.scatter(column, rows, s=22, color=GREY, zorder=2)
    axes.scatter([audited.means[name] for name in audited.names], rows, s=60, color=BLUE, zorder=3, label="mean")
    axes.set_yticks(rows, audited.names)
    axes.invert_yaxis()
    axes.margins(y=0.1)
    axes.set_xlabel(spoken(audited.metric))
    axes.legend(edgecolor="none", fontsize=8)


def _seeds(axes: Axes, audited: Audited) -> None:
    noise = audited.noise
    counts = np.arange(1, MOST + 1)
    shown = [noise.detectable(int(count)) for count in counts]
    axes.plot(counts, shown, color=BLUE, label="smallest difference that shows")
    axes.axhspan(noise.spread.low, noise.spread.high, color=ORANGE, alpha=0.15, linewidth=0)
    axes.axhline(noise.spread.mean, color=ORANGE, label="spread between configurations")
    axes.axvline(len(audited.seeds), color=DARK, linewidth=0.8, linestyle=":", label="this audit")
    axes.set_xscale("log", base=2)
    ticks = [2**power for power in range(MOST.bit_length())]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seeds each, compared seed by seed")
    axes.set_ylabel(spoken(audited.metric))
    axes.legend(edgecolor="none", fontsize=8)


def _rungs(axes: Axes, audited: Audited) -> None:
    epochs = [rung.epoch for rung in audited.rungs]
    axes.plot(epochs, [rung.tau for rung in audited.rungs], color=BLUE, marker="o", label="tau with the last epoch")
    if audited.longer:
        taus = [rung.full for rung in audited.rungs]
        axes.plot(epochs, taus, color=BLUE, marker="o", linestyle="--", label=f"tau with {audited.epochs[1]} epochs")
    parts = [rung.reliability for rung in audited.rungs]
    axes.plot(epochs, parts, color=ORANGE, marker="s", label="of one run is configuration")
    axes.axhline(0, color=DARK, linewidth=0.8)
    axes.set_ylim(-1.05, 1.05)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.legend(edgecolor="none", fontsize=8, loc="lower right")


def spoken(metric: str) -> str:
    """What is measured, for an axis."""
    return "validation loss (nats)" if metric == LOSS else metric
