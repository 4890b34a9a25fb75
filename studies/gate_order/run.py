"""Signal-to-noise of gated channels, with the gate before and behind a ReLU, by simulation: results.csv.

    python studies/gate_order/run.py

Images are means of 32 channels, drawn once an image; each of 40 looks at an image adds fresh noise at each of 8 x 8
locations, of a size that is the channel's own. A gate multiplies the channels either before the ReLU or behind it. Of
each order: the mean over locations of what comes out; its variance over images (of the mean over looks) is signal, its
variance over looks is noise; a row is the mean over channels of log(signal-to-noise before / behind), of one seed.

constant      one positive gate a channel, the same for all images
own noise     the same; the two orders see different draws of the noise, as two measurements would
shared        an SE block's gate, computed once a look from what is before the ReLU, and given to both orders
squeezed      the same block, computed by each order from what it gates: before the ReLU, or behind it
tanh          shared, with tanh instead of the sigmoid: some gates are below 0
"""

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

FILE = Path(__file__).parent / "results.csv"
SEEDS, IMAGES, LOOKS, CHANNELS, HIDDEN, SIDE = 20, 40, 40, 32, 8, 8
GATES = ("constant", "own noise", "shared", "squeezed", "tanh")
Array = npt.NDArray[np.float64]


def main() -> None:
    with FILE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("gate", "seed", "log_ratio", "largest_difference", "channels_dead"))
        for seed in range(SEEDS):
            for gate in GATES:
                writer.writerow((gate, seed, *compared(gate, np.random.default_rng(seed))))


def compared(gate: str, rng: np.random.Generator) -> tuple[str, str, int]:
    """The mean over channels of log(before / behind), the largest difference of what comes out, and the channels of
    which one order gives nothing: these have no ratio, and are left out."""
    means = rng.normal(0.3, 1.0, (IMAGES, 1, CHANNELS, 1))
    sds = rng.uniform(0.3, 2.0, (1, 1, CHANNELS, 1))
    first, second = (rng.normal(0.0, 1.0, CHANNELS * HIDDEN).reshape(-1, HIDDEN) for _ in range(2))
    constant = rng.uniform(0.05, 1.0, (1, 1, CHANNELS, 1))

    def looked() -> Array:
        noise = rng.normal(size=(IMAGES, LOOKS, CHANNELS, SIDE * SIDE)).astype(np.float32)
        x: Array = means + sds * noise
        return x

    def excited(x: Array) -> Array:
        squeezed = x.mean(3)
        logits = np.maximum(squeezed @ first / np.sqrt(CHANNELS), 0.0) @ second.T
        gates: Array = np.tanh(logits) if gate == "tanh" else 1.0 / (1.0 + np.exp(-logits))
        return gates[..., None]

    before = looked()
    behind = looked() if gate == "own noise" else before
    g = constant if gate in ("constant", "own noise") else excited(before)
    h = excited(np.maximum(behind, 0.0)) if gate == "squeezed" else g
    one, other = np.maximum(g * before, 0.0), h * np.maximum(behind, 0.0)
    ratios = signal_to_noise(one), signal_to_noise(other)
    alive = (ratios[0] > 0) & (ratios[1] > 0)
    log_ratio = float(np.log(ratios[0][alive] / ratios[1][alive]).mean())
    return f"{log_ratio:.6f}", f"{np.abs(one - other).max():.3g}", int((~alive).sum())


def signal_to_noise(y: Array) -> Array:
    """(channels,), of (images, looks, channels, locations)."""
    seen = y.mean(3)
    noise = seen.var(1, ddof=1).mean(0)
    signal = seen.mean(1).var(0, ddof=1) - noise / LOOKS
    ratio: Array = np.where((noise > 0) & (signal > 0), signal / np.where(noise > 0, noise, 1.0), 0.0)
    return ratio


if __name__ == "__main__":
    main()
