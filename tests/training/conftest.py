"""A few digits, a tiny network, and how it is trained: an epoch takes hundredths of a second."""

import pytest
import torch
from hypothesis import settings

from senas.core.block import SEBlock
from senas.core.config import SEConfig
from senas.core.recipe import Device, Recipe
from senas.model.backbones import named
from senas.model.sites import trace
from senas.training.data import ImageData
from senas.training.datasets import digits
from senas.training.standalone import Standalone

settings.register_profile("senas", deadline=None, derandomize=True)
settings.load_profile("senas")
RECIPE = {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.01, "schedule": "one_cycle", "label_smoothing": 0.0}


@pytest.fixture
def recipe():
    return lambda **fields: Recipe(**{**RECIPE, **fields})


@pytest.fixture(scope="session")
def few():
    """160 digits to train on in batches of 32, 40 to validate, 40 to test."""
    whole = digits(val=0.2, test=0.2, split_seed=0, batch_size=32)
    parts = [part.take(count, "") for part, count in ((whole.train, 160), (whole.val, 40), (whole.test, 40))]
    return ImageData(*parts, classes=whole.classes, batch_size=32)


def tiny():
    return named("resnet8", classes=10, channels=1, width=4)


@pytest.fixture(scope="session")
def traced():
    return trace(tiny(), (1, 8, 8))


@pytest.fixture
def evaluator(few, traced, recipe):
    """`evaluator(lr=0.1, device=Device(...), build=...)`: on the few digits, with one thread unless told."""

    def make(*, build=tiny, device=None, **fields):
        device = device or Device(accelerator="cpu", threads=1)
        return Standalone(build, traced, few, recipe(**fields), device)

    return make


@pytest.fixture
def se():
    """Blocks at the first and the last site."""
    return SEConfig({"layer1.0": SEBlock(hidden=2), "layer3.0": SEBlock(hidden=3)})


@pytest.fixture
def go_on():
    """A report that never stops anything."""
    return lambda job, epoch, scores: False


@pytest.fixture(autouse=True)
def _same_random_numbers():
    torch.manual_seed(0)
