"""Random changes of training images."""

import pytest
import torch
from torchvision.transforms import functional as V

from senas.errors import DataError
from senas.training.augment import Augmentation
from senas.training.data import ImageData, Part

IMAGES = torch.arange(1.0, 1 + 12 * 2 * 5 * 7).reshape(12, 2, 5, 7)
LABELS = torch.arange(12)


def data(**options):
    part = Part(IMAGES / IMAGES.max(), LABELS)
    made = ImageData(part, part, part, classes=tuple("abcdefghijkl"), batch_size=4)
    made.augment(Augmentation(**options))
    return made


def epoch(data, number, seed=0):
    """The images of an epoch in the order of their labels."""
    data.seed = seed
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)
    images, labels = (torch.cat(parts) for parts in zip(*((c.images, c.labels) for c in loader), strict=True))
    return images[labels.argsort()]


@pytest.mark.parametrize("options", [{"flip": True}, {"crop": 2}, {"flip": True, "crop": 4}], ids=str)
def test_a_batch_is_changed_as_torchvision_changes_each_image(options):
    crop = options.get("crop", 0)
    drawn = Augmentation(**options).drawn(12, seed=3)
    places = torch.randperm(12)[:9]
    for image, place in zip(drawn.of(IMAGES[places], places), places, strict=True):
        expected = V.crop(V.pad(IMAGES[place], [crop] * 4), *drawn.shifts[place].tolist(), 5, 7)
        assert torch.equal(image, V.hflip(expected) if drawn.flips[place] else expected)


def test_half_are_mirrored_and_every_shift_is_as_likely():
    drawn = Augmentation(flip=True, crop=1).drawn(9000, seed=0)
    assert 0.47 < drawn.flips.float().mean() < 0.53
    found = torch.bincount(3 * drawn.shifts[:, 0] + drawn.shifts[:, 1], minlength=9)
    assert found.min() > 850
    assert found.max() < 1150


def test_nothing_is_drawn_where_nothing_is_asked_for():
    assert Augmentation().drawn(12, seed=0) is None


def test_what_is_not_asked_for_is_not_done():
    assert not Augmentation(crop=2).drawn(100, seed=0).flips.any()
    assert not Augmentation(flip=True).drawn(100, seed=0).shifts.any()


def test_an_image_is_changed_as_seed_epoch_and_its_place_say_whatever_the_batches_are(monkeypatch):
    expected = epoch(data(flip=True, crop=2), 1)
    monkeypatch.setattr("senas.training.data.CHUNK_BATCHES", 1)
    torch.manual_seed(99)
    again = data(flip=True, crop=2)
    again.batch_size = 3
    assert torch.equal(epoch(again, 1), expected)
    assert not torch.equal(epoch(again, 2), expected)
    assert not torch.equal(epoch(again, 1, seed=1), expected)


def test_the_order_of_the_images_is_that_without_changes():
    plain, changed = data(), data(flip=True, crop=2)
    for one, other in zip(plain.train_dataloader(), changed.train_dataloader(), strict=True):
        assert torch.equal(one.labels, other.labels)


def test_images_that_are_measured_stay_as_they_are():
    changed = data(flip=True, crop=2)
    for loader in (changed.val_dataloader(), changed.test_dataloader()):
        assert torch.equal(torch.cat([images for images, _ in loader]), changed.val.images)


def test_a_crop_is_of_images_as_they_were_scaled():
    scaled = data()
    scaled.resize((10, 14))
    scaled.augment(Augmentation(crop=9))
    assert epoch(scaled, 0).shape == (12, 2, 10, 14)


def test_what_would_move_an_image_out_of_itself_is_refused():
    with pytest.raises(DataError, match=r"\Atrainer\.crop must be below 5, the shorter side of the images, got 5\Z"):
        data(crop=5)
