"""Convolution-(normalisation)-activation units on a traced graph, for networks without residual units.

A unit is a convolution, perhaps a normalisation, and an activation, each the only reader of the one before. The last
convolution of a network whose classifier it is (SqueezeNet's) is none. Placements by analogy with a residual unit:
`pre` gates what this convolution alone reads, `standard` sits before the activation, `post` behind it.
"""

from torch import fx, nn

from senas.core.block import Placement
from senas.core.site import Site
from senas.model.cut import Cut, Unit, numbered
from senas.model.flow import Flow, all_readers, place_of


def conv_units(flow: Flow) -> list[Unit]:
    """In network order, named by the paths of their convolutions."""
    ahead = _before_parameters(flow)
    found: list[tuple[str, fx.Node, dict[Placement, Cut]]] = []
    for node in flow.graph.nodes:
        if not isinstance(flow.module(node), nn.Conv2d) or node not in ahead:
            continue
        read, normed = node.args[0], flow.sole_norm(node) or node
        activation = flow.sole_activation(normed)
        end = activation or normed
        if not isinstance(read, fx.Node) or not (activation or flow.activates(normed)):
            continue
        cuts = {Placement.PRE: Cut(read.name, (node.name,)), Placement.POST: all_readers(end)}
        if activation:
            cuts[Placement.STANDARD] = all_readers(normed)
        found.append((str(node.target), end, flow.readable(cuts)))
    units = []
    for name, (path, end, cuts) in zip(numbered([path for path, _, _ in found]), found, strict=True):
        owner, _, last = path.rpartition(".")
        units.append(Unit(Site(name, flow.places(cuts), place_of(end)), owner, cuts, f"se_{last}"))
    return units


def _before_parameters(flow: Flow) -> set[fx.Node]:
    """Nodes behind which something has parameters of its own."""
    found: set[fx.Node] = set()
    for node in reversed(flow.graph.nodes):
        if any(reader in found or _has_parameters(flow, reader) for reader in node.users):
            found.add(node)
    return found


def _has_parameters(flow: Flow, node: fx.Node) -> bool:
    module = flow.module(node)
    if module is not None:
        return any(True for _ in module.parameters())
    return any(arg.op == "get_attr" and "tensor_meta" in arg.meta for arg in node.all_input_nodes)
