"""A backbone as a graph of values (torch.fx): what depends on what, with the shape of everything."""

import contextlib
import copy
import io
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional as F

from senas.errors import SurgeryError
from senas.model.former import is_built_in
from senas.model.se import SqueezeExcitation

IN_PLACE_OPERATORS = {  # `x += y`, and what it computes
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}
SCALE_AT_RANDOM = ("StochasticDepth", "DropPath")  # torchvision's, and everybody else's


def graph_of(backbone: nn.Module, example: Sequence[int]) -> tuple[fx.Graph, dict[str, nn.Module]]:
    """The graph, its nodes with shapes for images of shape `example` (C, H, W), and the modules that it calls, on the
    meta device. The backbone is neither run nor changed.

    Raises SurgeryError where the backbone cannot be traced, behaves by mode in a way that a graph cannot hold, or has
    hooks that a graph would not run.
    """
    _refuse_hooks(backbone)
    _refuse_blocks(backbone)
    meta = copy.deepcopy(backbone).to("meta").float()
    graph = _graph(meta.eval())
    if _reading(graph) != _reading(_graph(meta.train())):
        raise SurgeryError(
            f"{type(backbone).__name__} computes differently in train() and eval() outside its modules "
            "(functional dropout, auxiliary heads); use modules such as nn.Dropout for it, or switch such heads off"
        )
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # ShapeProp prints the traceback of what it raises
            ShapeProp(fx.GraphModule(meta.eval(), graph)).propagate(torch.empty(2, *example, device="meta"))
    except (RuntimeError, ValueError) as error:
        shape = "x".join(map(str, example))
        raise SurgeryError(
            f"{type(backbone).__name__} does not run on an image of {shape}: {_one_line(error.__cause__ or error)}"
        ) from error
    modules = dict(meta.named_modules())
    _in_place_as_values(graph, modules)
    return graph, modules


def _refuse_hooks(backbone: nn.Module) -> None:
    for name, module in backbone.named_modules():
        is_container = name and any(True for _ in module.children())
        hooks = (
            module._forward_hooks,
            module._forward_pre_hooks,
            module._backward_hooks,
            module._backward_pre_hooks,
        )
        if is_container and any(hooks):
            raise SurgeryError(
                f"{name} is a container with hooks, which would not run any more; "
                "put them on its leaf modules or on the whole network"
            )


def _refuse_blocks(backbone: nn.Module) -> None:
    if any(isinstance(module, SqueezeExcitation) for module in backbone.modules()):
        raise SurgeryError(
            f"{type(backbone).__name__} has SE blocks from an earlier surgery; put all blocks into the original at once"
        )


class _Proxy(fx.Proxy):
    """Records `x += y` as the change of x that it is; torch.fx by itself records `x = x + y`."""

    def __iadd__(self, other: Any) -> fx.Proxy:
        return self._changed(operator.iadd, other)

    def __isub__(self, other: Any) -> fx.Proxy:
        return self._changed(operator.isub, other)

    def __imul__(self, other: Any) -> fx.Proxy:
        return self._changed(operator.imul, other)

    def __itruediv__(self, other: Any) -> fx.Proxy:
        return self._changed(operator.itruediv, other)

    def _changed(self, by: Any, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", by, (self, other), {})


class _Tracer(fx.Tracer):
    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # Stochastic depth behaves by mode: as a module it stays as it is. A built-in SE block is one thing, to be taken
        # out or left alone, and so is a convolution or a batch normalisation of whatever class.
        kept = type(m).__name__ in SCALE_AT_RANDOM or is_built_in(m) or isinstance(m, nn.Conv2d | nn.BatchNorm2d)
        return kept or super().is_leaf_module(m, module_qualified_name)


def _graph(module: nn.Module) -> fx.Graph:
    try:
        return _Tracer().trace(module)
    except (fx.proxy.TraceError, TypeError, RuntimeError, ValueError, AttributeError) as error:
        raise SurgeryError(f"{type(module).__name__} cannot be traced by torch.fx: {_one_line(error)}") from error


def _reading(graph: fx.Graph) -> list[tuple[str, str, str, str]]:
    return [(node.op, str(node.target), str(node.args), str(node.kwargs)) for node in graph.nodes]


def _one_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _in_place_as_values(graph: fx.Graph, modules: dict[str, nn.Module]) -> None:
    """Let whoever reads a value after it was changed in place read the operation that changed it.

    Afterwards the graph says what depends on what, as if nothing were in place, and computes the same.
    """
    order = {node: i for i, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if not _is_in_place(node, modules):
            continue
        changed = node.args[0]
        is_tensor = "tensor_meta" in changed.meta  # `+=` on a number changes nothing that others read
        for reader in list(changed.users):
            if is_tensor and order[reader] > order[node]:
                reader.replace_input_with(changed, node)
        node.target = IN_PLACE_OPERATORS.get(node.target, node.target)  # nobody reads the old value any more


def _is_in_place(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if not (node.args and isinstance(node.args[0], fx.Node)):
        return False
    if node.op == "call_module":
        return bool(getattr(modules[str(node.target)], "inplace", False))
    if node.op == "call_method":
        name = str(node.target)
        return name.endswith("_") and not name.endswith("__")
    if node.op == "call_function":
        inplace_argument = node.kwargs.get("inplace") is True or (
            node.target in (F.relu, F.silu, F.gelu, F.relu6, F.hardswish) and True in node.args[1:]
        )
        name = getattr(node.target, "__name__", "")
        in_place_by_name = name.endswith("_") and not name.endswith("__") and not hasattr(operator, name)
        return inplace_argument or node.target in IN_PLACE_OPERATORS or in_place_by_name
    return False
