"""Steps per second of a training in senas, in a bare loop of PyTorch, and in plain Lightning.

    python studies/benchmarks/steps.py
    python studies/benchmarks/steps.py --device cuda

One network, batch size, precision and optimizer on all sides, made-up images, the sides in turn in one process. Of each
run the first epoch warms up, and the second is timed, without validation. Memory is the highest of a process that does
nothing else (CPU), or the most allocated (GPU). Writes steps-DEVICE.json and steps-DEVICE.png beside this file.

bare:       as one writes it: images in memory, a batch picked by its indices, `optimizer.step()`.
foreach:    the same with `foreach=True`, which senas asks for; on a GPU it is what PyTorch takes anyway.
lightning:  a batch a training step, automatic optimization, a DataLoader over a TensorDataset, the loss logged.
senas:      as `senas search` trains.
"""

import argparse
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import senas  # noqa: F401  first: it makes torchvision, which Lightning imports, work beside a CPU build of torch

# isort: split
import matplotlib.pyplot as plt
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset

from senas.core.config import SEConfig
from senas.core.recipe import Device, Recipe
from senas.core.trial import Job
from senas.model.backbones import named
from senas.model.sites import trace
from senas.training.callback import OwnCallback
from senas.training.data import ImageData, Part
from senas.training.standalone import Standalone

HERE = Path(__file__).resolve().parent
PACKAGES = ("torch", "pytorch-lightning", "numpy")
LR, DECAY, EPOCHS = 0.003, 0.01, 2


class Case(NamedTuple):
    """A network, images of one channel and `size` x `size` pixels, and how many steps an epoch has."""

    backbone: str
    width: int | None
    size: int
    batch: int
    steps: int


class Setting(NamedTuple):
    """Where and how all sides compute."""

    device: str
    precision: str
    threads: int


CASES = {
    "launch-bound": Case("resnet8", 4, 8, 16, 200),
    "compute-bound": Case("resnet20", None, 28, 128, 12),
}
STEPS_ON_GPU = 300


class Clock:
    """Wall and processor time of the last epoch, in seconds; the device is waited for."""

    def __init__(self) -> None:
        self.seconds: tuple[float, float] = (0.0, 0.0)

    def start(self) -> None:
        self.begun = self.now()

    def stop(self) -> None:
        wall, cpu = self.now()
        self.seconds = wall - self.begun[0], cpu - self.begun[1]

    def now(self) -> tuple[float, float]:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()


def part(case: Case, images: int) -> Part:
    random = torch.Generator().manual_seed(0)
    pixels = torch.rand(images, 1, case.size, case.size, generator=random)
    return Part(pixels, torch.randint(10, (images,), generator=random))


def network(case: Case) -> nn.Module:
    torch.manual_seed(0)
    width = {} if case.width is None else {"width": case.width}
    return named(case.backbone, classes=10, channels=1, **width)


def bare(case: Case, setting: Setting, clock: Clock, foreach: bool | None = None) -> None:
    images, labels = (tensor.to(setting.device) for tensor in vars_of(part(case, case.batch * case.steps)))
    net = network(case).to(setting.device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=LR, weight_decay=DECAY, foreach=foreach)
    schedule = OneCycleLR(optimizer, max_lr=LR, total_steps=EPOCHS * case.steps)
    cast = torch.autocast(setting.device, torch.bfloat16) if setting.precision == "bf16-mixed" else nullcontext()
    for _ in range(EPOCHS):
        clock.start()
        losses = []
        for batch in torch.randperm(len(labels), device=setting.device).split(case.batch):
            with cast:
                logits = net(images[batch].to(memory_format=torch.channels_last))
                loss = F.cross_entropy(logits.float(), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.detach())
        torch.stack(losses).mean().item()
        clock.stop()


class Plain(pl.LightningModule):
    """As Lightning's own examples have it."""

    def __init__(self, net: nn.Module, steps: int) -> None:
        super().__init__()
        self.net, self.steps = net, steps

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        images, labels = batch
        loss = F.cross_entropy(self.net(images.to(memory_format=torch.channels_last)).float(), labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=LR, weight_decay=DECAY)
        schedule = OneCycleLR(optimizer, max_lr=LR, total_steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Timed(pl.Callback):
    """Times the training part of each epoch."""

    def __init__(self, clock: Clock, ends: str) -> None:
        self.clock = clock
        setattr(self, ends, lambda *_: clock.stop())

    def on_train_epoch_start(self, *_: Any) -> None:
        self.clock.start()


def lightning(case: Case, setting: Setting, clock: Clock) -> None:
    data = TensorDataset(*vars_of(part(case, case.batch * case.steps)))
    loader = DataLoader(data, batch_size=case.batch, shuffle=True, drop_last=True)
    trainer = pl.Trainer(
        accelerator=setting.device,
        devices=1,
        precision=setting.precision,  # type: ignore[arg-type]
        max_epochs=EPOCHS,
        callbacks=[Timed(clock, "on_train_epoch_end")],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    net = network(case).to(memory_format=torch.channels_last)
    trainer.fit(Plain(net, EPOCHS * case.steps), loader)


def by_senas(case: Case, setting: Setting, clock: Clock) -> None:
    train, few = part(case, case.batch * case.steps), part(case, case.batch)
    data = ImageData(train, few, few, classes=tuple("0123456789"), batch_size=case.batch)
    build = partial(network, case)
    recipe = Recipe(
        optimizer="adamw", lr=LR, weight_decay=DECAY, schedule="one_cycle", label_smoothing=0.0, channels_last=True
    )
    device = Device(accelerator=setting.device, precision=setting.precision, threads=setting.threads)
    evaluator = Standalone(build, trace(build(), data.shape), data, recipe, device)
    evaluator.callbacks = [OwnCallback("steps:Timed", lambda: Timed(clock, "on_validation_start"))]
    list(evaluator.evaluate(iter([Job(SEConfig(), 0, EPOCHS)]), lambda *told: False))


SIDES: dict[str, Callable[[Case, Setting, Clock], None]] = {
    "bare": bare,
    "foreach": partial(bare, foreach=True),
    "lightning": lightning,
    "senas": by_senas,
}


def vars_of(images: Part) -> tuple[torch.Tensor, torch.Tensor]:
    return images.images, images.labels


def memory(name: str, side: str, given: argparse.Namespace) -> float:
    """MiB at the most: of a process of its own, or on the GPU."""
    command = [
        sys.executable,
        __file__,
        "--alone",
        name,
        side,
        "--device",
        given.device,
        "--threads",
        str(given.threads),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def alone(name: str, side: str, setting: Setting) -> float:
    SIDES[side](CASES[name], setting, Clock())
    if setting.device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    # Not getrusage: a process begins there with the peak of the one that started it.
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


def table(cases: dict[str, Any]) -> str:
    lines = []
    for name, case in cases.items():
        lines.append(f"{name:<14}   ms a step (lowest to highest)   CPU ms   speed of the bare loop's   memory, MiB")
        for side, runs in case["runs"].items():
            walls = [1000 * wall for wall, _ in runs]
            ratios = [base[0] / run[0] for base, run in zip(case["runs"]["bare"], runs, strict=True)]
            lines.append(
                f"  {side:<10}{statistics.median(walls):12.3f} ({min(walls):.3f} to {max(walls):.3f})"
                f"{1000 * statistics.median(cpu for _, cpu in runs):13.3f}"
                f"{statistics.median(ratios):12.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
                f"{case['memory_mib'][side]:12.0f}"
            )
    return "\n".join(lines)


def draw(cases: dict[str, Any], file: Path) -> None:
    figure, axes = plt.subplots(1, len(cases), figsize=(7, 2.4), layout="constrained", squeeze=False)
    for each, (name, case) in zip(axes[0], cases.items(), strict=True):
        for place, (side, runs) in enumerate(case["runs"].items()):
            speeds = [1 / wall for wall, _ in runs]
            each.barh(place, statistics.median(speeds), color="0.6" if side == "senas" else "0.85")
            each.plot(speeds, [place] * len(speeds), "o", color="0.2", markersize=3)
        each.set_yticks(range(len(SIDES)), list(case["runs"]))
        each.set_title(f"{name}: {case['case']}", fontsize=8)
        each.set_xlabel("steps a second (bar: median)", fontsize=8)
        each.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="of a CPU")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--alone", nargs=2, metavar=("CASE", "SIDE"), help="one side, for its memory")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(given.threads)
    setting = Setting(given.device, "bf16-mixed" if given.device == "cuda" else "32-true", given.threads)
    if given.device == "cuda":
        CASES.update({name: case._replace(steps=STEPS_ON_GPU) for name, case in CASES.items()})
    if given.alone:
        print(alone(*given.alone, setting))
        return
    cases: dict[str, Any] = {}
    for name, case in CASES.items():
        runs: dict[str, list[list[float]]] = {side: [] for side in SIDES}
        for _ in range(given.runs):
            for side, train in SIDES.items():
                train(case, setting, clock := Clock())
                runs[side].append([seconds / case.steps for seconds in clock.seconds])
        used = {side: memory(name, side, given) for side in SIDES}
        words = f"{case.backbone}, {case.size} x {case.size}, batch {case.batch}"
        cases[name] = {"case": words, "steps": case.steps, "runs": runs, "memory_mib": used}
    about = {
        "device": torch.cuda.get_device_name() if given.device == "cuda" else processor(),
        "precision": setting.precision,
        "cores": os.cpu_count(),
        "threads": given.threads,
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
    }
    (given.out / f"steps-{given.device}.json").write_text(json.dumps({**about, "cases": cases}, indent=1) + "\n")
    draw(cases, given.out / f"steps-{given.device}.png")
    print(table(cases))


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
