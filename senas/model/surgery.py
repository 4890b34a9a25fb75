"""Putting SE blocks into a backbone, on its traced graph.

What comes out is a copy of the backbone, of its own class and with its own parameter names, that runs the edited
forward.
"""

import copy
import hashlib
from collections.abc import Callable, Collection, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import fx, nn

from senas.core.block import Block, SEBlock
from senas.core.config import SEConfig
from senas.model.cut import Cut, Unit
from senas.model.former import take_over
from senas.model.se import SqueezeExcitation
from senas.model.sites import Traced
from senas.model.untraced import gate_output

M = TypeVar("M", bound=nn.Module)


def insert(backbone: nn.Module, config: SEConfig, traced: Traced, seed: int = 0) -> nn.Module:
    """A copy of `backbone` with the blocks of `config` in it. The backbone itself is not touched.

    traced:  from `trace` on this backbone, or on another of the same structure.
    seed:    of the blocks' initial weights. Each site draws from a stream of its own, so that a block starts equal
             whatever other sites have.
    A block that equals the one that was taken out at its site begins with the weights of that one; a block that is kept
    as it is stays the module that it was. Without blocks, the copy computes bit for bit what the backbone does, without
    those that were taken out. Raises SpaceError for a site, or a placement at a site, that the backbone does not have.
    """
    net = copy.deepcopy(backbone)
    for (unit, block), (path, _) in zip(placed(config, traced), added := cuts(backbone, config, traced), strict=True):
        if isinstance(block, SEBlock):  # else it stays the module that it is
            put(net, path, _block(net, unit, block, seed))
    rewire(net, traced, added)
    return net


def cuts(backbone: nn.Module, config: SEConfig, traced: Traced) -> list[tuple[str, Cut]]:
    """Under which path each block is called in `insert`, and where in the graph."""
    wanted = placed(config, traced)
    targets = paths(backbone, [unit for unit, _ in wanted])
    found = [unit.cuts[unit.site.placement(block)] for unit, block in wanted]
    return list(zip(targets, found, strict=True))


def placed(config: SEConfig, traced: Traced) -> list[tuple[Unit, Block]]:
    """The units that have a block, in network order. Raises SpaceError for a site that the backbone does not have."""
    blocks = {site.name: block for site, block in config.on(traced.sites)}
    return [(unit, blocks[unit.site.name]) for unit in traced.units if unit.site.name in blocks]


def paths(backbone: nn.Module, units: Sequence[Unit]) -> list[str]:
    """Under which module paths `insert` puts blocks at these units: beside what the backbone has of that name already,
    in the place of one that was taken out."""
    found: list[str] = []
    for unit in units:
        path = unit.taken.path if unit.taken else free(backbone, f"{unit.owner}.{unit.child}", found)
        found.append(path)
    return found


def free(net: nn.Module, path: str, others: Collection[str] = ()) -> str:
    """The path, with underscores behind it until neither the network nor `others` have it."""
    owner, _, name = path.rpartition(".")
    while hasattr(net.get_submodule(owner), name) or join(owner, name) in others:
        name = f"{name}_"
    return join(owner, name)


def join(owner: str, name: str) -> str:
    return f"{owner}.{name}" if owner else name


def put(net: nn.Module, path: str, module: nn.Module) -> None:
    """Adds the module at this path, or replaces what is there: a Sequential keeps its order."""
    owner, _, name = path.rpartition(".")
    net.get_submodule(owner)._modules[name] = module


def drawn(stream: str, make: Callable[[], M], net: nn.Module) -> M:
    """What `make` makes, its weights drawn from the random numbers of this name, placed and in the mode of `net`."""
    digest = hashlib.sha256(stream.encode()).digest()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest[:7], "big"))
        module = make()
    like = next((p for p in net.parameters() if p.is_floating_point()), None)
    if like is not None:
        module.to(device=like.device, dtype=like.dtype)
    return module.train(net.training)


def rewire(net: nn.Module, traced: Traced, added: Sequence[tuple[str, Cut]]) -> None:
    """Make `net`, a copy of the traced backbone, compute what modules at these paths give, each at its cut.

    Blocks of the backbone's own that were taken out, and are not among them, leave the network.
    """
    if not added and not traced.stripped:
        return
    if traced.graph is None:
        for path, _ in added:
            owner, _, name = path.rpartition(".")
            gate_output(net.get_submodule(owner), name)
        return
    _drop(net, set(traced.stripped) - {path for path, _ in added})
    _run_graph(net, rewired(traced.graph, added))


def rewired(original: fx.Graph, added: Sequence[tuple[str, Cut]]) -> fx.Graph:
    """A copy of the graph of a backbone in which modules at these paths are called, each at its cut."""
    graph, nodes = _copy(original)
    read: dict[tuple[str, str], fx.Node] = {}  # (source, reader): what the reader reads in place of the source by now
    # Of two blocks behind one value, the one that more readers share comes first: `post` of a unit before `pre` of the
    # next one, `pre` of a unit before `pre` of a smaller unit that begins at the same fork.
    for target, cut in sorted(added, key=lambda each: -len(each[1].readers)):
        sources = {read.get((cut.source, reader), nodes[cut.source]) for reader in cut.readers}
        assert len(sources) == 1  # readers of two cuts at one value are disjoint or nested
        source = sources.pop()
        with graph.inserting_after(source):
            gate = graph.call_module(target, (source,))
        gate.meta["tensor_meta"] = source.meta["tensor_meta"]  # it is of the same shape
        for reader in cut.readers:
            nodes[reader].replace_input_with(source, gate)
            read[cut.source, reader] = gate
    graph.lint()
    return graph


def _copy(graph: fx.Graph) -> tuple[fx.Graph, dict[str, fx.Node]]:
    """A copy of the graph, and its nodes by the names they have in the original."""
    twin = fx.Graph()
    twins: dict[fx.Node, fx.Node] = {}
    result = twin.graph_copy(graph, twins)
    original_output = next(iter(reversed(graph.nodes)))
    twins[original_output] = twin.output(result)
    return twin, {node.name: copied for node, copied in twins.items()}


def _block(net: nn.Module, unit: Unit, block: SEBlock, seed: int) -> SqueezeExcitation:
    """The block as a module: its weights from the site's own stream, or those of the former one that it equals."""
    site = unit.site
    channels = site.place(block.placement).channels
    module = drawn(f"{seed} {site.name}", lambda: SqueezeExcitation(block, channels), net)
    if unit.taken is not None and site.former is not None and block == site.former.block:
        assert unit.taken.layers is not None  # the former one is one of ours
        take_over(module, net.get_submodule(unit.taken.path), unit.taken.layers)
    return module


def _drop(net: nn.Module, paths: set[str]) -> None:
    for path in paths:
        owner, _, name = path.rpartition(".")
        net.get_submodule(owner)._modules.pop(name)  # the others of a Sequential keep their keys


def _run_graph(net: nn.Module, graph: fx.Graph) -> None:
    """Make `net` compute `graph`, keeping its modules, its parameter names, and its class as a base."""
    code = graph.python_code("self")
    modules = {name: value.__name__ for name, value in code.globals.items() if isinstance(value, ModuleType)}
    _run_source(net, code.src, modules, {name: code.globals[name] for name in code.globals if name not in modules})


def _run_source(net: nn.Module, source: str, modules: dict[str, str], others: dict[str, Any]) -> None:
    """As `_run_graph`, from the graph's source and what it names: modules by their own names, and other things."""
    namespace = {**others, **{name: import_module(module) for name, module in modules.items()}}
    exec(compile(source, f"<senas surgery on {type(net).__name__}>", "exec"), namespace)
    base = type(net)

    def reduce(self: nn.Module, protocol: Any = None) -> tuple[Any, ...]:
        return _restore, (base, source, modules, others, self.__dict__)

    methods = {"forward": namespace["forward"], "__reduce_ex__": reduce, "__module__": base.__module__}
    net.__class__ = type(base.__name__, (base,), methods)


def _restore(
    base: type[nn.Module], source: str, modules: dict[str, str], others: dict[str, Any], state: dict[str, Any]
) -> nn.Module:
    """Rebuilds a network from what `pickle` or `deepcopy` kept: its class cannot be imported by name.

    The source is kept, not the graph: pickling a graph recurses once a node, too deep for a network of 110 layers.
    """
    net = base.__new__(base)
    net.__dict__.update(state)
    _run_source(net, source, modules, others)
    return net
