"""What a supernet carries: at which places of which sites, and what a block can be there. Values; no tensors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from senas.core.block import ORIGINAL, Activation, Block, Gate, SEBlock, Squeeze
from senas.core.config import SEConfig
from senas.core.site import Site
from senas.core.space import SearchSpace
from senas.errors import SpaceError


class Slot(NamedTuple):
    """Where something is carried. `what` is a placement, or `original` for a block of the backbone's own."""

    site: str
    what: str

    def __str__(self) -> str:
        return f"{self.site} {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What the block in a slot can be; the fields beside these do not vary.

    hidden:    the largest width.
    optional:  whether some configuration goes without it.
    """

    hidden: int = 0
    squeezes: frozenset[Squeeze] = frozenset()
    gates: frozenset[Gate] = frozenset()
    activations: frozenset[Activation] = frozenset()
    biases: frozenset[bool] = frozenset()
    optional: bool = True

    def check(self, slot: Slot, block: Block) -> None:
        """Raises SpaceError, naming the field, for a block that is wider than what is carried, or of another kind."""
        if not isinstance(block, SEBlock):
            return
        if block.hidden > self.hidden:
            raise SpaceError(
                f"{slot}: hidden {block.hidden} is more than the {self.hidden} that the supernet carries there; "
                "build it for this configuration too"
            )
        for name, value, known in (
            ("squeeze", block.squeeze, self.squeezes),
            ("gate", block.gate, self.gates),
            ("activation", block.activation, self.activations),
            ("bias", block.bias, self.biases),
        ):
            if value not in known:
                there = ", ".join(str(each).lower() for each in sorted(known))
                raise SpaceError(
                    f"{slot}: {name} {str(value).lower()} is not among what the supernet carries there ({there}); "
                    "build it for this configuration too"
                )


Cargo = Mapping[Slot, Carried]


def slot_of(site: Site, block: Block) -> Slot:
    """Raises SpaceError where the site cannot have the block."""
    placement = site.placement(block)
    return Slot(site.name, str(placement) if isinstance(block, SEBlock) else ORIGINAL)


def cargo_of(configs: Iterable[SEConfig], sites: Sequence[Site]) -> Cargo:
    """What these configurations use. Raises SpaceError for a site, or a placement at a site, that is not there."""
    configs = list(configs)
    for config in configs:
        config.on(sites)
    return _cargo({site.name: [config.get(site.name) for config in configs] for site in sites}, sites)


def cargo_of_space(space: SearchSpace) -> Cargo:
    """What the configurations of a search space use, within its caps or not."""
    options: dict[str, list[Block | None]] = {}
    for choice in space.choices:
        for at, site in enumerate(choice.sites):
            options[site] = [blocks[at] for blocks in choice.options.values()]
    return _cargo(options, space.sites)


def _cargo(options: Mapping[str, Sequence[Block | None]], sites: Sequence[Site]) -> Cargo:
    """In network order, placements in the order in which a unit computes."""
    cargo: dict[Slot, Carried] = {}
    for site in sites:
        offered = options.get(site.name, ())
        there: dict[Slot, list[Block]] = {}
        for block in offered:
            if block is not None:
                there.setdefault(slot_of(site, block), []).append(block)
        order = [ORIGINAL, *site.places]
        for slot, blocks in sorted(there.items(), key=lambda each: order.index(each[0].what)):
            ours = [block for block in blocks if isinstance(block, SEBlock)]
            cargo[slot] = Carried(
                hidden=max((block.hidden for block in ours), default=0),
                squeezes=frozenset(block.squeeze for block in ours),
                gates=frozenset(block.gate for block in ours),
                activations=frozenset(block.activation for block in ours),
                biases=frozenset(block.bias for block in ours),
                optional=len(blocks) < len(offered),
            )
    return cargo
