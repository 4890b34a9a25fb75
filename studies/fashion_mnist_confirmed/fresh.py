"""Validation losses of the study's pick, no SE and SE everywhere at r = 16 with twelve seeds that it did not use.

One line a training is written to fresh.csv beside this file.

    python studies/fashion_mnist_confirmed/fresh.py   # where runs/fashion lies
"""

import csv
from pathlib import Path

from senas.app.wiring import set_up_again
from senas.core.interval import interval
from senas.core.trial import Job
from senas.study.optuna import read_trials

SEEDS = range(100, 112)


def main() -> None:
    setup = set_up_again("runs", "fashion")
    verdict = setup.verdict(read_trials("fashion", setup.storage, setup.space))
    configs = {"pick": verdict.pick("recommended").trial.config, **setup.baselines}
    losses: dict[str, list[float]] = {name: [] for name in configs}
    with Path(__file__).with_name("fresh.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("name", "configuration", "seed", "val_loss"))
        for seed in SEEDS:
            for name, config in configs.items():
                job = Job(config, seed, setup.config.trainer.epochs)
                (result,) = setup.evaluator.evaluate([job], lambda job, epoch, scores: False)
                losses[name].append(result.scores["val_loss"])
                writer.writerow((name, config, seed, losses[name][-1]))
                file.flush()
    for name, claimed in ((name, verdict.point(config)) for name, config in configs.items()):
        mean = interval(losses[name])
        apart = interval([a - b for a, b in zip(losses[name], losses["none"], strict=True)])
        print(f"{name}: claimed {claimed.loss}, minus none {claimed.from_none}; fresh {mean}, minus none {apart}")


if __name__ == "__main__":
    main()
