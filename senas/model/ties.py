"""Which channels of which values can be scaled, and which only together: what `fold` needs to know of a network.

A network computes the same where a layer gives a channel s times as large and all that read it take 1 / s of it. What
lies between must then be positively homogeneous, f(s x) = s f(x) for s > 0, as ReLUs, poolings and sums are. So the
graph is run once, with a label in the place of every number: numbers of one label are scaled together or not at all.
"""

import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from senas.model.classes import ANY, Classes, narrow, spread
from senas.model.graph import HOOKS
from senas.model.homogeneous import (
    ADDING,
    MOVING,
    MOVING_MODULES,
    MULTIPLYING,
    POOLING,
    POOLING_MODULES,
    REDUCING,
    SAME,
    SAME_MODULES,
    TELLING,
    layer_kind,
)
from senas.model.in_place import tensors
from senas.model.se import SqueezeExcitation
from senas.model.tracer import is_random_scale, scales_at_random


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that can take factors: `reads` (C_in,) and `gives` (C_out,) are the labels of its channels.

    What only takes factors of one of both has none of the other.
    """

    path: str
    module: nn.Module
    reads: Tensor
    gives: Tensor


class Ties(fx.Interpreter):
    """Runs a network's graph on labels. Afterwards:

    classes:  of labels that are scaled together, and which of these cannot be scaled at all, with the reason.
    layers:   those that can take factors.
    gates:    for each module path of `constant`, the labels of the channels (C,) that it reads, and that it gives.

    net:       whose modules the graph calls, as in eval mode; it is not run.
    constant:  paths of blocks that scale each channel by a constant; other SE blocks stay, and scale with their input.
    """

    def __init__(self, net: nn.Module, graph: fx.Graph, constant: Collection[str]) -> None:
        super().__init__(net, graph=graph)
        self.constant = set(constant)
        self.classes = Classes()
        self.layers: list[Layer] = []
        self.gates: dict[str, tuple[Tensor, Tensor]] = {}
        self._calls = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
        named = [id(parameter) for _, parameter in net.named_parameters(remove_duplicate=False)]
        attributes = {str(node.target) for node in graph.nodes if node.op == "get_attr"}
        self._owners = Counter(named)
        self._owners.update(id(p) for name, p in net.named_parameters(remove_duplicate=False) if name in attributes)
        images = next(node for node in graph.nodes if node.op == "placeholder")
        with torch.no_grad():
            self.run(torch.zeros(images.meta["tensor_meta"].shape))

    def run_node(self, n: fx.Node) -> Any:
        self.node = n
        return super().run_node(n)

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Any:
        given = super().placeholder(target, args, kwargs)
        return self._frozen(given.shape, "the images") if isinstance(given, Tensor) else given

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().get_attr(target, args, kwargs)
        return (
            self._frozen(value.shape, f"{target}, which is a value by itself,") if isinstance(value, Tensor) else value
        )

    def output(self, target: Any, args: Any, kwargs: Any) -> Any:
        for labels in tensors(args):
            self.classes.freeze(labels, "what the network gives out")

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        path, module = str(target), self.submodules[str(target)]
        labels = next(tensors((args, kwargs)), None)
        if labels is None:
            return super().call_module(target, args, kwargs)
        if path in self.constant:
            return self._gate(path, labels)
        if any(getattr(each, kind) for each in module.modules() for kind in HOOKS):
            return self._unknown(f"{path} ({type(module).__name__}), which has hooks,", args, kwargs)
        if isinstance(module, SqueezeExcitation):
            return self._block(path, module, labels)
        if type(module) in SAME_MODULES or is_random_scale(module):
            return labels
        if type(module) in POOLING_MODULES and not getattr(module, "return_indices", False):
            return self._pooled(labels)
        if type(module) in MOVING_MODULES:
            return super().call_module(target, args, kwargs)
        if (made := self._layer(path, module, labels)) is not None:
            return made
        return self._unknown(f"{path} ({type(module).__name__})", args, kwargs)

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._call(target, args, kwargs, lambda: super(Ties, self).call_function(target, args, kwargs))

    def call_method(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._call(target, args, kwargs, lambda: super(Ties, self).call_method(target, args, kwargs))

    def _call(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], run: Callable[[], Any]) -> Any:
        values = list(tensors((args, kwargs)))
        if target is getattr and isinstance(args[0], tuple) and not hasattr(args[0], str(args[1])):
            return self._unknown(f".{args[1]}", args, kwargs)  # of torch.return_types, which a graph has as tuples
        if not values or target in TELLING:
            return run()
        first = values[0]
        if target in SAME or scales_at_random(self.node, None):
            return first
        if target in POOLING and not kwargs.get("return_indices"):
            return self._pooled(first)
        if target in REDUCING:
            return self._reduced(first)
        if target in MOVING and not (target is operator.getitem and list(tensors(args[1]))):
            return run()
        if target == "view":  # labels are not laid out as the numbers are
            moved: Tensor = first.reshape(*args[1:])
            return moved
        if target is F.pad:
            return self._padded(first, args, kwargs)
        if target in ADDING and len(values) == 2:
            return self._sum(*values)
        if target in MULTIPLYING and len(values) == 1 and args[0] is first and not kwargs:
            return first
        return self._unknown(getattr(target, "__name__", str(target)), args, kwargs)

    def _gate(self, path: str, labels: Tensor) -> Tensor:
        reads, gives = self._channels(labels), self.classes.fresh(labels.shape[1])
        self.gates[path] = reads, gives
        return spread(gives, labels.shape)

    def _block(self, path: str, module: SqueezeExcitation, labels: Tensor) -> Tensor:
        """It gives what it reads, times factors that stay as they are where its first layer takes 1 / s of s."""
        if why := self._refused(path, module):
            return self._nothing(why, labels)
        reads = self._channels(labels)
        self.layers.append(Layer(f"{path}.fc1", module.fc1, reads, torch.empty(0, dtype=torch.int64)))
        return labels

    def _layer(self, path: str, module: nn.Module, labels: Tensor) -> Tensor | None:
        """What a layer with weights gives; None for a module that is none, or can take no factor."""
        shape, nothing = self._shape(), torch.empty(0, dtype=torch.int64)
        kind = layer_kind(module)
        if kind is None or shape is None:
            return None
        if why := self._refused(path, module):
            return self._nothing(why, labels)
        dim = labels.dim() - 1 if kind is nn.Linear else 1
        gives = self.classes.fresh(shape[dim])
        if kind is nn.GroupNorm:
            self.classes.freeze(labels, f"{path} ({type(module).__name__}), which mixes channels as it normalises,")
            self.layers.append(Layer(path, module, nothing, gives))
        else:
            self.layers.append(Layer(path, module, self._channels(labels, dim), gives))
        return spread(gives, shape, dim)

    def _refused(self, path: str, module: nn.Module) -> str:
        """Why a layer can take no factors, in words that name it; nothing where it can."""
        name = f"{path} ({type(module).__name__})"
        if self._calls[path] > 1:
            return f"{name}, which is called {self._calls[path]} times,"
        if any(self._owners[id(parameter)] > 1 for parameter in module.parameters()):
            return f"{name}, whose weights are another layer's too,"
        return ""

    def _pooled(self, labels: Tensor) -> Tensor:
        shape = self._shape()
        if shape is None or len(shape) != labels.dim():
            return self._nothing(str(self.node.target), labels)
        return spread(self._channels(labels), shape)

    def _reduced(self, labels: Tensor) -> Any:
        """What is added up is scaled together."""
        args, kwargs = self.node.args, self.node.kwargs
        dims, kept = ((args[n] if len(args) > n else kwargs.get(name)) for n, name in ((1, "dim"), (2, "keepdim")))
        if isinstance(dims, int):
            dims = (dims,)
        if not isinstance(dims, tuple | list):  # of all numbers
            return self._nothing(str(self.node.target), labels)
        over = [dim % labels.dim() for dim in dims if isinstance(dim, int)]
        return self._one(labels, over, bool(kept))

    def _padded(self, labels: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | kwargs
        if given.get("mode", "constant") != "constant":
            return self._pooled(labels) if len(given["pad"]) <= 4 else self._unknown("pad", args, kwargs)
        if given.get("value"):
            return self._unknown("pad", args, kwargs)
        padded: Tensor = F.pad(labels, given["pad"], value=ANY)  # a zero has any scale
        return padded

    def _sum(self, a: Tensor, b: Tensor) -> Tensor:
        shape = torch.broadcast_shapes(a.shape, b.shape)  # type: ignore[no-untyped-call]
        a, b = a.expand(shape), b.expand(shape)
        self.classes.join(a, b)
        return a if bool((narrow(a) != ANY).all()) else torch.where(a == ANY, b, a)

    def _unknown(self, name: str, args: Any, kwargs: Any) -> Any:
        """Nothing that it reads or gives may be scaled."""
        for labels in tensors((args, kwargs)):
            self.classes.freeze(labels, name)

        def made(meta: Any) -> Any:
            if hasattr(meta, "shape"):
                return self._frozen(meta.shape, name)
            if isinstance(meta, dict):
                return {key: made(each) for key, each in meta.items()}
            if isinstance(meta, tuple) and hasattr(meta, "_fields"):  # a NamedTuple
                return type(meta)(*map(made, meta))
            return type(meta)(map(made, meta)) if isinstance(meta, list | tuple) else meta

        return made(self.node.meta.get("tensor_meta"))

    def _nothing(self, why: str, labels: Tensor) -> Tensor:
        """What a layer gives that takes no factors."""
        self.classes.freeze(labels, why)
        return self._frozen(self._shape() or labels.shape, why)

    def _frozen(self, shape: Iterable[int], why: str) -> Tensor:
        label = self.classes.fresh(1)
        self.classes.freeze(label, why)
        return label.expand(*shape)

    def _shape(self) -> tuple[int, ...] | None:
        return getattr(self.node.meta.get("tensor_meta"), "shape", None)

    def _channels(self, labels: Tensor, dim: int = 1) -> Tensor:
        """(C,): one label for each channel, all of whose numbers are scaled together from now on."""
        return self._one(labels, [each for each in range(labels.dim()) if each != dim], False)

    def _one(self, labels: Tensor, over: list[int], kept: bool) -> Tensor:
        """One label for all that differ in these dimensions alone."""
        if not over:
            return labels
        narrow = labels
        for dim in over:
            narrow = narrow.narrow(dim, 0, 1) if labels.stride(dim) == 0 else narrow
        first = narrow.amax(over, keepdim=True)  # ANY is the lowest
        self.classes.join(first.expand_as(narrow), narrow)
        one: Tensor = first if kept else first.squeeze(tuple(over))
        return one
