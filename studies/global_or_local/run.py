"""Trains both gates, and none, with the same seeds on real images: results.csv, a row a training.

    python studies/global_or_local/run.py digits 0 12         # seeds 0 to 11
    python studies/global_or_local/run.py cued_digits 0 12
    python studies/global_or_local/run.py fashion_mnist 0 12  # Debian's dataset-fashion-mnist, or torchvision's data/

A seed draws the backbone's weights, the blocks' and the order of images: all configurations start alike, both gates
with equal weights. Rows that are there already are not trained again, so that several processes can share the seeds.
"""

import csv
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

from gates import GATES, everywhere

from senas.app.bench import bench
from senas.app.calls import called
from senas.core.config import SEConfig
from senas.core.site import Site
from senas.core.trial import Job

RESULTS = Path(__file__).parent / "results.csv"
DATA = {
    "digits": ["data=digits", "backbone=resnet8"],
    "cued_digits": ["data=cued_digits", "backbone=resnet8"],
    "fashion_mnist": [
        *("data=fashion_mnist", "data.train=4000", "data.val=10000"),
        *("backbone=resnet8", "backbone.size=14", "trainer.epochs=3"),
    ],
}
REDUCTIONS = (4, 16)
SCORES = ("val_loss", "val_accuracy", "test_loss", "test_accuracy", "se_params", "macs")
COLUMNS = ("data", "configuration", "seed", *SCORES, "seconds", "blocks")


def main(data: str, first: int, end: int) -> None:
    config = called("search", [*DATA[data], "trainer.threads=1"], {})
    parts = bench(config.backbone, config.data, config.trainer)
    done = {(row["data"], row["configuration"], int(row["seed"])) for row in rows()}
    for seed in range(first, end):
        for name, chosen in configurations(parts.traced.sites).items():
            if (data, name, seed) in done:
                continue
            job = Job(chosen, seed, config.trainer.epochs, test=True)
            (result,) = parts.evaluator.evaluate([job], lambda *said: False)
            scores = {score: f"{result.scores[score]:.8g}" for score in SCORES}
            told = {"data": data, "configuration": name, "seed": seed, "blocks": str(chosen)}
            write({**told, **scores, "seconds": f"{result.seconds:.1f}"})


def configurations(sites: Sequence[Site]) -> dict[str, SEConfig]:
    """No SE, and either gate everywhere at each ratio."""
    both = itertools.product(REDUCTIONS, GATES)
    return {"none": SEConfig()} | {f"{gate} r{r}": everywhere(sites, gate, r) for r, gate in both}


def rows() -> list[dict[str, str]]:
    if not RESULTS.exists():
        return []
    with RESULTS.open() as file:
        return list(csv.DictReader(file))


def write(row: dict[str, object]) -> None:
    fresh = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
