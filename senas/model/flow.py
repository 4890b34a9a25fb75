"""Reading a traced graph: which value depends on which, what calls a module, and what has how many dimensions."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from senas.core.block import Placement
from senas.core.site import Place
from senas.model.channels import channels_first
from senas.model.cut import Cut
from senas.model.tracer import scales_at_random

ACTIVATIONS: tuple[type[nn.Module], ...] = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.RReLU),
    *(nn.SiLU, nn.GELU, nn.Mish, nn.Hardswish, nn.Hardtanh, nn.Softplus, nn.Tanh),
)
ACTIVATING: set[Any] = {
    *(F.relu, F.relu6, F.relu_, F.leaky_relu, F.leaky_relu_, F.elu, F.elu_, F.celu, F.selu, F.silu, F.gelu, F.mish),
    *(F.hardswish, F.hardtanh, F.softplus, F.prelu, F.rrelu, torch.relu, torch.relu_, torch.tanh),
    *("relu", "relu_", "tanh", "tanh_"),
}
NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d, nn.SyncBatchNorm)
NORMALISING = {F.batch_norm, F.group_norm, F.instance_norm}


class Flow:
    """A graph whose nodes carry shapes, with the modules that it calls."""

    def __init__(self, graph: fx.Graph, modules: dict[str, nn.Module]) -> None:
        self.graph, self.modules = graph, modules
        self.order: dict[fx.Node, int] = {node: i for i, node in enumerate(graph.nodes)}
        self.by_name: dict[str, fx.Node] = {node.name: node for node in self.order}
        self.dominator = self._dominators()
        self.channels_first = channels_first(graph, modules)

    def module(self, node: fx.Node) -> nn.Module | None:
        """The module that the node calls, if it calls one."""
        return self.modules[str(node.target)] if node.op == "call_module" else None

    def between(self, fork: fx.Node | None, node: fx.Node, inclusive: bool = False) -> set[fx.Node]:
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

    def spine(self, fork: fx.Node, node: fx.Node) -> list[fx.Node]:
        """Nodes that everything from `fork` to `node` passes through, `node` among them and `fork` not, in order."""
        found: list[fx.Node] = []
        above: fx.Node | None = node
        while above is not None and above is not fork:
            found.append(above)
            above = self.dominator[above]
        return found[::-1]

    def readable(self, cuts: dict[Placement, Cut]) -> dict[Placement, Cut]:
        """The cuts at a tensor whose dimension 1 is the channels; several parts together are no tensor."""
        sources = {p: self.by_name[cut.source] for p, cut in cuts.items()}
        return {p: cuts[p] for p, node in sources.items() if node in self.channels_first and len(shape_of(node)) == 4}

    def places(self, cuts: dict[Placement, Cut]) -> dict[Placement, Place]:
        """What a block finds at each cut, in the order in which a unit computes."""
        return {p: place_of(self.by_name[cuts[p].source]) for p in Placement if p in cuts}

    def sole_norm(self, node: fx.Node) -> fx.Node | None:
        """The normalisation that alone reads this node."""
        return self._sole_reader(node, lambda reader: self._is(reader, NORMS, NORMALISING))

    def sole_activation(self, node: fx.Node) -> fx.Node | None:
        """The activation that alone reads this node."""
        return self._sole_reader(node, lambda reader: self._is(reader, ACTIVATIONS, ACTIVATING))

    def activated(self, node: fx.Node) -> fx.Node | None:
        """What this node activates, where it is the activation that alone reads it."""
        end = node
        while isinstance(self.module(end), nn.Identity):
            end = end.all_input_nodes[0]
        source = end.all_input_nodes[0] if end.all_input_nodes else None
        return source if source is not None and self.sole_activation(source) is end else None

    def place(self, cut: Cut) -> tuple[str, frozenset[str]]:
        """Equal for cuts at which a block computes the same: an nn.Identity beside it makes no difference."""
        source, readers = self.by_name[cut.source], [self.by_name[name] for name in cut.readers]
        while len(readers) == 1 and isinstance(self.module(readers[0]), nn.Identity):
            source, readers = readers[0], list(readers[0].users)
        return source.name, frozenset(reader.name for reader in readers)

    def activates(self, norm: fx.Node) -> bool:
        """Whether this normalisation has an activation inside, as timm's BatchNormAct2d."""
        inside = getattr(self.module(norm), "act", None)
        return isinstance(inside, nn.Module) and not isinstance(inside, nn.Identity)

    def scales_at_random(self, node: fx.Node) -> bool:
        """Whether the node is dropout or stochastic depth, behind which values are scaled by 1 / (1 - p)."""
        return scales_at_random(node, self.module(node))

    def _is(self, node: fx.Node, kinds: tuple[type[nn.Module], ...], functions: set[Any]) -> bool:
        return node.target in functions or isinstance(self.module(node), kinds)

    def _sole_reader(self, node: fx.Node, wanted: Callable[[fx.Node], bool]) -> fx.Node | None:
        node = self._past_identities(node)
        readers = list(node.users)
        reads_it_first = len(readers) == 1 and bool(readers[0].args) and readers[0].args[0] is node
        return readers[0] if reads_it_first and wanted(readers[0]) else None

    def _past_identities(self, node: fx.Node) -> fx.Node:
        while len(node.users) == 1 and isinstance(self.module(next(iter(node.users))), nn.Identity):
            node = next(iter(node.users))
        return node

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


def all_readers(node: fx.Node) -> Cut:
    """What everybody reads who reads this node."""
    return Cut(node.name, tuple(reader.name for reader in node.users))


def path_of(node: fx.Node) -> str:
    """The path of the innermost module that is traced into and computes this node; the root's is empty."""
    # torch.fx calls the second call of one module "path@1".
    return modules_around(node)[-1]


def modules_around(node: fx.Node) -> list[str]:
    """Paths of the modules within which this node is computed, outermost first."""
    return [str(path).partition("@")[0] for path in node.meta.get("nn_module_stack") or {"": None}]


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """Empty where the value is no tensor."""
    return tuple(getattr(node.meta.get("tensor_meta"), "shape", ()))


def place_of(node: fx.Node) -> Place:
    """What is found at a node of shape (B, C, H, W)."""
    _, channels, height, width = shape_of(node)
    return Place(channels, height, width)
