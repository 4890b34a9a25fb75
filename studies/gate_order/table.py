"""Prints the table of README.md from results.csv, and draws figure.png.

python studies/gate_order/table.py
"""

import csv
import math
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from senas.core.interval import interval

HERE = Path(__file__).parent


def main() -> None:
    with (HERE / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    gates = list(dict.fromkeys(row["gate"] for row in rows))
    figure = Figure(figsize=(7, 2.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    print("| gate | n | signal-to-noise before the ReLU / behind it | largest difference of what comes out |")
    print("| --- | ---: | ---: | ---: |")
    for place, gate in enumerate(gates):
        some = [row for row in rows if row["gate"] == gate]
        found = interval([float(row["log_ratio"]) for row in some])
        low, mean, high = (math.exp(each) for each in (found.low, found.mean, found.high))
        apart = max(float(row["largest_difference"]) for row in some)
        print(f"| {gate} | {len(some)} | {mean:.3f} ({low:.3f} to {high:.3f}) | {apart:.3g} |")
        axes.plot([low, high], [-place, -place], color="#1f6feb", linewidth=4, solid_capstyle="round")
        axes.plot([mean], [-place], "o", color="#22272e", markersize=5)
    axes.axvline(1, color="#22272e", linewidth=0.8)
    axes.set_yticks([-n for n in range(len(gates))], gates)
    axes.set_xlabel("signal-to-noise, gate before the ReLU / behind it (95 % intervals over seeds)", fontsize=9)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(HERE / "figure.png")


if __name__ == "__main__":
    main()
