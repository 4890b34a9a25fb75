"""`import torchvision` beside a CPU build of torch, and what `import senas` costs: each in a fresh process."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def said(code):
    """What a fresh interpreter prints, run where senas is."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_after_senas_torchvision_can_be_imported_and_used():
    code = """
import senas, torchvision, torch
net = torchvision.models.resnet18().eval()
print(*net(torch.zeros(1, 3, 32, 32)).shape)
"""
    assert said(code) == ["1", "1000"]


@pytest.mark.slow
def test_what_prepares_torchvision_is_gone_once_it_has_acted():
    code = """
import sys
before = len(sys.meta_path)
import senas
print(len(sys.meta_path) - before)
import senas.torchvision_beside_cpu_torch as beside
beside.install()
print(len(sys.meta_path) - before)
import torchvision
print(len(sys.meta_path) - before)
beside.install()
print(len(sys.meta_path) - before)
"""
    assert said(code) == ["1", "1", "0", "0"]


def test_importing_senas_imports_no_framework():
    frameworks = ("torch", "torchvision", "pytorch_lightning", "optuna", "mlflow", "hydra", "numpy", "matplotlib")
    assert said(f"import senas, sys\nprint(*[name for name in {frameworks} if name in sys.modules])") == []


def test_a_name_that_is_not_there_is_refused():
    code = "import senas\ntry:\n    senas.lode\nexcept AttributeError as error:\n    print(error)"
    assert " ".join(said(code)) == "module 'senas' has no attribute 'lode'"
