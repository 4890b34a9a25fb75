"""Weights that all configurations share: how they are trained, and how a configuration is measured with them."""

import itertools

import pytest
import pytorch_lightning as pl
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from senas.core.block import Placement, SEBlock
from senas.core.config import SEConfig
from senas.core.sampling import SAMPLINGS
from senas.core.space import Axes, search_space
from senas.model.backbones import named
from senas.model.carried import cargo_of_space
from senas.model.supernet import Supernet
from senas.model.surgery import insert
from senas.training.shared import Shared, measured, recalibrate, shared_loss

pytestmark = pytest.mark.filterwarnings("ignore")
SE = SEConfig({"layer1.0": SEBlock(hidden=1), "layer3.0": SEBlock(hidden=2, placement=Placement.PRE)})


@pytest.fixture
def space(traced):
    return search_space(traced.sites, Axes(placement=(Placement.STANDARD, Placement.PRE)))


@pytest.fixture
def supernet(traced, space):
    torch.manual_seed(0)
    return Supernet(named("resnet8", classes=10, channels=1, width=4), traced, cargo_of_space(space), sliced=True)


@pytest.fixture
def batches(few):
    """Five batches of 32 digits with their labels."""
    return [(few.train.images[n : n + 32] - 0.3, few.train.labels[n : n + 32]) for n in range(0, 160, 32)]


def alone(supernet, traced, config):
    """The stand-alone network with the slices of the shared weights that the configuration reads."""
    net = insert(named("resnet8", classes=10, channels=1, width=4), config, traced)
    net.load_state_dict(supernet.extract(supernet.net.state_dict(), config))
    return net


def fitted(task, batches, epochs):
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, train_dataloaders=DataLoader(batches, batch_size=None))
    return task


# The loss


def test_the_loss_is_the_mean_of_the_configurations_own(supernet, traced, batches):
    images, labels = batches[0]
    own = [F.cross_entropy(alone(supernet, traced, config).train()(images), labels) for config in (SE, SEConfig())]
    supernet.net.train()
    torch.testing.assert_close(shared_loss(supernet, [SE, SEConfig()], images, labels), torch.stack(own).mean())


def test_each_configuration_moves_only_what_it_reads(supernet, traced, batches):
    shared_loss(supernet, [SE], *batches[0]).backward()
    moved = {name: weight.grad for name, weight in supernet.net.named_parameters()}
    own = supernet.fill({name: torch.ones_like(t) for name, t in alone(supernet, traced, SE).state_dict().items()}, SE)
    assert all((gradient[own[name] == 0] == 0).all() for name, gradient in moved.items())
    assert sum(int((gradient != 0).sum()) for gradient in moved.values()) > 0


def test_distilled_the_others_learn_what_the_first_answers_and_nothing_of_the_labels(supernet, batches):
    images, labels = batches[0]
    supernet.net.eval()  # the second answers what the first does, whatever ran before
    first = shared_loss(supernet, [SE], images, labels)
    both = shared_loss(supernet, [SE, SE], images, labels, distill=True)
    with torch.no_grad():
        answers = supernet.select(SE)(images)
        entropy = -(answers.softmax(1) * answers.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(2 * both - first, entropy)


def test_distilled_the_first_learns_nothing_from_the_others(supernet, batches):
    images, labels = batches[0]
    supernet.net.eval()
    shared_loss(supernet, [SE, SEConfig()], images, labels, distill=True).backward()
    ours = supernet.net.get_parameter("layer3.0.se_pre.fc2.weight").grad.clone()
    supernet.net.zero_grad()
    shared_loss(supernet, [SE], images, labels).backward()
    torch.testing.assert_close(2 * ours, supernet.net.get_parameter("layer3.0.se_pre.fc2.weight").grad)


# Training and measuring


@pytest.mark.parametrize(
    ("sampling", "distill"),
    [
        pytest.param(sampling, distill, marks=[pytest.mark.slow][: sampling != "uniform"])
        for sampling in SAMPLINGS
        for distill in (False, True)
        if not distill or sampling == "sandwich"  # of one configuration there is none to learn from
    ],
)
def test_a_shared_training_lowers_the_loss_of_configurations_it_may_never_have_seen(
    supernet, space, batches, recipe, sampling, distill
):
    before = [measured(supernet, config, batches, batches)["val_loss"] for config in (SE, SEConfig())]
    fitted(Shared(supernet, SAMPLINGS[sampling](space, 0), recipe(), distill=distill), batches, 3)
    after = [measured(supernet, config, batches, batches)["val_loss"] for config in (SE, SEConfig())]
    assert all(new < old - 0.2 for new, old in zip(after, before, strict=True))


def test_a_shared_training_of_one_configuration_is_the_stand_alone_training(supernet, traced, batches, recipe):
    net = alone(supernet, traced, SE).train()
    fitted(Shared(supernet, itertools.repeat((SE,)), recipe(weight_decay=0.0)), batches, 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=5)
    for images, labels in batches:
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    trained = supernet.extract(supernet.net.state_dict(), SE)
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(trained[name], tensor, rtol=1e-3, atol=1e-4, msg=name)


def test_statistics_are_those_of_the_configuration_over_the_batches(supernet, traced, batches):
    net = alone(supernet, traced, SE)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    for images, _ in batches:
        net.train()(images)
    recalibrate(supernet, SEConfig(), batches)  # another's before leave no trace
    recalibrate(supernet, SE, batches)
    ours = supernet.extract(supernet.net.state_dict(), SE)
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(ours[name], tensor, msg=name)


def test_a_measurement_is_that_of_the_network_it_stands_for(supernet, traced, batches):
    recalibrate(supernet, SE, batches)
    net = alone(supernet, traced, SE).eval()
    recalibrate(supernet, SEConfig(), batches)  # the statistics are another's by now
    images, labels = torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])
    found = measured(supernet, SE, batches, batches)
    assert found["val_loss"] == pytest.approx(F.cross_entropy(net(images), labels).item(), rel=1e-5)
    assert found["val_accuracy"] == pytest.approx((net(images).argmax(1) == labels).double().mean().item())


def test_measuring_moves_no_weight(supernet, batches):
    before = {name: weight.clone() for name, weight in supernet.net.named_parameters()}
    measured(supernet, SE, batches, batches)
    assert all(torch.equal(weight, before[name]) for name, weight in supernet.net.named_parameters())
