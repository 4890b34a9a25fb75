"""What a gate did, added up batch by batch: against the moments of gates that are made up."""

import math

import numpy as np
import pytest
import torch

from senas.core.block import Gate, Placement, SEBlock
from senas.model.gates import Seen
from senas.training import gathered
from senas.training.gathered import Gathered

BLOCK = SEBlock(hidden=2)


def profile(squeezed, gates, labels, *, block=BLOCK, classes=3, batches=1):
    made = Gathered("layer1.0", block, Placement.STANDARD, classes)
    for each in zip(*(torch.chunk(part, batches) for part in (squeezed, gates, labels)), strict=True):
        made.add(Seen(*each[:2]), each[2])
    return made.profile()


@pytest.fixture
def gates():
    return torch.rand(60, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def labels():
    return torch.arange(60) % 3


def test_means_and_spreads_are_those_of_the_gates(gates, labels):
    found = profile(gates, gates, labels)
    assert found.mean == pytest.approx(gates.mean(0).numpy())
    assert found.sd == pytest.approx(gates.std(0, unbiased=False).numpy())
    assert found.by_class == pytest.approx(np.stack([gates[labels == k].mean(0) for k in range(3)]))
    assert found.suppressed == pytest.approx(float((gates < 0.2).double().mean()))
    assert (found.site, found.channels, found.hidden) == ("layer1.0", 5, 2)


def test_how_images_are_put_into_batches_changes_nothing(gates, labels):
    whole, parts = profile(gates, gates, labels), profile(gates, gates, labels, batches=7)
    for name in ("mean", "sd", "by_class", "suppressed", "low", "high", "per_image", "per_class", "rank"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name)), name


@pytest.mark.parametrize(
    ("gate", "low", "high"),
    [(Gate.SIGMOID, 0.25, 0.5), (Gate.HARD_SIGMOID, 0.25, 0.5), (Gate.TWICE_SIGMOID, 0.5, 0.25)],
)
def test_near_the_ends_is_near_those_of_its_own_range(labels, gate, low, high):
    gates = torch.tensor([[0.04, 0.06, 0.97, 1.95]]).expand(60, 4)
    found = profile(gates, gates, labels, block=SEBlock(hidden=2, gate=gate))
    assert (found.low, found.high) == (low, high)


def test_the_identity_varies_in_nothing(labels):
    gates = torch.ones(60, 4)
    found = profile(torch.rand(60, 4), gates, labels, block=SEBlock(hidden=2, gate=Gate.TWICE_SIGMOID), batches=3)
    assert (found.mean == 1).all()
    assert (found.sd == 0).all()
    assert (found.per_image, found.per_class, found.suppressed, found.low, found.high) == (0, 0, 0, 0, 0)


def test_a_constant_gate_does_nothing_per_image(labels):
    constants = torch.linspace(0.01, 0.99, 40, dtype=torch.float64)
    gates = constants.expand(60, 40)
    found = profile(gates, gates, labels, batches=4)
    assert (found.sd == 0).all()
    assert found.per_image == 0
    assert found.suppressed == pytest.approx(float((constants < 0.2).float().mean()))


def test_the_rank_is_that_of_what_was_squeezed(gates, labels):
    generator = torch.Generator().manual_seed(2)
    rows = torch.linalg.qr(torch.randn(60, 60, generator=generator).double())[0][:, :2]
    rows = torch.linalg.qr(rows - rows.mean(0))[0]  # two directions, equally long, both centred
    squeezed = rows @ torch.linalg.qr(torch.randn(5, 2, generator=generator).double())[0].T + 7
    assert profile(squeezed, gates, labels, batches=4).rank == pytest.approx(2.0, abs=1e-4)


def test_a_class_without_images_has_no_mean(gates, labels):
    found = profile(gates, gates, labels, classes=4)
    assert np.isnan(found.by_class[3]).all()
    assert not np.isnan(found.by_class[:3]).any()
    assert not math.isnan(found.per_class)


def test_a_gate_for_each_location_spreads_over_locations_too(labels, monkeypatch):
    generator = torch.Generator().manual_seed(3)
    gates, squeezed = torch.rand(2, 60, 4, 3, 2, generator=generator, dtype=torch.float64)
    expected = gates.transpose(0, 1).flatten(1)
    for largest_at_once in (2**22, 50):  # in one go, and image by image
        monkeypatch.setattr(gathered, "TOGETHER", largest_at_once)
        found = profile(squeezed, gates, labels)
        assert found.mean == pytest.approx(expected.mean(1).numpy())
        assert found.sd == pytest.approx(expected.std(1, unbiased=False).numpy())
        assert found.by_class == pytest.approx(np.stack([gates[labels == k].mean((0, 2, 3)) for k in range(3)]))
        assert found.suppressed == pytest.approx(float((gates < 0.2).double().mean()))
        assert found.rank == pytest.approx(
            profile(*[squeezed.permute(0, 2, 3, 1).flatten(0, 2)] * 2, labels.repeat(6)).rank
        )
