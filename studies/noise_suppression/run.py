"""Do gates suppress noise? Known noise per channel, behind a fixed readout and in a trained CNN: tables and a figure.

    python studies/noise_suppression/run.py             # 12 seeds, some minutes
    python studies/noise_suppression/run.py --figure    # figure and answer anew, from the tables

Fixed readout. A signal s of variance 1 lies in eight channels, X_c = mu_c s + sigma_c e_c, that are added up with one
factor for all. The gates' logits are learned by gradient descent to minimise the squared error to s. In closed form
the best gates are proportional to mu_c / sigma_c^2.

Trained CNN. Eight channels of each image: four have the same digit (scikit-learn's) with noise of sd 0.2, 0.4, 0.8
and 1.6, four are noise of sd 1 and nothing else. Each channel has two filters of its own (a grouped convolution),
batch norm and ReLU; then comes an SE block, whose channels are useful or useless for sure, and behind it two
convolutions and a linear layer. These are trained, or the first of them stays as it is drawn.
"""

import argparse
import csv
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from paired import spoken  # noqa: E402

from senas.core.block import SEBlock  # noqa: E402
from senas.core.interval import Interval, interval  # noqa: E402
from senas.model.se import SqueezeExcitation  # noqa: E402

FIXED, CNN = HERE / "fixed_readout.csv", HERE / "cnn.csv"
MU = np.array([1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.35, 0.0])
SIGMA = np.array([0.5, 1.0, 2.0, 4.0, 0.5, 2.0, 1.0, 1.0])
SAMPLES, STEPS = 20_000, 3_000
NOISE = (0.2, 0.4, 0.8, 1.6)
USELESS, FILTERS, HIDDEN = 4, 2, 4
EPOCHS, BATCH = 15, 64
SUPPRESSED = 0.2
ARMS = ("all trained", "next layer fixed")


def fixed_readout(seed: int) -> list[dict[str, object]]:
    """A row a channel: the gate that was learned, and the best in closed form."""
    best = MU / SIGMA**2
    readout = best.sum() / (1 + (MU * best).sum())  # so that the best gates lie within (0, 1), where sigmoids reach
    best = best / (1 + (MU * best).sum()) / readout
    torch.manual_seed(seed)
    signal = torch.randn(SAMPLES, 1, dtype=torch.float64)
    noise = torch.randn(SAMPLES, len(MU), dtype=torch.float64)
    channels = torch.from_numpy(MU) * signal + torch.from_numpy(SIGMA) * noise
    logits = torch.zeros(len(MU), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.01)
    for _ in range(STEPS):
        optimizer.zero_grad()
        error = readout * channels @ torch.sigmoid(logits) - signal[:, 0]
        error.square().mean().backward()
        optimizer.step()
    gates = torch.sigmoid(logits.detach()).numpy()
    return [
        {
            "seed": seed,
            "channel": c,
            "mu": MU[c],
            "sigma": SIGMA[c],
            "best": round(best[c], 6),
            "gate": round(gates[c], 6),
        }
        for c in range(len(MU))
    ]


class Network(nn.Module):
    """(B, 8, 8, 8) -> (B, 10), with the gate on what each channel alone was made into."""

    def __init__(self) -> None:
        super().__init__()
        channels = len(NOISE) + USELESS
        self.alone = nn.Sequential(
            nn.Conv2d(channels, FILTERS * channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(FILTERS * channels),
            nn.ReLU(),
        )
        self.se = SqueezeExcitation(SEBlock(hidden=HIDDEN), FILTERS * channels)
        self.next = nn.Conv2d(FILTERS * channels, 32, 3, padding=1, bias=False)
        self.rest = nn.Sequential(
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.next(self.se(self.alone(x))))


def images_of(digits: Tensor, seed: int) -> Tensor:
    """(N, 8, 8) digits -> (N, 8, 8, 8): with more and more noise, and noise alone."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(digits), len(NOISE) + USELESS, 8, 8, generator=generator)
    scale = torch.tensor([*NOISE, *(1.0,) * USELESS])[:, None, None]
    there = torch.tensor([*(1.0,) * len(NOISE), *(0.0,) * USELESS])[:, None, None]
    return digits[:, None] * there + noise * scale


def cnn(arm: str, seed: int) -> list[dict[str, object]]:
    """A row a channel behind the grouped convolution: its mean gate on test images, and how often it is suppressed."""
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    digits = torch.tensor(bunch.images[order] / 16, dtype=torch.float32)
    labels = torch.tensor(bunch.target[order])
    half = len(labels) // 2
    torch.manual_seed(seed)
    net = Network()
    if arm == ARMS[1]:
        net.next.requires_grad_(False)
    steps = EPOCHS * (half // BATCH)
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=0.003, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.003, total_steps=steps)
    for epoch in range(EPOCHS):
        shuffled = torch.randperm(half)
        noisy = images_of(digits[:half], 1_000 * seed + epoch)  # noise is drawn anew in each epoch
        for batch in shuffled[: half // BATCH * BATCH].split(BATCH):
            optimizer.zero_grad()
            cross_entropy(net(noisy[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()
    net.eval()
    with torch.no_grad():
        noisy = images_of(digits[half:], 999_999 + seed)
        gates = net.se.gates(net.alone(noisy))
        accuracy = float((net(noisy).argmax(1) == labels[half:]).float().mean())
    rows = []
    for channel in range(gates.shape[1]):
        source = channel // FILTERS
        useful = source < len(NOISE)
        rows.append(
            {
                **{"arm": arm, "seed": seed, "channel": channel, "useful": int(useful)},
                **{"noise": NOISE[source] if useful else 1.0, "gate": round(float(gates[:, channel].mean()), 6)},
                "suppressed": round(float((gates[:, channel] < SUPPRESSED).float().mean()), 6),
                "accuracy": round(accuracy, 6),
            }
        )
    return rows


def write(file: Path, found: list[dict[str, object]]) -> None:
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


def read(file: Path) -> list[dict[str, str]]:
    with file.open() as lines:
        return list(csv.DictReader(lines))


def rank_agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's correlation of ranks; no two are equal here."""
    return float(np.corrcoef(one.argsort().argsort(), other.argsort().argsort())[0, 1])


def told() -> list[str]:
    rows = read(FIXED)
    seeds = sorted({int(row["seed"]) for row in rows})
    pairs = [
        np.array([(float(row["best"]), float(row["gate"])) for row in rows if int(row["seed"]) == seed])
        for seed in seeds
    ]
    ranks = interval([rank_agreement(*pair.T) for pair in pairs])
    distance = interval([float(np.abs(pair[:, 0] - pair[:, 1]).max()) for pair in pairs])
    lines = [
        f"fixed readout, {len(seeds)} seeds: Spearman's correlation of learned gates with mu / sigma^2 "
        f"{spoken(ranks, 3)}, largest distance from the closed form {distance.mean:.4f} "
        f"({distance.low:.4f} to {distance.high:.4f})"
    ]
    for arm in ARMS:
        gaps = of_seeds(arm, lambda useful, useless: useful["gate"] - useless["gate"])
        shares = [of_seeds(arm, lambda useful, useless, i=i: (useful, useless)[i]["suppressed"]) for i in range(2)]
        means = [of_seeds(arm, lambda useful, useless, i=i: (useful, useless)[i]["gate"]) for i in range(2)]
        accuracy = of_seeds(arm, lambda useful, useless: useful["accuracy"])
        lines.append(
            f"CNN, {arm}, {gaps.count} seeds: mean gate of useful channels {means[0].mean:.3f}, of useless ones "
            f"{means[1].mean:.3f}, difference {spoken(gaps, 3)}; below {SUPPRESSED}: {shares[0].mean:.1%} and "
            f"{shares[1].mean:.1%} ({shares[1].low:.1%} to {shares[1].high:.1%}); test accuracy {accuracy.mean:.2%}"
        )
    return lines


def of_seeds(arm: str, what) -> Interval:
    """Of what is made of the means of useful and of useless channels, seed by seed."""
    rows = [row for row in read(CNN) if row["arm"] == arm]
    values = []
    for seed in dict.fromkeys(row["seed"] for row in rows):
        parts = [
            {
                key: float(
                    np.mean([float(row[key]) for row in rows if row["seed"] == seed and row["useful"] == useful])
                )
                for key in ("gate", "suppressed", "accuracy")
            }
            for useful in ("1", "0")
        ]
        values.append(what(*parts))
    return interval(values)


def draw() -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    rows = read(FIXED)
    left.plot([0, 1], [0, 1], color="#8c959f", linewidth=1)
    left.plot(
        [float(row["best"]) for row in rows], [float(row["gate"]) for row in rows], "o", alpha=0.3, color="#1f6feb"
    )
    left.set_xlabel("best gate, mu / sigma^2 in units of the readout")
    left.set_ylabel("learned gate")
    left.set_title("fixed readout", fontsize=10)
    names = [f"digit, noise {noise}" for noise in NOISE] + ["noise alone"]
    for shift, (arm, colour) in enumerate(zip(ARMS, ("#1f6feb", "#cf222e"), strict=True)):
        rows = [row for row in read(CNN) if row["arm"] == arm]
        for place, noise in enumerate([*NOISE, None]):
            of_kind = [
                r
                for r in rows
                if (float(r["noise"]) == noise if noise else True) and r["useful"] == str(int(noise is not None))
            ]
            each = [
                np.mean([float(r["gate"]) for r in of_kind if r["seed"] == s])
                for s in dict.fromkeys(r["seed"] for r in of_kind)
            ]
            right.plot(
                [place + 0.2 * shift - 0.1] * len(each),
                each,
                "o",
                alpha=0.4,
                color=colour,
                label=arm if not place else None,
            )
    right.axhline(SUPPRESSED, color="#8c959f", linewidth=1)
    right.set_xticks(range(len(names)), names, rotation=20, fontsize=8)
    right.set_ylabel("mean gate over test images")
    right.set_ylim(0, 1)
    right.set_title("trained CNN, a point a seed", fontsize=10)
    right.legend(fontsize=8)
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "figure.png", dpi=130)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--figure", action="store_true", help="figure and answer only, from the tables")
    options = parser.parse_args()
    if not options.figure:
        write(FIXED, [row for seed in range(options.seeds) for row in fixed_readout(seed)])
        write(CNN, [row for seed in range(options.seeds) for arm in ARMS for row in cnn(arm, seed)])
    print("\n".join(told()))
    draw()
