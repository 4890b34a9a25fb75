"""The search space: the finite set of SE configurations a study may propose."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from senas.core.block import Activation, Block, Gate, Placement, SEBlock, Squeeze, width
from senas.core.budget import Budget
from senas.core.config import SEConfig, usual_gate
from senas.core.constraint import UNBOUNDED, Caps, Constraints, spoken
from senas.core.site import Site, select, stages
from senas.errors import SpaceError

Choose = Callable[[str, Sequence[str]], str]
"""Given the name of a choice and all its options in words, returns one of them."""

Blocks = tuple[Block | None, ...]
PER = ("site", "stage", "network")
NONE = "none"
FORMER = "former"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """What a user may choose from: each list is one axis of every site's options.

    sites:      names or globs of the sites that are open; the others stay without SE.
    per:        `site`, `stage` or `network`: what shares one choice.
    reduction:  reduction ratios r; the hidden width is max(1, C // r). None leaves former blocks only.
    optional:   whether a site may go without SE.
    """

    sites: tuple[str, ...] = ("*",)
    per: str = "site"
    reduction: tuple[int, ...] = (4, 16)
    placement: tuple[Placement, ...] = (Placement.STANDARD,)
    squeeze: tuple[Squeeze, ...] = (Squeeze.AVG,)
    gate: tuple[Gate, ...] = (Gate.SIGMOID,)
    activation: tuple[Activation, ...] = (Activation.RELU,)
    bias: tuple[bool, ...] = (True,)
    optional: bool = True

    @property
    def usual_gate(self) -> Gate:
        """The gate of the block that stands for the usual choice."""
        return usual_gate(self.gate)

    def __post_init__(self) -> None:
        if self.per not in PER:
            raise SpaceError(f'space.per must be one of {", ".join(PER)}, got "{self.per}"')
        for axis in ("sites", "placement", "squeeze", "gate", "activation", "bias"):
            if not getattr(self, axis):
                raise SpaceError(f"space.{axis} is empty; give at least one value")
        if min(self.reduction, default=1) < 1:
            raise SpaceError(
                f"space.reduction must be at least 1, got {min(self.reduction)}; "
                "space.optional=true lets a site go without SE"
            )


@dataclass(frozen=True, slots=True)
class Choice:
    """Sites that share one decision, and what can be decided: option in words -> a block or none for each site."""

    name: str
    sites: tuple[str, ...]
    options: Mapping[str, Blocks]


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """A finite set of SE configurations: of the product of its choices, what is within the caps. No two option lists
    give one configuration.

    Samplers propose from the whole product, and learn from what is rejected: so `draw`, `encode` and `largest_params`
    are about the product, everything else about what is within the caps.
    """

    sites: tuple[Site, ...]
    choices: tuple[Choice, ...]
    caps: Caps = UNBOUNDED

    @property
    def product(self) -> int:
        """How many SE configurations there are, within the caps or not."""
        return math.prod(len(choice.options) for choice in self.choices)

    @property
    def size(self) -> int | None:
        """How many SE configurations there are; None where the caps make that too long to count."""
        return self.product if self.caps == UNBOUNDED else self._budget.count()

    def capped(self, constraints: Constraints, params: int, macs: int) -> "SearchSpace":
        """Without the configurations that closed forms rule out, on a backbone of so many parameters and MACs.

        Raises SpaceError, naming the least there is, where nothing is left.
        """
        capped = replace(self, caps=constraints.caps(params, macs))
        added_params, added_macs = capped._budget.least[0]
        least = {"params": params + added_params, "macs": macs + added_macs, "se_params": added_params}
        for name, bound in constraints.given.items():
            if name in least and least[name] > bound:
                raise SpaceError(
                    f"space.constraints.{name}: no configuration has at most {spoken(bound)}; the smallest has "
                    f"{least[name]:,}; raise it to that at least, or choose a smaller backbone"
                )
        if capped.size == 0:
            bounds = " and ".join(f"{name} {spoken(bound)}" for name, bound in constraints.given.items())
            raise SpaceError(f"space.constraints: no configuration is within {bounds} at once; raise one of them")
        return capped

    def fits(self, config: SEConfig) -> bool:
        """Whether its SE blocks are within the caps."""
        return self.caps.hold(config.params(self.sites), config.macs(self.sites))

    def draw_within(self, pick: Callable[[int], int]) -> SEConfig | None:
        """A configuration within the caps; see `Budget.draw`."""
        way = self.draw_way_within(pick)
        return None if way is None else self.at(way)

    def draw_way_within(self, pick: Callable[[int], int]) -> tuple[int, ...] | None:
        """The same, as the number of the option of each choice."""
        return self._budget.draw(pick)

    @property
    def smallest(self) -> SEConfig:
        """The configuration with the fewest SE parameters; of those, with the fewest MACs."""
        return self.at(tuple(options.index(min(options)) for options in self._budget.options))

    def draw(self, choose: Choose) -> SEConfig:
        """Walk the choices, asking `choose` once for each, and return what was chosen, within the caps or not.

        Raises SpaceError where `choose` answers with an option that is not offered.
        """
        blocks: dict[str, Block | None] = {}
        for choice in self.choices:
            option = choose(choice.name, list(choice.options))
            if option not in choice.options:
                raise SpaceError(f'{choice.name}: "{option}" is not among {", ".join(choice.options)}')
            blocks.update(zip(choice.sites, choice.options[option], strict=True))
        return SEConfig(blocks)

    def encode(self, config: SEConfig) -> dict[str, str]:
        """The options that `draw` would need to return `config`. Raises SpaceError where it is not in the space."""
        options: dict[str, str] = {}
        for choice in self.choices:
            wanted = tuple(config.get(site) for site in choice.sites)
            found = [option for option, blocks in choice.options.items() if blocks == wanted]
            if not found:
                raise SpaceError(f"{config} is not in the search space: {choice.name} has no such option")
            options[choice.name] = found[0]
        if closed := [site for site in config if site not in self._open]:
            raise SpaceError(f"{config} is not in the search space: {', '.join(closed)} is not open")
        return options

    def __contains__(self, config: SEConfig) -> bool:
        try:
            self.encode(config)
        except SpaceError:
            return False
        return self.fits(config)

    def __iter__(self) -> Iterator[SEConfig]:
        """Every configuration, in a fixed order. There are `size` of them."""
        return map(self.at, self._budget.walk())

    @property
    def largest_params(self) -> int:
        """SE parameters of the configuration that has the most, within the caps or not."""
        return sum(max(params for params, _ in options) for options in self.costs)

    @property
    def largest_macs(self) -> int:
        """MACs that the blocks of the configuration with the most of them add, within the caps or not."""
        return sum(max(macs for _, macs in options) for options in self.costs)

    @property
    def costs(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For each choice the SE parameters and MACs that each of its options adds."""
        return self._budget.options

    @property
    def _budget(self) -> Budget:
        sites = {site.name: site for site in self.sites}

        def cost(names: Sequence[str], blocks: Blocks) -> tuple[int, int]:
            there = [(sites[name], block) for name, block in zip(names, blocks, strict=True) if block is not None]
            return sum(site.params(block) for site, block in there), sum(site.macs(block) for site, block in there)

        costs = tuple(tuple(cost(c.sites, blocks) for blocks in c.options.values()) for c in self.choices)
        return Budget(costs, self.caps)

    def at(self, way: Sequence[int]) -> SEConfig:
        """The configuration that has the option of this number at each choice."""
        blocks: dict[str, Block | None] = {}
        for choice, number in zip(self.choices, way, strict=True):
            blocks.update(zip(choice.sites, list(choice.options.values())[number], strict=True))
        return SEConfig(blocks)

    @property
    def _open(self) -> set[str]:
        return {site for choice in self.choices for site in choice.sites}


def search_space(sites: Sequence[Site], axes: Axes) -> SearchSpace:
    """The space of `axes` on a backbone's sites.

    The block that the backbone came with is an option of its site, whatever the axes are. A placement that not all
    sites of a choice offer is not among its options, and ratios that give the same widths (at C = 16, r = 16 and
    r = 32) are one option, named by the first. Raises SpaceError where nothing is left.
    """
    opened = select(sites, axes.sites)
    if not axes.reduction and not any(site.former for site in opened):
        raise SpaceError(
            "space.reduction is empty; give at least one value, for there are no former blocks to choose among "
            "(backbone.strip_se=true takes a backbone's own out)"
        )
    choices = tuple(_choice(name, group, axes) for name, group in _groups(sites, opened, axes.per))
    space = SearchSpace(tuple(sites), choices)
    if space.largest_params == 0:
        raise SpaceError(
            "the search space is empty: no choice has a site or group of sites that all offer one of space.placement "
            f"({', '.join(axes.placement)}); add another, or set space.per=site"
        )
    return space


def check_ratios(sites: Sequence[Site], axes: Axes) -> None:
    """Raises SpaceError for a ratio larger than the channels of every chosen site: nobody can mean width 1 by it."""
    opened = select(sites, axes.sites)
    channels = [site.places[p].channels for site in opened for p in axes.placement if p in site.places]
    if channels and max(axes.reduction, default=0) > max(channels):
        there = f"{min(channels)} to {max(channels)}" if min(channels) < max(channels) else f"{max(channels)}"
        raise SpaceError(
            f"space.reduction: {max(axes.reduction)} is more than the channels of every chosen site ({there}); "
            f"give at most {max(channels)}"
        )


def _groups(sites: Sequence[Site], opened: Sequence[Site], per: str) -> list[tuple[str, tuple[Site, ...]]]:
    if per == "site":
        return [(site.name, (site,)) for site in opened]
    if per == "stage":
        runs = [(f"stage{n}", tuple(site for site in run if site in opened)) for n, run in enumerate(stages(sites), 1)]
        return [(name, run) for name, run in runs if run]
    return [("network", tuple(opened))]


def _choice(name: str, group: Sequence[Site], axes: Axes) -> Choice:
    options: dict[str, Blocks] = {NONE: (None,) * len(group)} if axes.optional else {}
    if any(site.former for site in group):
        options[FORMER] = tuple(site.former.option if site.former else None for site in group)
    seen = set(options.values())
    for r, placement, squeeze, gate, activation, bias in itertools.product(
        axes.reduction, axes.placement, axes.squeeze, axes.gate, axes.activation, axes.bias
    ):
        if not all(placement in site.places for site in group):
            continue
        likeness = SEBlock(hidden=1, placement=placement, squeeze=squeeze, gate=gate, activation=activation, bias=bias)
        blocks: Blocks = tuple(replace(likeness, hidden=width(site.places[placement].channels, r)) for site in group)
        if blocks not in seen:
            seen.add(blocks)
            options[f"r{r} {likeness.traits}"] = blocks
    if not options:
        raise SpaceError(
            f"{name} offers none of the placements {', '.join(axes.placement)}; "
            "add another to space.placement, leave the site out of space.sites, or set space.optional=true"
        )
    return Choice(name, tuple(site.name for site in group), options)
