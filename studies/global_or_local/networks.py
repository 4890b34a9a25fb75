"""What global and local gates at every site cost a whole network: networks.csv.

    python studies/global_or_local/networks.py

Latency is of one image in eval(), a step is forward and backward of a batch in train(); both are processor time of one
thread, and the networks take turns.
"""

from functools import partial
from pathlib import Path

import torch
from gates import GATES, everywhere
from scaling import peak_bytes, shortest, write
from torch import nn
from torch.nn.functional import cross_entropy

from senas.core.backbone import Backbone
from senas.core.config import SEConfig
from senas.model.backbones import build
from senas.model.cost import macs, params
from senas.model.sites import trace
from senas.model.surgery import insert
from senas.model.threads import threads

RESULTS = Path(__file__).parent / "networks.csv"
REPEATS, REDUCTION, CLASSES = 10, 16, 10
NETWORKS = {"resnet20": (32, 32), "resnet50": (224, 2)}
"""Side of the images, and images a step."""
COLUMNS = ("network", "gate", "repeat", "params", "macs", "peak_bytes", "latency_ms", "step_ms")


def main() -> None:
    rows: list[tuple[object, ...]] = []
    with threads(1):
        for name, (side, batch) in NETWORKS.items():
            shape = 3, side, side
            torch.manual_seed(0)
            backbone = build(Backbone(name=name), classes=CLASSES, channels=3)
            traced = trace(backbone, shape)
            configs = {"none": SEConfig()} | {gate: everywhere(traced.sites, gate, REDUCTION) for gate in GATES}
            nets = {gate: insert(backbone, config, traced) for gate, config in configs.items()}
            images, labels = torch.randn(batch, *shape), torch.randint(CLASSES, (batch,))
            learn = {gate: partial(step, net, images, labels) for gate, net in nets.items()}
            counted = {gate: (params(net), macs(net, shape), peak_bytes(learn[gate])) for gate, net in nets.items()}
            for repeat in range(REPEATS):
                for gate, net in nets.items():
                    times = shortest(partial(classify, net, images[:1]), 3), shortest(learn[gate], 1)
                    rows.append((name, gate, repeat, *counted[gate], *(f"{taken:.3f}" for taken in times)))
    write(RESULTS, COLUMNS, rows)


def classify(net: nn.Module, images: torch.Tensor) -> None:
    with torch.inference_mode():
        net.eval()(images)


def step(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    torch.autograd.grad(cross_entropy(net.train()(images), labels), list(net.parameters()))


if __name__ == "__main__":
    main()
