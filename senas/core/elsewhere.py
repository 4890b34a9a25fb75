"""The same SE blocks at random places: what a search has to beat, if where blocks are is what it found."""

from collections.abc import Sequence

import numpy as np

from senas.core.config import SEConfig
from senas.core.space import NONE, SearchSpace

DRAWS = 20
"""Shuffles that are tried for each configuration that is asked for."""


def elsewhere(space: SearchSpace, config: SEConfig, count: int, rng: np.random.Generator) -> list[SEConfig]:
    """Up to `count` different configurations with the options of `config` at other choices, drawn at random.

    An option goes only where the space offers it, and only what is within the caps counts. `config` itself is not among
    them. Empty where there is nothing to be moved: no block, or one everywhere.
    """
    chosen = space.encode(config)
    found: dict[SEConfig, None] = {}
    for _ in range(DRAWS * count):
        moved = _shuffled(space, list(chosen.values()), rng)
        if moved is not None and moved != config and space.fits(moved):
            found[moved] = None
        if len(found) == count:
            break
    return list(found)


def _shuffled(space: SearchSpace, options: Sequence[str], rng: np.random.Generator) -> SEConfig | None:
    order = [options[n] for n in rng.permutation(len(options))]
    if any(option not in choice.options for option, choice in zip(order, space.choices, strict=True)):
        return None
    blocks = dict(zip((choice.name for choice in space.choices), order, strict=True))
    return space.draw(lambda name, _: blocks.get(name, NONE))
