"""Draws figure.png from the tables beside it, and prints what README.md says.

    python studies/global_or_local/figure.py

A slope is that of log(cost) over log(what grows), by least squares: 1 where the cost grows as it does. Intervals are
95 % ones after Student, over repeats; what is counted has none.
"""

import csv
from collections import defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from senas.core.interval import Interval, interval

HERE = Path(__file__).parent
COSTS = {
    "macs": "multiply-accumulates",
    "layers_ms": "the two layers, ms",
    "block_ms": "the block, ms",
    "step_ms": "forward and backward, ms",
    "peak_bytes": "peak memory, bytes",
}
EXPECTED = {
    "global": {"height": 0, "width": 0, "channels": 2, "reduction": -1},
    "local": {"height": 1, "width": 1, "channels": 2, "reduction": -1},
}
COLORS = {"global": "#1f6feb", "local": "#d9480f"}
Curve = dict[float, list[float]]
"""The costs of each repeat, by what grows."""


def main() -> None:
    curves = scaling()
    slopes(curves)
    networks()
    draw(curves)


def read(name: str) -> list[dict[str, str]]:
    if not (HERE / name).exists():
        return []
    with (HERE / name).open() as file:
        return list(csv.DictReader(file))


def scaling() -> dict[tuple[str, str, str], Curve]:
    """By axis, gate and cost."""
    curves: dict[tuple[str, str, str], Curve] = defaultdict(lambda: defaultdict(list))
    for row in read("scaling.csv"):
        for cost in COSTS:
            curves[row["axis"], row["gate"], cost][float(row[row["axis"]])].append(float(row[cost]))
    return curves


def slope(curve: Curve, axis: str, last: int = 0) -> Interval:
    """Over all points, or over the `last` with most arithmetic, where a call's own time counts least."""
    points = sorted(curve, reverse=axis == "reduction")[-last:]
    grown = np.log(points)
    repeats = np.log([curve[x] for x in points]).T
    return interval([float(np.polyfit(grown, costs, 1)[0]) for costs in repeats])


def slopes(curves: dict[tuple[str, str, str], Curve]) -> None:
    print("| what grows | gate | closed form | " + " | ".join(COSTS.values()) + " | the layers, last three |")
    print("| --- | --- | " + "---: | " * (len(COSTS) + 2))
    for axis in EXPECTED["global"]:
        for gate, expected in EXPECTED.items():
            cells = [spoken(slope(curves[axis, gate, cost], axis)) for cost in COSTS]
            cells.append(spoken(slope(curves[axis, gate, "layers_ms"], axis, last=3)))
            print(f"| {axis} | {gate} | {expected[axis]} | {' | '.join(cells)} |")
    for cost in COSTS:
        both = [
            (curve, curves[axis, "local", each])
            for (axis, gate, each), curve in curves.items()
            if gate == "global" and each == cost
        ]
        ratios = [np.median(theirs[x]) / np.median(ours[x]) for ours, theirs in both for x in ours]
        print(f"{COSTS[cost]}: of local over global {min(ratios):.2f} to {max(ratios):.2f}")


def spoken(found: Interval, digits: int = 2) -> str:
    mean, low, high = (f"{round(each, digits) + 0.0:.{digits}f}" for each in (found.mean, found.low, found.high))
    return mean if found.sd < 1e-9 else f"{mean} ({low} to {high})"


def networks() -> None:
    """Each network's costs, times with what the same repeat took without a gate."""
    table: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in read("networks.csv"):
        table[row["network"], row["gate"]].append(row)
    print(
        "\n| network | gate | parameters | MACs | latency, ms | as a share of none | a step, ms | of none | peak, MiB |"
    )
    print("| --- | --- | " + "---: | " * 7)
    for (name, gate), rows in table.items():
        cells = [f"{int(rows[0]['params']):,}", f"{float(rows[0]['macs']) / 1e6:,.2f} M"]
        for cost in ("latency_ms", "step_ms"):
            mine, none = (np.array([float(row[cost]) for row in table[name, each]]) for each in (gate, "none"))
            cells += [f"{np.median(mine):.1f}", "" if gate == "none" else spoken(interval(list(mine / none)))]
        cells.append(f"{float(rows[0]['peak_bytes']) / 2**20:,.1f}")
        print(f"| {name} | {gate} | {' | '.join(cells)} |")


def draw(curves: dict[tuple[str, str, str], Curve]) -> None:
    shown = ["macs", "layers_ms", "step_ms", "peak_bytes"]
    figure, panels = plt.subplots(len(shown), 4, figsize=(12, 10), layout="constrained", sharey="row", sharex="col")
    for row, cost in zip(panels, shown, strict=True):
        for panel, axis in zip(row, EXPECTED["global"], strict=True):
            for gate, color in COLORS.items():
                curve = curves[axis, gate, cost]
                grown, middle = sorted(curve), [float(np.median(curve[x])) for x in sorted(curve)]
                panel.plot(grown, middle, "o-", color=color, markersize=4, label=gate)
                if cost in ("macs", "layers_ms"):
                    anchor = -1 if axis != "reduction" else 0
                    line = [middle[anchor] * (x / grown[anchor]) ** EXPECTED[gate][axis] for x in grown]
                    panel.plot(grown, line, ":", color=color, linewidth=1.2)
            panel.set_xscale("log", base=2)
            panel.set_yscale("log")
            panel.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel(COSTS[cost])
    for panel, axis in zip(panels[-1], EXPECTED["global"], strict=True):
        panel.set_xlabel({"reduction": "ratio r"}.get(axis, axis))
    panels[0][0].legend(frameon=False)
    figure.suptitle(
        "Points: measured, medians. Dotted: as $C^2/r$ (global) and $HWC^2/r$ (local), through the dearest point"
    )
    figure.savefig(HERE / "figure.png", dpi=130)


if __name__ == "__main__":
    main()
