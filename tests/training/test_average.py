"""Averages of the weights, which are measured and kept in the place of the last ones."""

import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from senas.core.config import SEConfig
from senas.core.trial import Job
from senas.model.backbones import named
from senas.training.average import EMA_POWER, SWA_SHARE, Average, ema, swa
from senas.training.batches import ShuffledBatches
from senas.training.task import Classification

pytestmark = pytest.mark.filterwarnings("ignore")
NONE = SEConfig()
STEPS = 5  # an epoch of the few digits


def train(made, job, report=lambda *said: False):
    (result,) = made.evaluate([job], report)
    return result


def shares(rule, planned, steps=None):
    """What each step's weights count for in the average, by the rule's recursion."""
    counted = torch.zeros(steps or planned, dtype=torch.float64)
    for step in range(1, len(counted) + 1):
        newest = rule(step, planned)
        counted *= 1 - newest
        counted[step - 1] += newest
    return counted


# The rules


@pytest.mark.parametrize("steps", [100, 10_000])
def test_ema_lies_a_tenth_of_the_steps_so_far_behind_whatever_their_number(steps):
    counted = shares(ema, steps)
    assert float(counted.sum()) == pytest.approx(1)
    behind = float((counted * torch.arange(steps - 1, -1, -1)).sum()) / steps
    assert behind == pytest.approx(1 / (EMA_POWER + 2), abs=0.006)


def test_ema_does_not_depend_on_how_long_the_training_will_be():
    assert torch.equal(shares(ema, 100, steps=60), shares(ema, 10_000, steps=60))


def test_swa_is_the_mean_of_the_last_part_and_before_it_the_weights_themselves():
    assert shares(swa, 40).tolist() == [0] * 30 + [pytest.approx(0.1)] * 10
    assert SWA_SHARE == 0.25
    assert shares(swa, 40, steps=30).tolist() == [0] * 29 + [1]


@pytest.mark.parametrize("rule", [ema, swa])
def test_a_training_of_one_step_has_an_average(rule):
    assert shares(rule, 1).tolist() == [1]


# What is measured and kept


class Passed(pl.Callback):
    """The weights and statistics after each step."""

    def __init__(self):
        self.weights = []

    def on_train_start(self, trainer, pl_module):
        def told():
            self.weights.append({name: tensor.clone() for name, tensor in pl_module.net.state_dict().items()})

        pl_module.stepped.append(told)


@pytest.mark.parametrize(("kind", "rule"), [("ema", ema), ("swa", swa)])
def test_it_is_the_average_of_the_weights_by_its_rule(few, recipe, kind, rule):
    torch.manual_seed(0)
    task = Classification(named("resnet8", classes=10, channels=1, width=2), recipe(average=kind))
    average, passed = Average(kind), Passed()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        callbacks=[passed, average],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(task, datamodule=few)
    assert torch.equal(task.net.conv1.weight, passed.weights[-1]["conv1.weight"])  # it goes on from its own
    average.install(task.net)
    counted = shares(rule, 2 * STEPS).float()
    tensors = dict(task.net.named_parameters())
    if kind == "ema":
        tensors |= {name: tensor for name, tensor in task.net.named_buffers() if tensor.is_floating_point()}
        assert "bn1.running_var" in tensors
    for name, tensor in tensors.items():
        expected = sum(share * weights[name] for share, weights in zip(counted, passed.weights, strict=True))
        torch.testing.assert_close(tensor.detach(), expected)


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_training_is_number_by_number_what_it_is_without_an_average(evaluator, average):
    def dropping():
        net = named("resnet8", classes=10, channels=1, width=4)
        net.fc = nn.Sequential(nn.Dropout(0.5), net.fc)
        return net

    job = Job(NONE, seed=3, epochs=8)
    plain, averaged = (train(evaluator(build=dropping, average=kind), job) for kind in ("none", average))
    losses = [[scores["train_loss"] for scores in result.curve] for result in (plain, averaged)]
    assert losses[0] == losses[1]
    assert plain.curve[-1]["val_loss"] != averaged.curve[-1]["val_loss"]


def test_swa_measures_the_weights_themselves_until_its_part_begins(evaluator):
    plain, averaged = (train(evaluator(average=kind), Job(NONE, 3, 8)).curve for kind in ("none", "swa"))
    assert averaged[:6] == plain[:6]
    assert averaged[6]["val_loss"] != plain[6]["val_loss"]


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_the_weights_that_are_kept_are_those_that_were_measured(tmp_path, few, evaluator, se, average):
    made = evaluator(average=average)
    result = train(made, job := Job(se, 0, 4, tmp_path / "net.safetensors", test=True))
    net = made.network(job)
    net.load_state_dict(load_file(job.weights))
    net.eval()
    with torch.no_grad():
        loss, tested = (F.cross_entropy(net(part.images), part.labels) for part in (few.val, few.test))
    assert result.scores["val_loss"] == pytest.approx(float(loss), abs=1e-6)
    assert result.scores["test_loss"] == pytest.approx(float(tested), abs=1e-6)


def test_batch_norm_of_swa_has_the_statistics_of_the_training_batches(tmp_path, few, evaluator):
    made = evaluator(average="swa")
    train(made, job := Job(NONE, 5, 4, tmp_path / "net.safetensors"))
    net = made.network(job)
    net.load_state_dict(load_file(job.weights))
    order = ShuffledBatches(160, 32, seed=5)
    order.set_epoch(3)
    with torch.no_grad():
        seen = [net.conv1(few.train.images[batch]) for batch in order]
    torch.testing.assert_close(net.bn1.running_mean, torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0))
    torch.testing.assert_close(net.bn1.running_var, torch.stack([x.var((0, 2, 3)) for x in seen]).mean(0))


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_it_draws_no_random_number(evaluator, average):
    drawn = {"none": [], average: []}
    for kind, states in drawn.items():

        def report(job, epoch, scores, states=states):
            states.append(torch.get_rng_state())
            return False

        train(evaluator(average=kind), Job(NONE, 3, 8), report)
    assert all(torch.equal(*states) for states in zip(*drawn.values(), strict=True))


class Masked(nn.Module):
    """A network with a constant of infinities, and without batch norm."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 10)
        self.register_buffer("mask", torch.tensor([0.0] * 9 + [-torch.inf]))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, images):
        if self.training:
            self.calls += 1
        return self.fc(images.flatten(1)) + self.mask.clamp_min(-1e4)


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_buffers_that_are_no_statistics_stay_what_they_are(tmp_path, evaluator, average, monkeypatch):
    made = evaluator(average=average)
    monkeypatch.setattr(made, "network", lambda job: Masked())
    train(made, Job(NONE, 0, 4, tmp_path / "net.safetensors"))
    kept = load_file(tmp_path / "net.safetensors")
    assert torch.equal(kept["mask"], Masked().mask)
    assert int(kept["calls"]) == 4 * STEPS
