"""A site: one unit of the backbone that may get an SE block."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from senas.core.block import Block, Original, Placement, SEBlock
from senas.errors import SpaceError

USUAL = (Placement.STANDARD, Placement.INNER, Placement.POST)
"""The placements that a unit's usual block takes, the first that the unit offers."""


class Place(NamedTuple):
    """What an SE block would see: channels, and height x width in pixels."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Former:
    """The SE block that a backbone had at a site before it was taken out.

    placement:  where in the unit it sat; among the site's places.
    block:      as one of ours; None where it cannot be written so, and only the original module will do.
    params:     its parameters, counted; `macs`: multiply-accumulates of its layers for one image.
    """

    placement: Placement
    block: SEBlock | None
    params: int
    macs: int

    @property
    def option(self) -> Block:
        """What an SE configuration says to have it back."""
        return self.block or Original()


@dataclass(frozen=True, slots=True)
class Site:
    """One unit of the backbone that may get an SE block.

    name:    its module path, as `print(model)` shows it; a second unit of the same path has the suffix `-2`.
    places:  each placement that the unit offers, with what is found there.
    output:  what the unit gives out.
    former:  the block that the backbone came with and that was taken out; None where there was none.
    """

    name: str
    places: Mapping[Placement, Place]
    output: Place
    former: Former | None = None

    @property
    def usual(self) -> Placement | None:
        """Where the literature would put a block: where the backbone had one, else `standard`, `inner`."""
        if self.former:
            return self.former.placement
        return next((p for p in USUAL if p in self.places), None)

    def placement(self, block: Block) -> Placement:
        """Where this block sits. Raises SpaceError where the site cannot have it."""
        if isinstance(block, SEBlock):
            self.place(block.placement)
            return block.placement
        if self.former is None or self.former.block is not None:
            raise SpaceError(f"site {self.name} has no block of the backbone's own that is kept as it is")
        return self.former.placement

    def seen(self, block: Block) -> Place:
        """What this block sees here. Raises SpaceError where the site cannot have it."""
        return self.places[self.placement(block)]

    def params(self, block: Block) -> int:
        """Weights that this block adds here."""
        seen = self.seen(block)
        return block.params(seen.channels) if isinstance(block, SEBlock) else self._former.params

    def macs(self, block: Block) -> int:
        """Multiply-accumulates that this block adds here, for one image."""
        seen = self.seen(block)
        return block.macs(*seen) if isinstance(block, SEBlock) else self._former.macs

    @property
    def _former(self) -> Former:
        assert self.former is not None  # `seen` raised otherwise
        return self.former

    def place(self, placement: Placement) -> Place:
        """Raises SpaceError, naming the placements there are, for one that the unit does not offer."""
        if placement not in self.places:
            raise SpaceError(f"site {self.name} has no placement {placement}; it has {', '.join(self.places)}")
        return self.places[placement]


def stages(sites: Sequence[Site]) -> list[tuple[Site, ...]]:
    """Runs of consecutive sites with equal output shape: what papers call a stage."""
    runs: list[tuple[Site, ...]] = []
    for site in sites:
        if runs and runs[-1][-1].output == site.output:
            runs[-1] += (site,)
        else:
            runs.append((site,))
    return runs


def select(sites: Iterable[Site], patterns: Sequence[str]) -> list[Site]:
    """The sites that a name or glob of `patterns` matches, in network order.

    Raises SpaceError for a pattern that matches none, listing the sites.
    """
    sites = list(sites)
    for pattern in patterns:
        if not any(fnmatchcase(site.name, pattern) for site in sites):
            raise SpaceError(
                f'space.sites: "{pattern}" matches no site; the sites are {", ".join(s.name for s in sites)}'
            )
    return [site for site in sites if any(fnmatchcase(site.name, pattern) for pattern in patterns)]
