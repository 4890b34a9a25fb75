"""What SE blocks are worth: as a table for the terminal, as CSV, and as a picture."""

import csv
import io
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from senas.core.certainty import LEVEL
from senas.core.worth import ANY, Worth
from senas.report.figure import BLUE, DARK, GREY, ORANGE

INTERVAL = f"{LEVEL:.0%} interval".replace("%", " %")
COLUMNS = ("kind", "name", "option", "mean", "low", "high", "probability_that_it_lowers", "trainings")


def effects_table(rows: Sequence[Worth], metric: str) -> Table:
    """One row each; bold green where the interval says that it lowers what is minimised, red where it raises it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("what", "SE block", metric, INTERVAL, "lowers it", "trainings"):
        words = name in ("what", "SE block")
        table.add_column(name, justify="left" if words else "right", no_wrap=not words)
    before = ""
    for row in rows:
        if before and row.kind != before:
            table.add_section()
        before = row.kind
        indented = f"  {row.option}" if row.kind == "place" and row.option != ANY else row.option
        style = {True: "bold green", False: "red"}[row.loss.mean < 0] if row.loss.excludes_zero else None
        table.add_row(
            row.name if row.kind == "place" else f"{row.kind} {row.name}",
            indented,
            f"{row.loss.mean:+.4f}",
            f"{row.loss.low:+.4f} to {row.loss.high:+.4f}",
            f"{row.lowers:.2f}",
            str(row.trainings),
            style=style,
        )
    return table


def effects_records(rows: Sequence[Worth]) -> list[tuple[str | float, ...]]:
    """The values of COLUMNS, one record each."""
    return [
        (row.kind, row.name, row.option, row.loss.mean, row.loss.low, row.loss.high, row.lowers, row.trainings)
        for row in rows
    ]


def effects_csv(rows: Sequence[Worth]) -> str:
    """Numbers in full, one row each."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *effects_records(rows)])
    return text.getvalue()


def effects_figure(rows: Sequence[Worth], *, title: str, metric: str) -> Figure:
    """Each row's interval as a bar with its mean; left of zero it lowers what is minimised."""
    figure = Figure(figsize=(8, 1.4 + 0.24 * len(rows)), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = range(len(rows), 0, -1)
    for y, row in zip(places, rows, strict=True):
        colour = GREY if not row.loss.excludes_zero else BLUE if row.loss.mean < 0 else ORANGE
        axes.plot([row.loss.low, row.loss.high], [y, y], color=colour, linewidth=3, solid_capstyle="round")
        axes.plot([row.loss.mean], [y], marker="o", color=DARK, markersize=4)
    axes.axvline(0, color=DARK, linewidth=0.8)
    axes.set_yticks(list(places), [_label(row) for row in rows], fontsize=8)
    axes.set_xlabel(
        f"what it adds to the {metric}, with its {INTERVAL}\n(blue lowers it, orange raises it, grey may be either)"
    )
    axes.set_title(title, fontsize=11)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def effects_png(rows: Sequence[Worth], *, title: str, metric: str) -> bytes:
    """`effects_figure` as a file."""
    buffer = io.BytesIO()
    effects_figure(rows, title=title, metric=metric).savefig(buffer, format="png")
    return buffer.getvalue()


def _label(row: Worth) -> str:
    return f"{row.name}: {row.option}" if row.kind == "place" else f"{row.kind} {row.name}"
