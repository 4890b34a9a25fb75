"""Made-up studies whose truth is known: simulated.csv, a row a study.

    python studies/reduction_ratio/simulated.py 0 100   # studies 0 to 99 of each truth

Six sites in two stages, C = 32 and 64; each without SE or with r = 2, 4, 8, 16 or 32 at one of two placements; 48
trainings of random configurations with four seeds, noise 0.01 nats (sd), seeds, places and placements that matter too.
What a block's ratio adds to the loss is the square that the theory takes it for, nothing, or something else. Of each
study: kappa as senas fits it, and where that is identified the ratios that theory then has best for a penalty of 0.1,
with what they cost beyond the best ratios that the space has, by the truth.
"""

import csv
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from senas.core.block import Placement, SEBlock
from senas.core.config import SEConfig
from senas.core.curvature import ratio_theory
from senas.core.effects import Observation
from senas.core.site import Place, Site
from senas.core.space import Axes, search_space
from senas.core.theory import best_blocks, price

FILE = Path(__file__).parent / "simulated.csv"
COLUMNS = (
    *("truth", "study", "kappa", "mean", "low", "high", "identified", "ratios_narrow", "ratios_wide"),
    *("best_narrow", "best_wide", "theory_misses", "all16_misses", "untold_misses"),
)
P = (Placement.STANDARD, Placement.PRE)
RATIOS = (2, 4, 8, 16, 32)
CHANNELS = (32, 64)
SITES = tuple(
    Site(f"layer{stage}.{unit}", dict.fromkeys(P, Place(c, 8, 8)), Place(c, 8, 8))
    for stage, c in enumerate(CHANNELS, 1)
    for unit in range(3)
)
SPACE = search_space(SITES, Axes(reduction=RATIOS, placement=P))
PENALTY, NOISE, SEEDS, TRAININGS = 0.1, 0.01, 4, 48

TRUTHS: dict[str, tuple[float, Callable[[float], float]]] = {
    "none": (0.0, lambda r: 0.0),
    "square, 1e-5": (1e-5, lambda r: 1e-5 / 2 * r**2),
    "square, 3e-5": (3e-5, lambda r: 3e-5 / 2 * r**2),
    "square, 1e-4": (1e-4, lambda r: 1e-4 / 2 * r**2),
    "flat, then a jump": (math.nan, lambda r: 0.02 * (r > 16)),
    "by doublings": (math.nan, lambda r: 0.004 * math.log2(r)),
}
"""kappa, and what a block of ratio r adds. The jump is the shape of the paper's table, flat from 2 to 16."""


def observed(adds: Callable[[float], float], rng: np.random.Generator) -> list[Observation]:
    places = {site.name: rng.normal(-0.01, 0.01) for site in SITES}
    pre, seeds = rng.normal(0.0, 0.005), rng.normal(0.0, 0.005, SEEDS)
    seen = []
    for n in range(TRAININGS):
        config = SPACE.draw(lambda _, options: options[int(rng.integers(len(options)))])
        loss = 0.5 + seeds[n % SEEDS] + NOISE * rng.normal()
        for site, block in config.on(SITES):
            loss += places[site.name] + pre * (block.placement is Placement.PRE) + adds(ratio(site, block))
        seen.append(Observation(config, n % SEEDS, float(loss)))
    return seen


def ratio(site: Site, block: object) -> float:
    assert isinstance(block, SEBlock)
    return site.seen(block).channels / block.hidden


def cost(config: SEConfig, adds: Callable[[float], float]) -> float:
    """Penalised, but for what blocks add whatever their ratio is."""
    paid = PENALTY * config.params(SITES) / SPACE.largest_params
    return paid + sum(adds(ratio(site, block)) for site, block in config.on(SITES))


def everywhere(narrow: int, wide: int) -> SEConfig:
    """Standard blocks of one ratio a stage."""
    pairs = [(site, narrow if site.output.channels == CHANNELS[0] else wide) for site in SITES]
    return SEConfig({site.name: SEBlock(hidden=site.output.channels // r) for site, r in pairs})


def study(truth: str, number: int) -> dict[str, object]:
    kappa, adds = TRUTHS[truth]
    seen = observed(adds, np.random.default_rng((number, list(TRUTHS).index(truth))))
    theory = ratio_theory(SPACE, seen, price=price(PENALTY, SPACE.largest_params), seed=number, effort=0.5)
    assert theory.kappa is not None
    grid = {(a, b): cost(everywhere(a, b), adds) for a in RATIOS for b in RATIOS}
    best = min(grid, key=grid.__getitem__)
    row: dict[str, object] = {"truth": truth, "study": number, "kappa": kappa}
    row |= {"mean": theory.kappa.mean, "low": theory.kappa.low, "high": theory.kappa.high}
    row |= {"identified": "yes" if theory.identified else "no", "best_narrow": best[0], "best_wide": best[1]}
    row |= {"all16_misses": grid[16, 16] - grid[best]}
    if theory.kappa.mean > 0:
        chosen = best_blocks(SPACE, theory.kappa.mean, PENALTY)
        misses = cost(chosen, adds) - grid[best]
        named = {site.output.channels: ratio(site, block) for site, block in chosen.on(SITES)}
        if theory.identified:
            row |= {"theory_misses": misses, "ratios_narrow": named[32], "ratios_wide": named[64]}
        else:
            row |= {"untold_misses": misses}
    return row


def main(first: int, after: int) -> None:
    fresh = not FILE.exists()
    with FILE.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if fresh:
            writer.writeheader()
        for number in range(first, after):
            for truth in TRUTHS:
                row = study(truth, number)
                writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
            file.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
