"""ResNet-20 trained on one part of Fashion-MNIST, then SE blocks put in and fine-tuned on another: results.csv.

    cd studies/fine_tuning && python run.py [root]

Each arm is a `senas train` of its own; what is trained already is not trained again. Needs Fashion-MNIST (Debian's
dataset-fashion-mnist, or data/ as torchvision leaves it).
"""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import senas
from senas.app.notebook import Trained
from senas.core.interval import interval
from senas.core.trial import Trial

SEEDS = 5
PRETRAINING = {"epochs": 5, "batch_size": 128, "threads": 1}
BUDGET = {"epochs": 5, "batch_size": 64, "threads": 1}
FINE = {**BUDGET, "lr": 0.001}  # a third of the default: the weights are good already
# Each arm: how it is trained, whether from the trained weights, how all16 begins, and what is trained.
ARMS: dict[str, tuple[dict[str, Any], bool, str, list[str]]] = {
    "scratch": (BUDGET, False, "default", ["none", "all16"]),
    "scratch-low-lr": (FINE, False, "default", ["none", "all16"]),
    "fine-sigmoid": (FINE, True, "default", ["none", "all16"]),
    "fine-identity": (FINE, True, "identity", ["all16"]),
}
Key = tuple[str, str]
UNTOUCHED, SIGMOID, IDENTITY = ("fine-sigmoid", "none"), ("fine-sigmoid", "all16"), ("fine-identity", "all16")
SCRATCH, SCRATCH_SE, LOW = ("scratch", "none"), ("scratch", "all16"), ("scratch-low-lr", "none")
PAIRS: list[tuple[Key, Key]] = [
    (UNTOUCHED, SCRATCH),
    (IDENTITY, SCRATCH_SE),
    (IDENTITY, UNTOUCHED),
    (SIGMOID, UNTOUCHED),
    (IDENTITY, SIGMOID),
    (SCRATCH_SE, SCRATCH),
    (LOW, SCRATCH),
]
SCORES = ("test_loss", "test_accuracy", "val_loss", "val_accuracy")


def main(root: str = "runs") -> None:
    first = train(root, "first", "pretrained", PRETRAINING, ["none"], seeds=1)
    weights = str((first.folder / "trained" / "none" / "weights.safetensors").absolute())
    found: dict[Key, Sequence[Trial]] = {("pretrained", "none"): first.comparison.of("none")}
    for arm, (trainer, trained_before, begin, names) in ARMS.items():
        backbone = {"weights": weights} if trained_before else {}
        trained = train(root, "second", arm, trainer, names, seeds=SEEDS, init=begin, backbone=backbone)
        found |= {(arm, name): trained.comparison.of(name) for name in names}
    with (Path(__file__).parent / "results.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("arm", "configuration", "seed", *SCORES, "seconds"))
        for (arm, name), trials in found.items():
            for trial in trials:
                scores = (round(trial.scores[score], 6) for score in SCORES)
                writer.writerow((arm, name, trial.seed, *scores, round(trial.seconds, 1)))
    show(found)


def train(root: str, part: str, name: str, trainer: dict[str, Any], names: list[str], **settings: Any) -> Trained:
    """These configurations on a part of the images."""
    where = {"root": root, "name": name, "tracking": "none", "trainer": trainer}
    data = {"target": "parts:Parts", "options": {"part": part}}
    return senas.train(names, "data=custom", "backbone=resnet20", data=data, against=[], **where, **settings)


def show(found: dict[Key, Sequence[Trial]]) -> None:
    """Means and paired differences with their 95 % intervals."""
    for (arm, name), trials in found.items():
        loss, accuracy = (interval([trial.scores[score] for trial in trials]) for score in SCORES[:2])
        print(f"{arm:14} {name:5} {loss.count} seeds  {loss.mean:.4f} (sd {loss.sd:.4f})  {accuracy.mean:.2%}")
    for one, other in PAIRS:
        theirs = {trial.seed: trial.scores["test_loss"] for trial in found[other]}
        gap = interval([trial.scores["test_loss"] - theirs[trial.seed] for trial in found[one] if trial.seed in theirs])
        print(f"{' '.join(one)} - {' '.join(other)}: {gap.mean:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})")


if __name__ == "__main__":
    main(*sys.argv[1:2])
