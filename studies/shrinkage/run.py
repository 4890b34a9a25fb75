"""Gates trained by gradient descent with a penalty, beside the closed form b v / (v + penalty): results.csv.

    python studies/shrinkage/run.py

32 channels of mean 0, their variances v from 0.05 to 5; a target that is the sum of b x over the channels, b from 0.1
to 0.9; 2,000 examples. The gates g make the mean of (target - sum of g x)^2, plus a penalty, small: full-batch gradient
descent with momentum until the slope is below 1e-9 or 50,000 steps are done. A row is a seed.

gate                  g is trained itself; penalty x g^2
sigmoid gate          g = sigmoid(w), w is trained; penalty x g^2
decayed logit         g = sigmoid(w), penalty x w^2: what weight decay on the layer before a sigmoid does
correlated channels   as `gate`; any two channels have a correlation of 0.5
"""

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from senas.core.theory import shrunken

FILE = Path(__file__).parent / "results.csv"
SEEDS, CHANNELS, EXAMPLES, STEPS = 20, 32, 2000, 50_000
PENALTIES = (0.01, 0.1, 1.0, 10.0)
KINDS = ("gate", "sigmoid gate", "decayed logit", "correlated channels")
COLUMNS = ("kind", "penalty", "seed", "slope", "bias", "rms", "closed_mean", "trained_mean", "steps")
Array = npt.NDArray[np.float64]


def main() -> None:
    with FILE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for kind in KINDS:
            for penalty in PENALTIES:
                for seed in range(SEEDS):
                    writer.writerow((kind, penalty, seed, *compared(kind, penalty, np.random.default_rng(seed))))


def compared(kind: str, penalty: float, rng: np.random.Generator) -> tuple[str, ...]:
    """Of trained gates beside the closed form: slope through the origin, mean and root mean square of the rest."""
    variances = np.exp(rng.uniform(np.log(0.05), np.log(5.0), CHANNELS))
    b = rng.uniform(0.1, 0.9, CHANNELS)
    common = rng.normal(size=(EXAMPLES, 1)) if kind == "correlated channels" else np.zeros((EXAMPLES, 1))
    own = rng.normal(size=(EXAMPLES, CHANNELS))
    x = np.sqrt(variances) * (np.sqrt(0.5) * (own + common) if kind == "correlated channels" else own)
    trained, steps = descended(kind, penalty, x.T @ x / EXAMPLES, b)
    closed = np.asarray(shrunken(b, variances, penalty))
    apart = trained - closed
    told = (
        trained @ closed / (closed @ closed),
        apart.mean(),
        np.sqrt((apart**2).mean()),
        closed.mean(),
        trained.mean(),
    )
    return *(f"{each:.6f}" for each in told), str(steps)


def descended(kind: str, penalty: float, gram: Array, b: Array) -> tuple[Array, int]:
    """The gates that gradient descent ends with, and the steps it took."""
    behind_sigmoid = kind in ("sigmoid gate", "decayed logit")
    w, velocity = np.zeros(CHANNELS), np.zeros(CHANNELS)
    rate = 0.5 / (2 * np.linalg.eigvalsh(gram)[-1] + 2 * penalty)
    for step in range(STEPS):
        g = 1.0 / (1.0 + np.exp(-w)) if behind_sigmoid else w
        slope = 2 * gram @ (g - b) + (0.0 if kind == "decayed logit" else 2 * penalty * g)
        if behind_sigmoid:
            slope = slope * g * (1 - g) + (2 * penalty * w if kind == "decayed logit" else 0.0)
        if np.abs(slope).max() < 1e-9:
            return g, step
        velocity = 0.9 * velocity - rate * slope
        w = w + velocity
    return 1.0 / (1.0 + np.exp(-w)) if behind_sigmoid else w, STEPS


if __name__ == "__main__":
    main()
