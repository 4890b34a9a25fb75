"""What each SE block is worth, learned from all trainings of a study together: a Bayesian hierarchical additive model.

A training's loss is taken for a mean, plus what each choice of its configuration adds, plus what its seed adds to
every configuration alike, plus noise. What a choice adds is the sum of an effect that any SE block has, one of its
placement, one of its width, and how far this place deviates from these; blocks in one stage may strengthen or weaken
each other, and a configuration may deviate from the sum of its parts. All effects are normal, each kind with a
standard deviation that is learned too (see `scales`): where places do not differ, they borrow all of their strength
from each other, and where they do, none. So a configuration that was trained once, or never, has a mean and an
interval that can be believed.

Lindley and Smith, "Bayes estimates for the linear model", J. Royal Statistical Society B 34 (1972); Gelman and Hill,
"Data Analysis Using Regression and Multilevel/Hierarchical Models" (2007).
"""

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt

from senas.core.config import SEConfig
from senas.core.mixed import draw_effects
from senas.core.scales import Array
from senas.core.site import stages
from senas.core.space import NONE, SearchSpace

MEAN, BLOCK, PLACEMENT, WIDTH, SITE, OPTION = "mean", "block", "placement", "width", "site", "site's option"
STAGE, PAIR, CONFIGURATION, SEED = "blocks in one stage", "pair of blocks", "configuration", "seed"

Column = tuple[str, Hashable]
"""A kind of effect, and which of that kind."""
SHARES: dict[str, float | None] = {
    BLOCK: 0.2,
    PLACEMENT: 0.2,
    WIDTH: 0.2,
    SITE: 0.2,
    OPTION: 0.05,
    STAGE: 0.05,
    PAIR: 0.05,
    CONFIGURATION: 0.05,
    SEED: None,
}
"""How much each kind is expected to explain: the parts more than their interplay (hierarchy of effects; Wu and
Hamada, "Experiments", 2009). They add up to 1: where a space has all kinds, what they explain together may be any
share; where it has fewer, they are expected to explain somewhat less."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a training came to."""

    config: SEConfig
    seed: int
    loss: float


@dataclass(frozen=True)
class Design:
    """Which effects a configuration of a space is the sum of.

    interactions:  whether blocks in one stage may strengthen or weaken each other.
    """

    space: SearchSpace
    interactions: bool = True

    def columns(self, config: SEConfig) -> dict[Column, float]:
        """How often a configuration has each effect. Raises SpaceError where it is not in the space."""
        if config not in self._known:
            self._known[config] = self._columns(config)
        return self._known[config]

    def numbered(self, observation: Observation) -> tuple[npt.NDArray[np.intp], Array]:
        """The effects that a training has, by their numbers (see `named`), and how often it has each."""
        config = observation.config
        if config not in self._numbered:
            counts = {**self.columns(config), (CONFIGURATION, config): 1.0}
            numbers = [self._number(column) for column in counts]
            self._numbered[config] = np.array(numbers), np.array(list(counts.values()))
        numbers_of, counts_of = self._numbered[config]
        return np.append(numbers_of, self._number((SEED, observation.seed))), np.append(counts_of, 1.0)

    @property
    def named(self) -> list[Column]:
        """All effects that were asked for so far, by number."""
        return list(self._numbers)

    def _number(self, column: Column) -> int:
        return self._numbers.setdefault(column, len(self._numbers))

    @cached_property
    def _numbers(self) -> dict[Column, int]:
        return {}

    @cached_property
    def _numbered(self) -> dict[SEConfig, tuple[npt.NDArray[np.intp], Array]]:
        return {}

    def _columns(self, config: SEConfig) -> dict[Column, float]:
        options = {name: option for name, option in self.space.encode(config).items() if option != NONE}
        counts: dict[Column, float] = {(MEAN, ""): 1.0}
        for name, option in options.items():
            for column in self.of_option(name, option):
                counts[column] = counts.get(column, 0.0) + 1.0
        if self.interactions:
            for one, other in combinations(options, 2):
                if self._stage.get(one, one) == self._stage.get(other, other):
                    for column in ((STAGE, ""), (PAIR, (one, other))):
                        counts[column] = counts.get(column, 0.0) + 1.0
        return counts

    @staticmethod
    def of_option(name: str, option: str) -> list[Column]:
        """The effects of one choice's option, not of none."""
        words = option.split(" ", 1)
        columns: list[Column] = [(BLOCK, ""), (SITE, name), (OPTION, (name, option))]
        if len(words) == 1:  # the former block: neither its width nor its placement is chosen
            return [*columns, (PLACEMENT, option)]
        return [*columns, (WIDTH, words[0]), (PLACEMENT, words[1])]

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Choices, by their numbers, whose blocks may strengthen or weaken each other."""
        stage = [self._stage.get(choice.name) for choice in self.space.choices]
        both = combinations(range(len(stage)), 2)
        return [(a, b) for a, b in both if stage[a] is not None and stage[a] == stage[b]] if self.interactions else []

    @cached_property
    def _known(self) -> dict[SEConfig, dict[Column, float]]:
        return {}

    @cached_property
    def _stage(self) -> dict[str, int]:
        """The stage of each choice that is about one site."""
        numbers = {site.name: n for n, run in enumerate(stages(self.space.sites)) for site in run}
        return {c.name: numbers[c.sites[0]] for c in self.space.choices if len(c.sites) == 1}

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of effect that can be told from each other in this space, but the mean and the noise."""
        options = [(c.name, option) for c in self.space.choices for option in c.options if option != NONE]
        levels: dict[str, set[Hashable]] = {}
        for name, option in options:
            for kind, which in self.of_option(name, option):
                levels.setdefault(kind, set()).add(which)
        kinds = [kind for kind in (PLACEMENT, WIDTH, SITE) if len(levels.get(kind, ())) > 1]
        kinds += [OPTION] if len(levels[OPTION]) > len(levels[SITE]) else []
        kinds += [STAGE, PAIR] if self.pairs else []
        return (BLOCK, *kinds, CONFIGURATION, SEED)


@dataclass(frozen=True)
class Effects:
    """Draws from the posterior of all effects, given what trainings came to.

    design:   what effects there are.
    draws:    (draws, columns), in the unit of the loss; `columns` says of what.
    scales:   (draws, kinds + 1), standard deviations of `design.kinds` and, last, of the noise.
    trained:  how many trainings stand behind each configuration.
    """

    design: Design
    draws: Array
    columns: dict[Column, int]
    scales: Array
    trained: dict[SEConfig, int]

    def losses(self, configs: Sequence[SEConfig]) -> Array:
        """(draws, configurations): the mean loss over seeds of each, trained or not. Jointly drawn."""
        return np.stack([self._loss(config) for config in configs], axis=1)

    def sums(self, columns: Sequence[dict[Column, float]]) -> Array:
        """(draws, sums): of effects, each so many times. Those that no training showed are drawn from their kind."""
        return np.stack([self._sum(counts) for counts in columns], axis=1)

    @property
    def noise(self) -> Array:
        """(draws,): standard deviation of one training about the mean of its configuration and seed."""
        return self.scales[:, -1]

    def scale(self, kind: str) -> Array:
        """(draws,): standard deviation of a kind of effects; zeros where the space has none of that kind."""
        kinds = self.design.kinds
        return self.scales[:, kinds.index(kind)] if kind in kinds else np.zeros(len(self.scales))

    def _loss(self, config: SEConfig) -> Array:
        return self._sum({**self.design.columns(config), (CONFIGURATION, config): 1.0})

    def _sum(self, counts: dict[Column, float]) -> Array:
        total = np.zeros(len(self.draws))
        for column, count in counts.items():
            if column in self.columns:
                total += count * self.draws[:, self.columns[column]]
            elif column[0] in self.design.kinds:
                total += count * self.scale(column[0]) * _normal(column, len(total))
        return total


def fit(
    space: SearchSpace,
    observations: Sequence[Observation],
    *,
    interactions: bool = True,
    seed: int = 0,
    effort: float = 1.0,
    scales: Array | None = None,
    design: Design | None = None,
) -> Effects:
    """What trainings tell of the space. The same trainings and seed give the same draws.

    effort:  see `scales.draw_scales`; 1 takes half a second for 60 trainings, and no more than some seconds for any
             number of them that is larger than that of the effects; else the cube of their number.
    scales:  standard deviations as `Effects` has them, where they are known: one draw of the effects for each.
    design:  that of the space, where one is at hand.

    Raises ValueError for no trainings.
    """
    if not observations:
        raise ValueError("there is nothing to learn effects from: no training came to its end")
    design = design or Design(space, interactions)
    rng = np.random.default_rng(seed)
    rows = [design.numbered(o) for o in observations]
    effect, counts = (np.concatenate(each) for each in zip(*rows, strict=True))
    row = np.repeat(np.arange(len(rows)), [len(numbers) for numbers, _ in rows])
    kinds, named = (MEAN, *design.kinds), design.named
    first = np.sort(np.unique(effect, return_index=True)[1])  # in the order in which they are met
    seen = [number for number in effect[first].tolist() if named[number][0] in kinds]
    seen.sort(key=lambda number: kinds.index(named[number][0]))
    columns = {named[number]: n for n, number in enumerate(seen)}
    place = np.full(len(named), len(seen))  # the last column takes what cannot be told apart
    place[seen] = np.arange(len(seen))
    table = np.zeros((len(rows), len(seen) + 1))
    table[row, place[effect]] = counts
    losses = np.array([o.loss for o in observations])
    free, *groups = [table[:, :-1][:, [column[0] == kind for column in columns]] for kind in kinds]
    shares, own = [SHARES[kind] for kind in design.kinds], design.kinds.index(CONFIGURATION)
    draws, drawn = draw_effects(losses, free, groups, shares, rng, effort=effort, own=own, scales=scales)
    trained: dict[SEConfig, int] = {}
    for o in observations:
        trained[o.config] = trained.get(o.config, 0) + 1
    return Effects(design, draws, columns, drawn, trained)


def _normal(column: Column, count: int) -> Array:
    """Standard normal numbers that are the same whenever this effect is asked for."""
    digest = hashlib.sha256(f"{column[0]} {column[1]}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big")).normal(size=count)
