"""Watching a network grow: how deep and how wide a constructor builds, it alone knows before."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from senas.exported import bounds


@contextmanager
def bounded() -> Iterator[None]:
    """While it lasts, a network that grows beyond `bounds` raises ExportError before it is whole."""
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
        yield
    finally:
        for hook in hooks:
            hook.remove()
