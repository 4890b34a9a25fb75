"""Makes `import torchvision` work beside a CPU build of torch.

The torchvision wheel on the package index is built for CUDA. Beside a CPU build of torch its compiled extension does
not load, and then importing torchvision (and so torchmetrics and pytorch_lightning) dies with "operator
torchvision::nms does not exist", because Python code registers fake kernels for operators that only the extension
defines. Where the extension does not load, the two operators are declared here, without an implementation: models,
transforms, datasets and ops in Python work, `ops.nms` says clearly that it does not. On an installation that is whole
nothing changes.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

_kept_alive: list[object] = []


class _BeforeTorchvision(importlib.abc.MetaPathFinder):
    """Acts once, just before torchvision is first imported, and finds nothing itself."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            spec = importlib.util.find_spec("torchvision")
            if spec is not None and spec.origin is not None:
                _declare_missing_operators(Path(spec.origin).parent)
        return None


def install() -> None:
    """Idempotent; does nothing once torchvision is imported."""
    if "torchvision" not in sys.modules and not any(isinstance(f, _BeforeTorchvision) for f in sys.meta_path):
        sys.meta_path.insert(0, _BeforeTorchvision())


def _declare_missing_operators(torchvision: Path) -> None:
    import torch

    extension = next(torchvision.glob("_C*.so"), None)
    try:
        if extension is not None:
            torch.ops.load_library(str(extension))  # type: ignore[no-untyped-call]
            return
    except OSError:
        pass  # built against another torch: declare what it would have defined
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    _kept_alive.append(library)  # a Library that is collected takes its definitions with it
