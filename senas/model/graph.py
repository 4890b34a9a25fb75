"""A backbone as a graph of values (torch.fx): what depends on what, with the shape of everything."""

import copy
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import torch
from torch import fx, nn

from senas.errors import SurgeryError
from senas.model.in_place import Run, in_place_as_values
from senas.model.modes import graph_for_both_modes
from senas.model.se import SqueezeExcitation
from senas.model.tracer import KeptWhole, is_random_scale, one_line

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
FAILURES = (RuntimeError, ValueError, TypeError, IndexError, AssertionError)
"""What a network may raise for an image that does not fit, or on a device without values."""


def graph_of(
    backbone: nn.Module, example: Sequence[int], leaves: Sequence[str] = ()
) -> tuple[fx.Graph, dict[str, nn.Module]]:
    """The graph, its nodes with shapes for images of shape `example` (C, H, W), and the modules that it calls, on the
    meta device. The backbone is neither run nor changed.

    leaves:  modules, by path or by the name of their class, that are not traced into. What a graph cannot follow (a
             forward that differs in structure by the mode, that draws or keeps something) is not traced into either.
    Raises SurgeryError where the backbone cannot be traced, behaves by mode in a way that a graph cannot hold, or has
    hooks that a graph would not run.
    """
    refuse_blocks(backbone)
    net = on_meta(backbone)
    whole = _chosen(net, leaves)
    while True:
        try:
            recording = graph_for_both_modes(net, whole)
            runs = _runs(backbone, net, recording.graph, example)
            in_place_as_values(recording.graph, runs, net)
        except KeptWhole as kept:
            if net in kept.modules or kept.modules <= whole:
                raise SurgeryError(
                    f"{type(backbone).__name__} cannot be traced by torch.fx: its own forward {kept}; name the "
                    "modules whose outputs shall be gated: backbone.modules=[...]"
                ) from kept
            whole |= kept.modules
            continue
        _refuse_hooks(backbone, net, recording.entered)
        return recording.graph, dict(net.named_modules())


def on_meta(backbone: nn.Module) -> nn.Module:
    """A copy in float32 on the meta device, without the user's hooks."""
    memo: dict[int, Any] = {}
    for tensor in (*backbone.parameters(), *backbone.buffers()):
        if not nn.parameter.is_lazy(tensor):
            dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
            twin = torch.empty_like(tensor, dtype=dtype, device="meta")
            is_parameter = isinstance(tensor, nn.Parameter)
            memo[id(tensor)] = nn.Parameter(twin, tensor.requires_grad) if is_parameter else twin
    return _copy(backbone, memo)


def on_cpu(backbone: nn.Module) -> nn.Module:
    """A copy in float32 on the CPU, without the user's hooks: for what the meta device cannot run."""
    return _copy(backbone, {}).cpu().float()


def _copy(backbone: nn.Module, memo: dict[int, Any]) -> nn.Module:
    try:
        net = copy.deepcopy(backbone, memo)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise SurgeryError(f"{type(backbone).__name__} cannot be copied: {one_line(error)}") from error
    for module in net.modules():
        for kind in HOOKS:
            hooks = getattr(module, kind)
            for key in [key for key, hook in hooks.items() if not _is_of_torch(hook)]:  # those may make weights
                del hooks[key]
    return net


def _is_of_torch(hook: Any) -> bool:
    return str(getattr(hook, "__module__", "")).startswith("torch.nn")


def _chosen(net: nn.Module, leaves: Sequence[str]) -> set[nn.Module]:
    """Raises SurgeryError for a leaf that is neither a path nor a class."""
    paths = {path: module for path, module in net.named_modules() if path}
    found: set[nn.Module] = set()
    for leaf in leaves:
        of_class = {module for module in paths.values() if type(module).__name__ == leaf}
        if not (matching := {paths[leaf]} if leaf in paths else of_class):
            known = [*paths, *{type(module).__name__ for module in paths.values()}]
            near = get_close_matches(leaf, known, 1)
            hint = f"; did you mean {near[0]}?" if near else "; see print(model)"
            raise SurgeryError(f"backbone.leaves: {type(net).__name__} has no module or class {leaf}{hint}")
        found |= matching
    return found


def _runs(backbone: nn.Module, net: nn.Module, graph: fx.Graph, example: Sequence[int]) -> list[Run]:
    """The graph run in eval() and, where the mode may matter to what is changed in place, in train() before: on the
    meta device, else on the CPU."""
    modes = (True, False) if _changes_by_mode(net, graph) else (False,)
    try:
        return [_run(net, graph, example, mode) for mode in modes]
    except FAILURES:
        real = on_cpu(backbone)
    try:
        return [_run(real, graph, example, False)]
    except FAILURES as error:
        shape = "x".join(map(str, example))
        raise SurgeryError(
            f"{type(backbone).__name__} does not run on an image of {shape}: {one_line(error)}"
        ) from error


def _changes_by_mode(net: nn.Module, graph: fx.Graph) -> bool:
    called = [net.get_submodule(str(node.target)) for node in graph.nodes if node.op == "call_module"]
    flags = any(node.op == "get_attr" and str(node.target).split(".")[-1] == "training" for node in graph.nodes)
    own = any(not type(module).__module__.startswith("torch.nn") for module in called)
    return flags or own or any(map(is_random_scale, called))


def _run(net: nn.Module, graph: fx.Graph, example: Sequence[int], mode: bool) -> Run:
    for module in net.modules():
        module.training = mode
    run = Run(net, graph)
    device = next((tensor.device for tensor in net.parameters()), torch.device("meta"))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        run.run(torch.zeros(2, *example, device=device))
    return run


def _refuse_hooks(backbone: nn.Module, net: nn.Module, entered: set[nn.Module]) -> None:
    for path in [path for path, module in net.named_modules() if path and module in entered]:
        module = backbone.get_submodule(path)
        if any(getattr(module, kind) for kind in HOOKS):
            kind = "container" if any(True for _ in module.children()) else "module that is traced into,"
            raise SurgeryError(
                f"{path} is a {kind} with hooks, which would not run any more; put them on its leaf modules or on the "
                f"whole network, or keep it whole with backbone.leaves=[{path}]"
            )


def refuse_blocks(backbone: nn.Module) -> None:
    """Raises SurgeryError for what came out of an earlier surgery."""
    if any(isinstance(module, SqueezeExcitation) for module in backbone.modules()):
        raise SurgeryError(
            f"{type(backbone).__name__} has SE blocks from an earlier surgery; put all blocks into the original at once"
        )
