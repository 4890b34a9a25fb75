"""What weights shared by all configurations say of each: Kendall's tau against stand-alone trainings.

    python studies/benchmarks/shared_weights.py            # every sampling; prints a table, writes shared_weights.json
    python studies/benchmarks/shared_weights.py fair       # one; rows of others in the file stay
    python studies/benchmarks/shared_weights.py --random   # against configurations drawn at random

Cued digits, resnet8, the default space and trainer. The stand-alone trainings are those of studies/cued_digits: 188
configurations in five studies, each of a seed, proposed by their searches. A tau is the mean over the studies of that
within each, its interval (90 %) from configurations drawn anew in each study. Beside it stands how much it is above
that of a screener which trains nothing, by the number of SE blocks: the rule of evaluator=supernet.

With --random they are 40 configurations of the space drawn at random, seed 0: those of shared_weights_random.csv, which
is written first where it is not there (40 trainings).
"""

import argparse
import csv
import itertools
import json
import random
import time
from dataclasses import astuple
from pathlib import Path

import numpy as np

import senas  # noqa: F401  # before torchvision, where torch is built for the CPU

import pytorch_lightning as pl  # isort: skip
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from senas.core.block import Placement
from senas.core.config import SEConfig
from senas.core.recipe import Device, Recipe
from senas.core.sampling import SAMPLINGS
from senas.core.screening import Compared, worth
from senas.core.space import Axes, SearchSpace, search_space
from senas.core.trial import Job
from senas.model.backbones import named
from senas.model.carried import cargo_of_space
from senas.model.sites import trace
from senas.model.supernet import Supernet
from senas.training.data import Part
from senas.training.datasets import cued_digits
from senas.training.shared import Shared, measured
from senas.training.standalone import Standalone

HERE = Path(__file__).parent
STAND_ALONE = HERE.parent / "cued_digits" / "results.csv"
RESULT = Path(__file__).with_suffix(".json")
AT_RANDOM = HERE / "shared_weights_random.csv"
RANDOM = 40
CPU = Device(accelerator="cpu", threads=1)
RECIPE = Recipe(optimizer="adamw", lr=0.003, weight_decay=0.01, schedule="one_cycle", label_smoothing=0.0)
EPOCHS, BATCH = 8, 64
CALIBRATION, VALIDATION = 512, 2000
VARIANTS = {"uniform": ("uniform", False), "fair": ("fair", False), "sandwich": ("sandwich", False)}
VARIANTS["sandwich, distilled"] = ("sandwich", True)
Studies = list[tuple[list[SEConfig], np.ndarray]]
Losses = dict[SEConfig, float]


def main(names: list[str], seeds: int, *, at_random: bool) -> None:
    torch.set_num_threads(1)
    data = cued_digits(train=4000, val=4000, test=2000, split_seed=0, batch_size=BATCH)
    backbone = named("resnet8", classes=10, channels=3)
    traced = trace(backbone, data.shape)
    space = search_space(traced.sites, Axes(placement=(Placement.STANDARD, Placement.PRE, Placement.POST)))
    if at_random and not AT_RANDOM.exists():
        _train_at_random(space, Standalone(lambda: named("resnet8", classes=10, channels=3), traced, data, RECIPE, CPU))
    studies = _stand_alone(AT_RANDOM if at_random else STAND_ALONE)
    result = AT_RANDOM.with_suffix(".json") if at_random else RESULT
    print(f"{sum(len(configs) for configs, _ in studies)} configurations in {len(studies)} studies", flush=True)
    blocks = {config: -float(len(config)) for configs, _ in studies for config in configs}
    keep(_row("number of SE blocks", 0, 0.0, 0.0, studies, blocks), result)
    for name, seed in itertools.product(names or VARIANTS, range(seeds)):
        sampling, distill = VARIANTS[name]
        torch.manual_seed(seed)
        supernet = Supernet(named("resnet8", classes=10, channels=3), traced, cargo_of_space(space), sliced=True)
        start = time.perf_counter()
        part = TensorDataset(data.train.images, data.train.labels)
        loader = DataLoader(part, sampler=BatchSampler(RandomSampler(part), BATCH, drop_last=True), batch_size=None)
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=EPOCHS,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(Shared(supernet, SAMPLINGS[sampling](space, seed), RECIPE, distill=distill), loader)
        trained = time.perf_counter() - start
        calibration, held_out = _batches(data.train, CALIBRATION, BATCH), _batches(data.val, VALIDATION, 500)
        start = time.perf_counter()
        losses = {config: measured(supernet, config, calibration, held_out)["val_loss"] for config in blocks}
        each = (time.perf_counter() - start) / len(losses)
        keep(_row(name, seed, trained, each, studies, losses), result)


def keep(row: dict[str, object], result: Path) -> None:
    """Writes a row to the file, in the place of that of the same sampling and seed; those of others stay."""
    rows = json.loads(result.read_text()) if result.exists() else []
    by = {(each["sampling"], each["seed"]): each for each in [*rows, row]}
    result.write_text(json.dumps(list(by.values()), indent=1) + "\n")


def _row(name: str, seed: int, trained: float, each: float, studies: Studies, losses: Losses) -> dict[str, object]:
    """What a ranking is worth, by the rule of evaluator=supernet."""
    found = worth(
        *(
            Compared(np.array([losses[c] for c in configs]), truth, np.array([float(len(c)) for c in configs]))
            for configs, truth in studies
        )
    )
    tau, over = astuple(found.tau), astuple(found.over)
    said = "  ".join("{:+.2f} ({:+.2f} to {:+.2f})".format(*each) for each in (tau, over))
    print(f"{name:22} seed {seed}  {said}  trained {trained:.0f} s, {each:.2f} s a configuration", flush=True)
    return {"sampling": name, "seed": seed, "tau": tau, "over_blocks": over, "trained_s": trained, "each_s": each}


def _train_at_random(space: SearchSpace, standalone: Standalone) -> None:
    draw = random.Random(0)
    configs: list[SEConfig] = []
    while len(configs) < RANDOM:
        config = space.draw(lambda _, options: draw.choice(options))
        configs += [config] if config not in configs else []
    rows = [
        (0, config, standalone.train(Job(config, 0, EPOCHS), lambda *_: False, None).scores["val_loss"])
        for config in configs
    ]
    with AT_RANDOM.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("study_seed", "blocks", "val_loss"), *rows])


def _stand_alone(file: Path) -> Studies:
    """Of each study the configurations that it trained, and their validation losses."""
    found: dict[str, dict[SEConfig, float]] = {}
    with file.open(newline="") as opened:
        for row in csv.DictReader(opened):
            found.setdefault(row["study_seed"], {})[SEConfig.parse(row["blocks"])] = float(row["val_loss"])
    return [(list(losses), np.array(list(losses.values()))) for losses in found.values()]


def _batches(part: Part, count: int, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(part.images[n : n + size], part.labels[n : n + size]) for n in range(0, count, size)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(VARIANTS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--random", action="store_true", help="against configurations drawn at random")
    asked = parser.parse_args()
    main(asked.names, asked.seeds, at_random=asked.random)
