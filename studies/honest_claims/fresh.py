"""Is what studies claim true? Their picks, no SE and SE everywhere at r = 16 with twelve seeds that they did not use.

A line for each training is appended to fresh.csv beside this file, with what the study claimed, and what it comes to is
printed.

    python studies/honest_claims/fresh.py STUDY ...   # where runs/STUDY lie
    python studies/honest_claims/fresh.py             # only prints what fresh.csv comes to
"""

import csv
import sys
from pathlib import Path

from senas.app.wiring import set_up_again
from senas.core.certainty import Estimate
from senas.core.interval import Interval, interval
from senas.core.trial import Job
from senas.study.optuna import read_trials

SEEDS = range(100, 112)
FILE = Path(__file__).with_name("fresh.csv")
COLUMNS = (
    *("study", "name", "decided", "configuration", "claimed", "low", "high"),
    *("from_none", "from_none_low", "from_none_high", "seed", "val_loss"),
)


def measure(study: str) -> None:
    setup = set_up_again("runs", study)
    verdict = setup.verdict(read_trials(study, setup.storage, setup.space))
    pick = verdict.pick("recommended")
    new = not FILE.exists()
    with FILE.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(COLUMNS)
        for seed in SEEDS:
            baselines = {name: config for name, config in setup.baselines.items() if config in setup.space}
            for name, config in {**baselines, "pick": pick.trial.config}.items():
                loss, apart = verdict.point(config).loss, verdict.point(config).from_none
                claimed = (
                    loss.mean,
                    loss.low,
                    loss.high,
                    *((apart.mean, apart.low, apart.high) if apart else [""] * 3),
                )
                job = Job(config, seed, setup.config.trainer.epochs)
                (result,) = setup.evaluator.evaluate([job], lambda job, epoch, scores: False)
                decided = "yes" if pick.decided else "no"
                writer.writerow((study, name, decided, config, *claimed, seed, result.scores["val_loss"]))
                file.flush()


def table() -> None:
    rows = list(csv.DictReader(FILE.open()))
    print("| study | | configuration | claimed, minus no SE (90 %) | fresh seeds, minus no SE (95 %) |")
    print("| --- | --- | --- | ---: | ---: |")
    for study in dict.fromkeys(row["study"] for row in rows):
        some = [row for row in rows if row["study"] == study]
        losses = {
            name: {row["seed"]: float(row["val_loss"]) for row in some if row["name"] == name}
            for name in dict.fromkeys(row["name"] for row in some)
        }
        for name, by_seed in losses.items():
            row = next(row for row in some if row["name"] == name)
            called = ("recommended" if row["decided"] == "yes" else "leads, undecided") if name == "pick" else name
            if name == "none":
                claimed, fresh = spoken(row, ""), told(interval(list(by_seed.values())), "")
            else:
                claimed = spoken(row, "from_none")
                fresh = told(interval([loss - losses["none"][seed] for seed, loss in by_seed.items()]), "+")
            print(f"| {study} | {called} | {row['configuration']} | {claimed} | {fresh} |")


def spoken(row: dict[str, str], key: str) -> str:
    """What was claimed: the loss itself, or its difference from no SE."""
    names = (key, f"{key}_low", f"{key}_high") if key else ("claimed", "low", "high")
    mean, low, high = (float(row[name]) for name in names)
    return told(Estimate(mean, low, high), "+" if key else "")


def told(value: Estimate | Interval, sign: str) -> str:
    return f"{value.mean:{sign}.4f} ({value.low:{sign}.4f} to {value.high:{sign}.4f})"


def main() -> None:
    for study in sys.argv[1:]:
        measure(study)
    table()


if __name__ == "__main__":
    main()
