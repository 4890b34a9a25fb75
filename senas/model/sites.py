"""The sites of a backbone, on its traced graph (torch.fx).

A site is a residual unit (`units`), or the place of a block that the backbone came with and that was taken out
(`stripped`); in a network that has neither, a convolution with its activation (`conv_units`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import fx, nn

from senas.core.block import Placement
from senas.core.site import Site
from senas.errors import SurgeryError
from senas.model.conv_units import conv_units
from senas.model.cut import Cut, Unit, numbered
from senas.model.flow import Flow, place_of
from senas.model.graph import HOOKS, graph_of
from senas.model.stripped import former_units, strip
from senas.model.units import Residual, residual_units
from senas.model.untraced import outputs


@dataclass(frozen=True, slots=True)
class Traced:
    """A backbone traced once. Holds its graph, none of its weights; surgery works on copies of the graph.

    graph:     None where nothing was traced; each unit is a module then, its owner, whose output is gated.
    stripped:  paths of the blocks of the backbone's own that were taken out of the graph.
    """

    graph: fx.Graph | None
    units: tuple[Unit, ...]
    stripped: tuple[str, ...] = ()

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
    that a graph cannot hold, has hooks that a graph would not run, or has no site.
    """
    if modules:
        places = outputs(backbone, example, modules)
        nowhere = {Placement.POST: Cut("", ())}
        return Traced(None, tuple(Unit(Site(n, {Placement.POST: p}, p), n, nowhere) for n, p in places.items()))
    graph, called = graph_of(backbone, example, leaves)
    name = type(backbone).__name__
    taken = strip(graph, called, name) if strip_se else []
    _refuse_hooks_on_taken(backbone, [each.path for each in taken])
    flow = Flow(graph, called)
    residuals = _one_name_a_place(flow, residual_units(flow))
    former, residuals = former_units(flow, taken, residuals)
    found = former + list(zip((r.addition for r in residuals), _units(flow, residuals), strict=True))
    units = [unit for _, unit in sorted(found, key=lambda each: flow.order[each[0]])] or conv_units(flow)
    if not units:
        raise SurgeryError(
            f"{name} has no site: neither a sum of a shortcut and convolutions, nor a convolution with an activation "
            "of its own, with the channels in dimension 1; backbone.modules=[...] names modules whose outputs to gate"
        )
    return Traced(graph, tuple(units), tuple(each.path for each in taken))


def _refuse_hooks_on_taken(backbone: nn.Module, paths: list[str]) -> None:
    for path in paths:
        if any(getattr(module, kind) for module in backbone.get_submodule(path).modules() for kind in HOOKS):
            raise SurgeryError(
                f"{path} has hooks, and would be taken out with them; remove them, or leave backbone.strip_se out"
            )


def _one_name_a_place(flow: Flow, residuals: list[Residual]) -> list[Residual]:
    """Where a unit that lies within another one has a place in common with it, the smaller one has it alone."""
    had: set[tuple[str, frozenset[str]]] = set()
    kept: dict[fx.Node, Residual] = {}
    for residual in sorted(residuals, key=lambda each: len(each.within)):
        cuts = {placement: cut for placement, cut in residual.cuts.items() if flow.place(cut) not in had}
        had |= {flow.place(cut) for cut in cuts.values()}
        if cuts:
            kept[residual.addition] = Residual(residual.addition, residual.within, cuts)
    return [kept[each.addition] for each in residuals if each.addition in kept]


def _units(flow: Flow, residuals: list[Residual]) -> list[Unit]:
    names = numbered([residual.path for residual in residuals])
    return [
        Unit(Site(name, flow.places(residual.cuts), place_of(residual.addition)), residual.path, residual.cuts)
        for name, residual in zip(names, residuals, strict=True)
    ]


__all__ = ["Cut", "Traced", "Unit", "trace"]
