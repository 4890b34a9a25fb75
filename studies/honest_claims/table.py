"""The tables of README.md and figure.png, from simulated.csv and real.csv.

python studies/honest_claims/table.py
"""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from senas.core.interval import interval

HERE = Path(__file__).parent
RECOMMENDED = "senas, recommended"
METHODS = (
    "best seen, random",
    "best seen, tpe",
    "best seen, nsga2",
    "best seen + confirm, random",
    "best seen + confirm, tpe",
    "best seen + confirm, nsga2",
    "senas",
)
REAL = (*METHODS, RECOMMENDED)


def read(name: str) -> list[dict[str, str]]:
    path = HERE / name
    return list(csv.DictReader(path.open())) if path.exists() else []


def coverage(rows: list[dict[str, str]], truth: str) -> str:
    """How many of the intervals hold the truth, of those methods that give one."""
    given = [row for row in rows if row["low"] != "nan"]
    held = sum(float(row["low"]) <= float(row[truth]) <= float(row["high"]) for row in given)
    return f"{held / len(given):.0%} ({held} of {len(given)})" if given else "no interval"


def simulated(rows: list[dict[str, str]]) -> None:
    groups: dict[tuple[float, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        groups[float(row["noise"]), row["method"]].append(row)
    levels = sorted({noise for noise, _ in groups}, reverse=True)
    print("| noise | method | n | optimism | 90 % intervals that hold the truth | true loss of the pick, minus no SE |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    figure = Figure(figsize=(9, 4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, noise in zip(figure.subplots(1, len(levels), sharex=False), levels, strict=True):
        for place, method in enumerate(reversed(METHODS)):
            some = groups[noise, method]
            optimism = interval([float(row["true"]) - float(row["claimed"]) for row in some])
            colour = "#1f6feb" if method == "senas" else "#8b949e" if "confirm" in method else "#d9480f"
            axes.plot([optimism.low, optimism.high], [place, place], color=colour, linewidth=3)
            axes.plot([optimism.mean], [place], "o", color=colour, markersize=5)
        for method in METHODS:
            some = groups[noise, method]
            optimism = interval([float(row["true"]) - float(row["claimed"]) for row in some])
            gain = interval([float(row["true"]) - float(row["true_none"]) for row in some])
            cells = (f"{noise:g}", method, str(len(some)), spoken(optimism), coverage(some, "true"), spoken(gain))
            print(f"| {' | '.join(cells)} |")
        axes.axvline(0, color="#22272e", linewidth=0.8)
        axes.set_title(f"noise x {noise:g}", fontsize=10)
        axes.set_yticks(range(len(METHODS)), list(reversed(METHODS)) if noise == levels[0] else [""] * len(METHODS))
        axes.tick_params(labelsize=8)
        axes.grid(axis="x", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(
        "optimism: true loss minus claimed, nats (95 % interval of the mean; each panel its own scale)", fontsize=8
    )
    figure.savefig(HERE / "figure.png")


def recommended(rows: list[dict[str, str]]) -> None:
    """How often something is recommended, and how often that is as near the lowest of what was trained as it says."""
    print(
        "\n| noise | margin | n | decided | of these within the margin | 90 % intervals that hold the truth | blocks |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    groups: dict[tuple[float, float], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        name, _, margin = row["method"].partition(", margin ")
        if name == "recommended":
            groups[float(row["noise"]), float(margin)].append(row)
    for (noise, margin), some in sorted(groups.items(), reverse=True):
        decided = [row for row in some if row["decided"] == "yes"]
        near = sum(float(row["true"]) <= float(row["true_best_tried"]) + margin for row in decided)
        blocks = f"{np.mean([int(row['blocks']) for row in decided]):.1f}" if decided else ""
        cells = (f"{noise:g}", f"{margin:g}", str(len(some)), str(len(decided)), f"{near} of {len(decided)}")
        print(f"| {' | '.join((*cells, coverage(decided, 'true'), blocks))} |")


def real(rows: list[dict[str, str]]) -> None:
    print("\n| study seed | method | claimed | fresh seeds (20) | optimism | configuration |")
    print("| ---: | --- | ---: | ---: | ---: | --- |")
    for row in sorted(rows, key=lambda row: (int(row["study_seed"]), REAL.index(row["method"]))):
        claimed = f"{float(row['claimed']):.4f}"
        if row["low"] != "nan":
            claimed += f" ({float(row['low']):.4f} to {float(row['high']):.4f})"
        fresh = f"{float(row['fresh_mean']):.4f} ({float(row['fresh_low']):.4f} to {float(row['fresh_high']):.4f})"
        optimism = float(row["fresh_mean"]) - float(row["claimed"])
        decided = " (undecided)" if row["decided"] == "no" else ""
        cells = (row["study_seed"], row["method"] + decided, claimed, fresh, f"{optimism:+.4f}", row["configuration"])
        print(f"| {' | '.join(cells)} |")
    for method in REAL:
        some = [row for row in rows if row["method"] == method]
        mean = np.mean([float(row["fresh_mean"]) - float(row["claimed"]) for row in some])
        print(f"{method}: mean optimism {mean:+.4f} of {len(some)}; {coverage(some, 'fresh_mean')}")


def spoken(value: object) -> str:
    return f"{value.mean:+.4f} ({value.low:+.4f} to {value.high:+.4f})"  # type: ignore[attr-defined]


if __name__ == "__main__":
    simulated(read("simulated.csv"))
    recommended(read("simulated.csv"))
    if rows := read("real.csv"):
        real(rows)
