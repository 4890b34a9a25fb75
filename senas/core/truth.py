"""One of the truths that results leave possible, as tables: what each option adds to the loss, and each two blocks.

A proposal compares thousands of configurations that differ in one choice: here each costs an addition.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from senas.core.constraint import UNBOUNDED
from senas.core.effects import MEAN, PAIR, STAGE, Column, Effects
from senas.core.scales import Array
from senas.core.space import NONE, SearchSpace

Way = tuple[int, ...]
"""A configuration as the number of its option at each choice."""


@dataclass(frozen=True)
class Truth:
    """The loss of any configuration of a space, but for how far it deviates from the sum of its parts.

    mean:    without SE.
    options: for each choice (options,), what each adds.
    pairs:   (choices, choices), what two blocks add together; symmetric, 0 on the diagonal.
    """

    space: SearchSpace
    mean: float
    options: list[Array]
    pairs: Array

    @classmethod
    def drawn(cls, effects: Effects, rng: np.random.Generator) -> "Truth":
        """One draw of the effects; those that no training showed are drawn from their kind."""
        design, draw = effects.design, int(rng.integers(len(effects.draws)))
        known: dict[Column, float] = {column: float(effects.draws[draw, n]) for column, n in effects.columns.items()}

        def value(column: Column) -> float:
            if column not in known:
                known[column] = float(effects.scale(column[0])[draw] * rng.normal())
            return known[column]

        choices = design.space.choices
        options = [
            np.array(
                [0.0 if option == NONE else sum(map(value, design.of_option(c.name, option))) for option in c.options]
            )
            for c in choices
        ]
        pairs = np.zeros((len(choices), len(choices)))
        for one, other in design.pairs:
            names = (choices[one].name, choices[other].name)
            pairs[one, other] = pairs[other, one] = value((STAGE, "")) + value((PAIR, names))
        return cls(design.space, value((MEAN, "")), options, pairs)

    def priced(self, penalty: float) -> "Truth":
        """With a penalty on SE parameters: so much for all that the largest configuration has."""
        largest = self.space.largest_params
        prices = [penalty / largest * np.array([params for params, _ in each]) for each in self.space.costs]
        return Truth(self.space, self.mean, [a + b for a, b in zip(self.options, prices, strict=True)], self.pairs)

    def loss(self, way: Way) -> float:
        """Of one configuration."""
        blocks = self._blocks(way)
        alone = sum(options[n] for options, n in zip(self.options, way, strict=True))
        return float(self.mean + alone + blocks @ self.pairs @ blocks / 2)

    def climb(self, way: Way) -> dict[Way, float]:
        """From a configuration to better ones by one choice at a time, until no choice betters it: each configuration
        within the caps that was looked at, and its loss."""
        looked: dict[Way, float] = {}
        best, before, loss, blocks = way, None, self.loss(way), self._blocks(way)
        while best != before:
            before = best
            for place, options in enumerate(self.options):
                added = options + self._is_block[place] * (self.pairs[place] @ blocks)
                losses = loss + added - added[best[place]]
                moved = [_with(best, place, n) for n in range(len(options))]
                within = {each: value for each, value in zip(moved, losses.tolist(), strict=True) if self._fits(each)}
                looked |= within
                if within:
                    best = min(within, key=within.__getitem__)
                    loss = within[best]
                    blocks[place] = self._is_block[place][best[place]]
        return looked

    def _blocks(self, way: Way) -> Array:
        """(choices,), 1.0 where there is a block."""
        return np.array([is_block[n] for is_block, n in zip(self._is_block, way, strict=True)])

    @cached_property
    def _is_block(self) -> list[Array]:
        return [np.array([float(option != NONE) for option in c.options]) for c in self.space.choices]

    @cached_property
    def _costs(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        return self.space.costs

    def _fits(self, way: Way) -> bool:
        if self.space.caps == UNBOUNDED:
            return True
        spent = [costs[n] for costs, n in zip(self._costs, way, strict=True)]
        return self.space.caps.hold(sum(params for params, _ in spent), sum(macs for _, macs in spent))


def _with(way: Way, place: int, option: int) -> Way:
    return (*way[:place], option, *way[place + 1 :])
