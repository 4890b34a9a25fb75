"""What the gates of a network do over images, and what it loses without them: against the same, done by hand."""

import math

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torchvision.ops import SqueezeExcitation as Torchvisions

from senas.core.block import Gate, Original, SEBlock, Squeeze
from senas.core.config import SEConfig
from senas.core.interval import interval
from senas.core.recipe import Device
from senas.core.trial import Job
from senas.errors import ConfigError
from senas.model.gates import instead, watched
from senas.model.se import SqueezeExcitation
from senas.model.sites import trace
from senas.training.augment import Augmentation
from senas.training.custom import CustomData
from senas.training.data import ImageData
from senas.training.explain import explained
from senas.training.standalone import Standalone


@pytest.fixture
def own(evaluator):
    return evaluator()


@pytest.fixture
def network(own):
    """A network of a configuration, with batch norms as after some training, and gates that differ by image."""

    def make(config):
        net = own.network(Job(config, 3, 1))
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.running_mean, std=0.2)
            if isinstance(module, SqueezeExcitation):
                for parameter in module.parameters():
                    parameter.data *= 8
        return net.eval()

    return make


@pytest.fixture
def both(own, network, se):
    """A network with blocks at two sites, and what was found of it."""
    net = network(se)
    return net, explained(own, net, se)


def losses(net, images, labels):
    with torch.no_grad():
        return F.cross_entropy(net(images), labels, reduction="none")


def gates(net, paths, images):
    with watched(net, paths) as seen, torch.no_grad():
        net(images)
    return {site: each.gates for site, each in seen.items()}


def test_the_network_is_measured_on_the_whole_validation_part(both, few):
    net, found = both
    assert found.images == len(few.val) == 40
    assert found.loss == pytest.approx(float(losses(net, few.val.images, few.val.labels).mean()), abs=1e-6)
    predicted = net(few.val.images).argmax(1)
    assert found.accuracy == float((predicted == few.val.labels).double().mean())
    assert found.classes == few.classes


def test_each_profile_is_that_of_its_own_gate(both, own, few, se):
    net, found = both
    seen = gates(net, own.paths(se), few.val.images)
    assert [each.site for each in found.profiles] == ["layer1.0", "layer3.0"]
    for each in found.profiles:
        assert each.block == se[each.site]
        assert each.mean == pytest.approx(seen[each.site].mean(0).numpy(), abs=1e-6)


def test_a_bypassed_block_is_one_that_is_not_there(both, own, few, se):
    net, found = both
    alone = SEConfig({"layer1.0": se["layer1.0"]})
    state = {name: value for name, value in net.state_dict().items() if not name.startswith("layer3.0.se.")}
    less = own.network(Job(alone, 0, 1)).eval()
    less.load_state_dict(state)
    before = losses(net, few.val.images, few.val.labels)
    expected = interval((losses(less, few.val.images, few.val.labels) - before).tolist(), 0.9)
    (_, removal) = found.removals
    assert removal.site == "layer3.0"
    assert removal.bypassed.mean == pytest.approx(expected.mean, abs=1e-6)
    assert (removal.bypassed.low, removal.bypassed.high) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert removal.bypassed_accuracy == float((less(few.val.images).argmax(1) == few.val.labels).double().mean())


def test_a_constant_is_the_mean_over_the_training_images_as_they_are(both, own, few, se):
    net, found = both
    paths = own.paths(se)
    means = {site: each.mean(0) for site, each in gates(net, paths, few.train.images).items()}
    before = losses(net, few.val.images, few.val.labels)
    for removal in found.removals:
        with instead(net, paths, {removal.site: means[removal.site]}):
            expected = (losses(net, few.val.images, few.val.labels) - before).mean()
        assert removal.constant.mean == pytest.approx(float(expected), abs=1e-6)
    with instead(net, paths, means):
        expected = (losses(net, few.val.images, few.val.labels) - before).mean()
    assert found.together.constant.mean == pytest.approx(float(expected), abs=1e-6)
    assert found.means_over == "training"


def test_training_images_are_not_augmented_for_it(few, traced, recipe, se, evaluator):
    data = ImageData(few.train, few.val, few.test, classes=few.classes, batch_size=32)
    own = Standalone(evaluator().build, traced, data, recipe(), Device(accelerator="cpu", threads=1))
    net = own.network(Job(se, 0, 1))
    before = explained(own, net, se)
    data.augment(Augmentation(flip=True, crop=2))
    after = explained(own, net, se)
    assert after.removals[0].constant == before.removals[0].constant


def test_blocks_cost_what_their_configuration_says(both, traced, se):
    _, found = both
    assert [(each.params, each.macs) for each in found.removals] == [
        (site.params(block), site.macs(block)) for site, block in se.on(traced.sites)
    ]
    assert (found.together.params, found.together.macs) == (se.params(traced.sites), se.macs(traced.sites))


def test_the_identity_can_go_for_nothing(own, network):
    config = SEConfig({"layer2.0": SEBlock(hidden=2, gate=Gate.TWICE_SIGMOID)})  # as it begins
    found = explained(own, network(config), config)
    (removal,) = found.removals
    assert removal.constant == removal.bypassed
    assert (removal.bypassed.mean, removal.bypassed.low, removal.bypassed.high) == (0, 0, 0)
    assert found.profiles[0].per_image == 0
    assert found.together is None  # there is only one


def test_a_gate_at_every_location_is_explained_by_its_mean_over_them(own, network, few):
    config = SEConfig({"layer2.0": SEBlock(hidden=2, squeeze=Squeeze.LOCAL)})
    net, paths = network(config), own.paths(config)
    found = explained(own, net, config)
    seen = gates(net, paths, few.val.images)["layer2.0"]
    assert seen.dim() == 4
    assert found.profiles[0].mean == pytest.approx(seen.mean((0, 2, 3)).numpy(), abs=1e-6)
    constant = gates(net, paths, few.train.images)["layer2.0"].mean((0, 2, 3))
    before = losses(net, few.val.images, few.val.labels)
    with instead(net, paths, {"layer2.0": constant}):
        expected = float((losses(net, few.val.images, few.val.labels) - before).mean())
    assert found.removals[0].constant.mean == pytest.approx(expected, abs=1e-6)


def test_it_is_told_how_far_it_is_up_to_all_passes(own, network, se):
    told = []
    explained(own, network(se), se, told=lambda done, total: told.append((done, total)))
    passes = 40 * (1 + 2 * 2 + 2)
    assert told == [(0, 160 + passes), (160, 160 + passes)]  # before each batch


def test_random_numbers_go_on_as_if_it_had_not_been(own, network, se):
    net = network(se)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    explained(own, net, se)
    assert torch.equal(torch.rand(3), expected)


def test_a_device_that_is_not_there_is_one_line(evaluator, network, se):
    own = evaluator(device=Device(accelerator="tpu"))
    with pytest.raises(ConfigError, match=r"accelerator=tpu: .*; accelerator=cpu is always there"):
        explained(own, network(se), se)


class Streamed(pl.LightningDataModule):
    """Digits whose images its hooks change, as some do on the device."""

    def __init__(self, few):
        super().__init__()
        self.parts = [TensorDataset(part.images, part.labels) for part in (few.train, few.val)]

    def train_dataloader(self):
        return DataLoader(self.parts[0], batch_size=32, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.parts[1], batch_size=13)

    def on_after_batch_transfer(self, batch, dataloader_idx):
        images, labels = batch
        assert not self.trainer.training
        return images * 2 - 1, labels


@pytest.mark.filterwarnings("ignore")
def test_streamed_images_pass_through_their_hooks_and_stand_in_for_unchanged_ones(
    few, traced, recipe, se, network, evaluator
):
    data = CustomData(Streamed(few), "it")
    own = Standalone(evaluator().build, traced, data, recipe(), Device(accelerator="cpu", threads=1))
    net = network(se)
    found = explained(own, net, se)
    changed = few.val.images * 2 - 1
    assert found.loss == pytest.approx(float(losses(net, changed, few.val.labels).mean()), abs=1e-6)
    assert found.means_over == "validation"
    constant = gates(net, own.paths(se), changed)["layer1.0"].mean(0)
    before = losses(net, changed, few.val.labels)
    with instead(net, own.paths(se), {"layer1.0": constant}):
        expected = float((losses(net, changed, few.val.labels) - before).mean())
    assert found.removals[0].constant.mean == pytest.approx(expected, abs=1e-6)
    assert not math.isnan(found.profiles[0].per_class)


class WithItsOwn(nn.Module):
    """A residual unit that came with a block that is none of ours: another function between its layers."""

    def __init__(self):
        super().__init__()
        theirs = Torchvisions(4, 2, activation=nn.Tanh)
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), theirs)
        self.head = nn.Linear(4, 10)

    def forward(self, x):
        x = self.stem(x)
        return self.head(F.relu(x + self.branch(x)).mean((2, 3)))


def test_a_block_of_the_backbones_own_is_explained_by_what_it_does(few, recipe):
    backbone = WithItsOwn()
    traced = trace(backbone, (1, 8, 8), strip_se=True)
    (site,) = traced.sites
    config = SEConfig.former(traced.sites)
    assert config[site.name] == Original()
    own = Standalone(WithItsOwn, traced, few, recipe(), Device(accelerator="cpu", threads=1))
    net = own.network(Job(config, 0, 1))
    found = explained(own, net, config)
    given = []
    theirs = net.get_submodule(own.paths(config)[site.name])
    theirs.scale_activation.register_forward_hook(lambda _, args, factors: given.append(factors.flatten(1)))
    losses(net, few.val.images, few.val.labels)
    assert found.profiles[0].mean == pytest.approx(given[0].mean(0).numpy(), abs=1e-5)
    assert found.profiles[0].hidden is None
    assert (found.removals[0].params, found.removals[0].macs) == (site.former.params, site.former.macs)
