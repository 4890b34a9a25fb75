"""SE configurations trained with the same seeds, kept in a table, and compared seed by seed.

What the studies of this folder share that train arms of their own. A seed has the same initial weights of the backbone,
the same order of images and the same randomness in every arm, so that differences are taken within seeds.
"""

import argparse
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from torch import nn

from senas.app.bench import bench
from senas.app.calls import called
from senas.core.block import Block, Placement, SEBlock, width
from senas.core.config import SEConfig
from senas.core.interval import Interval, interval
from senas.core.site import Site
from senas.core.trial import Job
from senas.exported.network import with_weights
from senas.training.side_by_side import side_by_side
from senas.training.standalone import Standalone

Arms = Mapping[str, SEConfig]
SCORES = ("val_loss", "val_accuracy", "test_loss", "test_accuracy")
FIRST_SEED = 100
"""Searches train with seeds from 0 on."""


@dataclass(frozen=True)
class Setting:
    """Data, backbone and recipe, as words of `senas search`."""

    name: str
    words: Sequence[str]


FASHION = ("data=fashion_mnist", "data.train=6000", "data.val=2000", "backbone=resnet14", "backbone.size=14")
SETTINGS = (
    Setting("cued_digits", ["data=cued_digits", "backbone=resnet8"]),
    Setting("fashion_mnist", [*FASHION, "trainer.epochs=6"]),
)
"""What is trained on, unless a study says otherwise: a positive control, and images of things."""
REDUCTION = 4


Look = Callable[[Standalone, Job, nn.Module], Mapping[str, float]]
"""What else is measured of a trained network: (who trained it, its job, itself) -> further columns."""


def trained(
    setting: Setting,
    arms_of: Callable[[Sequence[Site]], Arms],
    seeds: Sequence[int],
    file: Path,
    look: Look | None = None,
) -> None:
    """Adds a row to `file` for each arm and seed that it has not yet, seed by seed.

    A training that is broken off leaves no row, and the same call goes on. Several are trained at a time, one a core.
    look:  told of each network once it is trained.
    """
    config = called("search", [*setting.words, "progress=false"], {})
    evaluator = bench(config.backbone, config.data, config.trainer).evaluator
    arms = arms_of(evaluator.traced.sites)
    done = {(row["arm"], int(row["seed"])) for row in rows(file) if row["setting"] == setting.name}
    wanted = [(arm, seed) for seed in seeds for arm in arms if (arm, seed) not in done]
    with TemporaryDirectory() as folder:
        weights = [Path(folder) / f"{number}.safetensors" if look else None for number in range(len(wanted))]
        jobs = [
            Job(arms[arm], seed, config.trainer.epochs, weights=kept, test=True)
            for (arm, seed), kept in zip(wanted, weights, strict=True)
        ]
        results = side_by_side(evaluator, None, len(jobs)).evaluate(iter(jobs), lambda *said: False)
        for (arm, seed), job, result in zip(wanted, jobs, results, strict=True):
            if result.failure:
                raise SystemExit(f"{setting.name}, {arm}, seed {seed}: {result.reason}")
            more = {}
            if look and job.weights:
                more = look(evaluator, job, with_weights(evaluator.network(job), job.weights))
                job.weights.unlink()
            scores = {
                name: f"{value:.6f}" for name, value in {**result.scores, **more}.items() if name in (*SCORES, *more)
            }
            _append(file, {"setting": setting.name, "arm": arm, "seed": seed, **scores})
            print(f"{setting.name}: {arm}, seed {seed}: test loss {result.scores['test_loss']:.4f}", flush=True)


def block(site: Site, placement: Placement = Placement.STANDARD) -> SEBlock:
    """The block that the arms have, unless a study says otherwise."""
    return SEBlock(hidden=width(site.place(placement).channels, REDUCTION), placement=placement)


def everywhere(sites: Sequence[Site], block: Callable[[Site], Block | None]) -> SEConfig:
    """The configuration that has at each site what `block` says, where it says something."""
    return SEConfig({site.name: block(site) for site in sites})


def rows(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open() as lines:
        return list(csv.DictReader(lines))


def of(file: Path, setting: str, arm: str, column: str) -> dict[int, float]:
    """A column of an arm, by seed."""
    return {
        int(row["seed"]): float(row[column])
        for row in rows(file)
        if (row["setting"], row["arm"]) == (setting, arm) and row[column]
    }


def difference(file: Path, setting: str, one: str, other: str, column: str = "test_loss") -> Interval:
    """The first arm minus the other, seed by seed, with the 95 % interval of the mean."""
    first, second = (of(file, setting, arm, column) for arm in (one, other))
    return interval([first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())])


def spoken(found: Interval, digits: int = 4) -> str:
    """-0.0123 (-0.0200 to -0.0046)"""
    return f"{found.mean:+.{digits}f} ({found.low:+.{digits}f} to {found.high:+.{digits}f})"


def mean(file: Path, setting: str, arm: str, column: str) -> Interval:
    return interval(list(of(file, setting, arm, column).values()))


def settings(file: Path) -> Iterator[str]:
    """Those that the file has, in its order."""
    yield from dict.fromkeys(row["setting"] for row in rows(file))


def seeds_behind(file: Path, setting: str) -> int:
    return len({row["seed"] for row in rows(file) if row["setting"] == setting})


def half_width(found: Interval) -> float:
    return float(np.subtract(found.high, found.low)) / 2


def _append(file: Path, row: Mapping[str, object]) -> None:
    """Whole or not at all: a row may bring columns that those before it have not."""
    kept = [*rows(file), row]
    columns = list(dict.fromkeys(column for each in kept for column in each))
    draft = file.with_suffix(".partial")
    with draft.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(kept)
    draft.replace(file)


def options_of(doc: str) -> argparse.Namespace:
    """The command line of a study that trains arms."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12, help="of each arm; more than before goes on")
    parser.add_argument("--only", default="", help="settings with this in their names")
    parser.add_argument("--figure", action="store_true", help="figure and table only, from results.csv")
    return parser.parse_args()


def run(
    options: argparse.Namespace, arms_of: Callable[[Sequence[Site]], Arms], file: Path, look: Look | None = None
) -> None:
    """Trains what is missing of the usual settings, unless only the figure is asked for."""
    for setting in SETTINGS:
        if options.only in setting.name and not options.figure:
            trained(setting, arms_of, range(FIRST_SEED, FIRST_SEED + options.seeds), file, look)


def forest(file: Path, pairs: Sequence[tuple[str, str]], path: Path, what: str, column: str = "test_loss") -> None:
    """A figure: for each setting a panel, in which each pair of arms is a row, the first minus the second."""
    found = list(settings(file))
    figure, panels = plt.subplots(
        1,
        len(found),
        figsize=(4.5 * len(found), 1 + 0.35 * len(pairs)),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    for panel, setting in zip(panels[0], found, strict=True):
        for place, (one, other) in enumerate(pairs):
            gap = difference(file, setting, one, other, column)
            panel.errorbar(gap.mean, -place, xerr=half_width(gap), fmt="o", color="#1f6feb", capsize=2)
        panel.axvline(0, color="#8c959f", linewidth=1)
        panel.locator_params(axis="x", nbins=5)
        panel.set_yticks([-place for place in range(len(pairs))], [f"{one} - {other}" for one, other in pairs])
        panel.set_xlabel(what)
        panel.set_title(f"{setting}, {seeds_behind(file, setting)} seeds", fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
