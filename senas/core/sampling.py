"""Which SE configurations a network with shared weights trains on, optimizer step by optimizer step.

Sources: Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", arXiv:1904.00420; Chu et
al., "FairNAS", arXiv:1907.01845 (fair); Yu and Huang, "Universally Slimmable Networks", arXiv:1903.05134 (sandwich).
All draw from the product of a space's choices, within its caps or not: what breaks a cap is not measured later.
"""

from collections.abc import Callable, Iterator
from random import Random

from senas.core.block import Block
from senas.core.config import SEConfig
from senas.core.space import Choice, Choose, SearchSpace

Step = tuple[SEConfig, ...]
"""The configurations of one step of the optimizer, whose losses are added up."""
DRAWN = 2
"""Configurations that a sandwich holds between the largest and the smallest."""


def uniform(space: SearchSpace, seed: int) -> Iterator[Step]:
    """One configuration a step, each option of each choice equally likely."""
    random = Random(seed)
    while True:
        yield (_drawn(space, random),)


def fair(space: SearchSpace, seed: int) -> Iterator[Step]:
    """As many configurations a step as the largest choice has options: each step has each of them once.

    A choice with fewer options has each of its own as often as any other, or once more.
    """
    random = Random(seed)
    count = max(len(choice.options) for choice in space.choices)
    while True:
        names = [choice.name for choice in space.choices]
        columns = [_shuffled(list(choice.options), count, random) for choice in space.choices]
        yield tuple(space.draw(_chosen(dict(zip(names, row, strict=True)))) for row in zip(*columns, strict=True))


def sandwich(space: SearchSpace, seed: int) -> Iterator[Step]:
    """The configuration with the most SE parameters, some drawn, and the one with the fewest.

    Where several options of a choice are the largest, such as one ratio in several places, one of them is drawn.
    """
    random = Random(seed)
    largest = {choice.name: _extreme(space, choice, max) for choice in space.choices}
    smallest = {choice.name: _extreme(space, choice, min) for choice in space.choices}
    while True:
        yield (
            space.draw(lambda name, _: random.choice(largest[name])),
            *(_drawn(space, random) for _ in range(DRAWN)),
            space.draw(lambda name, _: random.choice(smallest[name])),
        )


SAMPLINGS: dict[str, Callable[[SearchSpace, int], Iterator[Step]]] = {
    "uniform": uniform,
    "fair": fair,
    "sandwich": sandwich,
}


def _chosen(options: dict[str, str]) -> Choose:
    return lambda name, _: options[name]


def _drawn(space: SearchSpace, random: Random) -> SEConfig:
    return space.draw(lambda _, options: random.choice(options))


def _shuffled(options: list[str], count: int, random: Random) -> list[str]:
    """So many options in random order, each as often as any other, or once more."""
    times, rest = divmod(count, len(options))
    column = options * times + random.sample(options, rest)
    random.shuffle(column)
    return column


def _extreme(space: SearchSpace, choice: Choice, end: Callable[..., int]) -> list[str]:
    """The options of a choice that add the most parameters, or the fewest."""
    sites = {site.name: site for site in space.sites}

    def params(blocks: tuple[Block | None, ...]) -> int:
        there = zip(choice.sites, blocks, strict=True)
        return sum(sites[name].params(block) for name, block in there if block is not None)

    costs = {option: params(blocks) for option, blocks in choice.options.items()}
    bound = end(costs.values())
    return [option for option, cost in costs.items() if cost == bound]
