"""One graph for train() and eval(): traced in both modes and compared.

Where the graphs differ in constants alone, the constant is read off the module's mode at run time; where they differ in
structure, the module is kept whole.
"""

import operator
from collections.abc import Iterator
from itertools import combinations, count, islice, zip_longest
from math import comb
from typing import Any

from torch import fx, nn

from senas.errors import SurgeryError
from senas.model.tracer import KeptWhole, Recording, path_in, record

Constant = bool | int | float


def graph_for_both_modes(net: nn.Module, leaves: set[nn.Module]) -> Recording:
    """What `net` computes in train(), in eval() and with every module in a mode of its own, as one graph.

    Raises KeptWhole for modules that no graph can follow, SurgeryError where that is the network itself.
    """
    training, evaluation = (_recorded(net, leaves, mode) for mode in (True, False))
    _refuse_structure(net, training, evaluation)
    owners = list(dict.fromkeys(read.owner for read in (*training.reads, *evaluation.reads)))
    if owners or _differ(training.graph, evaluation.graph):
        _follow_modes(net, training, evaluation, _mixed(net, leaves, training, owners))
    training.entered |= evaluation.entered
    return training


def _recorded(net: nn.Module, leaves: set[nn.Module], mode: bool) -> Recording:
    net.train(mode)  # a network may do more than switch
    return record(net, leaves, dict.fromkeys(net.modules(), mode))


def _mixed(
    net: nn.Module, leaves: set[nn.Module], like: Recording, owners: list[nn.Module]
) -> list[tuple[Recording, dict[nn.Module, bool]]]:
    """Recordings with mixed modes, which tell whose mode a constant follows. Every owner is in train() in another half
    of them, never in just the other half of another's, so that each two are met in all four pairs of modes."""
    rounds = next(n for n in count(2, 2) if comb(n - 1, n // 2 - 1) >= len(owners))
    halves = list(islice(_halves(rounds), len(owners)))
    found = []
    for i in range(rounds):
        modes = dict.fromkeys(net.modules(), False) | {m: i in half for m, half in zip(owners, halves, strict=True)}
        mixed = record(net, leaves, modes)
        _refuse_structure(net, like, mixed)
        found.append((mixed, modes))
    return found


def _halves(rounds: int) -> Iterator[tuple[int, ...]]:
    return ((0, *others) for others in combinations(range(1, rounds), rounds // 2 - 1))


def _refuse_structure(net: nn.Module, one: Recording, other: Recording) -> None:
    for at, (a, b) in enumerate(zip_longest(one.graph.nodes, other.graph.nodes)):
        if a is not None and b is not None and _form(a) == _form(b):
            continue
        depth = {m: i for each in (a, b) for i, m in enumerate(reversed(_modules_around(net, each)))}
        reads = [read.inside for recording in (one, other) for read in recording.reads if read.at <= at]
        culprit = max((m for m in reads if m in depth), key=depth.__getitem__, default=None)
        innermost = max(depth, key=depth.__getitem__, default=net)
        culprit = culprit or (reads[-1] if reads else innermost)
        _keep_whole(net, culprit, {read.inside for r in (one, other) for read in r.reads})


def _keep_whole(net: nn.Module, culprit: nn.Module, readers: set[nn.Module]) -> None:
    """The module, and its like, have to be kept whole, which the network itself cannot be."""
    if culprit is net:
        name = type(net).__name__
        if getattr(net, "aux_logits", False):
            raise SurgeryError(
                f"{name} has auxiliary heads in train() and none in eval(), which one graph cannot hold; "
                "build it with aux_logits=False"
            )
        raise SurgeryError(
            f"{name} computes differently in train() and eval() in its own forward; put what differs into a module of "
            "its own, or name the modules whose outputs shall be gated with backbone.modules"
        )
    alike = {module for module in readers if type(module) is type(culprit) and module is not net}
    raise KeptWhole(alike | {culprit}, "computes differently in train() and eval()")


def _modules_around(net: nn.Module, node: fx.Node | None) -> list[nn.Module]:
    """The modules in whose forwards this node was recorded, innermost first; a leaf is not around its own call."""
    if node is None:
        return []
    stack = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
    if node.op == "call_module":
        stack = stack[:-1]
    return [*(net.get_submodule(path) for path in reversed(stack) if path), net]


def _follow_modes(
    net: nn.Module,
    training: Recording,
    evaluation: Recording,
    mixed: list[tuple[Recording, dict[nn.Module, bool]]],
) -> None:
    """Replaces, in the graph of train(), the constants that follow a mode by a reading of that mode."""
    lists = [list(recording.graph.nodes) for recording in (training, evaluation, *(each for each, _ in mixed))]
    readers = {read.inside for read in training.reads}
    owners = list(dict.fromkeys(read.owner for read in reversed(training.reads)))
    for node, *others in zip(*lists, strict=True):
        there, here, *drawn = (list(_constants(each)) for each in (node, *others))
        replaced: dict[int, Any] = {}
        for i, (on, off) in enumerate(zip(there, here, strict=True)):
            seen = [constants[i] for constants in drawn]
            if _same(on, off) and all(_same(on, value) for value in seen):
                continue
            around = _modules_around(net, node)
            owner = next(
                (
                    owner
                    for owner in sorted(owners, key=lambda m: around.index(m) if m in around else len(around))
                    if all(_same(v, on if m[owner] else off) for v, (_, m) in zip(seen, mixed, strict=True))
                ),
                None,
            )
            if owner is None:
                _keep_whole(net, around[0], readers)
            assert owner is not None
            replaced[i] = _by_mode(training.graph, node, _path_of_mode(net, owner), on, off)
        if replaced:
            _replace(node, replaced)


def _path_of_mode(net: nn.Module, owner: nn.Module) -> str:
    path = path_in(net, owner)
    return f"{path}.training" if path else "training"


def _by_mode(graph: fx.Graph, node: fx.Node, path: str, on: Constant, off: Constant) -> fx.Node:
    """Before `node`, what is `on` where the mode that lies at `path` is train(), and `off` where it is eval()."""
    with graph.inserting_before(node):
        flag = graph.get_attr(path)
        if on is True and off is False:
            found = flag
        elif on is False and off is True:
            found = graph.call_function(operator.not_, (flag,))
        else:
            found = graph.call_function(operator.getitem, ((off, on), flag))
    for each in {flag, found}:
        each.meta["nn_module_stack"] = node.meta.get("nn_module_stack")
    return found


def _differ(one: fx.Graph, other: fx.Graph) -> bool:
    """Whether two graphs of one structure differ in constants."""
    pairs = zip(one.nodes, other.nodes, strict=True)
    return not all(_same(x, y) for a, b in pairs for x, y in zip(_constants(a), _constants(b), strict=True))


def _same(a: Constant, b: Constant) -> bool:
    return type(a) is type(b) and repr(a) == repr(b)


def _form(node: fx.Node) -> tuple[Any, ...]:
    """What the node does, but for its constants."""
    return node.op, node.name, str(node.target), _shape_of((node.args, node.kwargs))


def _shape_of(value: Any) -> Any:
    if isinstance(value, fx.Node):
        return value.name
    if isinstance(value, Constant):
        return Constant
    if isinstance(value, tuple | list):
        return [_shape_of(each) for each in value]
    if isinstance(value, dict):
        return {key: _shape_of(each) for key, each in value.items()}
    if isinstance(value, slice):
        return [_shape_of(each) for each in (value.start, value.stop, value.step)]
    return repr(value)


def _constants(node: fx.Node) -> list[Constant]:
    found: list[Constant] = []
    fx.node.map_aggregate((node.args, node.kwargs), lambda each: _note(each, found))
    return found


def _note(value: Any, found: list[Constant]) -> Any:
    if isinstance(value, Constant):
        found.append(value)
    return value


def _replace(node: fx.Node, by: dict[int, fx.Node]) -> None:
    """Puts the nodes in place of the constants of these numbers."""
    at = iter(range(len(_constants(node))))
    args, kwargs = fx.node.map_aggregate(
        (node.args, node.kwargs), lambda each: by.get(next(at), each) if isinstance(each, Constant) else each
    )
    node.args, node.kwargs = args, kwargs
