"""What the global and the local gate cost as height, width, channels and ratio grow: scaling.csv.

    python studies/global_or_local/scaling.py

One of the four grows at a time, the others stay. Times are processor time of one thread, the shortest of PASSES, in
milliseconds; all points take turns, in another order each repeat. Memory is the most
that PyTorch had allocated at once in forward and backward beyond what was there before: input, weights, and the
gradient that comes in.
"""

import csv
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from gates import GATES
from torch.profiler import ProfilerActivity, profile

from senas.core.block import SEBlock, width
from senas.model.cost import macs
from senas.model.se import SqueezeExcitation
from senas.model.threads import threads

RESULTS = Path(__file__).parent / "scaling.csv"
REPEATS, PASSES, BATCH = 10, 7, 4


class Point(NamedTuple):
    """Height, width and channels of what a block sees, and its ratio."""

    height: int
    width: int
    channels: int
    reduction: int


GROWING: dict[str, list[Point]] = {
    "height": [Point(side, 28, 128, 8) for side in (7, 14, 28, 56, 112)],
    "width": [Point(28, side, 128, 8) for side in (7, 14, 28, 56, 112)],
    "channels": [Point(14, 14, channels, 8) for channels in (32, 64, 128, 256, 512, 1024, 2048)],
    "reduction": [Point(14, 14, 512, reduction) for reduction in (1, 2, 4, 8, 16, 32)],
}
COLUMNS = (*("axis", *Point._fields, "gate", "repeat"), *("macs", "layers_ms", "block_ms", "step_ms", "peak_bytes"))


class Subject:
    """A block, and what goes into it."""

    def __init__(self, point: Point, gate: str) -> None:
        torch.manual_seed(0)
        block = SEBlock(hidden=width(point.channels, point.reduction), squeeze=GATES[gate])
        self.net = SqueezeExcitation(block, point.channels)
        self.shape = (point.channels, point.height, point.width)
        self.x = torch.randn(BATCH, *self.shape)
        self.squeezed = self.net.squeezed(self.x)
        self.upstream = torch.randn_like(self.x)

    def layers(self) -> None:
        """The two layers with their activations, which is what the closed forms count."""
        with torch.inference_mode():
            self.net.excited(self.squeezed)

    def block(self) -> None:
        """Squeeze, layers, and scaling."""
        with torch.inference_mode():
            self.net(self.x)

    def step(self) -> None:
        """Forward, and backward to the input and all weights."""
        x = self.x.requires_grad_()
        torch.autograd.grad(self.net(x), [x, *self.net.parameters()], self.upstream)


def main() -> None:
    keys = [(axis, point, gate) for axis, points in GROWING.items() for point in points for gate in GATES]
    rows = []
    with threads(1):
        for repeat in range(REPEATS):
            for axis, point, gate in random.Random(repeat).sample(keys, len(keys)):
                subject = Subject(point, gate)
                times = [f"{shortest(run):.5f}" for run in (subject.layers, subject.block, subject.step)]
                counted = macs(subject.net, subject.shape)
                rows.append((axis, *point, gate, repeat, counted, *times, peak_bytes(subject.step)))
    order = {key: number for number, key in enumerate(keys)}
    rows.sort(key=lambda row: (order[row[0], Point(*row[1:5]), row[5]], row[6]))
    write(RESULTS, COLUMNS, rows)


def shortest(run: Callable[[], None], passes: int = PASSES) -> float:
    """Milliseconds of the fastest pass, of this thread on a processor: what others do on the machine adds to it."""
    times = []
    for _ in range(passes + 1):  # the first warms up
        begin = time.thread_time()
        run()
        times.append(time.thread_time() - begin)
    return 1000 * min(times[1:])


def peak_bytes(run: Callable[[], None]) -> int:
    """The most that was allocated at once beyond what was there before, on the CPU, by PyTorch's profiler."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        run()
    with tempfile.TemporaryDirectory() as folder:
        watched.export_chrome_trace(f"{folder}/trace.json")
        events = json.loads(Path(folder, "trace.json").read_text())["traceEvents"]
    changes = [(event["ts"], event["args"]["Bytes"]) for event in events if event.get("name") == "[memory]"]
    most = held = 0
    for _, change in sorted(changes, key=lambda each: each[0]):
        held += change
        most = max(most, held)
    return most


def write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
