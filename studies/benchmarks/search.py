"""A default `senas search` in this checkout against the same one in another: wall time, processor time and memory.

    git worktree add ../before COMMIT
    python studies/benchmarks/search.py --before ../before
    python studies/benchmarks/search.py --figure              # draws the figure anew

Both run in turn, in empty folders, with the same arguments, in the environment of this Python. Writes search.json and
search.png beside this file.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from measured import cost, machine, versions

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
Runs = dict[str, list[dict[str, Any]]]


def once(checkout: Path, arguments: list[str]) -> dict[str, Any]:
    """One search. Raises RuntimeError where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "MLFLOW_DISABLE_TELEMETRY": "true"}
    with tempfile.TemporaryDirectory() as folder:
        spent = cost([sys.executable, "-m", "senas", "search", *arguments], Path(folder), environment)
        lines = (Path(folder) / "output.txt").read_text().splitlines()
    return {**asdict(spent), "trainings": sum(line.startswith("trial ") and "val loss" in line for line in lines)}


def table(runs: Runs) -> str:
    lines = ["          wall, s (lowest to highest)   processor, s   memory, MiB   trainings"]
    for name, each in runs.items():
        walls = [run["wall_seconds"] for run in each]
        wall = f"{statistics.median(walls):.1f} ({min(walls):.1f} to {max(walls):.1f})"
        spent, peak = (statistics.median(run[key] for run in each) for key in ("cpu_seconds", "peak_mib"))
        lines.append(f"{name:<8} {wall:>28} {spent:14.1f} {peak:13.0f} {each[0]['trainings']:11}")
    pairs = zip(runs["before"], runs["now"], strict=True)
    ratios = [before["wall_seconds"] / now["wall_seconds"] for before, now in pairs]
    lines.append(f"before / now, wall time: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return "\n".join(lines)


def draw(runs: Runs, file: Path) -> None:
    figure, axes = plt.subplots(figsize=(5, 1.9), layout="constrained")
    for place, each in enumerate(runs.values()):
        walls = [run["wall_seconds"] for run in each]
        axes.barh(place, statistics.median(walls), color="0.85")
        axes.plot(walls, [place] * len(walls), "o", color="0.2", markersize=4)
        axes.annotate(f"{statistics.median(walls):.1f} s", (0, place), (4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(runs)), list(runs))
    axes.set_xlabel("wall time of a default search, s (bar: median)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="another checkout of senas")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--figure", action="store_true", help="draw the figure of what was measured, and no more")
    parser.add_argument("arguments", nargs="*", help="overrides for both searches")
    given = parser.parse_args()
    file = given.out / "search.json"
    if not given.figure:
        if given.before is None:
            parser.error("--before: name another checkout of senas")
        sides, about = {"before": given.before.resolve(), "now": REPOSITORY}, machine()
        runs: Runs = {name: [] for name in sides}
        for number in range(given.runs):
            for name, checkout in sides.items():
                runs[name].append(once(checkout, given.arguments))
                print(f"run {number + 1}, {name}: {runs[name][-1]['wall_seconds']:.1f} s", flush=True)
        words = ["git", "-C", str(sides["before"]), "describe", "--always", "--dirty"]
        before = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        told = {"machine": about, "versions": versions(), "before": before, "arguments": given.arguments, "runs": runs}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(told, indent=1) + "\n")
    runs = json.loads(file.read_text())["runs"]
    draw(runs, given.out / "search.png")
    print(table(runs))


if __name__ == "__main__":
    main()
