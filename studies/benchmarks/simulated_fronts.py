"""Trainings to a front that holds, where the truth is known: fronts of single trainings, and senas's.

    python studies/benchmarks/simulated_fronts.py 0 32              # truths 0 to 31, appended to simulated_fronts.csv
    python studies/benchmarks/simulated_fronts.py                   # only the table
    python studies/benchmarks/simulated_fronts.py 0 32 --noise 1    # four times the noise

Truths, space and noise are those of studies/honest_claims/simulator.py; noise 0.25 is much as digits have it: as large
within a configuration as between them. Areas as in fronts.py, in nats x share of the largest SE parameters. senas: so
many trials by `effects`, and half as many replicates, as `senas search` makes them. Some ten seconds a truth.
"""

import argparse
import csv
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
from fronts import Point, Truth, claim_of, equals

from senas.core.config import SEConfig, baselines
from senas.core.confirm import EFFORT, Confirmation
from senas.core.objective import Pareto
from senas.core.seeds import Seeds
from senas.core.standing import Standing
from senas.core.trial import Status, Trial
from senas.core.verdict import Verdict
from senas.study.optuna import OptunaProposer
from senas.study.thompson import EffectsSampler

sys.path.append(str(Path(__file__).parents[1] / "honest_claims"))
import simulator
from simulator import SPACE

FILE = Path(__file__).with_suffix(".csv")
OBJECTIVE = Pareto(("val_loss", "se_params"))
BASELINES = baselines(SPACE.sites)
PLAIN = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=10),
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=20),
}
CHECKPOINTS = (9, 18, 36, 72, 144, 288)
BUDGETS = (6, 12, 24, 48)
"""Trials of senas: 9, 18, 36 and 72 trainings with their replicates."""
VALUES = ("hypervolume", "followed")
COLUMNS = ("noise", "truth", "kind", "method", "trainings", *VALUES)


def asked(truth: simulator.Truth, sampler, seeds: Seeds, trials: int) -> list[Trial]:
    """The trials of a search, as senas runs it, beginning with the baselines."""
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=0))
    proposer = OptunaProposer(
        study=study, space=SPACE, objective=OBJECTIVE, sampler=sampler, pruner=None, seeds=seeds,
        start=list(BASELINES.values()),
    )  # fmt: skip
    done: list[Trial] = []
    while len(done) < trials:
        done.append(trained(truth, proposer.ask()))
        proposer.tell(done[-1])
    return done


def trained(truth: simulator.Truth, trial: Trial) -> Trial:
    scores = {"val_loss": truth.train(trial.config, trial.seed), "se_params": float(trial.config.params(SPACE.sites))}
    return replace(trial, status=Status.COMPLETE, scores=scores, values=OBJECTIVE.values(scores))


def verdict(trials: list[Trial], effort: float, seed: int) -> Verdict:
    standing = Standing(
        trials=trials, objective=OBJECTIVE, classes=10, largest_params=SPACE.largest_params, margin=0.01
    )
    return Verdict(standing, SPACE, BASELINES, seed, effort)


def senas(truth: simulator.Truth, trials: int, seed: int) -> list[Point]:
    """What it claims after so many trials, and replicates where they count."""
    seeds = Seeds(seed, 4)
    done = asked(truth, lambda s: EffectsSampler(space=SPACE, objective=OBJECTIVE, seed=s), seeds, trials)
    confirmation = Confirmation(trials // 2, seeds)
    while (wanted := confirmation.next(verdict(done, EFFORT, seed))) is not None:
        asked_for = Trial(
            number=len(done), status=Status.RUNNING, config=wanted.config, seed=wanted.seed, origin=wanted.origin
        )
        done.append(trained(truth, asked_for))
    ended = verdict(done, 1.0, seed).front
    return [Point(str(point.config), point.loss.mean, float(point.config.params(SPACE.sites))) for point in ended]


def of_trainings(trials: list[Trial]) -> list[Point]:
    return claim_of([Point(str(t.config), t.scores["val_loss"], t.scores["se_params"]) for t in trials])


def rows(noise: float, number: int) -> list[tuple[object, ...]]:
    """Every method on one truth."""
    kind, claims = simulator.KINDS[number % len(simulator.KINDS)], {}

    def truth() -> simulator.Truth:  # anew for each method: what was drawn for one changes nothing for the next
        return simulator.Truth(kind, noise, np.random.default_rng((number, 1)))

    for name, sampler in PLAIN.items():
        trials = asked(truth(), sampler, Seeds(number), CHECKPOINTS[-1])
        claims |= {(name, count): of_trainings(trials[:count]) for count in CHECKPOINTS}
    claims |= {("senas", trials + trials // 2): senas(truth(), trials, number) for trials in BUDGETS}
    known, configs = truth(), {"none": SEConfig()}
    configs |= {point.config: SEConfig.parse(point.config) for claim in claims.values() for point in claim}
    loss = {name: known.loss(config) for name, config in configs.items()}
    params = {name: float(config.params(SPACE.sites)) for name, config in configs.items()}
    true = Truth(loss, params, SPACE.largest_params, "none")
    made = []
    for (method, count), claim in claims.items():
        areas = true.area([point.config for point in claim]), true.followed(claim)
        made.append((noise, number, kind, method, count, *(area / SPACE.largest_params for area in areas)))
    return made


def table(noise: float) -> None:
    with FILE.open(newline="") as file:
        read = [row for row in csv.DictReader(file) if float(row["noise"]) == noise]
    truths = sorted({int(row["truth"]) for row in read})
    print(f"noise {noise:g}, {len(truths)} truths; nats, and trainings to them (times those of senas, 90 % interval)")
    counts = {"plain": list(CHECKPOINTS), "senas": [trials + trials // 2 for trials in BUDGETS]}
    by = {(row["method"], int(row["trainings"]), int(row["truth"])): row for row in read}
    for value in VALUES:
        print(f"\n| {value} as | nats | senas | {' | '.join(PLAIN)} |\n| --- | {' | '.join(['---:'] * 5)} |")
        lines: dict[str, list[str]] = {}
        for method in PLAIN:
            areas = {
                side: np.array([[float(by[name, n, truth][value]) for n in counts[side]] for truth in truths])
                for side, name in (("plain", method), ("senas", "senas"))
            }
            trainings = {side: np.tile(np.array(each, float), (len(truths), 1)) for side, each in counts.items()}
            for each in equals(trainings, areas, [areas] * 500, counts, paired=True):
                name = f"{method if each.side == 'plain' else 'senas'}, {each.trials} trainings"
                told = f"{each.plain:.0f} ({each.ratio:.1f}, {each.low:.1f} to {each.high:.1f})"
                cells = lines.setdefault(name, [name, f"{each.level:.4f}", f"{each.senas:.0f}", *[""] * len(PLAIN)])
                cells[3 + list(PLAIN).index(method)] = told
        print("\n".join(f"| {' | '.join(cells)} |" for cells in lines.values()))


def main(args: argparse.Namespace) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    new = not FILE.exists()
    for number in range(*args.truths):
        made = rows(args.noise, number)
        with FILE.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *made] if new else made)
        new = False
    table(args.noise)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("truths", type=int, nargs="*", default=(0, 0), help="the first, and the one after the last")
    parser.add_argument("--noise", type=float, default=0.25, help="of the simulator: 1 is as on Fashion-MNIST")
    main(parser.parse_args())
