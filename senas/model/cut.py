"""Where blocks go on a traced graph. Nodes are told by name, so that copies of the graph can be edited."""

from dataclasses import dataclass

from senas.core.block import Placement
from senas.core.site import Site


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a block goes in: it reads `source`, and `readers` read the block instead."""

    source: str
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """A block of the backbone's own that was taken out: its path, and its two layers' where it is one of ours."""

    path: str
    layers: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Unit:
    """A site on the graph.

    owner:  path of the module that will own the block, under the name `child`.
    cuts:   one for each placement of the site.
    taken:  what was at `owner`.`child` in the backbone, where a block was taken out.
    """

    site: Site
    owner: str
    cuts: dict[Placement, Cut]
    child: str = "se"
    taken: Taken | None = None


def numbered(paths: list[str]) -> list[str]:
    """Names of sites from module paths: the root is `network`, a second one of a path has the suffix `-2`."""
    seen: dict[str, int] = {}
    names = []
    for path in paths:
        seen[path] = seen.get(path, 0) + 1
        names.append((path or "network") + (f"-{seen[path]}" if seen[path] > 1 else ""))
    return names
