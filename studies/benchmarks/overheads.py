"""What senas takes beside training: help, proposals, the MLflow record, and the loop itself as trials grow many.

    git worktree add /tmp/before COMMIT
    python studies/benchmarks/overheads.py --before /tmp/before

Trainings are made up, and take no time; storage (journal), loop and MLflow (SQLite) are real, each part in a process of
its own, in turn with the same of the other checkout. Writes overheads.json beside this file, and prints its table.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
HELP = (["-c", "pass"], ["-m", "senas", "--help"], ["-m", "senas", "search", "--help"])
PARTS = [
    *(f"ask effects 9 1 {trials}" for trials in (10, 36, 200, 1000)),
    "ask effects 40 1 1000",
    "ask tpe 40 1 1000",
    "ask tpe 40 2 1000",
    *(f"loop {trials}" for trials in (0, 1000, 10_000)),
    "record 1000 3",
    "record 1000 30",
]
"""A proposal and what is told of it, by sampler, sites, objectives, and trials before it; a trial of the loop without
MLflow, and a trial's record in MLflow, by trials before it and the seconds that each is said to have taken."""
ASKED, LOOPED, RECORDED = 6, 4, 40
MINUTES = {"loop 10000"}  # what is measured of this checkout alone
EPOCHS = 5


def made_up(sites: int, objectives: int):
    """A residual network's space in three stages (six blocks or none at each site), and an objective."""
    from senas.core.block import Placement
    from senas.core.objective import Pareto, Penalized
    from senas.core.site import Place, Site
    from senas.core.space import Axes, search_space

    places = (Placement.STANDARD, Placement.PRE, Placement.POST)
    units = [sites // 3 + (stage < sites % 3) for stage in range(3)]
    there = [
        (stage, unit, Place(16 << stage, 32 >> stage, 32 >> stage))
        for stage in range(3)
        for unit in range(units[stage])
    ]
    made = [Site(f"layer{stage + 1}.{unit}", dict.fromkeys(places, place), place) for stage, unit, place in there]
    space = search_space(tuple(made), Axes(reduction=(4, 16), placement=places))
    return space, Pareto(("val_loss", "se_params")) if objectives > 1 else Penalized(0.01, space.largest_params)


def trained(space, trial, objective, rng):
    """The trial, as if it had been trained."""
    from senas.core.trial import Status

    loss = 0.5 - 0.01 * len(trial.config) + 0.005 * float(rng.normal())
    shown = {"val_loss": loss, "val_error": loss / 5, "val_accuracy": 1 - loss / 5, "train_loss": loss}
    scores = {**shown, "se_params": float(trial.config.params(space.sites)), "params": 270_000.0, "macs": 4e7}
    curve = (shown,) * EPOCHS
    done = {"scores": scores, "values": objective.values(scores), "curve": curve, "seconds": 3.0}
    return replace(trial, status=Status.COMPLETE, **done)


def study(folder, sampler, sites, objectives, before):
    """A study of so many random trials, written to its journal at once, and what it is made of."""
    import numpy as np
    import optuna
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import create_trial

    from senas.core.seeds import Seeds
    from senas.core.trial import Status, Trial
    from senas.study import thompson
    from senas.study.optuna import open_proposer
    from senas.study.written import RECORD, STATES, record_of

    space, objective = made_up(sites, objectives)
    known = {"memory": thompson.Memory(space)} if hasattr(thompson, "Memory") else {}
    samplers = {
        "effects": lambda seed: thompson.EffectsSampler(space=space, objective=objective, seed=seed, **known),
        "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=10),
        "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    }
    seeds = Seeds(0, 1 if sampler == "tpe" else 4)
    proposer = open_proposer(
        name="study", storage=folder / "journal.log", space=space, objective=objective, sampler=samplers[sampler],
        pruner=None, seeds=seeds, fingerprint={}, start=[],
    )  # fmt: skip
    rng = np.random.default_rng(0)
    choices = {choice.name: CategoricalDistribution(list(choice.options)) for choice in space.choices}
    trials = []
    for number in range(before):
        config = space.draw(lambda _, options: options[int(rng.integers(len(options)))])
        running = Trial(number=number, status=Status.RUNNING, config=config, seed=seeds.of(number), started=time.time())
        trials.append(trained(space, running, objective, rng))
    proposer.study.add_trials(
        [
            create_trial(
                state=STATES[t.status],
                params=space.encode(t.config),
                distributions=choices,
                values=list(t.values),
                user_attrs={RECORD: record_of(t)},
            )
            for t in trials
        ]
    )
    return space, objective, proposer, trials


def ask(folder, sampler, sites, objectives, before):
    """Milliseconds of each ask and tell; the first of a process reads the study, and learns what later ones know."""
    import numpy as np

    space, objective, proposer, _ = study(folder, sampler, int(sites), int(objectives), int(before))
    taken, rng = [], np.random.default_rng(1)
    for _ in range(ASKED + 1):
        begin = time.perf_counter()
        trial = proposer.ask()
        asked = time.perf_counter()
        done = trained(space, trial, objective, rng)
        begin += time.perf_counter() - asked
        proposer.tell(done)
        taken.append(1000 * (time.perf_counter() - begin))
    return {"first": taken[:1], "wall": taken[1:]}


def loop(folder, before):
    """Milliseconds of each trial of the loop, with a random sampler and no record."""
    import numpy as np

    from senas.app.recording import NoRecord
    from senas.core.standing import Standing
    from senas.core.trial import Result, Status, Trial
    from senas.study.interrupt import Interrupt
    from senas.study.loop import Plan, Search

    space, objective, proposer, _ = study(folder, "random", 9, 1, int(before))
    rng, ends = np.random.default_rng(1), []

    class Instant:
        def costs(self, job):
            return {"se_params": float(job.config.params(space.sites))}

        def measure(self, job):
            return {}

        def evaluate(self, jobs, report, listen=None):
            for job in filter(None, jobs):
                asked = Trial(number=0, status=Status.RUNNING, config=job.config, seed=job.seed)
                done = trained(space, asked, objective, rng)
                of = {"job": job} if "job" in Result.__dataclass_fields__ else {}
                yield Result(status=done.status, scores=done.scores, curve=done.curve, seconds=3.0, **of)

    class Clock:
        def started(self, *_): ...
        def epoch(self, *_): ...
        def finished(self, *_):
            ends.append(time.perf_counter())

    standing = partial(Standing, objective=objective, classes=10, largest_params=space.largest_params)
    plan = Plan(
        trials=int(before) + LOOPED + 1, epochs=EPOCHS, size=space.size, seeds=proposer.seeds, weights=folder,
        objective=objective, standing=lambda trials: standing(trials=trials),
    )  # fmt: skip
    with Interrupt() as interrupt:
        Search(plan, proposer, Instant(), NoRecord(), Clock(), trials=proposer.trials()).run(interrupt)
    return {"wall": [1000 * (b - a) for a, b in pairwise(ends)]}


def record(folder, before, seconds):
    """Milliseconds of wall and of processor time of each trial's record, from its begin to its end."""
    from senas.core.trial import Status
    from senas.record.mlflow import MlflowRecorder

    space, objective, _, trials = study(folder, "random", 9, 1, int(before) + RECORDED)
    recorder = MlflowRecorder.open(
        f"sqlite:///{folder / 'mlflow.db'}", artifacts=folder / "artifacts", experiment="senas", study="study",
        params={}, config_yaml="", versions={}, sites=space.sites, largest_params=space.largest_params, warn=print,
        objective=objective.names,
    )  # fmt: skip
    wall, cpu = [], []
    for trial in [replace(trial, seconds=float(seconds)) for trial in trials]:
        begin, worked = time.perf_counter(), time.process_time()
        recorder.begin(replace(trial, status=Status.RUNNING, scores={}, values=(), curve=()))
        for epoch, scores in enumerate(trial.curve, 1):
            recorder.epoch(trial, epoch, scores)
        recorder.record(trial, (), 1.0)
        wall.append(1000 * (time.perf_counter() - begin))
        cpu.append(1000 * (time.process_time() - worked))
    return {"wall": wall[-RECORDED:], "cpu": cpu[-RECORDED:]}


def in_child(checkout: Path, part: str) -> dict[str, list[float]]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "OMP_NUM_THREADS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, __file__, "--part", part]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def help_seconds(checkout: Path, runs: int) -> dict[str, list[float]]:
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    taken: dict[str, list[float]] = {" ".join(each): [] for each in HELP}
    for _ in range(runs):
        for each in HELP:
            begin = time.perf_counter()
            subprocess.run([sys.executable, *each], env=environment, capture_output=True, check=True)
            taken[" ".join(each)].append(1000 * (time.perf_counter() - begin))
    return taken


def show(part: str, side: str, found: dict[str, list[float]]) -> None:
    words = [
        f"{kind} {statistics.median(each):.1f} ({min(each):.1f} to {max(each):.1f})" for kind, each in found.items()
    ]
    print(f"{part:<28} {side:<7} {'  '.join(words)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="another checkout, measured in turn with this one")
    parser.add_argument("--only", default="", help="parts with this in their names, such as record")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        name, *arguments = options.part.split()
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps({"ask": ask, "loop": loop, "record": record}[name](Path(folder), *arguments)))
        return
    sys.path.insert(0, str(HERE))
    from measured import machine, versions

    sides = {"this": REPOSITORY, **({"before": options.before.resolve()} if options.before else {})}
    result = {"unit": "milliseconds", "machine": machine(), "versions": versions(), "parts": {}}
    parts = result["parts"]
    for name, checkout in sides.items():
        for what, taken in help_seconds(checkout, 5).items():
            parts.setdefault(f"python {what}", {})[name] = {"wall": taken}
            show(f"python {what}", name, {"wall": taken})
    for part in PARTS:
        for name, checkout in sides.items():
            if (part not in MINUTES or name == "this") and options.only in part:
                parts.setdefault(part, {})[name] = in_child(checkout, part)
                show(part, name, parts[part][name])
    (HERE / "overheads.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
