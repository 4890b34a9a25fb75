"""What is claimed of the configuration that a search ends with, and what it is really worth, on the simulator.

    python studies/honest_claims/simulated.py FIRST LAST [NOISE ...]

Repetitions FIRST to LAST - 1 at each level of noise (1 is what was measured, default 1 0.5 0.25); a line for each
method is appended to simulated.csv beside this file. Every method has the same TRAININGS. Some ten seconds for a
repetition at one level.
"""

import csv
import math
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import optuna
from simulator import KINDS, SPACE, Truth

from senas.core.config import SEConfig, baselines
from senas.core.confirm import EFFORT, Confirmation
from senas.core.interval import student_t
from senas.core.objective import Penalized
from senas.core.seeds import Seeds
from senas.core.standing import Standing
from senas.core.trial import Status, Trial, Wanted
from senas.core.verdict import Verdict
from senas.study.optuna import OptunaProposer
from senas.study.thompson import EffectsSampler, Memory

TRAININGS = 60
SEARCH = 40
"""Trainings of the methods that spend the rest, 20, on replicates."""
FINALISTS, REPLICATES = 5, 4
"""`best seen + confirm`: the best of the search by one training are trained again with four fresh seeds each."""
OBJECTIVE = Penalized(0.0, SPACE.largest_params)
BASELINES = baselines(SPACE.sites)
SAMPLERS = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(
        seed=seed, multivariate=True, n_startup_trials=10, n_ei_candidates=24
    ),
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=10),
}
MARGINS = (0.01, 0.003)
"""Of what is recommended: senas's default, which is more than half of the range of the truth, and a finer one."""
COLUMNS = (
    *("noise", "repetition", "kind", "method", "claimed", "low", "high", "true", "true_best_tried", "true_none"),
    *("decided", "blocks"),
)


def search(truth: Truth, sampler: str, trials: int, seeds: Seeds) -> list[Trial]:
    """The trials of a search with `effects` or one of SAMPLERS, as senas runs it, beginning with the baselines."""
    memory = Memory(SPACE)
    effects = partial(EffectsSampler, space=SPACE, objective=OBJECTIVE, memory=memory)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    proposer = OptunaProposer(
        study=study,
        space=SPACE,
        objective=OBJECTIVE,
        sampler=lambda seed: effects(seed=seed) if sampler == "effects" else SAMPLERS[sampler](seed),
        pruner=None,
        seeds=seeds,
        start=list(BASELINES.values()),
    )
    done: list[Trial] = []
    while len(done) < trials:
        done.append(trained(truth, proposer.ask()))
        proposer.tell(done[-1])
    return done


def trained(truth: Truth, trial: Trial) -> Trial:
    scores = {"val_loss": truth.train(trial.config, trial.seed), "se_params": float(trial.config.params(SPACE.sites))}
    return Trial(
        number=trial.number,
        status=Status.COMPLETE,
        config=trial.config,
        seed=trial.seed,
        scores=scores,
        values=OBJECTIVE.values(scores),
        origin=trial.origin,
    )


def verdict(trials: list[Trial], effort: float, seed: int, margin: float = MARGINS[0]) -> Verdict:
    standing = Standing(
        trials=trials, objective=OBJECTIVE, classes=10, largest_params=SPACE.largest_params, margin=margin
    )
    return Verdict(standing, SPACE, BASELINES, seed, effort)


def best_seen(trials: list[Trial]) -> Trial:
    return min(trials, key=lambda trial: trial.scores["val_loss"])


def confirmed(truth: Truth, trials: list[Trial], first: int) -> tuple[SEConfig, float, float, float]:
    """The finalist with the lowest mean over fresh seeds; that mean, and its 90 % interval after Student."""
    ranked = sorted(trials, key=lambda trial: trial.scores["val_loss"])
    finalists = list(dict.fromkeys(trial.config for trial in ranked))[:FINALISTS]
    shown = {config: [truth.train(config, seed) for seed in range(first, first + REPLICATES)] for config in finalists}
    config = min(finalists, key=lambda config: np.mean(shown[config]))
    mean, sd = float(np.mean(shown[config])), float(np.std(shown[config], ddof=1))
    half = student_t(0.9, REPLICATES - 1) * sd / math.sqrt(REPLICATES)
    return config, mean, mean - half, mean + half


def senas(truth: Truth, seed: int) -> list[Trial]:
    """Search with sampler=effects, then replicates where they count."""
    seeds = Seeds(seed, 4)
    trials = search(truth, "effects", SEARCH, seeds)
    confirmation = Confirmation(TRAININGS - SEARCH, seeds)
    while (wanted := confirmation.next(verdict(trials, EFFORT, seed))) is not None:
        trials.append(trained(truth, as_trial(len(trials), wanted)))
    return trials


def as_trial(number: int, wanted: Wanted) -> Trial:
    return Trial(number=number, status=Status.RUNNING, config=wanted.config, seed=wanted.seed, origin=wanted.origin)


def repetition(noise: float, number: int) -> list[dict[str, object]]:
    """One line a method, all on the same truth."""
    kind = KINDS[number % len(KINDS)]

    def line(
        method: str, trials: list[Trial], config: SEConfig, claimed: float, low: float, high: float, decided: str = ""
    ) -> dict[str, object]:
        tried = min(truth.loss(trial.config) for trial in trials)
        true, none = truth.loss(config), truth.loss(SEConfig())
        values = (noise, number, kind, method, claimed, low, high, true, tried, none, decided, len(config))
        return dict(zip(COLUMNS, values, strict=True))

    lines = []
    for sampler in ("random", "tpe", "nsga2"):
        truth = Truth(kind, noise, np.random.default_rng((number, 1)))
        trials = search(truth, sampler, TRAININGS, Seeds(number))
        best = best_seen(trials)
        lines.append(line(f"best seen, {sampler}", trials, best.config, best.scores["val_loss"], math.nan, math.nan))
        lines.append(
            line(f"best seen + confirm, {sampler}", trials[:SEARCH], *confirmed(truth, trials[:SEARCH], number + 1))
        )
    truth = Truth(kind, noise, np.random.default_rng((number, 1)))
    trials = senas(truth, number)
    ended = verdict(trials, 1.0, number)
    lowest, loss = ended.certainty.lowest, ended.point(ended.certainty.lowest).loss
    lines.append(line("senas", trials, lowest, loss.mean, loss.low, loss.high))
    for margin in MARGINS:
        ended = verdict(trials, 1.0, number, margin)
        pick = ended.pick("recommended")
        loss = ended.point(pick.trial.config).loss
        decided = "yes" if pick.decided else "no"
        found = (pick.trial.config, loss.mean, loss.low, loss.high, decided)
        lines.append(line(f"recommended, margin {margin:g}", trials, *found))
    return lines


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    first, last = int(sys.argv[1]), int(sys.argv[2])
    levels = [float(level) for level in sys.argv[3:]] or [1.0, 0.5, 0.25]
    path = Path(__file__).with_name("simulated.csv")
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        for number in range(first, last):
            for noise in levels:
                begun = time.monotonic()
                for line in repetition(noise, number):
                    writer.writerow(line)
                file.flush()
                print(f"repetition {number} at noise {noise:g}: {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
