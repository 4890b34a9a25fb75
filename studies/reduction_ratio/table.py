"""Prints what README.md says of simulated.csv, real.csv and the closed form, and draws figure.png.

python studies/reduction_ratio/table.py
"""

import csv
import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from senas.core.block import SEBlock
from senas.core.interval import interval
from senas.core.theory import best_ratio, kappa_of, price

HERE = Path(__file__).parent
BLUE, ORANGE, GREY, DARK = "#1f6feb", "#d9480f", "#8b949e", "#22272e"
CHANNELS = (64, 256, 1024)
KAPPA, LARGEST = 1e-4, 1_000_000
PENALTIES = np.logspace(-3, 1, 41)
RATIOS, TOP1 = (2, 4, 8, 16, 32), (22.29, 22.25, 22.26, 22.28, 22.72)
SQUARES = 20_119_552
"""The sum of C^2 over the blocks of SE-ResNet-50: 2 / r of it are their weights."""


def main() -> None:
    simulated()
    real()
    figure = Figure(figsize=(9.5, 4), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    closed_form(left)
    published(right)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=8, frameon=False)
    figure.savefig(HERE / "figure.png")


def closed_form(axes: Axes) -> None:
    """The ratio of the best whole width, biases counted, against r*."""
    apart = []
    for channels, colour in zip(CHANNELS, (BLUE, GREY, ORANGE), strict=True):
        theory = [best_ratio(price(p, LARGEST), channels, KAPPA) for p in PENALTIES]
        found = [by_numbers(channels, p) for p in PENALTIES]
        apart += [abs(math.log(f / t)) for f, t in zip(found, theory, strict=True) if 2 <= t <= channels / 8]
        axes.plot(PENALTIES, theory, color=colour, linewidth=1.5, label=f"r*, C = {channels}")
        axes.plot(PENALTIES, found, "o", color=colour, markersize=3)
    axes.set_title("a loss that is quadratic in r: points are the best widths by numbers", fontsize=9)
    axes.set_xlabel("penalty (nats for a million SE parameters)")
    axes.set_ylabel("best ratio")
    print(f"\nclosed form: r* from 2 to C / 8 misses the best whole width's ratio by {max(apart):.1%} at most, "
          f"{np.mean(apart):.1%} on average of {len(apart)}")  # fmt: skip


def by_numbers(channels: int, penalty: float) -> float:
    def value(hidden: int) -> float:
        paid = penalty * SEBlock(hidden=hidden).params(channels) / LARGEST
        return KAPPA / 2 * (channels / hidden) ** 2 + paid

    return channels / min(range(1, channels + 1), key=value)


def published(axes: Axes) -> None:
    """The ratio of the least penalised error in the paper's table, against the r* of its fitted kappa."""
    kappa = kappa_of(RATIOS, TOP1).mean
    theory = [best_ratio(2 * p / SQUARES, math.sqrt(SQUARES), kappa) for p in PENALTIES]
    found = [
        RATIOS[int(np.argmin([error + p * 2 / r for r, error in zip(RATIOS, TOP1, strict=True)]))] for p in PENALTIES
    ]
    near = [min(RATIOS, key=lambda r: kappa / 2 * r**2 + p * 2 / r) for p in PENALTIES]
    alike = [one == other for one, other in zip(found, near, strict=True)]
    loss = dict(zip(RATIOS, TOP1, strict=True))
    missed = [loss[n] + p * 2 / n - loss[f] - p * 2 / f for p, n, f in zip(PENALTIES, near, found, strict=True)]
    axes.plot(PENALTIES, theory, color=BLUE, linewidth=1.5, label=f"r* by kappa = {kappa:.2g}, fitted to the table")
    axes.plot(PENALTIES, found, drawstyle="steps-mid", color=DARK, linewidth=1.5, label="least penalised error in it")
    axes.set_title("SE-ResNet-50 on ImageNet, the paper's table", fontsize=9)
    axes.set_xlabel("penalty (points of top-1 error for the SE parameters of r = 2)")
    print(f"paper: the same of five ratios at {sum(alike)} of {len(alike)} penalties; where another, it misses by "
          f"{max(missed):.3f} points at most; found {dict.fromkeys(found)}, theory {dict.fromkeys(near)}")  # fmt: skip


def simulated() -> None:
    print("| a block adds | n | 90 % intervals that hold kappa | identified | its ratios are the best two "
          "| misses the best by | r = 16 everywhere misses by |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    rows = read("simulated.csv")
    for truth in dict.fromkeys(row["truth"] for row in rows):
        some = [row for row in rows if row["truth"] == truth]
        told = [row for row in some if row["identified"] == "yes"]
        known = some[0]["kappa"] != "nan"
        held = sum(float(row["low"]) <= float(row["kappa"]) <= float(row["high"]) for row in some) if known else 0
        right = sum(
            float(row["ratios_narrow"]) == float(row["best_narrow"])
            and float(row["ratios_wide"]) == float(row["best_wide"])
            for row in told
        )
        cells = (
            *(truth, str(len(some)), f"{held / len(some):.0%} ({held})" if known else "no kappa"),
            f"{len(told)}",
            f"{right} of {len(told)}" if told else "",
            spoken([float(row["theory_misses"]) for row in told]) if len(told) > 1 else "",
            spoken([float(row["all16_misses"]) for row in some]),
        )
        print(f"| {' | '.join(cells)} |")


def real() -> None:
    print("\n| trainings of | n | configurations | ratios | kappa x 10^5, 90 % interval | identified |")
    print("| --- | ---: | ---: | --- | ---: | --- |")
    for row in read("real.csv"):
        mean, low, high = (float(row[key]) * 1e5 for key in ("mean", "low", "high"))
        numbers = f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"
        ratios = row["ratios"].replace(" ", ", ")
        told = (row["trainings_of"], row["trainings"], row["configurations"], ratios, numbers, row["identified"])
        print(f"| {' | '.join(told)} |")
        if row["best_ratios"]:
            print(f"r* {row['best_ratios']}\n{row['beside']}")


def spoken(values: list[float]) -> str:
    found = interval(values)
    return f"{found.mean:.4f} ({found.low:.4f} to {found.high:.4f})"


def read(name: str) -> list[dict[str, str]]:
    with (HERE / name).open() as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
