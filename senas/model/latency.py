"""Latency, measured: how long a forward pass of a network takes on this machine."""

import copy
import gc
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from senas.core.latency import Latency, Timing
from senas.errors import ConfigError
from senas.model.threads import threads

WARM_UP_RUNS, WARM_UP_SECONDS = 3, 0.1
"""Before the first repeat is timed: at least so many runs, for at least so long."""

Prepare = Callable[[nn.Module, Tensor, Timing], Callable[[], object]]
"""From a network in eval(), a batch for it and how to measure to what runs it once, to its end on a CPU."""


def latency(net: nn.Module, example: Sequence[int], timing: Timing, prepare: Prepare | None = None) -> Latency:
    """Of one network; see `latencies`."""
    return latencies([net], example, timing, prepare)[0]


def latencies(
    nets: Sequence[nn.Module], example: Sequence[int], timing: Timing, prepare: Prepare | None = None
) -> list[Latency]:
    """How long each network takes for a batch of images of shape `example` (C, H, W).

    The networks take turns, pass by pass, so that a machine that slows down slows all of them; every other round goes
    backwards, so that what interrupts at regular times, as a scheduler does, does not meet the same one each time.
    They are not changed: copies run, in float32. PyTorch's threads are set, and set back.

    prepare:  how a network is made ready to run, where `timing.runtime` is none of PyTorch's own.
    Raises ConfigError where this machine cannot do what `timing` asks for.
    """
    check(timing)
    named = replace(timing, hardware=timing.hardware or hardware(timing.device))
    ready = prepare or {"eager": _eager, "compile": _compiled}[timing.runtime]
    images = torch.zeros(timing.batch_size, *example, device=timing.device)
    once = _timed_by_events if timing.device == "cuda" else _timed_by_clock
    times: list[list[float]] = [[] for _ in nets]
    with threads(timing.threads), torch.inference_mode():
        copies = [copy.deepcopy(net).to(timing.device).float().eval() for net in nets]
        runs = [ready(net, images, timing) for net in copies]
        for run in runs:
            _warm_up(run, timing)
        with _no_collection():
            round_there = list(zip(runs, times, strict=True))
            for repeat in range(timing.repeats):
                for run, taken in round_there if repeat % 2 == 0 else reversed(round_there):
                    taken.append(once(run))
    return [Latency(named, tuple(taken)) for taken in times]


def check(timing: Timing) -> None:
    """Raises ConfigError where this machine has not the device."""
    if timing.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("latency.device=cuda: PyTorch finds no CUDA device here; latency.device=cpu is always there")


def hardware(device: str) -> str:
    """What the device calls itself."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(models), "") or platform.processor() or platform.machine() or "CPU"


def machine() -> str:
    """What trainings have here: `AMD EPYC 7763, 2 cores`, and the GPU where there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpu = [hardware("cuda")] if torch.cuda.is_available() else []
    return ", ".join([hardware("cpu"), f"{cores} core{'s' * (cores > 1)}", *gpu])


def _eager(net: nn.Module, images: Tensor, timing: Timing) -> Callable[[], object]:
    return lambda: net(images)


def _compiled(net: nn.Module, images: Tensor, timing: Timing) -> Callable[[], object]:
    torch.compiler.reset()  # else the networks of earlier trials stay, and at some number of them none is compiled
    compiled = torch.compile(net)
    try:
        compiled(images)
    except RuntimeError as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        cause = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConfigError(
            f"latency.runtime=compile: torch cannot compile here ({cause}); it needs a C++ compiler that works, and "
            "Triton on a GPU; latency.runtime=eager needs neither"
        ) from error
    return lambda: compiled(images)


def _warm_up(run: Callable[[], object], timing: Timing) -> None:
    begin, runs = time.perf_counter(), 0
    while runs < WARM_UP_RUNS or time.perf_counter() - begin < WARM_UP_SECONDS:
        run()
        runs += 1
        if timing.device == "cuda":
            torch.cuda.synchronize()


def _timed_by_clock(run: Callable[[], object]) -> float:
    """Milliseconds. On a CPU a run is over when it returns."""
    begin = time.perf_counter()
    run()
    return (time.perf_counter() - begin) * 1000


def _timed_by_events(run: Callable[[], object]) -> float:
    """Milliseconds on the GPU, which works on while Python goes on: from an idle device to an idle device."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    begin.record()
    run()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's garbage collector does not step in amid a pass."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
