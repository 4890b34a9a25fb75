"""ARCHITECTURE.md, Layers: which part of senas may import which, and where each framework is at home.

errors  <-  core  <-  { study | model | record | report }  <-  { training | exported }  <-  app

Imports are read from the source, wherever they stand: in functions, under TYPE_CHECKING, by import_module("...").
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SENAS = Path(__file__).parents[1] / "senas"

# Columns from left to right: a layer may import itself and every layer of the columns before its own.
COLUMNS = (
    {"errors"},
    {"core", "torchvision_beside_cpu_torch"},
    {"study", "model", "record", "report"},
    {"training", "exported"},
    {"app"},
)
LAYERS = set().union(*COLUMNS)
ROOT = "__init__"  # senas/__init__.py: gathers the public names, so it may import any layer, and only app may import it

TORCH = {"model", "training", "exported", "torchvision_beside_cpu_torch", ROOT}
HOMES = {
    "hydra": {"app"},
    "omegaconf": {"app"},
    "optuna": {"study"},
    "torch": TORCH,
    "torchvision": TORCH,
    "timm": {"model"},
    "pytorch_lightning": {"training"},
    "lightning": {"training"},
    "mlflow": {"record"},
    "matplotlib": {"report"},
    "rich": {"report"},
    "optuna_dashboard": {"study"},
    "sklearn": {"training"},
    "onnx": {"exported"},
    "onnxruntime": {"exported"},
}
STANDARD_LIBRARY = set(sys.stdlib_module_names)
FRUGAL = {"errors": STANDARD_LIBRARY, "core": STANDARD_LIBRARY | {"numpy"}}


def layer(file: Path) -> str:
    """The part of senas that a file, given relative to senas/, belongs to: `core`, `exported`, `__init__`, ..."""
    name = file.parts[0].removesuffix(".py")
    return "app" if name == "__main__" else name


def may_import(importer: str) -> set[str]:
    """The parts of senas that one part may import."""
    if importer == ROOT:
        return LAYERS
    column = next((n for n, names in enumerate(COLUMNS) if importer in names), 0)
    root = {ROOT} if importer == "app" else set()
    return {importer, *root}.union(*COLUMNS[:column])


def imports(source: str, file: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything that the source imports; `from a import b` is `a.b`."""
    package = ("senas", *file.parts[:-1])
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name) for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                above = package[: len(package) - level + 1] if level else ()
                yield from ((node.lineno, ".".join([*above, *filter(None, [module]), name.name])) for name in names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name


def faults(source: str, file: Path) -> list[str]:
    """What the source of a file, named relative to senas/, imports against the rules: one line each."""
    here, found = layer(file), []
    for line, name in imports(source, file):
        top, *below = name.split(".")
        if top == "senas":
            there = below[0] if below and below[0] in LAYERS else ROOT
            if there not in may_import(here):
                found.append(f"senas/{file}:{line}: {here} may not import {there} ({name})")
        elif here not in HOMES.get(top, {here}):
            found.append(f"senas/{file}:{line}: {top} is at home in {', '.join(sorted(HOMES[top]))}, not in {here}")
        elif top not in FRUGAL.get(here, {top}):
            found.append(f"senas/{file}:{line}: {here} may not import {top}, which is not in the standard library")
    return found


def files() -> list[Path]:
    return sorted(file.relative_to(SENAS) for file in SENAS.rglob("*.py"))


def test_imports_point_left_and_frameworks_stay_at_home():
    assert [fault for file in files() for fault in faults((SENAS / file).read_text(encoding="utf-8"), file)] == []


def test_every_file_of_senas_belongs_to_a_layer():
    assert [str(file) for file in files() if layer(file) not in {*LAYERS, ROOT}] == []


def test_the_files_read_include_all_of_core():
    core = {path.relative_to(SENAS) for path in (SENAS / "core").iterdir() if path.suffix == ".py"}
    assert {Path("errors.py"), Path("core/block.py"), Path("core/config.py"), Path("core/space.py"), *core} <= set(
        files()
    )


def test_the_imports_read_include_those_of_a_known_file():
    names = {
        name for _, name in imports((SENAS / "core/config.py").read_text(encoding="utf-8"), Path("core/config.py"))
    }
    assert {"re", "senas.core.block.SEBlock", "senas.core.site.Site", "senas.errors.SpaceError"} <= names


@pytest.mark.parametrize(
    ("file", "source", "fault"),
    [
        # to the right
        ("errors.py", "from senas.core.block import SEBlock", "errors may not import core"),
        ("errors.py", "import torch", "not in errors"),
        ("errors.py", "import numpy", "errors may not import numpy"),
        ("core/space.py", "from senas.model.se import Gate", "core may not import model"),
        ("core/space.py", "import senas.study.loop", "core may not import study"),
        ("core/space.py", "import senas.torchvision_beside_cpu_torch", "core may not import torchvision_beside"),
        ("torchvision_beside_cpu_torch.py", "import senas.core", "torchvision_beside_cpu_torch may not import core"),
        ("model/se.py", "from senas.training import task", "model may not import training"),
        ("study/loop.py", "from senas import exported", "study may not import exported"),
        ("record/mlflow.py", "import senas.app.main as main", "record may not import app"),
        ("training/task.py", "from senas.app.main import main", "training may not import app"),
        ("exported/network.py", "from senas.app import schema", "exported may not import app"),
        # to a sibling
        ("study/optuna.py", "from senas.report.plots import front", "study may not import report"),
        ("model/sites.py", "import senas.record", "model may not import record"),
        ("record/mlflow.py", "from senas import study", "record may not import study"),
        ("report/text.py", "import senas.model.cost", "report may not import model"),
        ("training/task.py", "from senas.exported import card", "training may not import exported"),
        ("exported/network.py", "from senas.training.data import CIFAR10", "exported may not import training"),
        ("exported/card.py", "from senas.training.data import CIFAR10", "exported may not import training"),
        # to the public names, through which everything can be reached
        ("core/space.py", "import senas", "core may not import __init__"),
        ("training/task.py", "from senas import SEConfig", "training may not import __init__"),
        # to something that is in no layer
        ("core/space.py", "from senas.utils import flatten", "core may not import __init__"),
        ("utils.py", "from senas.core.site import Site", "utils may not import core"),
        # written in another way
        ("core/space.py", "from ..model import se", "core may not import model"),
        ("core/space.py", "from .. import model", "core may not import model"),
        ("core/deep/space.py", "from ...model.se import Gate", "core may not import model"),
        ("core/space.py", "from senas import errors, study", "core may not import study"),
        ("core/space.py", "import re, senas.app", "core may not import app"),
        ("core/space.py", "def size():\n    from senas.model import se", "core/space.py:2: core may not import model"),
        ("core/space.py", "if TYPE_CHECKING:\n    from senas.model import se", "core may not import model"),
        ("core/space.py", "importlib.import_module('senas.model')", "core may not import model"),
        ("core/space.py", "import_module('torch.nn')", "torch is at home in"),
        ("core/space.py", "__import__('senas.model')", "core may not import model"),
        # frameworks away from home
        ("training/task.py", "import hydra", "hydra is at home in app, not in training"),
        ("core/space.py", "from omegaconf import DictConfig", "omegaconf is at home in app, not in core"),
        ("__init__.py", "from hydra import compose", "hydra is at home in app, not in __init__"),
        ("app/main.py", "import optuna", "optuna is at home in study, not in app"),
        ("app/main.py", "def main():\n    import torch.nn as nn", "app/main.py:2: torch is at home in"),
        ("study/loop.py", "from torch import nn", "not in study"),
        ("report/plots.py", "import torchvision", "not in report"),
        ("model/se.py", "import pytorch_lightning as pl", "pytorch_lightning is at home in training, not in model"),
        (
            "exported/network.py",
            "from lightning.pytorch import Trainer",
            "lightning is at home in training, not",
        ),
        ("app/main.py", "from mlflow import MlflowClient", "mlflow is at home in record, not in app"),
        ("record/mlflow.py", "import matplotlib.pyplot as plt", "matplotlib is at home in report, not in record"),
        ("app/main.py", "from rich.table import Table", "rich is at home in report, not in app"),
        (
            "model/backbones.py",
            "from sklearn.datasets import load_digits",
            "sklearn is at home in training, not in",
        ),
        ("core/config.py", "import yaml", "core may not import yaml"),
    ],
)
def test_an_import_against_the_rules_is_found(file, source, fault):
    (found,) = faults(source, Path(file))
    assert fault in found


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (
            "core/space.py",
            "import math\nimport numpy.typing\nfrom senas.core.site import Site\nfrom senas import errors",
        ),
        ("core/space.py", "from .site import Site\nfrom . import block\nfrom ..errors import SpaceError"),
        ("model/se.py", "import torch\nimport torchvision.models\nimport timm\nfrom senas.core.block import SEBlock"),
        ("study/optuna.py", "import optuna\nfrom senas.core.space import SearchSpace"),
        ("record/mlflow.py", "import mlflow\nimport yaml"),
        ("report/plots.py", "import matplotlib.pyplot\nfrom rich.table import Table"),
        ("training/task.py", "import pytorch_lightning, sklearn, torch\nfrom senas.model import se"),
        ("exported/network.py", "import torch\nfrom senas.model.surgery import build"),
        ("exported/card.py", "import torch\nfrom senas.exported.weights import save\nfrom senas.report import text"),
        ("app/main.py", "import hydra, omegaconf\nfrom senas import training, export, __version__"),
        ("__init__.py", "import torch\ndef __getattr__(name):\n    from senas.app.main import main"),
        ("torchvision_beside_cpu_torch.py", "import torch\nfrom senas.errors import SenasError"),
        ("core/space.py", "import_module(name)  # import torch"),
    ],
)
def test_an_import_within_the_rules_is_let_pass(file, source):
    assert faults(source, Path(file)) == []


def test_every_layer_may_import_itself_and_core_but_for_what_core_stands_on():
    assert {name for name in LAYERS if "core" not in may_import(name)} == {"errors", "torchvision_beside_cpu_torch"}
    assert all(name in may_import(name) for name in LAYERS)
