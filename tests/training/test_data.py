"""Parts of a dataset and the order of its batches."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from senas.errors import DataError
from senas.training.batches import Ordered, ShuffledBatches, scaled
from senas.training.data import ImageData, Part


def numbered(count, classes=3, channels=1):
    """Images whose first pixel is their number, with labels in turn."""
    images = torch.rand(count, channels, 2, 2, generator=torch.Generator().manual_seed(0))
    images[:, 0, 0, 0] = torch.arange(count)
    return Part(images, torch.arange(count) % classes)


def numbers(part):
    return part.images[:, 0, 0, 0].int().tolist()


def data(train=20, val=7, test=5, batch_size=4, channels=1):
    parts = [numbered(count, channels=channels) for count in (train, val, test)]
    return ImageData(*parts, classes=("a", "b", "c"), batch_size=batch_size)


# Some of the images


def test_images_keep_their_labels_where_they_are_taken_from():
    part = numbered(9).at(np.array([7, 2, 5]))
    assert (numbers(part), part.labels.tolist()) == ([7, 2, 5], [1, 2, 2])


def test_taking_none_takes_all():
    assert numbers(numbered(5).take(None, "data.train")) == [0, 1, 2, 3, 4]


def test_taking_takes_the_first():
    assert numbers(numbered(5).take(2, "data.train")) == [0, 1]


@pytest.mark.parametrize("count", [0, 6, -1])
def test_taking_more_than_there_are_is_refused(count):
    with pytest.raises(DataError, match=rf"\Adata\.train must be between 1 and 5, .* got {count}\Z"):
        numbered(5).take(count, "data.train")


# Normalisation


@pytest.mark.parametrize("channels", [1, 3])
def test_the_training_part_has_mean_0_and_standard_deviation_1_in_each_channel(channels):
    images = data(channels=channels).train.images.double()
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(channels).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(images.std((0, 2, 3)), torch.ones(channels).double(), atol=1e-6, rtol=0)


def test_the_other_parts_are_normalised_by_the_training_part():
    known = data()
    given = numbered(7).images
    torch.testing.assert_close(known.val.images * known.std[:, None, None] + known.mean[:, None, None], given)


def test_images_of_one_colour_do_not_become_infinite():
    flat = Part(torch.full((8, 1, 2, 2), 0.5), torch.zeros(8, dtype=torch.int64))
    assert ImageData(flat, flat, flat, classes=("a",), batch_size=2).train.images.abs().max() == 0


def test_grey_images_are_repeated_in_every_part():
    known, grey = data(), data()
    known.repeat_channels(3)
    assert known.shape == (3, 2, 2)
    for part, before in zip((known.train, known.val, known.test), (grey.train, grey.val, grey.test), strict=True):
        assert all(torch.equal(part.images[:, [channel]], before.images) for channel in range(3))
    assert (len(known.mean), len(known.std)) == (3, 3)


def test_repeating_what_has_the_channels_already_changes_nothing():
    known = data(channels=3)
    before = known.train
    known.repeat_channels(3)
    assert known.train is before


def test_colours_cannot_become_another_number_of_channels():
    with pytest.raises(DataError, match=r"\Athe backbone takes 3 channels, and the images have 2\Z"):
        data(channels=2).repeat_channels(3)


@pytest.mark.parametrize("batch_size", [0, 21])
def test_a_batch_larger_than_the_training_part_is_refused(batch_size):
    with pytest.raises(DataError, match=rf"\Atrainer\.batch_size must be between 1 and 20, .* got {batch_size}\Z"):
        data(batch_size=batch_size)


# Batches


def order(sampler):
    return [batch.tolist() for batch in sampler]


def at(seed, epoch, images=20):
    batches = ShuffledBatches(images, 4, seed)
    batches.set_epoch(epoch)
    return order(batches)


def test_the_order_depends_on_seed_and_epoch_alone():
    first = at(3, 1)
    torch.manual_seed(99)
    assert at(3, 1) == first


def test_the_order_differs_between_seeds_and_between_epochs():
    orders = [at(seed, epoch) for seed in (0, 1, 2) for epoch in (0, 1, 2)]
    assert not any(one == other for i, one in enumerate(orders) for other in orders[:i])


def test_an_epoch_has_each_image_once_but_for_the_last_partial_batch():
    batches = at(0, 0, images=22)
    assert [len(batch) for batch in batches] == [4] * 5 == [4] * len(ShuffledBatches(22, 4, 0))
    assert len({image for batch in batches for image in batch}) == 20


@pytest.mark.parametrize("together", [1, 2, 5, 9])
def test_batches_that_are_taken_together_are_the_same_ones(together):
    batches = ShuffledBatches(22, 4, seed=3)
    taken = torch.cat(list(batches.together(together)))
    assert order(taken.split(4)) == order(batches)


def test_validation_is_in_order_and_whole(monkeypatch):
    monkeypatch.setattr("senas.training.batches.VALIDATION_BATCH", 3)
    batches = Ordered(7, lambda which: torch.arange(7)[which])
    assert order(batches) == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(batches) == 3


def test_loaders_give_the_images_of_their_part():
    known = data()
    for loader, part in ((known.val_dataloader(), known.val), (known.test_dataloader(), known.test)):
        images, labels = (torch.cat(parts) for parts in zip(*loader, strict=True))
        assert torch.equal(images, part.images)
        assert torch.equal(labels, part.labels)


class Listener(pl.LightningModule):
    """Learns nothing, and remembers the labels and first pixels of its batches, epoch by epoch."""

    def __init__(self):
        super().__init__()
        self.weight, self.heard = nn.Parameter(torch.zeros(1)), {}

    def training_step(self, batch, batch_idx):
        batches = [images[:, 0, 0, 0].tolist() for images, _ in batch.batches()]
        self.heard.setdefault(self.current_epoch, []).extend(batches)
        return self.weight.sum()

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def listened(known, epochs):
    listener = Listener()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(listener, datamodule=known)
    return listener.heard


@pytest.mark.filterwarnings("ignore")
def test_lightning_trains_each_epoch_in_the_order_of_its_number():
    known = data()
    known.seed = 3
    heard = listened(known, epochs=2)
    pixels = known.train.images[:, 0, 0, 0]
    expected = {epoch: [pixels[batch].tolist() for batch in at(3, epoch)] for epoch in (0, 1)}
    assert heard == expected


# Where the images lie


def elsewhere(known):
    """Told of a device whose tensors have shapes and no memory."""
    known.reside(torch.device("meta"))
    return known


def test_parts_are_moved_to_the_device_once(monkeypatch):
    known, moved = elsewhere(data()), []
    to = torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *to_what: moved.append(self.shape) or to(self, *to_what))
    for _ in range(2):
        (images, _) = next(iter(known.val_dataloader()))
        assert images.device.type == "meta"
        known.reside(torch.device("meta"))
    assert moved == [(7, 1, 2, 2), (7,)]  # the validation part alone, by itself and its labels


def test_on_the_cpu_nothing_is_copied():
    known = data()
    known.reside(torch.device("cpu"))
    images, labels = next(iter(known.val_dataloader()))
    assert (images.data_ptr(), labels.data_ptr()) == (known.val.images.data_ptr(), known.val.labels.data_ptr())


def test_parts_stay_where_they_are_for_all_that_is_not_a_training():
    known = elsewhere(data())
    next(iter(known.val_dataloader()))
    assert {part.images.device.type for part in (known.train, known.val, known.test)} == {"cpu"}


def test_a_part_that_would_not_leave_room_is_taken_batch_by_batch(monkeypatch):
    free = {"bytes": 0.0}
    monkeypatch.setattr("senas.training.data.free_on", lambda device: free["bytes"])
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    known = elsewhere(data())
    assert next(iter(known.train_dataloader())).images.device.type == "cpu"
    free["bytes"] = 1e6
    assert next(iter(known.train_dataloader())).images.device.type == "meta"


def test_images_that_are_repeated_are_moved_again():
    known = elsewhere(data())
    next(iter(known.val_dataloader()))
    known.repeat_channels(3)
    assert next(iter(known.val_dataloader()))[0].shape == (7, 3, 2, 2)


def test_batches_that_are_scaled_together_are_those_that_are_scaled_alone():
    known = data(channels=3)
    known.resize((5, 7))
    (chunk,) = known.train_dataloader()
    places = list(known.train_dataloader().sampler)
    for (images, _), which in zip(chunk.batches(), places, strict=True):
        assert torch.equal(images, scaled(known.train.images[which], (5, 7)))
