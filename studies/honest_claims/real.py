"""What is claimed of the configuration that a search on digits ends with, and what it is worth with fresh seeds.

    python studies/honest_claims/real.py FIRST LAST

Studies with the seeds FIRST x 1000 ... (LAST - 1) x 1000, at equal numbers of trainings, TRAININGS: `best seen` after a
search with one seed (random, TPE, NSGA-II), the same with 12 of the trainings kept for replicates of four finalists,
and senas as it is by default (24 trials, 12 replicates): the lowest expected loss, and what is recommended. What each
picks is then trained with 20 seeds that none of them had. A line for each method is appended to real.csv beside this
file. Studies lie in ./runs, and go on where they are.
"""

import csv
import math
import sys
from pathlib import Path

import numpy as np

import senas
from senas.app.wiring import Setup, set_up_again
from senas.core.certainty import LEVEL
from senas.core.config import SEConfig
from senas.core.interval import interval, student_t
from senas.core.trial import Job, Trial
from senas.study.optuna import read_trials

TRAININGS, SEARCH, FINALISTS, AGAIN = 36, 24, 4, 3
FRESH = range(50_000, 50_020)
COLUMNS = (
    *("study_seed", "method", "configuration", "claimed", "low", "high", "fresh_mean", "fresh_low", "fresh_high"),
    "decided",
)


class Bench:
    """Trains single (configuration, seed) as a study's trials are trained, each once."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.known = setup, dict[tuple[SEConfig, int], float]()

    def loss(self, config: SEConfig, seed: int) -> float:
        if (config, seed) not in self.known:
            job = Job(config, seed, self.setup.config.trainer.epochs)
            (result,) = self.setup.evaluator.evaluate([job], lambda job, epoch, scores: False)
            self.known[config, seed] = result.scores["val_loss"]
        return self.known[config, seed]


def searched(sampler: str, seed: int, trials: int, confirm: int, seeds: int) -> tuple[Setup, list[Trial]]:
    name = f"{sampler}-{seed}-{trials}-{confirm}"
    senas.search(
        f"sampler={sampler}",
        study={"name": name, "trials": trials, "confirm": confirm, "seed": seed, "seeds": seeds},
        objective={"penalty": 0.0},
        tracking="none",
        progress=False,
    )
    setup = set_up_again("runs", name)
    return setup, read_trials(name, setup.storage, setup.space)


def main() -> None:
    path = Path(__file__).with_name("real.csv")
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        for number in range(int(sys.argv[1]), int(sys.argv[2])):
            for line in repetition(number * 1000):
                writer.writerow(line)
                file.flush()


def repetition(seed: int) -> list[dict[str, object]]:
    found: list[tuple[str, SEConfig, float, float, float]] = []
    setup, trials = searched("effects", seed, SEARCH, TRAININGS - SEARCH, seeds=4)
    bench = Bench(setup)
    verdict = setup.verdict(trials)
    loss = verdict.point(verdict.certainty.lowest).loss
    found.append(("senas", verdict.certainty.lowest, loss.mean, loss.low, loss.high))
    pick = verdict.pick("recommended")
    loss = verdict.point(pick.trial.config).loss
    found.append(("senas, recommended", pick.trial.config, loss.mean, loss.low, loss.high))
    decided = {"senas, recommended": "yes" if pick.decided else "no"}
    for sampler in ("random", "tpe", "nsga2"):
        _, trials = searched(sampler, seed, TRAININGS, 0, seeds=1)
        measured = setup.standing(trials).measured
        best = min(measured, key=lambda trial: trial.scores["val_loss"])
        found.append((f"best seen, {sampler}", best.config, best.scores["val_loss"], math.nan, math.nan))
        found.append((f"best seen + confirm, {sampler}", *confirmed(bench, measured[:SEARCH], seed)))
    return [
        dict(
            zip(
                COLUMNS,
                (seed, method, str(config), *claim, *fresh(bench, config), decided.get(method, "")),
                strict=True,
            )
        )
        for method, config, *claim in found
    ]


def confirmed(bench: Bench, trials: list[Trial], seed: int) -> tuple[SEConfig, float, float, float]:
    """The finalist of the lowest mean over its fresh seeds, that mean and its interval after Student."""
    ranked = sorted(trials, key=lambda trial: trial.scores["val_loss"])
    finalists = list(dict.fromkeys(trial.config for trial in ranked))[:FINALISTS]
    again = {config: [bench.loss(config, seed + 100 + n) for n in range(AGAIN)] for config in finalists}
    config = min(finalists, key=lambda config: np.mean(again[config]))
    mean, sd = float(np.mean(again[config])), float(np.std(again[config], ddof=1))
    half = student_t(LEVEL, AGAIN - 1) * sd / math.sqrt(AGAIN)
    return config, mean, mean - half, mean + half


def fresh(bench: Bench, config: SEConfig) -> tuple[float, float, float]:
    """Mean over the fresh seeds, and its 95 % interval."""
    measured = interval([bench.loss(config, seed) for seed in FRESH])
    return measured.mean, measured.low, measured.high


if __name__ == "__main__":
    main()
