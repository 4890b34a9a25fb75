"""Watching a network grow: how deep and how wide a constructor builds, it alone knows before."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from senas.exported import bounds


@contextmanager
def bounded() -> Iterator[None]:
    """Networks get no memory meanwhile, and one that grows beyond `bounds` raises ExportError before it is whole."""
    modules, parameters = 0, 0

    def count_module(*_: object) -> None:
        nonlocal modules
        modules += 1
        bounds.modules(modules)

    def count_parameter(module: object, name: str, parameter: torch.Tensor | None) -> None:
        nonlocal parameters
        parameters += 0 if parameter is None else parameter.numel()
        bounds.parameters(parameters)

    hooks = (
        register_module_module_registration_hook(count_module),
        register_module_parameter_registration_hook(count_parameter),
    )
    try:
        with _WithoutMemory():
            yield
    finally:
        for hook in hooks:
            hook.remove()


class _WithoutMemory(TorchFunctionMode):
    """As `torch.device("meta")`, but for ranges of numbers, which constructors look at (torchvision's RegNet)."""

    MADE = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        told = dict(kwargs or {})
        if func in self.MADE and told.get("device") is None:
            told["device"] = "meta"
        return func(*args, **told)
