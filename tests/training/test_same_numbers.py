"""What a training sees: the same by (seed, epoch, index), whatever SE is in the network and was trained before."""

import random

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from senas.core.config import SEConfig
from senas.core.recipe import Device
from senas.core.trial import Job
from senas.model.backbones import named
from senas.model.sites import trace
from senas.training.custom import CustomData
from senas.training.standalone import Standalone

pytestmark = pytest.mark.filterwarnings("ignore")
NONE = SEConfig()


def tiny():
    net = named("resnet8", classes=10, channels=1, width=4)
    net.fc = nn.Sequential(nn.Dropout(0.5), net.fc)  # something that draws, in the network
    return net


class Augmented(pl.LightningDataModule):
    """The few digits, with noise drawn in each of the two hooks on batches from a kind of random numbers each."""

    def __init__(self, few, workers=0):
        super().__init__()
        self.few, self.workers = few, workers

    def train_dataloader(self):
        part = TensorDataset(self.few.train.images, self.few.train.labels)
        return DataLoader(part, batch_size=32, shuffle=True, num_workers=self.workers)

    def val_dataloader(self):
        return DataLoader(TensorDataset(self.few.val.images, self.few.val.labels), batch_size=16, shuffle=True)

    def on_before_batch_transfer(self, batch, dataloader_idx):
        images, labels = batch
        return images + np.random.rand() + random.random(), labels

    def on_after_batch_transfer(self, batch, dataloader_idx):
        images, labels = batch
        return images + 0.1 * torch.randn(images.shape), labels


@pytest.fixture(params=["in memory", "own"])
def bench(request, few, traced, recipe):
    """An evaluator, and all that its networks were shown: by job, the images of each call."""
    data = few if request.param == "in memory" else CustomData(Augmented(few), "mine.data:Augmented")
    made = Standalone(tiny, trace(tiny(), (1, 8, 8)), data, recipe(), Device(accelerator="cpu", threads=1))
    shown, build = {}, made.network

    def network(job):
        net = build(job)
        shown[job.config, job.seed] = calls = []
        net.register_forward_pre_hook(lambda module, inputs: calls.append((module.training, inputs[0].clone())))
        return net

    made.network = network
    return made, shown


def same(one, other):
    return len(one) == len(other) and all(
        was == is_now and torch.equal(*images)
        for (was, is_now), images in (zip(*pair, strict=True) for pair in zip(one, other, strict=True))
    )


def test_two_configurations_see_the_same_images_in_either_order(bench, se, go_on):
    made, shown = bench
    seen = []
    for configs in ((NONE, se), (se, NONE)):
        list(made.evaluate([Job(config, 3, 2) for config in configs], go_on))
        torch.manual_seed(len(seen)), np.random.seed(len(seen)), random.seed(len(seen))
        seen += [shown[config, 3] for config in (NONE, se)]
    assert all(same(seen[0], other) for other in seen[1:])


def test_another_seed_sees_them_otherwise_and_is_measured_on_the_same(bench, go_on):
    made, shown = bench
    list(made.evaluate([Job(NONE, seed, 2) for seed in (3, 4)], go_on))
    for training in (True, False):
        one, other = ([call for call in shown[NONE, seed] if call[0] is training] for seed in (3, 4))
        assert same(one, other) is not training


def test_every_epoch_is_measured_on_the_same(bench, go_on):
    made, shown = bench
    list(made.evaluate([Job(NONE, 3, 2)], go_on))
    measured = [call for call in shown[NONE, 3] if not call[0]]
    half = len(measured) // 2
    assert same(measured[:half], measured[half:])


def test_batches_of_an_epoch_and_epochs_draw_differently(few):
    known = CustomData(Augmented(few), "mine.data:Augmented")
    known.seed, drawn = 3, []
    for epoch in (0, 1):
        batches = known.train_dataloader()
        batches.set_epoch(epoch)
        for batch in batches:
            plain = torch.zeros(1), batch[1]
            moved = type(batch)(plain)
            moved.place = batch.place
            before = known.on_before_batch_transfer(moved, 0)
            drawn.append((float(before[0]), float(known.on_after_batch_transfer(plain, 0)[0])))
    assert len({one for one, _ in drawn}) == len({other for _, other in drawn}) == len(drawn) == 10


@pytest.mark.parametrize("average", ["none", pytest.param("swa", marks=pytest.mark.slow)])
def test_a_training_that_goes_on_sees_what_one_does_that_was_never_broken_off(bench, go_on, tmp_path, recipe, average):
    made, shown = bench
    made.recipe = recipe(average=average)
    (whole,) = made.evaluate([job := Job(NONE, 3, 4, checkpoint=tmp_path / "whole.ckpt")], go_on)
    seen = shown[NONE, 3]

    def broken_off(job, epoch, scores):
        if epoch == 3:
            raise KeyboardInterrupt
        return False

    job = Job(NONE, 3, 4, checkpoint=tmp_path / "saved.ckpt")
    with pytest.raises(KeyboardInterrupt):
        list(made.evaluate([job], broken_off))
    torch.manual_seed(9), np.random.seed(9), random.seed(9)
    (result,) = made.evaluate([job], go_on)
    assert result.scores == whole.scores
    assert same(shown[NONE, 3], seen[len(seen) - len(shown[NONE, 3]) :])
