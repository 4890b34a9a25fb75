"""Trials per hour of `senas search` and of the script that one would write without it (plain.py), in turn.

    python studies/benchmarks/trials_per_hour.py               # two CPU cores, a few hours
    python studies/benchmarks/trials_per_hour.py --precision 32-true bf16-mixed    # each side with either
    python studies/benchmarks/trials_per_hour.py --gpu         # one GPU, bf16-mixed
    python studies/benchmarks/trials_per_hour.py --short --out /tmp/short    # minutes: does it run?
    python studies/benchmarks/trials_per_hour.py --figure      # draws the figure from the file anew

Both search the same space of ResNet-20 on the same images of Fashion-MNIST, with TPE, the same recipe and the same
number of trials; both are processes of their own, from their start to their end. Then both train one configuration with
several seeds, and the accuracies on the test images are compared. Rounds that the file has already are not run again.
"""

import argparse
import json
import signal
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from measured import SENAS, begin_session, cost, environment, plain, sessions, told_sessions
from scipy.stats import t

from senas.training.datasets import fashion_mnist
from senas.training.split import by_count

HERE = Path(__file__).parent
WHO = ("plain", "senas")
COLOURS = {"plain": "#8c959f", "senas": "#1f6feb"}
PLAIN = plain("plain.py")
SPLIT_SEED = 0


def main(args: argparse.Namespace) -> None:
    file = Path(f"{args.out}.json")
    if args.figure:
        draw(json.loads(file.read_text()), file.with_suffix(".png"))
        return
    setting = {
        key: getattr(args, key)
        for key in ("train", "val", "epochs", "batch", "trials", "accelerator", "threads", "config")
    } | {"senas": args.senas}
    sides = [Side(who, precision) for precision in args.precision for who in WHO]
    found = json.loads(file.read_text()) if file.exists() else {"setting": setting, "rounds": [], "accuracy": {}}
    if found["setting"] != setting:
        raise SystemExit(f"{file} is of another setting: {found['setting']}; give another --out, or remove it")
    session = begin_session(found)

    def keep() -> None:
        found["summary"] = summary(found)
        file.write_text(json.dumps(found, indent=1) + "\n")

    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(args, Path(scratch))
        if "workers" not in found:
            found["workers"] = bench.workers()
            keep()
        workers = min(found["workers"], key=lambda each: found["workers"][each])
        for number in range(args.rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                if not any(row["round"] == number and row["side"] == side.name for row in found["rounds"]):
                    spent = bench.search(side, number, workers)
                    row = {"round": number, "side": side.name, "session": session, "trials": args.trials}
                    found["rounds"].append({**row, **asdict(spent)})
                    seconds = f"{spent.wall_seconds:.0f} s, {spent.cpu_seconds:.0f} s of processors"
                    print(f"round {number}, {side.name}: {seconds}", flush=True)
                    keep()
        for side in sides:
            if args.seeds and len(found["accuracy"].get(side.name, ())) != args.seeds:
                found["accuracy"][side.name] = bench.accuracies(side, workers)
                found["sessions"][session].setdefault("accuracy", []).append(side.name)
                keep()
    for line in told(found):
        print(line)
    draw(found, file.with_suffix(".png"))


class Side(NamedTuple):
    """Whose search, and with which precision."""

    who: str
    precision: str

    @property
    def name(self) -> str:
        return f"{self.who}, {self.precision}"


class Bench:
    """Both sides on the same images, each command in a folder of its own."""

    def __init__(self, args: argparse.Namespace, scratch: Path) -> None:
        self.args, self.scratch = args, scratch
        self.root = str(Path(args.root).absolute())
        self.environment = environment(args.threads)
        self.split = scratch / "split.npz"
        np.savez(self.split, **split(self.root, args.train, args.val))

    def workers(self) -> dict[str, float]:
        """Seconds that the plain script trains one configuration for, by the number of its DataLoaders' processes."""
        return {str(count): self._probe(count) for count in self.args.workers}

    def search(self, side: Side, number: int, workers: str):
        folder, precision = self._folder(f"{side.name}{number}"), side.precision
        ours = (f"--trials={self.args.trials}", f"--seed={number}")
        words = {
            "plain": (*PLAIN, "search", *self._plain(workers, precision), *ours),
            "senas": (
                *(*SENAS, "search", *self._senas(precision)),
                *("sampler=tpe", "backbone=resnet20", "study.name=benchmark"),
                *(f"study.trials={self.args.trials}", "study.confirm=0", f"study.seed={number}", *self.args.senas),
            ),
        }
        return cost(words[side.who], folder, self.environment)

    def accuracies(self, side: Side, workers: str) -> list[float]:
        """Per cent of the test images, a number a seed."""
        folder, first, seeds = self._folder(f"accuracy {side.name}"), 100, self.args.seeds
        if side.who == "plain":
            words = ("train", f"--config={self.args.config}", f"--first-seed={first}", f"--seeds={seeds}")
            cost((*PLAIN, *words, *self._plain(workers, side.precision)), folder, self.environment)
            lines = [line for line in (folder / "output.txt").read_text().splitlines() if line.startswith("{")]
            return [100 * json.loads(line)["test_accuracy"] for line in lines]
        words = (f"se={self.args.config}", "against=[]", "name=benchmark", f"first_seed={first}", f"seeds={seeds}")
        words += ("trainer=default", "backbone=resnet20", "tracking=none")
        cost((*SENAS, "train", *self._senas(side.precision), *words), folder, self.environment)
        lines = (folder / "runs" / "benchmark" / "results.jsonl").read_text().splitlines()[1:]
        return [100 * json.loads(line)["scores"]["test_accuracy"] for line in lines]

    def _probe(self, workers: int) -> float:
        folder = self._folder(f"workers{workers}")
        once = ("train", *self._plain(str(workers), self.args.precision[0]), "--seeds=1", "--epochs=1")
        cost((*PLAIN, *once), folder, self.environment)
        (line,) = [line for line in (folder / "output.txt").read_text().splitlines() if line.startswith("{")]
        return float(json.loads(line)["seconds"])

    def _plain(self, workers: str, precision: str) -> tuple[str, ...]:
        named = {key: getattr(self.args, key) for key in ("epochs", "batch", "accelerator")} | {"precision": precision}
        paths = (f"--root={self.root}", f"--split={self.split}", f"--workers={workers}")
        return (*paths, *(f"--{key}={value}" for key, value in named.items()))

    def _senas(self, precision: str) -> tuple[str, ...]:
        args = self.args
        return (
            *("data=fashion_mnist", f"data.root={self.root}", f"data.train={args.train}", f"data.val={args.val}"),
            *(f"trainer.epochs={args.epochs}", f"trainer.batch_size={args.batch}", "progress=false"),
            *(f"trainer.accelerator={args.accelerator}", f"trainer.precision={precision}"),
            *([f"trainer.threads={args.threads}"] if args.threads else []),
        )

    def _folder(self, name: str) -> Path:
        folder = self.scratch / name
        folder.mkdir()
        return folder


def split(root: str, train: int, val: int) -> dict[str, np.ndarray]:
    """Places, among the 60,000 images, of those that senas trains with and validates on."""
    from plain import unpacked
    from torchvision.datasets import FashionMNIST

    known = FashionMNIST(root, download=not unpacked(Path(root)))
    in_val, rest = by_count(known.targets.numpy(), val, SPLIT_SEED, "data.val")
    order = torch.randperm(len(rest), generator=torch.Generator().manual_seed(SPLIT_SEED)).numpy()
    places = {"train": rest[order][:train], "val": in_val}
    theirs = fashion_mnist(root=root, download=False, train=train, val=val, split_seed=SPLIT_SEED, batch_size=1)
    for part in ("train", "val"):
        labels = getattr(theirs, part).labels
        if not torch.equal(known.targets[torch.from_numpy(places[part])], labels):
            raise SystemExit(f"senas splits otherwise by now: these are not its {part} images")
    return places


def summary(found: dict) -> dict[str, object]:
    """Of each side medians with their range over the rounds; of each pair of them how many times as many trials."""
    made: dict[str, object] = {"sides": {}, "pairs": []}
    for side in dict.fromkeys(row["side"] for row in found["rounds"]):
        rows = [row for row in found["rounds"] if row["side"] == side]
        made["sides"][side] = {
            "trials_per_hour": middle([3600 * row["trials"] / row["wall_seconds"] for row in rows]),
            "trials_per_cpu_hour": middle([3600 * row["trials"] / row["cpu_seconds"] for row in rows]),
            "peak_mib": middle([row["peak_mib"] for row in rows]),
            "gpu_mib": middle([row["gpu_mib"] or 0.0 for row in rows]),
        }
    known = list(dict.fromkeys([*made["sides"], *found["accuracy"]]))
    plain, senas = ([side for side in known if side.startswith(who)] for who in WHO)
    for first, second in ((first, second) for first in plain for second in senas):
        pair: dict[str, object] = {"plain": first, "senas": second}
        for key in ("trials_per_hour", "trials_per_cpu_hour"):
            if sides := made["sides"]:
                pair[f"times_as_many_{key}"] = sides[second][key]["median"] / sides[first][key]["median"]
        if all(len(found["accuracy"].get(side, ())) > 1 for side in (first, second)):
            pair["accuracy"] = difference(*(np.array(found["accuracy"][side]) for side in (first, second)))
        made["pairs"].append(pair)
    return made


def middle(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values), "n": len(values)}


def difference(plain: np.ndarray, senas: np.ndarray) -> dict[str, float]:
    """Senas minus plain, in percentage points, with Welch's 95 % interval: their seeds draw nothing in common."""
    variances = [values.var(ddof=1) / len(values) for values in (plain, senas)]
    error = sum(variances) ** 0.5
    freedom = error**4 / sum(v**2 / (len(plain) - 1) for v in variances) if error else 1.0
    mean, half = senas.mean() - plain.mean(), float(t.ppf(0.975, freedom)) * error
    return {
        **{"plain": plain.mean(), "senas": senas.mean(), "plain_sd": plain.std(ddof=1), "senas_sd": senas.std(ddof=1)},
        **{"difference": mean, "low": mean - half, "high": mean + half, "seeds": len(plain)},
    }


def told(found: dict) -> list[str]:
    sides = found["summary"]["sides"]
    lines = told_sessions(found, found["rounds"])
    lines += ["", f"| | {' | '.join(sides)} |", f"| --- |{' ---: |' * len(sides)}"] if sides else []
    for key in ("trials_per_hour", "trials_per_cpu_hour", "peak_mib", "gpu_mib") if sides else ():
        cells = ["{median:.1f} ({lowest:.1f} to {highest:.1f})".format(**made[key]) for made in sides.values()]
        lines.append(f"| {key.replace('_', ' ')} | {' | '.join(cells)} |")
    for pair in found["summary"]["pairs"]:
        if "times_as_many_trials_per_hour" in pair:
            lines.append(
                "{senas} beside {plain}: {times_as_many_trials_per_hour:.2f} times as many trials per hour, "
                "{times_as_many_trials_per_cpu_hour:.2f} times as many per hour of processors".format(**pair)
            )
        if "accuracy" in pair:
            lines.append(
                "{senas_side} beside {plain_side}, test accuracy: {senas:.2f} % (sd {senas_sd:.2f}) and "
                "{plain:.2f} % (sd {plain_sd:.2f}), difference {difference:+.2f} points ({low:+.2f} to {high:+.2f}), "
                "{seeds} seeds".format(**pair["accuracy"], plain_side=pair["plain"], senas_side=pair["senas"])
            )
    return lines


def draw(found: dict, path: Path) -> None:
    made = found["summary"]["sides"]
    keys = ("trials_per_hour", "peak_mib") if made else ()
    compared = any(found["accuracy"].values())
    figure, (panels,) = plt.subplots(
        1, len(keys) + compared, figsize=(1 + 3 * (len(keys) + compared), 3.2), layout="constrained", squeeze=False
    )
    names = {side: side.replace(", ", "\n") for side in made or found["accuracy"]}
    for panel, key in zip(panels, keys, strict=False):
        for place, (side, each) in enumerate(made.items()):
            panel.bar(place, each[key]["median"], 0.6, color=COLOURS[side.partition(",")[0]])
            panel.plot([place, place], [each[key]["lowest"], each[key]["highest"]], color="black", linewidth=1)
        panel.set_ylabel({"trials_per_hour": "trials per hour", "peak_mib": "peak memory, MiB"}[key])
    if compared:
        for place, side in enumerate(names):
            accuracies = found["accuracy"].get(side, [])
            colour = COLOURS[side.partition(",")[0]]
            panels[-1].plot([place] * len(accuracies), accuracies, "o", alpha=0.4, color=colour)
        panels[-1].set_xlim(-0.5, len(names) - 0.5)
        panels[-1].set_ylabel(f"test accuracy of {found['setting']['config']}, %")
    for panel in panels:
        panel.set_xticks(range(len(names)), list(names.values()), fontsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    machine = sessions(found)[0]["machine"]
    where = machine["gpu"] if found["setting"]["accelerator"] == "gpu" else None
    figure.suptitle(f"{where or machine['cpu']}, {machine['cores']} cores", fontsize=9)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", action="store_true", help="accelerator gpu, bf16-mixed, all images")
    parser.add_argument("--short", action="store_true", help="few images, trials and seeds: whether it runs")
    parser.add_argument("--figure", action="store_true", help="only draw, from the file")
    parser.add_argument("--out", help="of the .json and the .png, without either; default: beside this script")
    parser.add_argument("--root", default="data", help="of the images; Debian's are found too")
    parser.add_argument("--trials", type=int, help="of each search")
    parser.add_argument("--rounds", type=int, help="searches of each side, in turn")
    parser.add_argument("--seeds", type=int, help="of the comparison of accuracies; 0: none")
    parser.add_argument("--config", choices=["none", "all16"], default="all16", help="whose accuracies are compared")
    parser.add_argument("--train", type=int, help="images")
    parser.add_argument("--val", type=int, help="images")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--precision", nargs="+", help="of both, as Lightning has it; several: each side with each")
    parser.add_argument("--threads", type=int, help="of torch, on both sides; default: as each chooses")
    parser.add_argument("--workers", type=int, nargs="+", help="of plain.py's DataLoaders: the fastest is taken")
    parser.add_argument("senas", nargs="*", help="more words for senas search, such as evaluator=fused")
    given = parser.parse_args()
    sizes = {"trials": 12, "rounds": 3, "seeds": 20, "train": 10_000, "val": 5_000, "epochs": 3, "workers": [0, 2]}
    if given.gpu:
        sizes |= {"trials": 20, "train": 50_000, "val": 10_000, "workers": [2, 4, 8]}
    if given.short:
        sizes |= {"trials": 3, "rounds": 1, "seeds": 2, "train": 2_000, "val": 1_000, "epochs": 1}
    for name, size in sizes.items():
        if getattr(given, name) is None:
            setattr(given, name, size)
    given.accelerator = "gpu" if given.gpu else "cpu"
    given.precision = given.precision or ["bf16-mixed" if given.gpu else "32-true"]
    given.out = given.out or str(HERE / f"trials_per_hour{'_gpu' if given.gpu else ''}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the command that runs ends too
    main(given)
