"""An SE configuration: which sites have which SE block. A value; its text is its identity."""

import re
from collections.abc import Iterator, Mapping, Sequence

from senas.core.block import ORIGINAL, Activation, Block, Gate, Original, Placement, SEBlock, Squeeze, member, width
from senas.core.site import Site
from senas.errors import SpaceError

BASELINES = {
    "former": "the SE blocks that the backbone came with",
    "none": "no SE",
    "all16": "SE everywhere at r = 16",
}
"""Configurations with a name, in words."""

Plain = dict[str, dict[str, str | int | bool] | str]


class SEConfig(Mapping[str, Block]):
    """Site name -> SE block, for the sites that have one; every other site is without SE.

    Immutable and hashable. Equal configurations build the same network, and have the same text, whatever
    order or ratio they were written in.
    """

    __slots__ = ("_blocks", "_hash")

    def __init__(self, blocks: Mapping[str, Block | None] | None = None) -> None:
        given = {site: block for site, block in (blocks or {}).items() if block is not None}
        self._blocks: dict[str, Block] = dict(sorted(given.items(), key=lambda item: (_natural(item[0]), item[0])))
        self._hash: int | None = None  # a study asks for it thousands of times

    def __getitem__(self, site: str) -> Block:
        return self._blocks[site]

    def __iter__(self) -> Iterator[str]:
        return iter(self._blocks)

    def __len__(self) -> int:
        return len(self._blocks)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SEConfig):
            return super().__eq__(other)
        return self is other or (hash(self) == hash(other) and self._blocks == other._blocks)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(tuple(self._blocks.items()))
        return self._hash

    def __reduce__(self) -> tuple[type["SEConfig"], tuple[dict[str, Block]]]:
        return SEConfig, (self._blocks,)  # a hash holds in the process that made it

    def __str__(self) -> str:
        return "; ".join(f"{site}: {block}" for site, block in self._blocks.items()) or "none"

    def __repr__(self) -> str:
        return f"SEConfig({self})"

    @classmethod
    def parse(cls, text: str) -> "SEConfig":
        """The configuration whose `str` is `text`."""
        if text == "none":
            return cls()
        pairs = [part.partition(": ") for part in text.split("; ")]
        config = cls({site: Original() if block == ORIGINAL else SEBlock.parse(block) for site, _, block in pairs})
        if len(config) < len(pairs):
            sites = [site for site, _, _ in pairs]
            raise SpaceError(f"site {next(s for s in sites if sites.count(s) > 1)} has two SE blocks; keep one")
        return config

    def plain(self) -> Plain:
        """As plain mappings of strings and numbers, for YAML."""
        return {
            site: {
                "hidden": block.hidden,
                "placement": str(block.placement),
                "squeeze": str(block.squeeze),
                "gate": str(block.gate),
                "activation": str(block.activation),
                "bias": block.bias,
            }
            if isinstance(block, SEBlock)
            else str(block)
            for site, block in self.items()
        }

    @classmethod
    def from_plain(cls, plain: object) -> "SEConfig":
        """The inverse of `plain`; a site may also be `none` or `original`. Raises SpaceError naming site and key."""
        if not isinstance(plain, Mapping):
            raise SpaceError(f'an SE configuration maps sites to SE blocks, got "{plain}"')
        return cls({str(site): _block(str(site), given) for site, given in plain.items()})

    def params(self, sites: Sequence[Site]) -> int:
        """Weights that the SE blocks add, in closed form."""
        return sum(site.params(block) for site, block in self.on(sites))

    def macs(self, sites: Sequence[Site]) -> int:
        """Multiply-accumulates that the SE blocks add for one image, in closed form."""
        return sum(site.macs(block) for site, block in self.on(sites))

    def on(self, sites: Sequence[Site]) -> list[tuple[Site, Block]]:
        """Its blocks beside their sites, in network order. Raises SpaceError naming the sites that are missing."""
        missing = [name for name in self if name not in {site.name for site in sites}]
        if missing:
            raise SpaceError(
                f"the network has no site {', '.join(missing)}; its sites are {', '.join(s.name for s in sites)}"
            )
        return [(site, self[site.name]) for site in sites if site.name in self]

    @property
    def gates(self) -> list[Gate]:
        """The gate of each block that is one of ours."""
        return [block.gate for block in self.values() if isinstance(block, SEBlock)]

    def words(self, sites: Sequence[Site]) -> str:
        """For people: `r16 standard: all`, or `r4 pre: layer1.0, layer1.1 | former: layer3.0`, or `none`."""
        spoken: dict[str, list[str]] = {}
        for site, block in self.on(sites):
            came_with = site.former is not None and block == site.former.option
            spoken.setdefault("former" if came_with else spoken_block(block, site), []).append(site.name)
        everywhere = len(spoken) == 1 and len(self) > 1 and (len(self) == len(sites) or self == SEConfig.former(sites))
        parts = (f"{what}: {'all' if everywhere else ', '.join(where)}" for what, where in spoken.items())
        return " | ".join(parts) or "none"

    @classmethod
    def everywhere(cls, sites: Sequence[Site], reduction: int = 16, gate: Gate = Gate.SIGMOID) -> "SEConfig":
        """The literature's usual choice: a block at every site, `standard` where the unit has that place."""
        return cls(
            {
                site.name: SEBlock(
                    hidden=width(site.places[site.usual].channels, reduction), placement=site.usual, gate=gate
                )
                for site in sites
                if site.usual is not None
            }
        )

    @classmethod
    def former(cls, sites: Sequence[Site]) -> "SEConfig":
        """The blocks that the backbone came with, where they were taken out."""
        return cls({site.name: site.former.option for site in sites if site.former is not None})


def usual_gate(gates: Sequence[Gate]) -> Gate:
    """The gate of the block that stands for the usual choice among these: the sigmoid where it is one of them."""
    return Gate.SIGMOID if Gate.SIGMOID in gates or not gates else gates[0]


def baselines(sites: Sequence[Site], gate: Gate = Gate.SIGMOID) -> dict[str, SEConfig]:
    """What every search is measured against, by name: see BASELINES. `former` only where there were such blocks."""
    former = {"former": SEConfig.former(sites)} if any(site.former for site in sites) else {}
    return {**former, "none": SEConfig(), "all16": SEConfig.everywhere(sites, 16, gate)}


def spoken_block(block: Block, site: Site) -> str:
    """The block with its width as the smallest usual ratio that gives it: `r16 standard`; else `h5 standard`."""
    return spoken_on(block, site.place(block.placement).channels) if isinstance(block, SEBlock) else str(block)


def spoken_on(block: SEBlock, channels: int) -> str:
    """`spoken_block`, on so many channels."""
    usual = [r for r in (2, 4, 8, 16, 32, 64) if width(channels, r) == block.hidden]
    # Several ratios can give one width (C = 16: r = 16 and r = 32 are both 1); the smallest names it.
    return f"r{usual[0]} {block.traits}" if usual else str(block)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _block(site: str, given: object) -> Block | None:
    if given is None or given == "none":
        return None
    if given == ORIGINAL:
        return Original()
    if not isinstance(given, Mapping):
        raise SpaceError(f'site {site}: an SE block is a mapping with "hidden" and "placement", or none; got "{given}"')
    kinds = {"placement": Placement, "squeeze": Squeeze, "gate": Gate, "activation": Activation}
    known = {"hidden", "bias", *kinds}
    if unknown := [key for key in given if key not in known]:
        raise SpaceError(f'site {site}: unknown key "{unknown[0]}"; an SE block has {", ".join(sorted(known))}')
    hidden, bias = given.get("hidden"), given.get("bias", True)
    if type(hidden) is not int or hidden < 1:
        raise SpaceError(f'site {site}: hidden must be a whole number of at least 1, got "{hidden}"; or give none')
    if type(bias) is not bool:
        raise SpaceError(f'site {site}: bias must be true or false, got "{bias}"')
    fields = {key: member(kind, given[key], f"site {site}: {key}") for key, kind in kinds.items() if key in given}
    return SEBlock(hidden=hidden, bias=bias, **fields)  # type: ignore[arg-type]
