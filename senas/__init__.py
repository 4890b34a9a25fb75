"""Which layers of a CNN should get Squeeze-and-Excitation blocks, how narrow, and where should each gate sit?

senas.search(...)           launches a study, or resumes it: .front, .best(), .effects, .trials, .plot(), .export()
senas.open_study(name)      one that was launched before
senas.audit(...)            how much of what a search would see is noise, and what would help
senas.train(se, ...)        several seeds at full length, compared on the test part
senas.explain(...)          what the gates of a trained network do, and which of its SE blocks can go
senas.export(study, to)     an SE configuration and its weights, in a folder
senas.load(folder)          an exported network, with its weights
senas.read(folder)          what it takes and gives: shape, mean, std, classes, scores
senas.insert_se(module, "se.yaml", example_input)   an SE configuration on a network of yours
senas.sites(...)            where in a backbone SE blocks can go
senas.dashboard(...)        MLflow on the studies
senas.SEConfig, SEBlock     an SE configuration as a value: SEConfig({"layer1.0": SEBlock(hidden=4)})
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from senas import torchvision_beside_cpu_torch

if TYPE_CHECKING:
    from senas.app.notebook import audit, dashboard, explain, open_study, search, sites, train
    from senas.app.studied import export
    from senas.core.block import SEBlock
    from senas.core.config import SEConfig
    from senas.exported.network import insert_se, load
    from senas.exported.package import read

__all__ = [
    "SEBlock",
    "SEConfig",
    "audit",
    "dashboard",
    "explain",
    "export",
    "insert_se",
    "load",
    "open_study",
    "read",
    "search",
    "sites",
    "train",
]

torchvision_beside_cpu_torch.install()


def __getattr__(name: str) -> Any:
    """Imports torch when it is first needed: `senas --help` has no use for it."""
    if name in __all__:
        homes = {
            "SEBlock": "core.block",
            "SEConfig": "core.config",
            "export": "app.studied",
            "insert_se": "exported.network",
            "load": "exported.network",
            "read": "exported.package",
        }
        return getattr(import_module(f"senas.{homes.get(name, 'app.notebook')}"), name)
    raise AttributeError(f"module 'senas' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
