"""Trains SE configurations with several seeds each, under several settings: results.csv, a row a training.

    python studies/noise/run.py digits
    python studies/noise/run.py fashion_mnist    # Debian's dataset-fashion-mnist, or data/ as torchvision leaves it

Rows that are there already are not trained again. `table.py` reads them.
"""

import csv
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.nn.functional import cross_entropy

from senas.app.bench import bench, space_on
from senas.app.calls import called
from senas.core.config import SEConfig, baselines
from senas.core.site import Site
from senas.core.space import SearchSpace
from senas.core.trial import Job
from senas.training.metric import OwnMetric

RESULTS = Path(__file__).parent / "results.csv"
COLUMNS = (
    *("data", "setting", "configuration", "seed", "val_loss", "val_loss_even", "val_loss_2000", "val_loss_5000"),
    *("test_loss", "seconds", "blocks"),
)


@dataclass(frozen=True)
class Plan:
    """Which settings are compared on a dataset, by name: what they add to `words`, as on the command line."""

    words: Sequence[str]
    settings: dict[str, Sequence[str]]
    configurations: int
    seeds: int
    validated: Sequence[int] = ()  # the first so many validation images, besides all of them


PLANS = {
    "digits": Plan(
        words=["data=digits", "backbone=resnet8"],
        settings={
            "as it is": [],
            "ema": ["trainer.average=ema"],
            "swa": ["trainer.average=swa"],
            "val 0.45": ["data.val=0.45"],
            "16 epochs": ["trainer.epochs=16"],
            "constant": ["trainer.schedule=constant"],
            "constant, ema": ["trainer.schedule=constant", "trainer.average=ema"],
        },
        configurations=8,
        seeds=5,
    ),
    "fashion_mnist": Plan(
        words=[
            *("data=fashion_mnist", "data.train=4000", "data.val=10000"),
            *("backbone=resnet8", "backbone.size=14", "trainer.epochs=3"),
        ],
        settings={"as it is": [], "ema": ["trainer.average=ema"], "swa": ["trainer.average=swa"]},
        configurations=6,
        seeds=5,
        validated=[2000, 5000],
    ),
}


def main(data: str) -> None:
    plan, done = PLANS[data], {key(row) for row in rows()}
    for seed in range(plan.seeds):
        for setting, words in plan.settings.items():
            config = called("search", [*plan.words, *words, "trainer.threads=1"], {})
            parts = bench(config.backbone, config.data, config.trainer)
            parts.evaluator.metrics = [over_the_first(images) for images in plan.validated]
            for name, chosen in configurations(
                parts.traced.sites, space_on(parts.traced.sites, config.space), plan.configurations
            ).items():
                if (data, setting, name, str(seed)) in done:
                    continue
                job = Job(chosen, seed, config.trainer.epochs, test=True)
                (result,) = parts.evaluator.evaluate([job], lambda *said: False)
                scores = {column: f"{result.scores[column]:.6f}" for column in COLUMNS if column in result.scores}
                told = {"data": data, "setting": setting, "configuration": name, "seed": seed, "blocks": str(chosen)}
                write({**told, **scores, "seconds": f"{result.seconds:.1f}"})


def configurations(sites: Sequence[Site], space: SearchSpace, count: int) -> dict[str, SEConfig]:
    """No SE, SE everywhere at r = 16, and others drawn at random, the same for all settings."""
    named, drawn = baselines(sites), random.Random(0)
    chosen = {name: named[name] for name in ("none", "all16")}
    while len(chosen) < count:
        config = space.draw(lambda name, options: drawn.choice(options))
        if config not in chosen.values():
            chosen[f"random {len(chosen) - 1}"] = config
    return chosen


def over_the_first(images: int) -> OwnMetric:
    """The validation loss, had there been so many validation images."""

    def loss(logits: Tensor, labels: Tensor) -> float:
        return float(cross_entropy(logits[:images].double(), labels[:images]))

    return OwnMetric(f"val_loss_{images}", loss, False, f"val_loss_{images}")


def rows() -> list[dict[str, str]]:
    if not RESULTS.exists():
        return []
    with RESULTS.open() as file:
        return list(csv.DictReader(file))


def key(row: dict[str, str]) -> tuple[str, ...]:
    return row["data"], row["setting"], row["configuration"], row["seed"]


def write(row: dict[str, object]) -> None:
    fresh = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main(sys.argv[1])
