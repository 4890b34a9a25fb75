"""Taking the SE blocks that a backbone came with out of its graph, and making each of their places a site."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from senas.core.block import Placement
from senas.core.site import Former, Site
from senas.errors import SurgeryError
from senas.model.cost import macs, params
from senas.model.cut import Cut, Taken, Unit
from senas.model.flow import Flow, all_readers, modules_around, place_of, shape_of
from senas.model.former import NAMES, as_ours, is_built_in
from senas.model.units import Residual

P = Placement


@dataclass(frozen=True, slots=True)
class Gap:
    """Where a block was: its module path, the module, and its cut in the graph without it."""

    path: str
    module: nn.Module
    cut: Cut

    @property
    def parent(self) -> str:
        return self.path.rpartition(".")[0]


def strip(graph: fx.Graph, modules: dict[str, nn.Module], name: str) -> list[Gap]:
    """Takes every built-in block out of the graph, and says where they were, in network order.

    One that is called several times stays, as does one that is read by another. Raises SurgeryError where the network,
    called `name`, has none.
    """

    def is_block(node: fx.Node) -> bool:
        return node.op == "call_module" and is_built_in(modules[str(node.target)])

    called = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    gaps = []
    for node in list(graph.nodes):
        path, sources = str(node.target), node.all_input_nodes
        if not is_block(node) or called[path] > 1 or len(sources) != 1 or any(map(is_block, node.users)):
            continue
        (source,) = sources
        if len(shape_of(source)) == 4 and shape_of(source) == shape_of(node):
            gaps.append(Gap(path, modules[path], Cut(source.name, tuple(reader.name for reader in node.users))))
            node.replace_all_uses_with(source)
            graph.erase_node(node)
    if not gaps:
        raise SurgeryError(
            f"backbone.strip_se: {name} has no SE blocks of its own that senas knows ({', '.join(NAMES)}); leave it out"
        )
    return gaps


def former_units(
    flow: Flow, gaps: list[Gap], residuals: list[Residual]
) -> tuple[list[tuple[fx.Node, Unit]], list[Residual]]:
    """A site for each gap, beside the node where its unit ends; and the residual units without a gap.

    A gap within a residual unit stands for that unit and has its other placements too, so that one choice says where
    the unit's gate sits. No other site has the place of a gap.
    """
    claimed = {flow.place(gap.cut) for gap in gaps}
    alone = Counter(gap.parent for gap in gaps)
    homes: dict[fx.Node, Gap] = {}
    for gap in gaps:
        home = _home(flow, gap, residuals)
        # Of several gaps in one unit the one at a place that the unit has by itself stands for it, else the first.
        if home and (home.addition not in homes or _placement(flow, gap, home.cuts)):
            homes[home.addition] = gap
    by_gap = {homes[residual.addition].path: residual for residual in residuals if residual.addition in homes}
    found = []
    for gap in gaps:
        own = by_gap.get(gap.path)
        others = claimed - {flow.place(gap.cut)}
        cuts = {p: cut for p, cut in own.cuts.items() if flow.place(cut) not in others} if own else {}
        for residual in residuals:
            others |= {flow.place(cut) for cut in residual.cuts.values() if residual is not own}
        end = own.addition if own else _end(flow, gap, alone[gap.parent] == 1)
        found.append((end, _unit(flow, gap, cuts, others, end)))
    left = []
    for residual in residuals:
        cuts = {p: cut for p, cut in residual.cuts.items() if flow.place(cut) not in claimed}
        if residual.addition not in homes and cuts:
            left.append(Residual(residual.addition, residual.within, cuts))
    return found, left


def _home(flow: Flow, gap: Gap, residuals: list[Residual]) -> Residual | None:
    """The smallest residual unit that the gap lies in."""
    source = flow.by_name[gap.cut.source]
    around = [
        residual
        for residual in residuals
        if f"{gap.path}.".startswith(residual.path and f"{residual.path}.")
        and (source in residual.within or _placement(flow, gap, residual.cuts))
    ]
    return min(around, key=lambda residual: len(residual.within), default=None)


def _placement(flow: Flow, gap: Gap, cuts: dict[Placement, Cut]) -> Placement | None:
    return next((placement for placement, cut in cuts.items() if flow.place(cut) == flow.place(gap.cut)), None)


def _end(flow: Flow, gap: Gap, alone: bool) -> fx.Node:
    """Where the module that owns the block, and no other block, computes last; else what the block read."""
    source = flow.by_name[gap.cut.source]
    within = [node for node in flow.graph.nodes if gap.parent in modules_around(node) and node in flow.channels_first]
    return within[-1] if gap.parent and alone and within else source


def _unit(flow: Flow, gap: Gap, cuts: dict[Placement, Cut], others: set[Any], end: fx.Node) -> Unit:
    """The site of a gap, with these places beside its own; `others` are the places of other sites."""
    placement = _placement(flow, gap, cuts)
    if placement is None:
        placement = P.INNER
        cuts = {p: cut for p, cut in cuts.items() if p is not P.INNER_BEFORE_RELU}
        before = flow.activated(flow.by_name[gap.cut.source])
        if before is not None and flow.place(all_readers(before)) not in others:
            cuts[P.INNER_BEFORE_RELU] = all_readers(before)
        cuts[P.INNER] = gap.cut
    place = place_of(flow.by_name[gap.cut.source])
    ours = as_ours(gap.module, placement)
    former = Former(placement, ours.block if ours else None, params(gap.module), macs(gap.module, place))
    return Unit(
        site=Site(gap.path, flow.places(cuts), place_of(end), former),
        owner=gap.parent,
        cuts=cuts,
        child=gap.path.rpartition(".")[2],
        taken=Taken(gap.path, ours.layers if ours else None),
    )
