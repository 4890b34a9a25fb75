"""What global and local gates at every site cost a whole network: networks.csv.

    python studies/global_or_local/networks.py

Latency is of one image in eval(), by the clock; a step is forward and backward of a batch in train(), in processor time
of one thread. The networks take turns.
"""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from scaling import GATES, peak_bytes, write
from torch import nn
from torch.nn.functional import cross_entropy

from senas.core.backbone import Backbone
from senas.core.block import SEBlock, width
from senas.core.config import SEConfig
from senas.core.latency import Timing
from senas.core.site import Site
from senas.model.backbones import build
from senas.model.cost import macs, params
from senas.model.latency import latencies
from senas.model.sites import trace
from senas.model.surgery import insert
from senas.model.threads import threads

RESULTS = Path(__file__).parent / "networks.csv"
REPEATS, REDUCTION, CLASSES = 10, 16, 10
NETWORKS = {"resnet20": (32, 32), "resnet50": (224, 4)}
"""Side of the images, and images a step."""
COLUMNS = ("network", "gate", "repeat", "params", "macs", "latency_ms", "step_ms", "peak_bytes")


def main() -> None:
    rows: list[tuple[object, ...]] = []
    for name, (side, batch) in NETWORKS.items():
        torch.manual_seed(0)
        backbone = build(Backbone(name=name), classes=CLASSES, channels=3)
        traced = trace(backbone, (3, side, side))
        configs = {"none": SEConfig()} | {gate: everywhere(traced.sites, gate) for gate in GATES}
        nets = {gate: insert(backbone, config, traced) for gate, config in configs.items()}
        timed = latencies(list(nets.values()), (3, side, side), Timing(repeats=REPEATS))
        images, labels = torch.randn(batch, 3, side, side), torch.randint(CLASSES, (batch,))
        with threads(1):
            peaks = {gate: peak_bytes(partial(step, net, images, labels)) for gate, net in nets.items()}
            costs = {gate: (params(net), macs(net, (3, side, side))) for gate, net in nets.items()}
            for repeat in range(REPEATS):
                for (gate, net), passes in zip(nets.items(), timed, strict=True):
                    taken = f"{passes.times_ms[repeat]:.4f}", f"{1000 * seconds(net, images, labels):.3f}"
                    rows.append((name, gate, repeat, *costs[gate], *taken, peaks[gate]))
    write(RESULTS, COLUMNS, rows)


def everywhere(sites: Sequence[Site], gate: str) -> SEConfig:
    """At every site, at the usual place."""
    places = {site: site.usual for site in sites}
    return SEConfig(
        {
            site.name: SEBlock(
                hidden=width(site.places[place].channels, REDUCTION), placement=place, squeeze=GATES[gate]
            )
            for site, place in places.items()
            if place is not None
        }
    )


def step(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    net.train()
    torch.autograd.grad(cross_entropy(net(images), labels), list(net.parameters()))


def seconds(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    begin = time.thread_time()
    step(net, images, labels)
    return time.thread_time() - begin


if __name__ == "__main__":
    main()
