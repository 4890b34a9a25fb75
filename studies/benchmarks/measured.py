"""What a command costs - time, processor time, memory - and on which machine, with which versions."""

import os
import platform
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "optuna", "mlflow", "numpy")
HERE = Path(__file__).resolve().parent
EVERY = 1.0
"""Seconds between two looks at the memory: looking costs milliseconds."""


SENAS = (sys.executable, "-m", "senas")


def plain(script: str) -> tuple[str, ...]:
    """The words that run a script beside this file which knows nothing of senas.

    torchvision's wheel does not load beside a CPU build of torch: senas, imported first, mends that, and no more.
    """
    mended = (
        "import runpy, sys, senas; sys.argv.pop(0); sys.path[0] = {!r}; runpy.run_path(sys.argv[0], None, '__main__')"
    )
    return sys.executable, "-c", mended.format(str(HERE)), str(HERE / script)


def environment(threads: int | None) -> dict[str, str]:
    """Of a command of this checkout; threads: of torch, None: as it chooses."""
    chosen = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    if threads:
        chosen["OMP_NUM_THREADS"] = str(threads)
    path = os.pathsep.join(filter(None, (str(HERE.parents[1]), os.environ.get("PYTHONPATH"))))
    return {**chosen, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": path}


@dataclass(frozen=True)
class Cost:
    """Of a command and all that it started.

    cpu_seconds:  of processes that were waited for.
    peak_mib:     memory; what processes share is counted once (PSS, else RSS). Looked at once a second.
    gpu_mib:      memory of the GPU beyond what was taken before, None where there is none.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float
    gpu_mib: float | None


def cost(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Cost:
    """Runs a command in `folder`, its output in output.txt there. Raises RuntimeError where it fails."""
    taken, begin = gpu_mib(), time.perf_counter()
    peak, on_gpu, looked = 0.0, taken, begin
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.perf_counter() - looked > EVERY:
                peak = max(peak, memory_mib(process.pid))
                on_gpu = None if on_gpu is None else max(on_gpu, gpu_mib() or 0.0)
                looked = time.perf_counter()
            time.sleep(0.02)
    except BaseException:
        process.kill()
        raise
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)  # it was waited for here
    if process.returncode:
        tail = "\n".join((folder / "output.txt").read_text(errors="replace").splitlines()[-15:])
        raise RuntimeError(f"exit code {process.returncode} of {' '.join(command)} in {folder}:\n{tail}")
    spent = usage.ru_utime + usage.ru_stime
    return Cost(wall, spent, max(peak, usage.ru_maxrss / 1024), None if on_gpu is None else on_gpu - (taken or 0.0))


def memory_mib(pid: int) -> float:
    """Of a process and its descendants, now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    total, left = 0.0, [pid]
    while left:
        one = left.pop()
        left += children.get(one, [])
        total += _kib(one) / 1024
    return total


def _kib(pid: int) -> float:
    for file, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
                if line.startswith(key):
                    return float(line.split()[1])
        except OSError:
            continue
    return 0.0


def gpu_mib() -> float | None:
    said = _nvidia("memory.used")
    return float(said) if said else None


def machine() -> dict[str, object]:
    """Processor, how many of its cores may be used, GPU, and how busy it was before anything began."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "gpu": _nvidia("name"),
        "system": platform.system(),
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def versions() -> dict[str, str]:
    """Of Python and the packages, and the commit of this repository where it is one."""
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    commit = (
        subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() if shutil.which("git") else ""
    )
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        "senas": commit or metadata.version("senas"),
    }


def sessions(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Machine with its load, versions and day of each time that something was added to a file of results.

    What was added names its place here as its session; what names none is of the first. Files that were written before
    there were sessions have one, at their top.
    """
    if "sessions" in found:
        return list(found["sessions"])
    return [{key: found[key] for key in SESSION}] if "machine" in found else []


def begin_session(found: dict[str, Any]) -> int:
    """Adds one to a file's sessions; its place there. Ends where the file is of another processor."""
    known, here = sessions(found), machine()
    for each in known:
        if each["machine"]["cpu"] != here["cpu"]:
            raise SystemExit(
                f"the file was measured on {each['machine']['cpu']}, this is {here['cpu']}: their times do not "
                "compare; give another --out"
            )
    for key in SESSION:
        found.pop(key, None)
    now = {"machine": here, "versions": versions(), "when": time.strftime("%Y-%m-%d", time.gmtime())}
    found["sessions"] = [*known, now]
    return len(known)


SESSION = ("machine", "versions", "when")


def told_sessions(found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each session in which any of the rows was measured."""
    counts = Counter(row.get("session", 0) for row in rows)
    return [
        "{when}, {machine[cpu]}, {machine[cores]} cores, load before {machine[load_before][0]}, "
        "senas {versions[senas]}, torch {versions[torch]}: {} runs".format(counts[n], **each)
        for n, each in enumerate(sessions(found))
        if counts[n]
    ]


def _nvidia(field: str) -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    words = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader,nounits", "--id=0"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
