"""Residual units on a traced graph.

A residual unit is an addition of two four-dimensional tensors of one shape with a convolution or batch normalisation of
that width between the fork and the addition. The fork is the addition's immediate dominator: the last value that
everything the addition depends on passes through. Of the two operands, the one with more convolutions behind it (back
to the fork) is the branch, the other the shortcut; operand order tells nothing.
"""

import operator
from dataclasses import dataclass

import torch
from torch import fx, nn

from senas.core.block import Placement
from senas.model.cut import Cut
from senas.model.flow import Flow, all_readers, path_of, shape_of

ADDITIONS = {operator.add, torch.add, "add", "add_"}


@dataclass(frozen=True, slots=True)
class Residual:
    """A residual unit: the addition, all that lies between the fork and it, and where blocks can go."""

    addition: fx.Node
    within: set[fx.Node]
    cuts: dict[Placement, Cut]

    @property
    def path(self) -> str:
        """Of the module that adds."""
        return path_of(self.addition)


def residual_units(flow: Flow) -> list[Residual]:
    """In network order; of additions of one module that lie within another, the outermost only.

    The root is no such module: a forward that holds the whole network may hold a long shortcut around many units.
    """
    additions = [node for node in flow.graph.nodes if _is_residual(flow, node)]
    within = {node: flow.between(flow.dominator[node], node) for node in additions}
    inner = {
        node
        for outer in additions
        for node in additions
        if node is not outer and path_of(node) and path_of(node) == path_of(outer) and node in within[outer]
    }
    return [Residual(node, within[node], _cuts(flow, node)) for node in additions if node not in inner]


def _is_residual(flow: Flow, node: fx.Node) -> bool:
    if node.target not in ADDITIONS or len(node.args) != 2 or node not in flow.dominator:
        return False
    if not all(isinstance(arg, fx.Node) and arg in flow.dominator for arg in node.args):
        return False
    fork, shapes = flow.dominator[node], [shape_of(arg) for arg in node.args if isinstance(arg, fx.Node)]
    if fork is None or len(shapes[0]) != 4 or shapes[0] != shapes[1] or node not in flow.channels_first:
        return False
    return any(
        isinstance(module, nn.Conv2d | nn.BatchNorm2d)
        and getattr(module, "out_channels", getattr(module, "num_features", None)) == shapes[0][1]
        for module in map(flow.module, flow.between(fork, node))
    )


def _cuts(flow: Flow, addition: fx.Node) -> dict[Placement, Cut]:
    cuts: dict[Placement, Cut] = {}
    fork = flow.dominator[addition]
    assert fork is not None  # both operands depend on an input
    activation = flow.sole_activation(addition)
    cuts[Placement.POST] = all_readers(activation or addition)
    if activation is not None:
        cuts[Placement.POST_BEFORE_RELU] = all_readers(addition)

    paths = [(arg, flow.between(fork, arg, inclusive=True)) for arg in addition.args if isinstance(arg, fx.Node)]
    counts = [sum(isinstance(flow.module(node), nn.Conv2d) for node in nodes) for _, nodes in paths]
    if counts[0] == counts[1]:
        return flow.readable(cuts)  # which is the branch and which the shortcut cannot be told
    (branch, branch_nodes), (shortcut, shortcut_nodes) = paths if counts[0] > counts[1] else paths[::-1]

    end, reader = branch, addition
    while flow.scales_at_random(end):  # the squeeze would see values scaled by 1 / (1 - p)
        end, reader = end.args[0], end  # type: ignore[assignment]
    cuts[Placement.STANDARD] = Cut(end.name, (reader.name,))
    cuts[Placement.IDENTITY] = Cut(shortcut.name, (addition.name,))
    into_branch = tuple(node.name for node in fork.users if node in branch_nodes - shortcut_nodes)
    if into_branch:
        cuts[Placement.PRE] = Cut(fork.name, into_branch)

    # Convolutions of side ways, as in another kind of attention, are not on the spine.
    convolutions = [
        node
        for node in flow.spine(fork, branch)
        if isinstance(flow.module(node), nn.Conv2d) and node not in shortcut_nodes
    ]
    if convolutions:
        middle = convolutions[(len(convolutions) + 1) // 2 - 1]
        normed = flow.sole_norm(middle) or middle
        inner = flow.sole_activation(normed)
        cuts[Placement.INNER] = all_readers(inner or normed)
        if inner is not None:
            cuts[Placement.INNER_BEFORE_RELU] = all_readers(normed)
        if flow.place(cuts[Placement.INNER]) == flow.place(cuts[Placement.STANDARD]):
            del cuts[Placement.INNER]
            cuts.pop(Placement.INNER_BEFORE_RELU, None)
    return flow.readable(cuts)
