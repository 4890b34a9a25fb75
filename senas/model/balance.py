"""Which layers take how much of constant gates: scales of all values, found from what gates ask of two of them.

A gate with the factor g between what it reads and what it gives can go where the scale s of the first is g times that
of the second. Scales of what is not named are 1, and what is frozen has 1. So gates are edges between classes of
channels; without a circle among them, each scale follows from one that is chosen.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from senas.model.classes import ANY
from senas.model.ties import Layer, Ties

LARGEST = 1e6
"""Weights are not made so many times larger or smaller: float32 would bear it, fewer bits would not."""
FROZEN = -2
"""Stands for all classes that cannot be scaled."""


@dataclass(frozen=True, slots=True)
class Scales:
    """For each layer that takes factors: what its inputs are to be multiplied by, and its outputs; see `absorb`."""

    layers: list[tuple[Layer, Tensor | None, Tensor | None]]


@dataclass(frozen=True, slots=True)
class Scale:
    """Of a class: what writes it is multiplied by `given`, what reads it by `read`, its inverse.

    Where a factor is 0, one of both is infinite, and right where nobody needs it.
    """

    given: float
    read: float


class _Gate:
    """One channel of a gate, as an edge: from the class that it reads to the one that it gives."""

    __slots__ = ("factor", "gives", "reads", "site")

    def __init__(self, site: str, reads: int, gives: int, factor: float) -> None:
        self.site, self.reads, self.gives, self.factor = site, reads, gives, factor


def balance(ties: Ties, constant: Mapping[str, tuple[Tensor, Tensor, Tensor]]) -> tuple[Scales, dict[str, str]]:
    """The scales that make all these gates go, or else the sites that cannot be among them, with the reasons.

    constant:  for each site what labels its gate reads and gives, and its factors, all (C,).
    """
    gates = {site: _edges(ties, site, *given) for site, given in constant.items()}
    if between := {site: why for site, edges in gates.items() if (why := _why_tied(ties, edges, constant[site]))}:
        return Scales([]), between
    groups = _Groups()
    for site, edges in gates.items():
        for edge in edges:
            if not groups.unite(edge.reads, edge.gives):
                return Scales([]), {
                    site: "what it reads leads to what it gives by another gate or channel that is folded as well"
                }
    uses = _Uses(ties)
    scales: dict[int, Scale] = {}
    for members in groups.all(edge for edges in gates.values() for edge in edges):
        found = _scales(members, uses)
        if found is None:
            site = next(site for site in reversed(list(gates)) if not set(members).isdisjoint(gates[site]))
            return Scales([]), {site: _why_extreme(constant[site][2])}
        scales |= found
    return Scales([taken for layer in ties.layers if (taken := _taken(ties, layer, scales))]), {}


def _edges(ties: Ties, site: str, reads: Tensor, gives: Tensor, factors: Tensor) -> list[_Gate]:
    """A channel that is zero anyway asks for nothing."""
    return [
        _Gate(site, _node(ties, a), _node(ties, b), factor)
        for a, b, factor in zip(reads.tolist(), gives.tolist(), factors.double().tolist(), strict=True)
        if a != ANY
    ]


def _node(ties: Ties, label: int) -> int:
    return FROZEN if ties.classes.why_frozen(label) else ties.classes.of(label)


def _why_tied(ties: Ties, edges: list[_Gate], labels: tuple[Tensor, Tensor, Tensor]) -> str:
    """Why neither side of a gate can be scaled by itself; nothing where it can."""
    if not any(edge.reads == edge.gives for edge in edges):
        return ""
    for a, b in zip(labels[0].tolist(), labels[1].tolist(), strict=True):
        if a != ANY and (before := ties.classes.why_frozen(a)) and (behind := ties.classes.why_frozen(b)):
            return f"before it, {before} cannot take its factors, and behind it, {behind} cannot"
    return "what it reads also goes around it to what it gives, with no layer between that could take its factors"


def _why_extreme(factors: Tensor) -> str:
    return (
        f"with its factors, the smallest {float(factors.min()):.3g}, weights would have to be divided by 0, or made "
        f"more than {LARGEST:,.0f} times larger or smaller"
    )


class _Groups:
    """Classes that gates connect; each gate may connect two that are not connected yet."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}

    def unite(self, a: int, b: int) -> bool:
        """False where they are connected already."""
        a, b = self._of(a), self._of(b)
        self._above[b] = a
        return a != b

    def all(self, edges: Iterable[_Gate]) -> list[list[_Gate]]:
        """The gates of each group."""
        found: dict[int, list[_Gate]] = {}
        for edge in edges:
            found.setdefault(self._of(edge.reads), []).append(edge)
        return list(found.values())

    def _of(self, node: int) -> int:
        while (above := self._above.setdefault(node, node)) != node:
            self._above[node] = node = self._above[above]  # halves the way for those that ask again
        return node


class _Uses:
    """How many channels of layers write each class, and how many read it."""

    def __init__(self, ties: Ties) -> None:
        self.written: dict[int, int] = {}
        self.read: dict[int, int] = {}
        for layer in ties.layers:
            for counts, labels in ((self.read, layer.reads), (self.written, layer.gives)):
                for label in labels.tolist():
                    if label != ANY:
                        node = _node(ties, label)
                        counts[node] = counts.get(node, 0) + 1

    def allow(self, node: int, scale: Scale) -> bool:
        """Whether what writes and reads the class can take it."""
        written, read = node in self.written, node in self.read
        needed = [scale.given] * written + [scale.read] * read
        return all(0 <= each <= LARGEST for each in needed)  # not so where it is NaN

    def of(self, node: int) -> int:
        return self.written.get(node, 0) + self.read.get(node, 0)


def _scales(edges: list[_Gate], uses: _Uses) -> dict[int, Scale] | None:
    """Of the classes that these gates connect; None where no choice will do.

    One has the scale 1: what is frozen, else, as long as that will do, the one that most layers write and read.
    """
    nodes = list(dict.fromkeys(node for edge in edges for node in (edge.reads, edge.gives)))
    for start in [FROZEN] if FROZEN in nodes else sorted(nodes, key=lambda node: -uses.of(node)):
        found = _from(start, edges)
        if all(uses.allow(node, scale) for node, scale in found.items() if node != FROZEN):
            return found
    return None


def _from(start: int, edges: list[_Gate]) -> dict[int, Scale]:
    beside: dict[int, list[_Gate]] = {}
    for edge in edges:
        for node in (edge.reads, edge.gives):
            beside.setdefault(node, []).append(edge)
    found, waiting = {start: Scale(1.0, 1.0)}, [start]
    while waiting:
        node = waiting.pop()
        for edge in beside[node]:
            scale, g = found[node], edge.factor
            if node == edge.reads and edge.gives not in found:
                found[edge.gives] = Scale(_divided(scale.given, g), scale.read * g)
                waiting.append(edge.gives)
            elif node == edge.gives and edge.reads not in found:
                found[edge.reads] = Scale(scale.given * g, _divided(scale.read, g))
                waiting.append(edge.reads)
    return found


def _divided(a: float, b: float) -> float:
    return a / b if b else float("inf")


def _taken(ties: Ties, layer: Layer, scales: Mapping[int, Scale]) -> tuple[Layer, Tensor | None, Tensor | None] | None:
    one = Scale(1.0, 1.0)
    of = [
        [one if n == ANY else scales.get(_node(ties, n), one) for n in labels.tolist()]
        for labels in (layer.reads, layer.gives)
    ]
    reads, gives = [each.read for each in of[0]], [each.given for each in of[1]]
    changes = [any(each != 1 for each in side) for side in (reads, gives)]
    if not any(changes):
        return None
    made = [
        torch.tensor(side, dtype=torch.float64) if c else None for side, c in zip((reads, gives), changes, strict=True)
    ]
    return layer, made[0], made[1]
