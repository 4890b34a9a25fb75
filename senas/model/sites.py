"""Finding the sites of a backbone on its traced graph (torch.fx).

A residual unit is an addition of two four-dimensional tensors of one shape with a convolution or batch normalisation of
that width between the fork and the addition. The fork is the addition's immediate dominator: the last value that
everything the addition depends on passes through. Of the two operands, the one with more convolutions behind it (back
to the fork) is the branch, the other the shortcut; operand order tells nothing.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.nn import functional as F

from senas.core.block import Placement
from senas.core.site import Place, Site
from senas.model.graph import SCALE_AT_RANDOM, graph_of

ADDITIONS = {operator.add, torch.add, "add", "add_"}
RELUS = {F.relu, torch.relu, torch.relu_, "relu", "relu_"}
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.SiLU, nn.GELU, nn.ELU, nn.Hardswish)
NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d, nn.SyncBatchNorm)


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a block goes in: it reads `source`, and `readers` read the block instead. Nodes by name."""

    source: str
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """A site on the graph: its cut for each placement, and the module that will own its block."""

    site: Site
    owner: str
    cuts: dict[Placement, Cut]


@dataclass(frozen=True, slots=True)
class Traced:
    """A backbone traced once. Holds its graph, none of its weights; surgery works on copies of the graph."""

    graph: fx.Graph
    units: tuple[Unit, ...]

    @property
    def sites(self) -> tuple[Site, ...]:
        """In network order."""
        return tuple(unit.site for unit in self.units)


def trace(
    backbone: nn.Module,
    example: Sequence[int],
    *,
    strip_se: bool = False,
    leaves: Sequence[str] = (),
    modules: Sequence[str] = (),
) -> Traced:
    """Trace a backbone and find its sites.

    example:   shape (C, H, W) of an input image; heights and widths of the sites are what they are there.
    strip_se:  take the backbone's own SE blocks out, and make each of their places a site.
    leaves:    modules, by path or class, that are not traced into.
    modules:   module paths whose outputs are the sites, in place of what tracing finds; nothing is traced then.
    The backbone is neither run nor changed. Raises SurgeryError where it cannot be traced, behaves by mode in a way
    that a graph cannot hold, or has hooks that a graph would not run.
    """
    graph, called = graph_of(backbone, example)
    return Traced(graph, tuple(_Finder(graph, called).units()))


class _Finder:
    """Reads the units off a graph whose nodes carry shapes."""

    def __init__(self, graph: fx.Graph, modules: dict[str, nn.Module]) -> None:
        self.graph, self.modules = graph, modules
        self.order: dict[fx.Node, int] = {node: i for i, node in enumerate(graph.nodes)}
        self.by_name: dict[str, fx.Node] = {node.name: node for node in self.order}
        self.dominator = self._dominators()

    def units(self) -> list[Unit]:
        additions = [node for node in self.graph.nodes if self._is_residual(node)]
        inner = {
            node
            for outer in additions
            for node in additions
            if node is not outer and _path(node) == _path(outer) and node in self._between(self.dominator[outer], outer)
        }
        named: dict[str, int] = {}
        found = []
        for addition in additions:
            if addition in inner:
                continue
            path = _path(addition)
            named[path] = named.get(path, 0) + 1
            name = (path or "network") + (f"-{named[path]}" if named[path] > 1 else "")
            cuts = self._cuts(addition)
            places = {placement: _place(self._node(cut.source)) for placement, cut in sorted(cuts.items(), key=_rank)}
            found.append(Unit(Site(name, places, _place(addition)), path, cuts))
        return found

    def _is_residual(self, node: fx.Node) -> bool:
        if node.target not in ADDITIONS or len(node.args) != 2 or node not in self.dominator:
            return False
        if not all(isinstance(arg, fx.Node) and arg in self.dominator for arg in node.args):
            return False
        shapes = [_shape(arg) for arg in node.args if isinstance(arg, fx.Node)]
        if len(shapes[0]) != 4 or shapes[0] != shapes[1]:
            return False
        return any(
            isinstance(module, nn.Conv2d | nn.BatchNorm2d)
            and getattr(module, "out_channels", getattr(module, "num_features", None)) == shapes[0][1]
            for module in map(self._module, self._between(self.dominator[node], node))
        )

    def _cuts(self, addition: fx.Node) -> dict[Placement, Cut]:
        cuts: dict[Placement, Cut] = {}
        fork = self.dominator[addition]
        assert fork is not None  # both operands depend on an input
        relu = self._sole_activation(addition)
        cuts[Placement.POST] = _all_readers(relu or addition)
        if relu is not None:
            cuts[Placement.POST_BEFORE_RELU] = _all_readers(addition)

        paths = [(arg, self._between(fork, arg, inclusive=True)) for arg in addition.args if isinstance(arg, fx.Node)]
        counts = [sum(isinstance(self._module(node), nn.Conv2d) for node in nodes) for _, nodes in paths]
        if counts[0] == counts[1]:
            return cuts  # which is the branch and which the shortcut cannot be told
        (branch, branch_nodes), (shortcut, shortcut_nodes) = paths if counts[0] > counts[1] else paths[::-1]

        end, reader = branch, addition
        while self._scales_at_random(end):  # the squeeze would see values scaled by 1 / (1 - p)
            end, reader = end.args[0], end  # type: ignore[assignment]
        cuts[Placement.STANDARD] = Cut(end.name, (reader.name,))
        cuts[Placement.IDENTITY] = Cut(shortcut.name, (addition.name,))
        into_branch = tuple(node.name for node in fork.users if node in branch_nodes - shortcut_nodes)
        if len(_shape(fork)) == 4 and into_branch:
            cuts[Placement.PRE] = Cut(fork.name, into_branch)

        convolutions = sorted(
            (node for node in branch_nodes if isinstance(self._module(node), nn.Conv2d)), key=self.order.__getitem__
        )
        middle = convolutions[(len(convolutions) + 1) // 2 - 1]
        normed = self._sole_reader(middle, NORMS) or middle
        inner_relu = self._sole_activation(normed)
        if normed is not end:  # else it is the standard place under another name
            if inner_relu is None:
                cuts[Placement.INNER] = _all_readers(normed)
            elif inner_relu is not end:
                cuts[Placement.INNER] = _all_readers(inner_relu)
                cuts[Placement.INNER_BEFORE_RELU] = _all_readers(normed)
        return cuts

    def _dominators(self) -> dict[fx.Node, fx.Node | None]:
        """Immediate dominator of every node that depends on an input; None above the inputs."""
        found: dict[fx.Node, fx.Node | None] = {}
        for node in self.graph.nodes:
            if node.op == "placeholder":
                found[node] = None
                continue
            above = [arg for arg in node.all_input_nodes if arg in found]
            if not above:
                continue
            common: fx.Node | None = above[0]
            for other in above[1:]:
                common = self._common(common, other, found)
            found[node] = common
        return found

    def _common(self, a: fx.Node | None, b: fx.Node | None, found: dict[fx.Node, fx.Node | None]) -> fx.Node | None:
        while a is not b:
            if a is None or b is None:
                return None
            if self.order[a] > self.order[b]:
                a = found[a]
            else:
                b = found[b]
        return a

    def _between(self, fork: fx.Node | None, node: fx.Node, inclusive: bool = False) -> set[fx.Node]:
        """Nodes that lie on a way from `fork` to `node`; `inclusive` counts `node` (never `fork`)."""
        if node is fork:
            return set()
        seen, waiting = {node}, [node]
        while waiting:
            for arg in waiting.pop().all_input_nodes:
                if arg is not fork and arg in self.dominator and arg not in seen:
                    seen.add(arg)
                    waiting.append(arg)
        return seen if inclusive else seen - {node}

    def _sole_reader(self, node: fx.Node, kinds: tuple[type[nn.Module], ...]) -> fx.Node | None:
        readers = list(node.users)
        return readers[0] if len(readers) == 1 and isinstance(self._module(readers[0]), kinds) else None

    def _sole_activation(self, node: fx.Node) -> fx.Node | None:
        readers = list(node.users)
        if len(readers) == 1 and readers[0].target in RELUS:
            return readers[0]
        return self._sole_reader(node, ACTIVATIONS)

    def _scales_at_random(self, node: fx.Node) -> bool:
        module = self._module(node)
        return isinstance(module, nn.Dropout | nn.Dropout2d) or type(module).__name__ in SCALE_AT_RANDOM

    def _module(self, node: fx.Node) -> nn.Module | None:
        return self.modules[str(node.target)] if node.op == "call_module" else None

    def _node(self, name: str) -> fx.Node:
        return self.by_name[name]


def _all_readers(node: fx.Node) -> Cut:
    return Cut(node.name, tuple(reader.name for reader in node.users))


def _rank(item: tuple[Placement, Cut]) -> int:
    return list(Placement).index(item[0])


def _path(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {"": None}
    # torch.fx calls the second call of one module "path@1".
    return str(next(reversed(stack))).partition("@")[0]


def _shape(node: fx.Node) -> tuple[int, ...]:
    meta = node.meta.get("tensor_meta")
    return tuple(getattr(meta, "shape", ()))


def _place(node: fx.Node) -> Place:
    _, channels, height, width = _shape(node)
    return Place(channels, height, width)
