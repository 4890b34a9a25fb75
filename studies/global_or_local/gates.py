"""The two gates, and either of them at every site of a network."""

from collections.abc import Sequence

from senas.core.block import SEBlock, Squeeze, width
from senas.core.config import SEConfig
from senas.core.site import Site

GATES = {"global": Squeeze.AVG, "local": Squeeze.LOCAL}


def everywhere(sites: Sequence[Site], gate: str, reduction: int) -> SEConfig:
    """At the usual place of every site."""
    blocks = {}
    for site in sites:
        assert site.usual is not None  # residual units have one
        hidden = width(site.places[site.usual].channels, reduction)
        blocks[site.name] = SEBlock(hidden=hidden, placement=site.usual, squeeze=GATES[gate])
    return SEConfig(blocks)
