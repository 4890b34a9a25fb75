"""What the configuration as data costs: a training step of a supernet against one of plain surgery, in turn.

    python studies/benchmarks/supernet_step.py                # all networks; prints a table, writes supernet_step.json
    python studies/benchmarks/supernet_step.py resnet8 --rounds 10

Forward, backward and AdamW on one batch of random images, float32, one thread. Every side does a step in each round, in
an order that is drawn anew; shown are its median and the median of its ratio to plain surgery in the same round. All
compute the same configuration: a standard block at r = 4 at every site.
"""

import argparse
import json
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from senas.core.block import Placement
from senas.core.config import SEConfig
from senas.core.space import Axes, SearchSpace, search_space
from senas.model.carried import Cargo, cargo_of, cargo_of_space
from senas.model.cifar import CifarResNet
from senas.model.sites import Traced, trace
from senas.model.supernet import Supernet
from senas.model.surgery import insert

RESULT = Path(__file__).with_suffix(".json")
FUSED = 8
Step = Callable[[], object]


@dataclass(frozen=True)
class Case:
    depth: int
    images: tuple[int, int, int]
    batch: int
    rounds: int


CASES = {
    "resnet8 on digits": Case(8, (1, 8, 8), 64, 60),
    "resnet8 on 32x32": Case(8, (3, 32, 32), 128, 8),
    "resnet20 on 28x28": Case(20, (1, 28, 28), 128, 8),
}


def main(names: Sequence[str], rounds: int | None) -> None:
    torch.set_num_threads(1)
    rows = []
    for name, case in CASES.items():
        if not names or any(name.startswith(each) for each in names):
            rows += measured(name, case, rounds or case.rounds)
    where = {
        "cpu": _cpu(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    RESULT.write_text(json.dumps({"where": where, "rows": rows}, indent=1) + "\n")


def measured(name: str, case: Case, rounds: int) -> list[dict[str, object]]:
    torch.manual_seed(0)
    channels = case.images[0]
    backbone = CifarResNet(case.depth, classes=10, channels=channels)
    traced = trace(backbone, case.images)
    config = SEConfig.everywhere(traced.sites, 4)
    cargos = {
        "its places": cargo_of([config, SEConfig()], traced.sites),
        "default space": cargo_of_space(_space(traced, (Placement.STANDARD, Placement.PRE, Placement.POST))),
        "all_placements": cargo_of_space(_space(traced, tuple(Placement))),
    }
    alone = insert(backbone, config, traced)
    sides: dict[str, tuple[int, int, Step]] = {
        "no SE": (0, 1, _step(insert(backbone, SEConfig(), traced), case)),
        "plain surgery": (len(config), 1, _step(alone, case)),
    }
    for what, cargo in cargos.items():
        for sliced in (False, True):
            supernet = Supernet(backbone, traced, cargo, sliced=sliced)
            supernet.net.load_state_dict(supernet.fill(alone.state_dict(), config))
            words = f"{what}{', sliced' if sliced else ''}"
            sides[words] = len(cargo), 1, _step(supernet.select(config), case)
    for what in ("its places", "default space"):
        step = _fused(backbone, traced, cargos[what], config, case)
        sides[f"{what}, fused {FUSED}"] = len(cargos[what]), FUSED, step
    times: dict[str, list[float]] = {side: [] for side in sides}
    order = list(sides)
    for number in range(rounds + 3):
        random.Random(number).shuffle(order)
        for side in order:
            _, members, step = sides[side]
            start = time.perf_counter()
            step()
            if number >= 3:  # the first are to warm up
                times[side].append((time.perf_counter() - start) / members * 1e3)
    print(f"\n{name}, batch {case.batch}, {rounds} rounds")
    print(f"{'':32} {'gates':>5} {'ms a step':>10} {'ratio':>6}  quartiles")
    rows = []
    for side, (gates, _, _) in sides.items():
        ratios = [mine / plain for mine, plain in zip(times[side], times["plain surgery"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        ms = statistics.median(times[side])
        print(f"{side:32} {gates:5} {ms:10.2f} {middle:6.2f}  {low:.2f} to {high:.2f}", flush=True)
        rows.append(
            {"network": name, "side": side, "gates": gates, "ms": ms, "ratio": middle, "quartiles": [low, high]}
        )
    return rows


def _space(traced: Traced, placements: tuple[Placement, ...]) -> SearchSpace:
    return search_space(traced.sites, Axes(reduction=(4, 16), placement=placements))


def _batch(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(case.batch, *case.images), torch.randint(0, 10, (case.batch,))


def _step(net: nn.Module, case: Case) -> Step:
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    images, labels = _batch(case)

    def step() -> None:
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _fused(backbone: nn.Module, traced: Traced, cargo: Cargo, config: SEConfig, case: Case) -> Step:
    """Members with the same images, each with weights and masks of its own."""
    supernet = Supernet(backbone, traced, cargo)
    alone = [(insert(backbone, config, traced, seed).state_dict(), config) for seed in range(FUSED)]
    parameters, buffers = supernet.stacked(alone)
    optimizer = torch.optim.AdamW(parameters.values(), lr=1e-3)
    images, labels = _batch(case)

    def loss(parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor]) -> torch.Tensor:
        return F.cross_entropy(functional_call(supernet.net, (parameters, buffers), (images,)), labels)

    def step() -> None:
        losses = vmap(loss)(parameters, buffers)
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()

    return step


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rounds", type=int)
    asked = parser.parse_args()
    main(asked.names, asked.rounds)
