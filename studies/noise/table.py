"""Prints what README.md says of results.csv, and draws figure.png.

    python studies/noise/table.py

Of one setting the losses are a table of configurations x seeds. Noise is what differs between seeds of a configuration:
with the shared effect of a seed (which moves all configurations alike) and without it. Spread is the variance of the
configurations' true means by the method of moments: what their means differ by, less what noise alone would make of it.
It may come out negative; then no spread was seen.
"""

import csv
import itertools
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import chi2, f, kendalltau, t

from senas.core.two_way import residuals

HERE = Path(__file__).parent
LEVEL = 0.95


@dataclass
class Layout:
    """Losses (configurations, seeds) of one setting."""

    losses: np.ndarray
    even: np.ndarray
    test: np.ndarray
    seconds: float

    @property
    def freedom(self) -> int:
        configurations, seeds = self.losses.shape
        return (configurations - 1) * (seeds - 1)


def main() -> None:
    for data, settings in read().items():
        first = next(iter(settings.values()))
        print(f"\n{data}: {first.losses.shape[0]} configurations x {first.losses.shape[1]} seeds")
        print(
            "| setting | loss | noise | without seed effects | as a share of as it is | spread | signal | tau "
            "| tau with as it is | finite | seconds |"
        )
        for name, layout in settings.items():
            show(name, layout.losses, layout, first)
        print("on the test images")
        for name, layout in ((name, of) for name, of in settings.items() if not name.startswith("val ")):
            show(name, layout.test, layout, first)
    draw(read())


def read() -> dict[str, dict[str, Layout]]:
    """By data and setting: the seeds that all settings of the data have."""
    with (HERE / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in [row for row in rows if row["val_loss_2000"] and row["setting"] == "as it is"]:
        for images in ("2000", "5000"):
            rows.append(
                {**row, "setting": f"val {images}", "val_loss": row[f"val_loss_{images}"], "val_loss_even": "nan"}
            )
    found: dict[str, dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row["data"]][row["setting"]].append(row)
    return {
        data: {name: layout(of, settings.values()) for name, of in settings.items()} for data, settings in found.items()
    }


def layout(rows, others) -> Layout:
    names = list(dict.fromkeys(row["configuration"] for row in rows))
    whole = [
        {
            seed
            for seed, of in itertools.groupby(sorted(each, key=lambda r: r["seed"]), lambda r: r["seed"])
            if len(list(of)) == len(names)
        }
        for each in others
    ]
    seeds = sorted(set.intersection(*whole))
    cell = {(row["configuration"], row["seed"]): row for row in rows}

    def grid(column):
        return np.array([[float(cell[name, seed][column]) for seed in seeds] for name in names])

    return Layout(grid("val_loss"), grid("val_loss_even"), grid("test_loss"), float(np.median(grid("seconds"))))


def show(name: str, losses: np.ndarray, of: Layout, first: Layout) -> None:
    configurations, seeds = losses.shape
    within = losses.var(1, ddof=1).mean()
    noise = (residuals(losses) ** 2).sum() / of.freedom
    spread = losses.mean(1).var(ddof=1) - noise / seeds
    base = first.losses if losses is of.losses else first.test
    cells = [
        name,
        f"{losses.mean():.4f}",
        with_interval(within, configurations * (seeds - 1)),
        with_interval(noise, of.freedom),
        "" if losses is base else "{:.2f} ({:.2f} to {:.2f})".format(*ratio(losses, base, of.freedom)),
        f"{math.sqrt(spread):.4f}" if spread > 0 else f"0 (variance {spread:.1e})",
        "{:.2f} ({:.2f} to {:.2f})".format(*signal(losses, noise)),
        f"{agreement(losses):.2f}",
        "" if losses is base else f"{kendalltau(losses.mean(1), base.mean(1)).statistic:.2f}",
        f"{finite(of):.0%}" if losses is of.losses and np.isfinite(of.even).all() else "",
        f"{of.seconds:.1f}",
    ]
    print("|", " | ".join(cells), "|")


def with_interval(variance: float, freedom: int) -> str:
    """A standard deviation, and the interval of normally distributed noise."""
    low, high = (math.sqrt(variance * freedom / chi2.ppf(q, freedom)) for q in ((1 + LEVEL) / 2, (1 - LEVEL) / 2))
    return f"{math.sqrt(variance):.4f} ({low:.4f} to {high:.4f})"


def ratio(losses: np.ndarray, base: np.ndarray, freedom: int) -> tuple[float, float, float]:
    """The noise without seed effects as a share of another setting's, on the same configurations and seeds.

    The interval takes into account that the two go together: Pitman, "A note on normal correlation", Biometrika 31
    (1939).
    """
    mine, theirs = residuals(losses), residuals(base)
    share = (mine @ mine) / (theirs @ theirs)
    together = (mine @ theirs) ** 2 / ((mine @ mine) * (theirs @ theirs))
    k = 1 + 2 * (1 - together) * t.ppf((1 + LEVEL) / 2, freedom - 1) ** 2 / (freedom - 1)
    half = math.sqrt(k * k - 1)
    return math.sqrt(share), math.sqrt(share * (k - half)), math.sqrt(share * (k + half))


def signal(losses: np.ndarray, noise: float) -> tuple[float, float, float]:
    """Variance of the configurations as a multiple of one run's noise without seed effects; negative: none seen."""
    configurations, seeds = losses.shape
    quotient = seeds * losses.mean(1).var(ddof=1) / noise
    freedom = configurations - 1, (configurations - 1) * (seeds - 1)
    low, high = (quotient / f.ppf(q, *freedom) for q in ((1 + LEVEL) / 2, (1 - LEVEL) / 2))
    return (quotient - 1) / seeds, (low - 1) / seeds, (high - 1) / seeds


def agreement(losses: np.ndarray) -> float:
    """Kendall's tau between the means of two halves of the seeds (of an odd number one is left out): mean of all."""
    seeds = losses.shape[1]
    taus = []
    for one in itertools.combinations(range(seeds), seeds // 2):
        rest = [seed for seed in range(seeds) if seed not in one]
        for other in itertools.combinations(rest, seeds // 2):
            if one < other:
                taus.append(kendalltau(losses[:, one].mean(1), losses[:, other].mean(1)).statistic)
    return float(np.mean(taus))


def finite(of: Layout) -> float:
    """What share of the noise variance is due to the validation part being finite: what its halves do not share."""
    even, odd = residuals(of.even), residuals(2 * of.losses - of.even)
    whole = residuals(of.losses)
    return 1 - (even @ odd) / (whole @ whole)


def draw(found: dict[str, dict[str, Layout]]) -> None:
    figure, panels = plt.subplots(1, len(found), figsize=(11, 3.6), layout="constrained")
    for panel, (data, settings) in zip(np.atleast_1d(panels), found.items(), strict=True):
        for place, of in enumerate(settings.values()):
            noise = (residuals(of.losses) ** 2).sum() / of.freedom
            low, high = (
                math.sqrt(noise * of.freedom / chi2.ppf(q, of.freedom)) for q in ((1 + LEVEL) / 2, (1 - LEVEL) / 2)
            )
            spread = of.losses.mean(1).var(ddof=1) - noise / of.losses.shape[1]
            panel.plot([low, high], [place, place], color="#1f6feb", linewidth=2)
            panel.plot(
                math.sqrt(noise), place, "o", color="#1f6feb", label="" if place else "noise of one run, 95 % interval"
            )
            label = "" if place else "spread between configurations"
            panel.plot(math.sqrt(max(spread, 0)), place, "D", color="#d9480f", label=label, clip_on=False)
        panel.set_yticks(range(len(settings)), list(settings))
        panel.invert_yaxis()
        panel.set_xlim(left=0)
        panel.set_title(data)
        panel.set_xlabel("standard deviation of validation loss, nats")
        panel.spines[["top", "right"]].set_visible(False)
    figure.legend(
        *np.atleast_1d(panels)[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    figure.savefig(HERE / "figure.png", dpi=130)


if __name__ == "__main__":
    main()
