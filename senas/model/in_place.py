"""Operations that change a tensor in place, seen by running the graph: who reads the tensor then, and by what name.

Surgery gives readers of a value another value to read. That is right only where the graph says what depends on what,
and a tensor that is changed in place has readers that the graph does not connect.
"""

import operator
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import _extract_tensor_metadata

from senas.model.tracer import KeptWhole

IN_PLACE_OPERATORS = {  # `x += y`, and what it computes
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}


class Run(fx.Interpreter):
    """Runs a graph once and keeps what every node gave, and which tensors every node changed.

    A node's shape is left in its `meta`, as torch.fx's ShapeProp does.
    """

    def __init__(self, net: nn.Module, graph: fx.Graph) -> None:
        super().__init__(net, garbage_collect_values=False, graph=graph)
        self.given: dict[fx.Node, Any] = {}
        self.changed: dict[fx.Node, list[torch.Tensor]] = {}

    def run_node(self, n: fx.Node) -> Any:
        read = list(tensors(self.fetch_args_kwargs_from_env(n)))
        versions = [tensor._version for tensor in read]
        result = super().run_node(n)
        self.given[n] = result
        self.changed[n] = [t for t, version in zip(read, versions, strict=True) if t._version != version]
        if any(True for _ in tensors(result)):
            n.meta["tensor_meta"] = fx.node.map_aggregate(result, _metadata)
        return result

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module = self.submodules[target]
        if type(module) is nn.BatchNorm2d and args and args[0].is_meta and args[0].shape[1:2] == (module.num_features,):
            return torch.empty_like(args[0])  # the meta device takes half of its time for them
        return super().call_module(target, args, kwargs)


def _metadata(value: Any) -> Any:
    return _extract_tensor_metadata(value) if isinstance(value, torch.Tensor) else value


def in_place_as_values(graph: fx.Graph, runs: list[Run], net: nn.Module) -> None:
    """Let whoever reads a value after it was changed in place read the operation that changed it.

    Afterwards the graph says what depends on what, as if nothing were in place, and computes the same. Raises KeptWhole
    for the modules around a change that is read under another name: of a part, or of a whole, of the tensor.
    """
    nodes = list(graph.nodes)
    order = {node: i for i, node in enumerate(nodes)}
    for node in nodes:
        changed = [tensor for run in runs for tensor in run.changed[node]]
        if not changed:  # `+=` on a number changes nothing that others read
            node.target = IN_PLACE_OPERATORS.get(node.target, node.target)
            continue
        for value in nodes[: order[node]]:
            later = [reader for reader in value.users if order.get(reader, -1) > order[node]]
            if not later or not any(_reads_changed(run, node, value, later) for run in runs):
                continue
            if not all(_is_one_tensor(run, node, value) for run in runs):
                raise KeptWhole(_around(net, [node, *later]), "changes a tensor in place that is read by another name")
            for reader in later:
                reader.replace_input_with(value, node)
        if node.target in IN_PLACE_OPERATORS and not _is_seen_outside(nodes[: order[node]], runs[0], changed):
            node.target = IN_PLACE_OPERATORS[node.target]  # nobody reads the old value any more


def _reads_changed(run: Run, node: fx.Node, value: fx.Node, later: list[fx.Node]) -> bool:
    """Whether what `later` reads of `value` was changed by `node`."""
    given = run.given[value]
    seen = [given] if isinstance(given, torch.Tensor) else [run.given[reader] for reader in later]  # parts, by index
    return any(_overlap(a, b) for a in tensors(seen) for b in run.changed[node])


def _is_one_tensor(run: Run, node: fx.Node, value: fx.Node) -> bool:
    given, result = run.given[value], run.given[node]
    return isinstance(given, torch.Tensor) and isinstance(result, torch.Tensor) and _extent(given) == _extent(result)


def _is_seen_outside(nodes: list[fx.Node], run: Run, changed: list[torch.Tensor]) -> bool:
    """Whether the change is of an image or of a buffer, which others see."""
    storages = {_storage(tensor) for tensor in changed}
    return any(
        _storage(tensor) in storages
        for node in nodes
        if node.op in ("placeholder", "get_attr")
        for tensor in tensors(run.given[node])
    )


def _overlap(a: torch.Tensor, b: torch.Tensor) -> bool:
    if _storage(a) != _storage(b):
        return False
    return _extent(a) == _extent(b) or bool(torch.isin(_offsets(a), _offsets(b)).any())


def _offsets(tensor: torch.Tensor) -> torch.Tensor:
    """Where in its storage the elements of the tensor lie."""
    count = tensor.untyped_storage().nbytes() // tensor.element_size()
    return torch.arange(count).as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).flatten()


def _storage(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _extent(tensor: torch.Tensor) -> tuple[Any, ...]:
    return _storage(tensor), tensor.storage_offset(), tensor.shape, tensor.stride()


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """All that are in what a module or function was given, or gave."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from tensors(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from tensors(each)


def _around(net: nn.Module, nodes: list[fx.Node]) -> set[nn.Module]:
    """The innermost module in whose forward all of these nodes are."""
    stacks = []
    for node in nodes:
        stack = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
        stacks.append(stack[:-1] if node.op == "call_module" else stack)
    shared = net
    for paths in zip(*stacks, strict=False):
        if len(set(paths)) > 1:
            break
        shared = net.get_submodule(paths[0])
    return {shared}
