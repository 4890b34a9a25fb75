"""A site: one unit of the backbone that may get an SE block."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from senas.core.block import Placement
from senas.errors import SpaceError


class Place(NamedTuple):
    """What an SE block would see: channels, and height x width in pixels."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Site:
    """One unit of the backbone that may get an SE block.

    name:    its module path, as `print(model)` shows it; a second unit of the same path has the suffix `-2`.
    places:  each placement that the unit offers, with what is found there.
    output:  what the unit gives out.
    """

    name: str
    places: Mapping[Placement, Place]
    output: Place

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
