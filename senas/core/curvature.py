"""How fast the loss rises with the ratio, kappa, from all trainings of a study together: see `theory.best_ratio`.

loss = what `effects` takes it for, with kappa/2 times the sum of r^2 over its SE blocks in the place of the widths'
effects. kappa, the mean and what a block adds as such are not shrunken: a prior that draws effects towards zero would
say that widths do not matter where trainings are few. How far a place's ratios deviate from the square is an effect of
its own kind, and, from three ratios on, how far each ratio does everywhere: so where losses do not follow the square,
the interval of kappa says so. With two ratios nothing can tell: kappa is the difference between them, in other units.
"""

from collections.abc import Sequence

import numpy as np

from senas.core.block import SEBlock
from senas.core.certainty import Estimate
from senas.core.config import SEConfig
from senas.core.effects import BLOCK, CONFIGURATION, OPTION, SEED, SHARES, WIDTH, Column, Design, Observation
from senas.core.mixed import draw_effects
from senas.core.scales import Array
from senas.core.space import FORMER, NONE, SearchSpace
from senas.core.theory import RatioTheory

LEAST = 1e-9
"""Of the sums of squares: what is left of them is rounding."""
TESTED = 3
"""Ratios from which on it can be seen whether losses follow their square."""
OFF_THE_SQUARE = SHARES[OPTION]
"""How much the ratios' deviations from the square are expected to explain: little, as those of options do. With as much
as widths explain by themselves, 90 % intervals held a kappa of losses that do follow it in 97 of 100 studies."""


def ratio_theory(
    space: SearchSpace,
    observations: Sequence[Observation],
    *,
    price: float | None = None,
    interactions: bool = True,
    seed: int = 0,
    effort: float = 1.0,
) -> RatioTheory:
    """What trainings say of kappa; the same trainings and seed say the same.

    price:         the objective's; see `theory.price`.
    interactions, seed, effort:  as in `effects.fit`.
    """
    ratios = {config: _ratios(space, config) for config in dict.fromkeys(o.config for o in observations)}
    levels = tuple(sorted({round(ratio, 6) for each in ratios.values() for ratio in each}))
    kappa = _draws(space, observations, ratios, levels, interactions=interactions, seed=seed, effort=effort)
    return RatioTheory(None if kappa is None else Estimate.of(kappa), price, levels, len(ratios))


def _draws(
    space: SearchSpace,
    observations: Sequence[Observation],
    ratios: dict[SEConfig, list[float]],
    levels: Sequence[float],
    *,
    interactions: bool,
    seed: int,
    effort: float,
) -> Array | None:
    """(draws,) of kappa; None where no two trainings differ in their ratios alone."""
    design = Design(space, interactions)
    counts: list[dict[Column, float]] = []
    for o in observations:
        own = {column: count for column, count in design.columns(o.config).items() if column[0] != WIDTH}
        for ratio in ratios[o.config]:
            column = (WIDTH, round(ratio, 6))
            own[column] = own.get(column, 0.0) + 1.0
        counts.append({**own, (CONFIGURATION, o.config): 1.0, (SEED, o.seed): 1.0})
    blocks = np.array([own.get((BLOCK, ""), 0.0) for own in counts])
    squares = np.array([sum(ratio**2 / 2 for ratio in ratios[o.config]) for o in observations])
    ones = np.ones(len(counts))
    left = squares - _explained(np.column_stack([ones, blocks]), squares)
    unit, spread = left.std(), blocks.std()
    if unit <= LEAST * max(squares.max(initial=0.0), 1.0):
        return None
    free = [ones, left / unit, *([(blocks - blocks.mean()) / spread] if spread else [])]
    kinds = [k for k in design.kinds if k not in (BLOCK, WIDTH) or (k == WIDTH and len(levels) >= TESTED)]
    draws, _ = draw_effects(
        np.array([o.loss for o in observations]),
        np.column_stack(free),
        [_table(counts, kind) for kind in kinds],
        [OFF_THE_SQUARE if kind == WIDTH else SHARES[kind] for kind in kinds],
        np.random.default_rng(seed),
        effort=effort,
        own=kinds.index(CONFIGURATION),
    )
    kappa: Array = draws[:, 1] / unit
    return kappa


def _ratios(space: SearchSpace, config: SEConfig) -> list[float]:
    """C / hidden of each block whose width was chosen: a backbone's former blocks were not, and come as they are."""
    sites = {site.name: site for site in space.sites}
    chosen = space.encode(config)
    opened = [name for c in space.choices if chosen[c.name] not in (NONE, FORMER) for name in c.sites]
    blocks = [(sites[name], config[name]) for name in opened if name in config]
    return [site.seen(block).channels / block.hidden for site, block in blocks if isinstance(block, SEBlock)]


def _table(counts: Sequence[dict[Column, float]], kind: str) -> Array:
    """(trainings, members of the kind), how often each training has each."""
    members = {column: n for n, column in enumerate(dict.fromkeys(c for own in counts for c in own if c[0] == kind))}
    table = np.zeros((len(counts), max(1, len(members))))
    for row, own in enumerate(counts):
        for column, count in own.items():
            if column in members:
                table[row, members[column]] = count
    return table


def _explained(table: Array, y: Array) -> Array:
    """y as least squares has it from the columns of a table."""
    fitted: Array = table @ np.linalg.lstsq(table, y, rcond=None)[0]
    return fitted
