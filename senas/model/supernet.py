"""A supernet: one network that is any of several SE configurations, as a selection of masks says.

It comes from the same surgery as a stand-alone network. Everything that the configurations vary is data: so K of them
can be one batch for `torch.func.vmap`, and one network, captured or compiled once, serves every trial.
"""

import copy
from collections.abc import Mapping, Sequence
from types import EllipsisType

import torch
from torch import Tensor, nn

from senas.core.block import ORIGINAL, Block, Original, Placement, SEBlock
from senas.core.config import SEConfig
from senas.errors import SpaceError
from senas.model.carried import Cargo, Carried, Slot, slot_of
from senas.model.cut import Cut, Unit
from senas.model.masked import Kept, Masked
from senas.model.sites import Traced
from senas.model.surgery import drawn, free, join, paths, put, rewire

State = dict[str, Tensor]
Part = EllipsisType | slice | tuple[slice, slice]


class Supernet:
    """`net` computes, for the configuration that is selected, exactly what `insert` with that configuration does.

    cargo:   what it carries, and can select: from `cargo_of` or `cargo_of_space`.
    sliced:  for weights that all configurations share: each reads the first rows and columns, as many as it is wide.
             Without, a network belongs to one configuration, and what is beyond its blocks has to be zero, as `fill`
             leaves it; it stays so under any optimizer that moves nothing where weight and gradient are zero (SGD with
             or without momentum, Adam, both with decay), and costs no masks.
    seed:    of the initial weights of the blocks; `fill` gives those of a stand-alone network.
    The backbone is not touched. Until something is selected, `net` has all that it carries at once.
    """

    def __init__(
        self, backbone: nn.Module, traced: Traced, cargo: Cargo, *, sliced: bool = False, seed: int = 0
    ) -> None:
        self.cargo, self.sliced = cargo, sliced
        self._backbone, self._units = backbone, {unit.site.name: unit for unit in traced.units}
        self.net = copy.deepcopy(backbone)
        self._paths: dict[Slot, str] = {}
        cuts: list[tuple[str, Cut]] = []
        for slot, carried in cargo.items():
            unit = self._units[slot.site]
            path = free(self.net, join(unit.owner, f"{unit.child}_{slot.what}"))
            put(self.net, path, self._module(slot, carried, unit, seed))
            self._paths[slot] = path
            cuts.append((path, _cut(slot, unit)))
        rewire(self.net, traced, cuts)
        slots = {f"{path}.{name}" for slot, path in self._paths.items() for name in self._at(slot).state_dict()}
        self._names = [name for name in self.net.state_dict() if name not in slots]  # those of the backbone

    def selection(self, config: SEConfig) -> State:
        """The masks of a configuration: by the names of `net`'s buffers. Those of several can be stacked.

        Raises SpaceError for a block that is not carried.
        """
        blocks = self._blocks(config)
        masks: State = {}
        for slot, path in self._paths.items():
            module = self._at(slot)
            values = module.masks(blocks.get(slot))
            for name, buffer in module.named_buffers(recurse=False):
                masks[f"{path}.{name}"] = values[name].to(buffer)
        return masks

    def select(self, config: SEConfig) -> nn.Module:
        """`net`, which computes this configuration from now on."""
        for name, mask in self.selection(config).items():
            self.net.get_buffer(name).copy_(mask)
        return self.net

    def fill(self, alone: Mapping[str, Tensor], config: SEConfig) -> State:
        """The state of `net` with which it is the stand-alone network of this configuration and this state.

        Entries beyond a block's width, and all of a block that is not there, are zero. Copies.
        """
        device = next((tensor.device for tensor in alone.values()), None)
        state = {
            name: torch.zeros(tensor.shape, dtype=tensor.dtype, device=device)
            for name, tensor in self.net.state_dict().items()
        }
        for name, (ours, part) in self._entries(config).items():
            state[ours][part] = alone[name]
        return state

    def extract(self, state: Mapping[str, Tensor], config: SEConfig) -> State:
        """The state of the stand-alone network of this configuration, its names as `insert` gives them. Copies.

        state:  of `net`. The inverse of `fill`; of shared weights, the slices that the configuration reads.
        """
        return {name: state[ours][part].clone() for name, (ours, part) in self._entries(config).items()}

    def stacked(self, members: Sequence[tuple[Mapping[str, Tensor], SEConfig]]) -> tuple[State, State]:
        """Parameters and buffers of `net` for several (state of a stand-alone network, its configuration) at once.

        Each has a dimension more, the first, of len(members); the masks are among the buffers. For
        `torch.func.functional_call` under `torch.func.vmap`, which writes into the buffers.
        """
        states = [{**self.fill(alone, config), **self.selection(config)} for alone, config in members]

        def stack(name: str, own: Tensor) -> Tensor:  # a buffer of the backbone that is no part of its state is equal
            return torch.stack([state.get(name, own.detach()) for state in states])

        parameters = {name: stack(name, p).requires_grad_(p.requires_grad) for name, p in self.net.named_parameters()}
        return parameters, {name: stack(name, buffer) for name, buffer in self.net.named_buffers()}

    def _entries(self, config: SEConfig) -> dict[str, tuple[str, Part]]:
        """Each name in the state of the stand-alone network: its name in that of `net`, and which part of it is its."""
        blocks = self._blocks(config)
        entries: dict[str, tuple[str, Part]] = {name: (name, ...) for name in self._names}
        wanted = [(slot, self._units[slot.site]) for slot in blocks]
        for (slot, _), path in zip(wanted, paths(self._backbone, [unit for _, unit in wanted]), strict=True):
            module, block = self._at(slot), blocks[slot]
            if isinstance(block, SEBlock):
                narrow = slice(block.hidden)
                entries[f"{path}.fc1.weight"] = f"{self._paths[slot]}.fc1.weight", narrow
                entries[f"{path}.fc2.weight"] = f"{self._paths[slot]}.fc2.weight", (slice(None), narrow)
                if block.bias:
                    entries[f"{path}.fc1.bias"] = f"{self._paths[slot]}.fc1.bias", narrow
                    entries[f"{path}.fc2.bias"] = f"{self._paths[slot]}.fc2.bias", ...
            else:
                for name in module.state_dict():
                    theirs = name.removeprefix("module.")
                    entries[f"{path}.{theirs}"] = f"{self._paths[slot]}.{name}", ...
        return entries

    def _blocks(self, config: SEConfig) -> dict[Slot, Block]:
        """In network order. Raises SpaceError for a block that is not carried."""
        blocks: dict[Slot, Block] = {}
        for site, block in config.on([unit.site for unit in self._units.values()]):
            slot = slot_of(site, block)
            if slot not in self.cargo:
                there = ", ".join(each.what for each in self.cargo if each.site == site.name) or "nothing"
                raise SpaceError(
                    f"{site.name}: the supernet carries {there} there, not {slot.what}; build it for this "
                    "configuration too"
                )
            self.cargo[slot].check(slot, block)
            blocks[slot] = block
        for slot, carried in self.cargo.items():
            if slot not in blocks and not carried.optional:
                raise SpaceError(f"{slot}: every configuration that the supernet was built for has a block there")
        return blocks

    def _module(self, slot: Slot, carried: Carried, unit: Unit, seed: int) -> nn.Module:
        if slot.what == ORIGINAL:
            assert unit.taken is not None  # else the site would have refused it
            return Kept(self.net.get_submodule(unit.taken.path), carried)
        channels = unit.site.place(Placement(slot.what)).channels
        return drawn(f"{seed} {slot}", lambda: Masked(carried, channels, sliced=self.sliced), self.net)

    def _at(self, slot: Slot) -> Masked | Kept:
        module = self.net.get_submodule(self._paths[slot])
        assert isinstance(module, Masked | Kept)
        return module


def _cut(slot: Slot, unit: Unit) -> Cut:
    return unit.cuts[unit.site.placement(Original()) if slot.what == ORIGINAL else Placement(slot.what)]
