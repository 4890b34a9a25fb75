"""Five study seeds of TPE and of random search on the positive control, then results.csv.

    python studies/cued_digits/run.py [root]

Each study is a `senas search` of its own; one that is there already is not run again.
"""

import csv
import subprocess
import sys
from pathlib import Path

SEEDS = range(5)
SAMPLERS = ("tpe", "random")
SCORES = ("val_loss", "val_accuracy", "se_params")


def main(root: str = "runs") -> None:
    rows = []
    for sampler in SAMPLERS:
        for seed in SEEDS:
            name = f"cued-{sampler}-{seed}"
            arguments = [f"study.name={name}", f"study.seed={seed}", f"sampler={sampler}", f"root={root}"]
            subprocess.run(
                [sys.executable, "-m", "senas", "search", "data=cued_digits", *arguments, "tracking=none"], check=True
            )
            rows += read(root, name, sampler, seed)
    with (Path(__file__).parent / "results.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ("sampler", "study_seed", "trial", "recommended", *SCORES, "seconds", "configuration", "blocks")
        )
        writer.writerows(rows)


def read(root: str, name: str, sampler: str, seed: int) -> list[tuple[object, ...]]:
    """Every trained trial of a study, one row each."""
    from senas.app.wiring import set_up_again
    from senas.study.optuna import read_trials

    setup = set_up_again(root, name)
    standing = setup.standing(read_trials(name, setup.storage, setup.space))
    picked, _ = standing.pick("best")
    return [
        (
            sampler,
            seed,
            trial.number,
            "yes" if trial.number == picked.number else "no",
            *(round(trial.scores[score], 6) for score in SCORES),
            round(trial.seconds, 2),
            trial.config.words(setup.sites),
            str(trial.config),
        )
        for trial in standing.measured
    ]


if __name__ == "__main__":
    main(*sys.argv[1:2])
