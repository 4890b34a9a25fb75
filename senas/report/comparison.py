"""A comparison of trainings: as tables, as CSV, as a picture, and in plain words."""

import csv
import io
import math

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from senas.core.comparison import Comparison
from senas.core.interval import Interval
from senas.core.site import Site
from senas.report.figure import BLUE, DARK, GREY, ORANGE

HEADER = ("", "seeds", "test loss", "sd", "test acc", "sd", "SE params", "configuration")
DIFFERENCES = ("", "test loss", "95 % interval", "test acc", "95 % interval", "pairs")
METRICS = ("test_loss", "test_accuracy")


def means_table(comparison: Comparison, sites: tuple[Site, ...]) -> Table:
    """One row a contender: means over its seeds, and the spread of one training."""
    return _rich(HEADER, _means(comparison, sites))


def differences_table(comparison: Comparison) -> Table:
    """One row a pair of contenders: the difference of their means, paired by seed."""
    return _rich(DIFFERENCES, _differences(comparison))


def markdown(comparison: Comparison, sites: tuple[Site, ...]) -> str:
    """Both tables and the words."""
    words = "\n".join(f"- {line}" for line in verdicts(comparison))
    tables = _markdown(HEADER, _means(comparison, sites)), _markdown(DIFFERENCES, _differences(comparison))
    return "\n\n".join((*tables, words))


def verdicts(comparison: Comparison) -> list[str]:
    """For each pair, whether the difference of test loss is more than chance, in words."""
    lines = []
    for name, other in comparison.pairs():
        found = comparison.difference(name, other, "test_loss")
        if found is None:
            lines.append(f"{name} and {other} have no seed in common yet")
        elif found.count == 1:
            lines.append(f"{name} and {other} have one seed in common: nothing can be said")
        elif found.excludes_zero:
            better = "lower" if found.high < 0 else "higher"
            lines.append(
                f"{name} has a {better} test loss than {other}: by {abs(found.mean):.4f}, 95 % interval "
                f"{min(abs(found.low), abs(found.high)):.4f} to {max(abs(found.low), abs(found.high)):.4f}, "
                f"{found.count} pairs"
            )
        else:
            half = (found.high - found.low) / 2
            lines.append(
                f"{name} and {other} cannot be told apart by {found.count} pairs: a difference of test loss below "
                f"{half:.4f} would not show"
            )
    if sum(" 95 % interval " in line or "cannot be told apart" in line for line in lines) > 1:
        lines.append("each interval stands for itself: of many, one in twenty misses by chance")
    return lines


def csv_text(comparison: Comparison, sites: tuple[Site, ...]) -> str:
    """Every training, numbers in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    scores = ("test_loss", "test_accuracy", "val_loss", "val_accuracy", "train_loss", "se_params", "params", "macs")
    writer.writerow(("name", "seed", "status", "epochs", "seconds", *scores, "configuration", "blocks"))
    for name, config in comparison.contenders.items():
        for trial in sorted(comparison.trials, key=lambda trial: trial.seed):
            if trial.config == config:
                numbers = [trial.scores.get(metric, "") for metric in scores]
                row = (name, trial.seed, trial.status, len(trial.curve), round(trial.seconds, 1), *numbers)
                writer.writerow((*row, config.words(sites), str(config)))
    return text.getvalue()


def comparison_png(comparison: Comparison, *, title: str) -> bytes:
    """`comparison_figure` as a file."""
    buffer = io.BytesIO()
    comparison_figure(comparison, title=title).savefig(buffer, format="png")
    return buffer.getvalue()


def comparison_figure(comparison: Comparison, *, title: str) -> Figure:
    """Test loss of every training with means and intervals, beside the differences of each pair with theirs."""
    names = [name for name in comparison.contenders if comparison.of(name)]
    pairs = [(pair, found) for pair in comparison.pairs() if (found := comparison.difference(*pair, "test_loss"))]
    rows = max(len(names), len(pairs), 1)
    figure = Figure(figsize=(11, 1.6 + 0.55 * rows), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for row, name in enumerate(names):
        values = [trial.scores["test_loss"] for trial in comparison.of(name)]
        left.scatter(values, [row] * len(values), s=26, color=GREY, zorder=2)
        _bar(left, comparison.interval(name, "test_loss"), row, BLUE)
    left.set_yticks(range(len(names)), names)
    left.set_xlabel("test loss (nats): one dot a seed, mean and 95 % interval")
    right.axvline(0, color=DARK, linewidth=0.8)
    for row, (_, found) in enumerate(pairs):
        _bar(right, found, row, ORANGE if found.excludes_zero else BLUE)
    right.set_yticks(range(len(pairs)), [f"{name} - {other}" for (name, other), _ in pairs])
    right.set_xlabel("difference of test loss, paired by seed, 95 % interval")
    for axes in (left, right):
        axes.invert_yaxis()
        axes.margins(y=0.3)
        axes.grid(alpha=0.25, axis="x")
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=11)
    return figure


def _bar(axes: object, found: Interval | None, row: int, color: str) -> None:
    if found is None:
        return
    reach = [[0.0], [0.0]] if math.isinf(found.low) else [[found.mean - found.low], [found.high - found.mean]]
    axes.errorbar(  # type: ignore[attr-defined]
        [found.mean], [row], xerr=reach, fmt="o", color=color, capsize=4, markersize=6, linewidth=1.8, zorder=3
    )


def _means(comparison: Comparison, sites: tuple[Site, ...]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, config in comparison.contenders.items():
        loss, accuracy = (comparison.interval(name, metric) for metric in METRICS)
        failed = f" ({comparison.failed(name)} failed)" if comparison.failed(name) else ""
        seeds = f"{loss.count if loss else 0}{failed}"
        numbers = ("-",) * 4
        if loss and accuracy:
            numbers = (f"{loss.mean:.4f}", _sd(loss, ".4f"), f"{accuracy.mean:.2%}", _sd(accuracy, ".2%"))
        rows.append((name, seeds, *numbers, f"{config.params(sites):,}", config.words(sites)))
    return rows


def _differences(comparison: Comparison) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, other in comparison.pairs():
        loss, accuracy = (comparison.difference(name, other, metric) for metric in METRICS)
        if loss and accuracy:
            rows.append(
                (
                    f"{name} - {other}",
                    *(f"{loss.mean:+.4f}", _span(loss, "+.4f")),
                    *(f"{accuracy.mean:+.2%}", _span(accuracy, "+.2%")),
                    f"{loss.count}",
                )
            )
    return rows


def _sd(found: Interval, form: str) -> str:
    return "-" if math.isnan(found.sd) else f"{found.sd:{form}}"


def _span(found: Interval, form: str) -> str:
    return "-" if math.isinf(found.low) else f"{found.low:{form}} to {found.high:{form}}"


def _rich(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in header:
        words = name in ("", "configuration")
        table.add_column(name, justify="left" if words else "right", no_wrap=name != "configuration")
    for row in rows:
        table.add_row(*row)
    return table


def _markdown(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [" | ".join(header), " | ".join("---" if name in ("", "configuration") else "---:" for name in header)]
    lines += [" | ".join(cell.replace("|", "/") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)
