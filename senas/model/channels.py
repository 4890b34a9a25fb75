"""Which values of a traced graph have their channels in dimension 1.

A convolution, a normalisation or a pooling over height and width says so of what it reads and of what it gives; from
there it follows through operations that keep dimensions (sums, activations, concatenations) and that permute them.
Shapes alone do not tell: at 56 x 56 with 56 channels, (B, H, W, C) looks like (B, C, H, W).
"""

import operator
from collections.abc import Sequence

from torch import fx, nn

from senas.model.former import is_built_in
from senas.model.tracer import scales_at_random

PINS = (
    *(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.SyncBatchNorm, nn.InstanceNorm2d, nn.GroupNorm),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Dropout2d),
    *(nn.Upsample, nn.PixelShuffle, nn.PixelUnshuffle, nn.LocalResponseNorm, nn.ZeroPad2d, nn.ReflectionPad2d),
)
PINNING = {
    *("conv2d", "conv_transpose2d", "batch_norm", "instance_norm", "group_norm", "local_response_norm", "interpolate"),
    *("max_pool2d", "avg_pool2d", "lp_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "dropout2d"),
    *("pixel_shuffle", "pixel_unshuffle"),
}
KEEPS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.RReLU, nn.SiLU, nn.GELU, nn.Mish),
    *(nn.Hardswish, nn.Hardtanh, nn.Softplus, nn.Tanh, nn.Sigmoid, nn.Hardsigmoid, nn.Dropout, nn.Identity),
)
KEEPING = {
    *("add", "iadd", "sub", "isub", "rsub", "mul", "imul", "truediv", "itruediv", "div", "neg", "pow", "maximum"),
    *("minimum", "abs", "exp", "sqrt", "clamp", "where", "contiguous", "clone", "detach", "to", "float", "half"),
    *("type_as", "bfloat16", "relu", "relu6", "leaky_relu", "prelu", "elu", "celu", "selu", "rrelu", "silu", "gelu"),
    *("mish", "hardswish", "hardtanh", "softplus", "tanh", "sigmoid", "hardsigmoid", "dropout", "pad", "flip", "roll"),
    *("cat", "concat", "chunk", "split", "tensor_split", "getitem"),
}


def channels_first(graph: fx.Graph, modules: dict[str, nn.Module]) -> set[fx.Node]:
    """Nodes of four dimensions of which dimension 1 is known to be the channels; those in doubt are not among them."""
    axes: dict[fx.Node, set[int]] = {}
    ties: dict[fx.Node, list[tuple[fx.Node, tuple[int, ...]]]] = {}
    waiting: list[tuple[fx.Node, int]] = []

    def tie(a: fx.Node, b: fx.Node, order: Sequence[int] = (0, 1, 2, 3)) -> None:
        """`b` has dimension order[i] of `a` as its dimension i."""
        ties.setdefault(b, []).append((a, tuple(order)))
        ties.setdefault(a, []).append((b, tuple(order.index(i) for i in range(4))))

    for node in graph.nodes:
        if _rank(node) != 4:
            continue
        above = [arg for arg in node.all_input_nodes if _rank(arg) == 4]
        name = _name(node)
        module = modules[str(node.target)] if node.op == "call_module" else None
        if node.op == "placeholder":
            waiting.append((node, 1))
        elif isinstance(module, PINS) or (module and is_built_in(module)) or (module is None and name in PINNING):
            waiting += [(node, 1), *((arg, 1) for arg in above[:1])]
        elif isinstance(module, KEEPS) or scales_at_random(node, module) or _keeps(node, name):
            for arg in above:
                tie(arg, node)
        elif (order := _permutation(node, name)) is not None and above:
            tie(above[0], node, order)
    while waiting:
        node, axis = waiting.pop()
        if axis not in axes.setdefault(node, set()):
            axes[node].add(axis)
            waiting += [(other, order.index(axis)) for other, order in ties.get(node, ())]
    return {node for node, found in axes.items() if found == {1}}


def _rank(node: fx.Node) -> int:
    """Dimensions of the tensor, or of the first of a tuple of tensors."""
    meta = node.meta.get("tensor_meta")
    first = meta[0] if isinstance(meta, tuple | list) and meta and not hasattr(meta, "shape") else meta
    return len(getattr(first, "shape", ()))


def _name(node: fx.Node) -> str:
    if node.op == "call_method":
        return str(node.target).rstrip("_")
    return getattr(node.target, "__name__", "").strip("_") if node.op == "call_function" else ""


def _keeps(node: fx.Node, name: str) -> bool:
    if node.target is operator.getitem:
        index = node.args[1]
        parts = index if isinstance(index, tuple) else (index,)
        of_tuple = isinstance(index, int) and not hasattr(_first_meta(node), "shape")
        return of_tuple or all(isinstance(part, slice) or part is Ellipsis for part in parts)
    return node.op in ("call_function", "call_method") and name in KEEPING


def _first_meta(node: fx.Node) -> object:
    source = node.args[0]
    return source.meta.get("tensor_meta") if isinstance(source, fx.Node) else None


def _permutation(node: fx.Node, name: str) -> tuple[int, ...] | None:
    """The order of the dimensions that a permutation or transposition takes; None for everything else."""
    arguments = [*node.args[1:], *(value for key, value in node.kwargs.items() if key in ("dims", "dim0", "dim1"))]
    if name == "permute":
        dims = arguments[0] if len(arguments) == 1 else arguments
        if isinstance(dims, list | tuple) and len(dims) == 4 and all(isinstance(d, int) for d in dims):
            return tuple(d % 4 for d in dims if isinstance(d, int))
    elif name in ("transpose", "swapaxes", "swapdims") and len(arguments) == 2:
        a, b = arguments
        if isinstance(a, int) and isinstance(b, int):
            order = [0, 1, 2, 3]
            order[a % 4], order[b % 4] = order[b % 4], order[a % 4]
            return tuple(order)
    return None
