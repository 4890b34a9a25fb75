"""A default `senas search` in this checkout against the same one in another: wall time, processor time and memory.

    git worktree add /tmp/before COMMIT
    python studies/benchmarks/search.py --before /tmp/before

Both run in turn, in folders of their own, with the same arguments, in the environment of this Python. Writes
search.json and search.png beside this file.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
PACKAGES = ("torch", "pytorch-lightning", "optuna", "mlflow", "numpy")


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found, parents = [pid], [pid]
    while parents:
        path = Path(f"/proc/{parents[0]}/task/{parents[0]}/children")
        try:
            children = [int(word) for word in path.read_text().split()]
        except OSError:  # it ended in the meantime
            children = []
        found += children
        parents = parents[1:] + children
    return found


def memory(pid: int) -> float:
    """MiB that a process and those below it take, each page shared among them counted once (PSS)."""
    total = 0
    for each in family(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def measured(checkout: Path, arguments: list[str]) -> dict[str, float]:
    """One search in a folder of its own. Raises CalledProcessError where it fails."""
    folder = Path(tempfile.mkdtemp())
    environment = {**os.environ, "PYTHONPATH": str(checkout), "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-m", "senas", "search", *arguments]
    before, begun = os.times(), time.monotonic()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    peak = [0.0]

    def watch() -> None:
        while process.poll() is None:
            peak[0] = max(peak[0], memory(process.pid))
            time.sleep(1.0)

    watching = threading.Thread(target=watch)
    watching.start()
    output, _ = process.communicate()
    wall, after = time.monotonic() - begun, os.times()
    watching.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    shutil.rmtree(folder)
    trained = sum(line.startswith("trial ") and "val loss" in line for line in output.splitlines())
    used = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    return {"wall_s": wall, "cpu_s": used, "peak_mib": peak[0], "trainings": trained}


def table(runs: dict[str, list[dict[str, float]]]) -> str:
    lines = ["             wall, s (lowest to highest)   processor, s   memory, MiB   trainings"]
    for name, each in runs.items():
        walls = [run["wall_s"] for run in each]
        lines.append(
            f"{name:<10} {statistics.median(walls):9.1f} ({min(walls):.1f} to {max(walls):.1f})"
            f"{statistics.median(run['cpu_s'] for run in each):18.1f}"
            f"{statistics.median(run['peak_mib'] for run in each):14.0f}{each[0]['trainings']:12.0f}"
        )
    ratios = [b["wall_s"] / n["wall_s"] for b, n in zip(runs["before"], runs["now"], strict=True)]
    lines.append(f"before / now, wall time: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return "\n".join(lines)


def draw(runs: dict[str, list[dict[str, float]]], file: Path) -> None:
    figure, axes = plt.subplots(figsize=(5, 2.4), layout="constrained")
    for place, each in enumerate(runs.values()):
        walls = [run["wall_s"] for run in each]
        axes.barh(place, statistics.median(walls), color="0.8")
        axes.plot(walls, [place] * len(walls), "o", color="0.2")
        axes.annotate(f"{statistics.median(walls):.0f} s", (0, place), (4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(runs)), list(runs))
    axes.set_xlabel("wall time of a default search, s (bar: median)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True, help="another checkout of senas")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("arguments", nargs="*", help="overrides for both searches")
    given = parser.parse_args()
    sides = {"before": given.before.resolve(), "now": REPOSITORY}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for number in range(given.runs):
        for name, checkout in sides.items():
            runs[name].append(measured(checkout, given.arguments))
            print(f"run {number + 1}, {name}: {runs[name][-1]['wall_s']:.1f} s", flush=True)
    commits = {
        name: subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True
        ).stdout.strip()
        for name, checkout in sides.items()
    }
    about = {
        "commits": commits,
        "arguments": given.arguments,
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
    }
    (given.out / "search.json").write_text(json.dumps({**about, "runs": runs}, indent=1) + "\n")
    draw(runs, given.out / "search.png")
    print(table(runs))


if __name__ == "__main__":
    main()
