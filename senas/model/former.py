"""The SE blocks that backbones of other libraries come with: which they are, and which can be written as ours.

They are known by class name: torchvision's SqueezeExcitation; timm's two SEModules, SqueezeExcite, EffectiveSEModule
and EseModule (the latter two of one layer, arXiv:1911.06667); and SELayer, as many networks of one's own call it.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from senas.core.block import Activation, Gate, Placement, SEBlock, Squeeze
from senas.model.se import SqueezeExcitation

NAMES = ("SqueezeExcitation", "SEModule", "SqueezeExcite", "EffectiveSEModule", "EseModule", "SELayer")

BY_CLASS: dict[str, Activation | Gate] = {
    "ReLU": Activation.RELU,
    "SiLU": Activation.SILU,
    "Swish": Activation.SILU,
    "Sigmoid": Gate.SIGMOID,
    "Hardsigmoid": Gate.HARD_SIGMOID,
    "HardSigmoid": Gate.HARD_SIGMOID,
}
BY_FUNCTION: dict[Any, Activation | Gate] = {
    **dict.fromkeys((F.relu, torch.relu, torch.relu_, "relu", "relu_"), Activation.RELU),
    F.silu: Activation.SILU,
    **dict.fromkeys((F.sigmoid, torch.sigmoid, torch.sigmoid_, "sigmoid", "sigmoid_"), Gate.SIGMOID),
    F.hardsigmoid: Gate.HARD_SIGMOID,
}
RESHAPING = ("view", "reshape", "flatten", "unsqueeze", "expand_as", "size", "getitem", "shape", "getattr")
POSITIONS = ((2, 3), (-2, -1), (3, 2), (-1, -2))


@dataclass(frozen=True, slots=True)
class Ours:
    """A block of another library as one of ours, and the paths of its two layers within it."""

    block: SEBlock
    layers: tuple[str, str]


def is_built_in(module: nn.Module) -> bool:
    """Whether a module is an SE block of another library, or a subclass of one."""
    return any(kind.__name__ in NAMES for kind in type(module).__mro__)


def as_ours(module: nn.Module, placement: Placement) -> Ours | None:
    """The block of ours that computes the same from the same weights; None where there is none.

    Reads the operations in the order in which the module computes: squeeze, layer, activation, layer, gate, product
    with what came in. Anything else between them (a normalisation, a second pooling, a single layer) is not ours, nor
    is what then computes something else (channels in another order, an activation that only has a known name).
    """
    try:
        graph = _Tracer().trace(module)
    except Exception:  # whatever a foreign forward raises under tracing: then it stays the module that it is
        return None
    modules = dict(module.named_modules())
    images = [node for node in graph.nodes if node.op == "placeholder"]
    image = images[0]
    out = next(iter(reversed(graph.nodes))).args[0]
    if not (isinstance(out, fx.Node) and getattr(out.target, "__name__", out.target) in ("mul", "imul", "mul_")):
        return None
    gates = [arg for arg in out.args if arg is not image]
    if len(images) != 1 or len(out.args) != 2 or len(gates) != 1 or not isinstance(gates[0], fx.Node):
        return None
    steps: list[fx.Node] = []
    node = gates[0]
    while node is not image:
        if not isinstance(node, fx.Node) or not node.args:
            return None
        if not _reshapes(node, modules):
            steps.append(node)
        node = node.args[0]  # type: ignore[assignment]
    if len(steps) != 5:
        return None
    gate, last, inner, first, squeeze = steps
    layers = [modules.get(str(layer.target)) for layer in (first, last)]
    biases = {getattr(layer, "bias", None) is not None for layer in layers}
    found = _squeeze(squeeze, modules), _function(inner, modules), _function(gate, modules)
    if not (all(_is_layer(layer) for layer in layers) and len(biases) == 1):
        return None
    if not (found[0] and isinstance(found[1], Activation) and isinstance(found[2], Gate)):
        return None
    hidden = int(layers[0].weight.shape[0])  # type: ignore[union-attr]
    block = SEBlock(
        hidden=hidden, placement=placement, squeeze=found[0], activation=found[1], gate=found[2], bias=biases == {True}
    )
    ours = Ours(block, (str(first.target), str(last.target)))
    return ours if _is_equal(module, ours) else None


def take_over(block: SqueezeExcitation, former: nn.Module, layers: tuple[str, str]) -> None:
    """Gives a block the weights of the former one, bit for bit; a 1x1 convolution has those of a linear layer."""
    with torch.no_grad():
        for ours, theirs in zip((block.fc1, block.fc2), map(former.get_submodule, layers), strict=True):
            for name, parameter in ours.named_parameters():
                given = theirs.get_parameter(name)
                parameter.copy_(given.view_as(parameter))
                parameter.requires_grad_(given.requires_grad)  # what was frozen is frozen still


def _is_equal(module: nn.Module, ours: Ours) -> bool:
    """Whether both compute the same from weights drawn for it: the module's may be trivial, or on no device."""
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            theirs = copy.deepcopy(module).to_empty(device="cpu").double()
            for tensor in (*theirs.parameters(), *theirs.buffers()):
                tensor.normal_(std=tensor[0].numel() ** -0.5 if tensor.ndim else 1.0)
            channels = theirs.get_parameter(f"{ours.layers[0]}.weight").shape[1]
            block = SqueezeExcitation(ours.block, channels).double()
            take_over(block, theirs, ours.layers)
            image = torch.randn(2, channels, 3, 4, dtype=torch.float64) + 0.5
            return all(torch.allclose(theirs.train(mode)(image.clone()), block(image)) for mode in (True, False))
    except Exception:  # whatever a foreign forward raises
        return False


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not any(True for _ in m.children())


def _is_layer(module: nn.Module | None) -> bool:
    if isinstance(module, nn.Conv2d):
        usual = module.groups == 1 and module.stride == (1, 1) and module.padding in ((0, 0), "same", "valid")
        return usual and module.kernel_size == (1, 1)
    return isinstance(module, nn.Linear)


def _function(node: fx.Node, modules: dict[str, nn.Module]) -> Activation | Gate | None:
    if node.op == "call_module":
        return BY_CLASS.get(type(modules[str(node.target)]).__name__)
    return BY_FUNCTION.get(node.target)


def _squeeze(node: fx.Node, modules: dict[str, nn.Module]) -> Squeeze | None:
    if node.op == "call_module":
        module = modules[str(node.target)]
        if getattr(module, "output_size", None) not in (1, (1, 1)):
            return None
        if isinstance(module, nn.AdaptiveAvgPool2d):
            return Squeeze.AVG
        return Squeeze.MAX if isinstance(module, nn.AdaptiveMaxPool2d) else None
    name = getattr(node.target, "__name__", str(node.target))
    asked = [*node.args[1:2], *(value for key, value in node.kwargs.items() if key in ("dim", "output_size"))]
    if name == "adaptive_avg_pool2d":
        return Squeeze.AVG if asked in ([1], [(1, 1)]) else None
    over_positions = len(asked) == 1 and isinstance(asked[0], list | tuple) and tuple(asked[0]) in POSITIONS
    return {"mean": Squeeze.AVG, "amax": Squeeze.MAX}.get(name) if over_positions else None


def _reshapes(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], nn.Identity | nn.Flatten)
    return getattr(node.target, "__name__", str(node.target)) in RESHAPING
