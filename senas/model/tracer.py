"""Tracing with torch.fx, with an eye on what a graph cannot hold: which module reads its mode, keeps state, draws."""

import inspect
import operator
import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import torch
from torch import fx, nn

from senas.errors import SurgeryError
from senas.model.former import is_built_in

SCALE_AT_RANDOM = re.compile(r"(?i)drop_?(out|path|block)|stochastic_?depth")
"""Modules without children, and functions, of such names scale their input by 1 / (1 - p)."""
LAYERS = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.MaxPool2d, nn.AvgPool2d)
"""Of whatever class, as timm's StdConv2d: what a graph shall show as such. timm's pools decide by the size, too."""


class KeptWhole(Exception):  # noqa: N818
    """These modules must not be traced into, for what they do a graph cannot say. No error: the next attempt knows."""

    def __init__(self, modules: set[nn.Module], reason: str) -> None:
        super().__init__(reason)
        self.modules = modules


@dataclass(frozen=True, slots=True)
class Read:
    """`owner.training` was read while the forward of `inside` ran, when the graph had `at` nodes."""

    owner: nn.Module
    inside: nn.Module
    at: int


@dataclass(slots=True)
class Recording:
    """A graph, the reads of modes while it was traced, and the modules that were traced into."""

    graph: fx.Graph
    reads: list[Read] = field(default_factory=list)
    entered: set[nn.Module] = field(default_factory=set)


def record(net: nn.Module, leaves: set[nn.Module], modes: Mapping[nn.Module, bool]) -> Recording:
    """The graph of `net` with these modules kept whole, and with these modes.

    Raises KeptWhole for modules that the graph would be wrong about, and SurgeryError for what cannot be traced.
    """
    for module, mode in modes.items():
        module.training = mode
    tracer = _Tracer(net, leaves)
    defaults = list(inspect.signature(net.forward).parameters.values())[1:]
    given = {p.name: p.default for p in defaults if p.default is not p.empty}
    with _unchanged(net), _watched(tracer):
        try:
            graph = tracer.trace(net, given or None)
        except (KeptWhole, SurgeryError):
            raise
        except Exception as error:  # a forward that is run on proxies may raise anything
            raise SurgeryError(_refusal(net, tracer, error)) from error
    for node in graph.nodes:
        if node.op == "placeholder" and (name := str(node.target).rpartition("_")[0]) in given:
            node.target = name  # torch.fx has numbered those with defaults
    return Recording(graph, tracer.reads, tracer.entered)


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
    proxy_buffer_attributes = True  # else what changes a buffer would happen now, and never again

    def __init__(self, net: nn.Module, leaves: set[nn.Module]) -> None:
        super().__init__(autowrap_functions=tuple(_functions_by_mode(net)))
        self.leaves = leaves
        self.open: list[nn.Module] = [net]  # whose forwards are running, innermost last
        self.contexts = [_context()]  # in which each of them began
        self.reads: list[Read] = []
        self.entered: set[nn.Module] = set()

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        is_leaf = (
            m in self.leaves
            or super().is_leaf_module(m, module_qualified_name)
            or isinstance(m, LAYERS)
            # By its mode it scales or does nothing: as a module it stays as it is.
            or is_random_scale(m)
            or is_built_in(m)  # one thing, to be taken out or left alone
        )
        if not is_leaf:
            self.entered.add(m)
        return is_leaf

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        depth, drawn = len(self.open), _random_state()
        self.open.append(m)
        self.contexts.append(_context())
        result = super().call_module(m, forward, args, kwargs)
        if not _is_state(drawn):
            raise KeptWhole({m}, "draws random numbers that a graph would not draw again")
        del self.contexts[depth:]
        del self.open[depth:]  # not in a `finally`: what is open when something is raised says where
        return result

    def create_proxy(self, *args: Any, **kwargs: Any) -> fx.Proxy:
        if _context() != self.contexts[0]:
            began = max(i for i, context in enumerate(self.contexts) if context == self.contexts[0])
            raise KeptWhole({self.open[began]}, "computes without gradients, or in another precision, for a while")
        return super().create_proxy(*args, **kwargs)

    def create_arg(self, a: Any) -> Any:
        made_here = isinstance(a, torch.Tensor) and not isinstance(a, nn.Parameter)
        if made_here and self.tensor_attrs.get(a) is None and not any(a is b for b in self.root.buffers()):
            raise KeptWhole(
                {self.open[-1]}, "makes a tensor in its forward that does not depend on its input; make it a buffer"
            )
        return super().create_arg(a)


def is_random_scale(module: nn.Module) -> bool:
    """Dropout, stochastic depth and their kin: in train() a random factor, in eval() nothing."""
    return bool(SCALE_AT_RANDOM.search(type(module).__name__)) and not any(True for _ in module.children())


def scales_at_random(node: fx.Node, module: nn.Module | None) -> bool:
    """Whether this node, a call of `module` where it calls one, is dropout or stochastic depth."""
    if node.op == "call_function":
        return bool(SCALE_AT_RANDOM.search(getattr(node.target, "__name__", "")))
    return module is not None and is_random_scale(module)


def _functions_by_mode(net: nn.Module) -> Iterator[Callable[..., Any]]:
    """Functions such as timm's drop_path(x, p, training) that the forwards of this network can name."""
    forwards = (type(m).forward for m in net.modules() if not isinstance(m, torch.jit.ScriptModule))
    scopes = {id(scope): scope for forward in forwards if (scope := getattr(forward, "__globals__", None))}
    for scope in scopes.values():
        for function in list(scope.values()):
            if isinstance(function, FunctionType) and SCALE_AT_RANDOM.search(function.__name__):
                code = function.__code__
                if "training" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
                    yield function


def _context() -> tuple[bool, ...]:
    """What `with torch.no_grad()` and `with torch.autocast(...)` change, which no graph records."""
    return torch.is_grad_enabled(), *map(torch.is_autocast_enabled, ("cpu", "cuda"))


def _random_state() -> tuple[torch.Tensor, Any]:
    return torch.get_rng_state(), random.getstate()


def _is_state(state: tuple[torch.Tensor, Any]) -> bool:
    return torch.equal(state[0], torch.get_rng_state()) and state[1] == random.getstate()


@contextmanager
def _unchanged(net: nn.Module) -> Iterator[None]:
    """Puts back what the forward left on its modules, and the random numbers; raises KeptWhole where there is any."""
    modules = [module for module in net.modules() if not isinstance(module, torch.jit.ScriptModule)]
    kept = {module: {name: _contents(value) for name, value in vars(module).items()} for module in modules}
    values = {module: dict(vars(module)) for module in kept}
    inside = [(each, _contents(each), _held(each)) for held in values.values() for each in held.values()]
    drawn = _random_state()
    try:
        yield
        changed = {
            module
            for module, before in kept.items()
            if before.keys() != vars(module).keys()
            or any(before[name] != _contents(value) for name, value in vars(module).items())
        }
        if changed:
            raise KeptWhole(changed, "keeps something from one forward to the next")
        if not _is_state(drawn):
            raise KeptWhole({net}, "draws random numbers that a graph would not draw again")
    finally:
        torch.set_rng_state(drawn[0])
        random.setstate(drawn[1])
        for module, before in values.items():
            vars(module).clear()
            vars(module).update(before)
        for container, was, held in inside:  # buffers are in one
            if was != _contents(container):
                container.clear()
                container.extend(held) if isinstance(container, list) else container.update(held)


def _held(value: Any) -> list[Any]:
    return list(value.items() if isinstance(value, dict) else value if isinstance(value, list | set) else ())


def _contents(value: Any) -> tuple[int, ...]:
    """What identifies a value, and what is in it if it is a list or a mapping."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | set) else ()
    return (id(value), *map(id, inside))


@contextmanager
def _watched(tracer: _Tracer) -> Iterator[None]:
    """Tells the tracer of every read of `module.training`. torch.fx patches nn.Module while it traces, and so do we."""

    def read(self: nn.Module) -> bool:
        if "training" not in vars(self):
            return bool(type(self).__getattr__(self, "training"))  # of torch.jit
        if tracer.graph is not None:
            tracer.reads.append(Read(self, tracer.open[-1], len(tracer.graph.nodes)))
        return bool(vars(self)["training"])

    def write(self: nn.Module, mode: bool) -> None:
        vars(self)["training"] = mode

    nn.Module.training = property(read, write)  # type: ignore[assignment]
    try:
        yield
    finally:
        del nn.Module.training


def _refusal(net: nn.Module, tracer: _Tracer, error: Exception) -> str:
    module, reason = tracer.open[-1], one_line(error)
    name, path = type(module).__name__, path_in(net, module)
    if module is net:
        children = [child for child, _ in net.named_children()][:2]
        return (
            f"{name} cannot be traced by torch.fx: {reason}; name the modules whose outputs shall be gated: "
            f"backbone.modules=[{','.join([*children, '...'])}]"
        )
    return (
        f"{path} ({name}) cannot be traced by torch.fx: {reason}; keep it whole with backbone.leaves=[{name}], or name "
        f"the modules whose outputs shall be gated: backbone.modules=[{path},...]"
    )


def path_in(net: nn.Module, module: nn.Module) -> str:
    """The module's path as `print(net)` shows it; empty for `net` itself."""
    return next((path for path, each in net.named_modules() if each is module), "")


def one_line(error: BaseException) -> str:
    """The first line that the error says, without where in a graph it was; its type where it says nothing."""
    said = str(error).partition("While executing %")[0]
    return next((line.strip() for line in said.splitlines() if line.strip()), type(error).__name__)
