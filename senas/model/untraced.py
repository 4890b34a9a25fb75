"""Sites by module path, for networks that cannot be traced: the outputs of the modules named are gated in place."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from senas.core.site import Place
from senas.errors import SurgeryError
from senas.model.graph import FAILURES, on_cpu, on_meta, refuse_blocks
from senas.model.tracer import one_line

PROBE = "senas_probe"
NEVER_CALLED = "backbone.modules: {path} is never called itself, only modules in it may be; name one of those"
WIDTHS = ("out_channels", "num_features", "num_channels")
"""What layers call the number of channels that they give."""


def outputs(backbone: nn.Module, example: Sequence[int], paths: Sequence[str]) -> dict[str, Place]:
    """What the modules at these paths give for images of shape `example` (C, H, W), in the order of their calls.

    The backbone is copied and run, on the meta device or, where that cannot be, on the CPU; it is not changed. Raises
    SurgeryError for a module that is not there, is not called exactly once, or whose output cannot be gated.
    """
    refuse_blocks(backbone)
    known = {path for path, _ in backbone.named_modules() if path}
    for path in paths:
        if path not in known:
            near = get_close_matches(path, known, 1)
            hint = f"; did you mean {near[0]}?" if near else "; see print(model)"
            raise SurgeryError(f"backbone.modules: {type(backbone).__name__} has no module {path}{hint}")
        _refuse_kind(path, backbone.get_submodule(path))
    calls = _run(backbone, example, paths)
    taller = _taller(backbone, example, paths)
    found = {call.path: _place(call.path, calls, taller) for call in calls if call.path in paths}
    for path in paths:
        if path not in found:
            raise SurgeryError(NEVER_CALLED.format(path=path))
    return found


def gate_output(module: nn.Module, name: str) -> None:
    """Make `module` give its output through its child `name`. Keys, hooks, copying and pickling stay as they were."""
    if type(module).forward is nn.Sequential.forward:
        return  # it runs its children in turn, and this one is the last
    base = type(module)

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return self.get_submodule(name)(base.forward(self, *args, **kwargs))

    def reduce(self: nn.Module, protocol: Any = None) -> tuple[Any, ...]:
        return _ungated, (base, name), self.__dict__

    methods = {"forward": forward, "__reduce_ex__": reduce, "__module__": base.__module__}
    module.__class__ = type(base.__name__, (base,), methods)


def _ungated(base: type[nn.Module], name: str) -> nn.Module:
    """An empty module of the class that `gate_output` makes, which cannot be imported by name."""
    module = base.__new__(base)
    gate_output(module, name)
    return module


@dataclass(slots=True)
class _Call:
    """One call of the module at `path`; `inside` are the calls that it made."""

    path: str
    module: nn.Module
    output: Any
    inside: list["_Call"] = field(default_factory=list)


class _Probe(nn.Module):
    """Stands where the block will be, and tells whether it would be run by what it is in."""

    def __init__(self, path: str, is_last: bool) -> None:
        super().__init__()
        self.path, self.is_last = path, is_last

    def forward(self, x: Any) -> Any:
        if not self.is_last:
            raise SurgeryError(
                f"backbone.modules: {self.path} runs all modules in it by itself, a block too; name one around or in it"
            )
        return x


def _refuse_kind(path: str, module: nn.Module) -> None:
    if isinstance(module, torch.jit.ScriptModule):
        raise SurgeryError(f"backbone.modules: {path} is compiled by torch.jit; name a module around it")
    if type(module).forward is nn.Module.forward:
        raise SurgeryError(NEVER_CALLED.format(path=path))
    if "forward" in vars(module):
        raise SurgeryError(f"backbone.modules: {path} has a forward of its own object; name a module around it")


def _run(backbone: nn.Module, example: Sequence[int], paths: Sequence[str]) -> list[_Call]:
    try:
        return _calls(on_meta(backbone), example, paths, "meta")
    except FAILURES:
        real = on_cpu(backbone)
    try:
        return _calls(real, example, paths, "cpu")
    except FAILURES as error:
        shape = "x".join(map(str, example))
        raise SurgeryError(
            f"{type(backbone).__name__} does not run on an image of {shape}: {one_line(error)}"
        ) from error


def _taller(backbone: nn.Module, example: Sequence[int], paths: Sequence[str]) -> dict[str, Any]:
    """What the modules give for images of twice the height; nothing where the network takes no such images."""
    channels, height, width = example
    try:
        return {call.path: call.output for call in _run(backbone, (channels, 2 * height, width), paths)}
    except SurgeryError:
        return {}


def _calls(net: nn.Module, example: Sequence[int], paths: Sequence[str], device: str) -> list[_Call]:
    """All calls of modules in one evaluation, in the order in which they ended."""
    ended: list[_Call] = []
    begun: list[int] = []

    def begin(module: nn.Module, args: Any) -> None:
        begun.append(len(ended))

    def end(path: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            shown = output.to("meta") if isinstance(output, torch.Tensor) else output
            ended.append(_Call(path, module, shown, ended[begun.pop() :]))

        return hook

    modules = dict(net.named_modules())
    for path in paths:
        module = modules[path]
        module.add_module(PROBE, _Probe(path, type(module).forward is nn.Sequential.forward))
    for path, module in modules.items():
        if path and not isinstance(module, torch.jit.ScriptModule):
            module.register_forward_pre_hook(begin)
            module.register_forward_hook(end(path))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        net.eval()(torch.zeros(2, *example, device=device))
    return ended


def _place(path: str, calls: list[_Call], taller: dict[str, Any]) -> Place:
    """The shape of the output. Raises SurgeryError where it is none of channels, height and width."""
    where = f"backbone.modules: {path}"
    mine = [i for i, call in enumerate(calls) if call.path == path]
    call = calls[mine[0]]
    if len(mine) > 1:
        raise SurgeryError(f"{where} is called {len(mine)} times a forward, and so would be its gate; name another")
    if not isinstance(call.output, torch.Tensor):
        raise SurgeryError(f"{where} gives a {type(call.output).__name__}, not a tensor (B, C, H, W)")
    shape = tuple(call.output.shape)
    if len(shape) != 4:
        raise SurgeryError(f"{where} gives a tensor of shape {shape}, not (B, C, H, W)")
    before = [w for each in calls[: mine[0] - len(call.inside)] if (w := _width(each))][-1:]
    after = [w for each in calls[mine[0] + 1 :] if (w := _width(each, taken=True))][:1]
    widths = {*(_width(each) for each in call.inside), _width(call), *before, *after}
    grown = taller.get(path)
    if shape[1] not in widths or (isinstance(grown, torch.Tensor) and grown.shape[1] != shape[1]):
        raise SurgeryError(
            f"{where} gives a tensor of shape {shape} whose dimension 1 is not the channels of any convolution or norm "
            "in, before or behind it; name a module that gives (B, C, H, W)"
        )
    return Place(*shape[1:])


def _width(call: _Call, taken: bool = False) -> int | None:
    """Channels that a convolution or norm gives, or takes."""
    if not isinstance(call.module, nn.Conv2d | nn.BatchNorm2d | nn.InstanceNorm2d | nn.GroupNorm | nn.ConvTranspose2d):
        return None
    names = ("in_channels", *WIDTHS) if taken else WIDTHS
    return next((getattr(call.module, name) for name in names if hasattr(call.module, name)), None)
