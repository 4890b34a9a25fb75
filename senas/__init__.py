"""Which layers of a CNN should get Squeeze-and-Excitation blocks, how narrow, and where should each gate sit?

senas.load(folder)                                  an exported network, with its weights
senas.insert_se(module, "se.yaml", example_input)   an SE configuration on a network of yours
"""

from typing import TYPE_CHECKING, Any

from senas import torchvision_beside_cpu_torch

if TYPE_CHECKING:
    from senas.exported.network import insert_se, load

__all__ = ["insert_se", "load"]

torchvision_beside_cpu_torch.install()


def __getattr__(name: str) -> Any:
    """Imports torch when it is first needed: `senas --help` has no use for it."""
    if name in __all__:
        from senas.exported import network

        return getattr(network, name)
    raise AttributeError(f"module 'senas' has no attribute '{name}'")
