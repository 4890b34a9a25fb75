"""The front as a picture."""

import io
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from senas.core.site import Site
from senas.core.trial import Trial

GREY, BLUE, ORANGE, DARK = "#b0b7c3", "#1f6feb", "#d9480f", "#22272e"


def front_png(
    *, title: str, measured: Sequence[Trial], front: Sequence[Trial], picked: Trial, sites: Sequence[Site]
) -> bytes:
    """`front_figure` as a file."""
    buffer = io.BytesIO()
    figure = front_figure(title=title, measured=measured, front=front, picked=picked, sites=sites)
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def front_figure(
    *, title: str, measured: Sequence[Trial], front: Sequence[Trial], picked: Trial, sites: Sequence[Site]
) -> Figure:
    """SE parameters against validation loss: every measured trial, the front as a staircase, the pick named."""
    figure = Figure(figsize=(8, 5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    x, y = _xy(measured)
    axes.scatter(x, y, s=22, color=GREY, label=f"trials ({len(measured)})", zorder=2)
    fx, fy = _xy(front)
    right = max(x) * 1.03 + 1
    axes.step([*fx, right], [*fy, fy[-1]], where="post", color=BLUE, linewidth=1.6, zorder=3)
    axes.scatter(fx, fy, s=38, color=BLUE, label=f"front ({len(front)})", zorder=4)
    for trial, px, py in zip(front, fx, fy, strict=True):
        axes.annotate(f"{trial.number}", (px, py), xytext=(5, 5), textcoords="offset points", fontsize=8, color=DARK)
    (px,), (py,) = _xy([picked])
    axes.scatter([px], [py], s=170, facecolors="none", edgecolors=ORANGE, linewidths=2.2, zorder=5)
    words = picked.config.words(sites)
    axes.scatter([], [], s=60, facecolors="none", edgecolors=ORANGE, linewidths=2, label=f"pick: {_short(words)}")
    axes.set_xlabel("SE parameters")
    axes.set_ylabel("validation loss (nats)")
    axes.set_title(title, fontsize=11)
    axes.set_xlim(-0.03 * right, right)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _xy(trials: Sequence[Trial]) -> tuple[list[float], list[float]]:
    return [trial.scores["se_params"] for trial in trials], [trial.scores["val_loss"] for trial in trials]


def _short(words: str, limit: int = 70) -> str:
    return words if len(words) <= limit else f"{words[: limit - 3]}..."
