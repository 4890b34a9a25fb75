"""Prints the table of README.md from results.csv, and draws figure.png.

python studies/shrinkage/table.py
"""

import csv
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from senas.core.interval import interval

HERE = Path(__file__).parent
COLOURS = ("#1f6feb", "#54aeff", "#d9480f", "#8b949e")


def main() -> None:
    with (HERE / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    kinds, penalties = (list(dict.fromkeys(row[key] for row in rows)) for key in ("kind", "penalty"))
    figure = Figure(figsize=(7, 3.4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    print("| trained | penalty | n | mean gate | closed form | trained minus closed form | root mean square of that |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind, colour in zip(kinds, COLOURS, strict=True):
        ends = []
        for penalty in penalties:
            some = [row for row in rows if (row["kind"], row["penalty"]) == (kind, penalty)]
            trained, closed, bias, rms = (
                interval([float(row[key]) for row in some]) for key in ("trained_mean", "closed_mean", "bias", "rms")
            )
            ends.append(bias)
            print(
                f"| {kind} | {float(penalty):g} | {len(some)} | {trained.mean:.3f} | {closed.mean:.3f} "
                f"| {bias.mean:+.4f} ({bias.low:+.4f} to {bias.high:+.4f}) | {rms.mean:.4f} |"
            )
        x = [float(penalty) for penalty in penalties]
        axes.plot(x, [each.mean for each in ends], "o-", color=colour, markersize=4, label=kind)
        axes.fill_between(x, [e.low for e in ends], [e.high for e in ends], color=colour, alpha=0.2, linewidth=0)
    axes.set_xscale("log")
    axes.axhline(0, color="#22272e", linewidth=0.8)
    axes.set_xlabel("penalty", fontsize=9)
    axes.set_ylabel("trained gate minus b v / (v + penalty)", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "figure.png")


if __name__ == "__main__":
    main()
