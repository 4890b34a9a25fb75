"""Machine time to a front that holds on fresh seeds: `senas search` and the script one would write without it, in turn.

    python studies/benchmarks/time_to_front.py
    python studies/benchmarks/time_to_front.py --short --out /tmp/short    # minutes: does it run?
    python studies/benchmarks/time_to_front.py --figure                    # tables and figure anew, from the file

ResNet-8, default space and recipe, validation loss and SE parameters. plain_front.py runs once a study, and what it
claims after n trials is the front of its n trainings; senas runs once for each number of trials, with the replicates
that it makes by default, and claims what front.csv holds but for a pick that others there beat. Each configuration that
either ever claimed is trained with seeds that neither used. What the file has already is not run again: a run that was
broken off goes on, `--studies 8` adds to five, and `--figure` reads the studies that are whole.
"""

import argparse
import csv
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import optuna
from front_told import draw, summary, told
from fronts import Point, claim_of
from measured import SENAS, Cost, begin_session, cost, environment, plain

from senas.app.bench import bench, space_on
from senas.app.calls import called
from senas.core.config import SEConfig
from senas.core.trial import Job
from senas.study.optuna import read_trials
from senas.training.side_by_side import side_by_side

HERE = Path(__file__).parent
CHECKPOINTS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384)
"""Trials after which the plain script's claim is read."""
APART = 100
"""Between the seeds of two studies: both take theirs from the first on."""
FRESH = 1_000_000
"""The first seed of the trainings that judge."""
TRIED, TURNS = 4, 2
"""Trials of the plain script with each number of threads, in each of so many turns, to find the fastest."""


def main(args: argparse.Namespace) -> None:
    file = Path(f"{args.out}.json")
    found = json.loads(file.read_text()) if args.figure else measured(args, file)
    found["summary"] = summary(found)
    keep(found, file)
    print("\n".join(told(found)))
    draw(found, file.with_suffix(".png"))


def measured(args: argparse.Namespace, file: Path) -> dict:
    setting = {key: getattr(args, key) for key in ("data", "epochs", "sampler", "trials", "budgets", "senas")}
    found = json.loads(file.read_text()) if file.exists() else {"setting": setting, "runs": [], "fresh": {}}
    if found["setting"] != setting:
        raise SystemExit(f"{file} is of another setting: {found['setting']}; give another --out, or remove it")
    session = begin_session(found)
    with tempfile.TemporaryDirectory() as scratch:
        sides = Sides(args, Path(scratch))
        found |= {"largest": sides.space.largest_params, "seeds_that_judge": [FRESH, FRESH + args.fresh - 1]}
        if "threads" not in found:
            found["probed"] = sides.probe(args.threads)
            found["threads"] = {count: statistics.median(seconds) for count, seconds in found["probed"].items()}
            print("plain_front.py, seconds of a training by threads:", found["threads"], flush=True)
        threads = int(min(found["threads"], key=lambda each: found["threads"][each]))
        for study in range(args.studies):
            runs = [("plain", args.trials), *(("senas", trials) for trials in args.budgets)]
            for side, trials in runs if study % 2 == 0 else reversed(runs):
                if not any((r["side"], r["study"], r["trials"]) == (side, study, trials) for r in found["runs"]):
                    found["runs"].append({**sides.run(side, study, trials, threads), "session": session})
                    keep(found, file)
            for config, losses in sides.fresh(claimed(found["runs"]), found["fresh"], args.fresh):
                added = len(losses) - len(found["fresh"].get(config, []))
                found["sessions"][session].setdefault("fresh", {})[config] = added
                found["fresh"][config] = losses
                keep(found, file)
    return found


def keep(found: dict, file: Path) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(found, indent=1) + "\n")
    partial.replace(file)


def claimed(runs: list[dict]) -> list[str]:
    """Every configuration of a claim of either side, and no SE, which all are measured against."""
    there = ["none", *(point[0] for run in runs for claim in run["claims"] for point in claim["points"])]
    return list(dict.fromkeys(there))


class Sides:
    """Both sides on the same images, each command in a folder of its own, and what judges them."""

    def __init__(self, args: argparse.Namespace, scratch: Path) -> None:
        self.args, self.scratch = args, scratch
        self.words = (f"data={args.data}", "backbone=resnet8", f"trainer.epochs={args.epochs}", "objective=pareto")
        config = called("search", self.words, {})
        parts = bench(config.backbone, config.data, config.trainer)
        self.evaluator, self.space = parts.evaluator, space_on(parts.traced.sites, config.space)
        self.sites, data = parts.traced.sites, parts.data
        self.images = scratch / "images.npz"
        arrays = {"train": data.train, "val": data.val}
        np.savez(
            self.images,
            **{f"{name}_{what}": getattr(part, what).numpy() for name, part in arrays.items() for what in FIELDS},
        )

    def probe(self, threads: Sequence[int]) -> dict[str, list[float]]:
        """Seconds of a few trainings by the plain script with each number of threads, in turn.

        Not of the command: it takes longer to start than they differ by in so few.
        """
        seconds: dict[str, list[float]] = {str(count): [] for count in threads}
        for turn in range(TURNS):
            for count in threads if turn % 2 == 0 else reversed(threads):
                folder = self._folder(f"threads{count}_{turn}")
                self._plain(folder, 0, TRIED, count)
                spent = [trial.datetime_complete - trial.datetime_start for trial in _trained(folder)]
                seconds[str(count)] += [each.total_seconds() for each in spent]
        return seconds

    def run(self, side: str, study: int, trials: int, threads: int) -> dict:
        """One command, from its start to its end, and what it claimed when."""
        folder, seed = self._folder(f"{side}{study}_{trials}"), study * APART
        if side == "plain":
            spent, began = self._plain(folder, seed, trials, threads)
            ends, claims = self._front_of_trainings(folder, began)
        else:
            words = (*self.words, "study.name=front", f"study.trials={trials}", f"study.seed={seed}", "progress=false")
            began = time.time()
            spent = cost((*SENAS, "search", *words, *self.args.senas), folder, environment(None))
            trained = read_trials("front", folder / "runs" / "front" / "journal.log", self.space)
            ends = [trial.started + trial.seconds - began for trial in trained if trial.repeats is None]
            points = front_csv(folder / "runs" / "front" / "front.csv")
            claims = [{"trials": trials, "seconds": spent.wall_seconds, "points": points}]
        print(f"study {study}, {side}: {trials} trials, {len(ends)} trainings, ", end="")
        print(f"{spent.wall_seconds:.0f} s, {spent.cpu_seconds:.0f} s of processors", flush=True)
        named = {"side": side, "study": study, "seed": seed, "trials": trials, "trainings": len(ends)}
        return {**named, **asdict(spent), "ends": [round(end, 2) for end in ends], "claims": claims}

    def fresh(self, configs: list[str], known: dict[str, list[float]], seeds: int) -> Iterator[tuple[str, list[float]]]:
        """Losses of configurations with fresh seeds, known ones first; two trainings beside each other on two cores."""
        lacking = {config: range(len(known.get(config, [])), seeds) for config in configs}
        jobs = [Job(SEConfig.parse(c), FRESH + n, self.args.epochs) for c, places in lacking.items() for n in places]
        print(f"{len(configs)} configurations were claimed; {len(jobs)} more trainings with fresh seeds", flush=True)
        cores = len(os.sched_getaffinity(0))
        results = side_by_side(self.evaluator, cores, len(jobs)).evaluate(jobs, lambda job, epoch, scores: False)
        for config, places in lacking.items():
            losses = [next(results).scores["val_loss"] for _ in places]
            if losses:
                yield config, [*known.get(config, []), *losses]

    def _plain(self, folder: Path, seed: int, trials: int, threads: int) -> tuple[Cost, float]:
        words = (f"--images={self.images}", f"--epochs={self.args.epochs}", f"--sampler={self.args.sampler}")
        began = time.time()
        command = (*plain("plain_front.py"), *words, f"--seed={seed}", f"--trials={trials}")
        return cost(command, folder, environment(threads)), began

    def _front_of_trainings(self, folder: Path, began: float) -> tuple[list[float], list[dict]]:
        """When each training ended, and the front after some of them."""
        trials = _trained(folder)
        ends, points, claims = [], [], []
        for number, trial in enumerate(trials, 1):
            options = trial.params
            config = self.space.draw(lambda name, _, options=options: options[name])
            if config.params(self.sites) != trial.values[1]:
                raise SystemExit(f"{config}: {trial.values[1]} SE parameters by plain_front.py, another network")
            ends.append(trial.datetime_complete.timestamp() - began)
            points.append(Point(str(config), *trial.values))
            if number in CHECKPOINTS or number == len(trials):
                front = [[point.config, point.claimed, point.params] for point in claim_of(points)]
                claims.append({"trials": number, "seconds": ends[-1], "points": front})
        return ends, claims

    def _folder(self, name: str) -> Path:
        folder = self.scratch / name
        folder.mkdir()
        return folder


FIELDS = ("images", "labels")


def _trained(folder: Path) -> list[optuna.trial.FrozenTrial]:
    """The trials of plain_front.py there."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.load_study(study_name="plain", storage=f"sqlite:///{folder / 'study.db'}").trials


def front_csv(file: Path) -> list[list]:
    """Its rows: configuration, expected loss, SE parameters."""
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    return [[row["blocks"], float(row["expected_val_loss"]), float(row["se_params"])] for row in rows]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="two studies, few trials and seeds: whether it runs")
    parser.add_argument("--figure", action="store_true", help="only tables and figure, from the file")
    parser.add_argument("--out", help="of the .json and the .png, without either; default: beside this script")
    parser.add_argument("--data", choices=["digits", "cued_digits"], default="digits")
    parser.add_argument("--studies", type=int, help="of each side, with seeds of their own")
    parser.add_argument("--trials", type=int, help="of each study by plain_front.py")
    parser.add_argument("--budgets", type=int, nargs="+", help="trials of each study by senas, a command for each")
    parser.add_argument("--fresh", type=int, help="seeds that judge")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--sampler", default="tpe", help="of plain_front.py: tpe, nsga2, random")
    parser.add_argument("--threads", type=int, nargs="+", help="of plain_front.py: the fastest is taken")
    parser.add_argument("senas", nargs="*", help="more words for senas search, such as study.confirm=0")
    given = parser.parse_args()
    sizes = {"studies": 5, "trials": 96, "budgets": [6, 12, 24, 48], "fresh": 8, "threads": [1, 2]}
    if given.short:
        sizes |= {"studies": 2, "trials": 12, "budgets": [4, 8], "fresh": 2, "threads": [1]}
    for name, size in sizes.items():
        if getattr(given, name) is None:
            setattr(given, name, size)
    if not given.out:
        given.out = str(HERE / f"time_to_front{'' if given.data == 'digits' else f'_{given.data}'}")
    if given.fresh < 2:
        parser.error(f"--fresh must be at least 2, got {given.fresh}: half of them values what the rest chose")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the command that runs ends too
    main(given)
