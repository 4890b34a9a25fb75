"""Many optimizer steps in one training step of Lightning's, against plain loops of PyTorch."""

import math
from contextlib import nullcontext

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

from senas.core.config import SEConfig
from senas.core.recipe import Device
from senas.core.trial import Job
from senas.model.backbones import named
from senas.training.average import RULES
from senas.training.batches import seed_of
from senas.training.task import Classification

pytestmark = pytest.mark.filterwarnings("ignore")
SEED, EPOCHS, BATCHES = 3, 3, 5  # 160 images in batches of 32
QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


def dropping():
    net = named("resnet8", classes=10, channels=1, width=2)
    net.fc = nn.Sequential(nn.Dropout(0.5), net.fc)  # what it draws must be the same too
    return net


@pytest.fixture(autouse=True)
def one_thread():
    """Sums are rounded otherwise by several threads, and senas trains networks as small as these with one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def plain_loop(net, part, recipe, precision="32-true", average=None):
    """Trains a network as a user would write it, and returns what is left of it."""
    if recipe.channels_last:
        net.to(memory_format=torch.channels_last)
    steps_an_epoch = math.ceil(BATCHES / recipe.accumulate)
    planned = EPOCHS * steps_an_epoch
    if recipe.optimizer == "adamw":
        optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    else:
        decay = recipe.weight_decay
        optimizer = torch.optim.SGD(net.parameters(), recipe.lr, momentum=0.9, nesterov=True, weight_decay=decay)
    schedule = {
        "one_cycle": lambda: OneCycleLR(optimizer, max_lr=recipe.lr, total_steps=planned),
        "cosine": lambda: CosineAnnealingLR(optimizer, planned),
        "constant": lambda: None,
    }[recipe.schedule]()
    mean, step = None, 0
    for epoch in range(EPOCHS):
        net.train()
        torch.manual_seed(seed_of(SEED, epoch))
        order = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed_of(SEED, epoch)))
        batches = list(order[: BATCHES * 32].split(32))
        for first in range(0, BATCHES, recipe.accumulate):
            group = batches[first : first + recipe.accumulate]
            optimizer.zero_grad()
            for batch in group:
                images = part.images[batch]
                if recipe.channels_last:
                    images = images.to(memory_format=torch.channels_last)
                with torch.autocast("cpu", torch.bfloat16) if precision == "bf16-mixed" else nullcontext():
                    logits = net(images).float()
                    loss = F.cross_entropy(logits, part.labels[batch], label_smoothing=recipe.label_smoothing)
                (loss / len(group)).backward()
            if recipe.clip is not None:
                nn.utils.clip_grad_norm_(net.parameters(), recipe.clip)
            optimizer.step()
            if schedule:
                schedule.step()
            step += 1
            if average:
                newest = {name: tensor.detach().clone() for name, tensor in net.named_parameters()}
                share = RULES[average](step, planned)
                mean = newest if mean is None else {n: mean[n].lerp(newest[n], 1 - (1 - share)) for n in mean}
    return net.state_dict() | (mean or {})


def trained(made, tmp_path, monkeypatch, **job):
    monkeypatch.setattr(made, "network", lambda job: seeded())
    job = Job(SEConfig(), SEED, EPOCHS, tmp_path / "net.safetensors", **job)
    (result,) = made.evaluate([job], lambda *said: False)
    return result, load_file(job.weights)


def seeded():
    torch.manual_seed(7)
    return dropping()


def unequal(weights, expected):
    """Names of the tensors that differ, in a single bit or more."""
    assert set(weights) == set(expected)
    return [name for name, tensor in expected.items() if not torch.equal(weights[name], tensor.contiguous())]


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": "adamw", "schedule": "one_cycle"},
        {"optimizer": "adamw", "schedule": "cosine", "label_smoothing": 0.1, "channels_last": True},
        {"optimizer": "adamw", "schedule": "constant", "clip": 0.5},
        {"optimizer": "sgd", "schedule": "one_cycle", "clip": 0.5},
        {"optimizer": "sgd", "schedule": "cosine", "accumulate": 5},
        {"optimizer": "sgd", "schedule": "constant", "channels_last": True},
        {"optimizer": "adamw", "schedule": "one_cycle", "accumulate": 2, "clip": 0.5, "channels_last": True},
    ],
    ids=lambda fields: "-".join(map(str, fields.values())),
)
def test_the_weights_are_bit_by_bit_those_of_the_plain_loop(few, evaluator, recipe, tmp_path, monkeypatch, fields):
    expected = plain_loop(seeded(), few.train, recipe(**fields))
    _, weights = trained(evaluator(**fields), tmp_path, monkeypatch)
    assert unequal(weights, expected) == []


@pytest.mark.parametrize("kept", [False, True], ids=["as Lightning has it", "with weights that stay cast"])
def test_they_are_with_a_forward_pass_in_bf16_too(few, evaluator, recipe, tmp_path, monkeypatch, kept):
    if kept:  # as some versions of Lightning have it: what was cast is kept for as long as a training step takes
        monkeypatch.setattr(
            MixedPrecision, "autocast_context_manager", lambda self: torch.autocast("cpu", torch.bfloat16)
        )
    expected = plain_loop(seeded(), few.train, recipe(), "bf16-mixed")
    device = Device(accelerator="cpu", precision="bf16-mixed", threads=1)
    _, weights = trained(evaluator(device=device), tmp_path, monkeypatch)
    assert unequal(weights, expected) == []


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_an_average_takes_the_weights_of_each_step(few, evaluator, recipe, tmp_path, monkeypatch, average):
    fields = {"accumulate": 2, "average": average}
    expected = plain_loop(seeded(), few.train, recipe(**fields), average=average)
    _, weights = trained(evaluator(**fields), tmp_path, monkeypatch)
    for name, _ in dropping().named_parameters():
        torch.testing.assert_close(weights[name], expected[name])


@pytest.mark.parametrize("average", ["none", "ema"])
def test_how_many_batches_are_taken_at_once_changes_nothing(evaluator, tmp_path, monkeypatch, average):
    seen = []
    for together in (64, 3, 1):
        monkeypatch.setattr("senas.training.data.CHUNK_BATCHES", together)
        made = evaluator(average=average, accumulate=2, clip=1.0)
        seen.append(trained(made, tmp_path, monkeypatch))
    (first, weights), *others = seen
    for result, same in others:
        assert (result.curve, result.scores) == (first.curve, first.scores)
        assert unequal(same, weights) == []


def test_no_chunk_has_more_bytes_than_it_may_unless_a_batch_has(few, monkeypatch):
    batch = 32 * 64 * 4
    for most, lengths in ((10 * batch, [160]), (2 * batch, [64, 64, 32]), (3 * batch - 1, [64, 64, 32]), (1, [32] * 5)):
        monkeypatch.setattr("senas.training.data.CHUNK_BYTES", most)
        loader = few.train_dataloader()
        assert [len(chunk.labels) for chunk in loader] == lengths
        assert len(loader) == len(lengths)


@pytest.mark.parametrize(("accumulate", "steps"), [(1, 5), (2, 3), (5, 1), (9, 1)])
def test_steps_of_the_optimizer_are_what_lightning_counts(few, recipe, accumulate, steps):
    trainer = pl.Trainer(max_epochs=2, **QUIET)
    task = Classification(dropping(), recipe(accumulate=accumulate))
    trainer.fit(task, datamodule=few)
    assert trainer.global_step == task.planned == 2 * steps


def test_gradients_that_are_scaled_for_half_precision_are_clipped_as_they_are(few, recipe):
    """The clip is far above what is left of a norm that was clipped before it was scaled back."""
    plugin = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**8))
    trainer = pl.Trainer(max_epochs=1, plugins=[plugin], **QUIET)
    task = Classification(dropping(), recipe(clip=0.01))
    norms = []
    task.stepped.append(lambda: norms.append(float(nn.utils.get_total_norm([p.grad for p in task.parameters()]))))
    trainer.fit(task, datamodule=few)
    assert norms == [pytest.approx(0.01, rel=1e-3)] * BATCHES


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_backward_is_not_cast(few, recipe, precision):
    heard = []

    class Hears(pl.Callback):
        def on_after_backward(self, trainer, pl_module):
            heard.append(torch.is_autocast_enabled("cpu"))

    pl.Trainer(max_epochs=1, precision=precision, callbacks=[Hears()], **QUIET).fit(
        Classification(dropping(), recipe()), datamodule=few
    )
    assert heard == [False] * BATCHES


@pytest.mark.parametrize("before", [False, True], ids=["of now", "from before there were chunks"])
def test_a_training_goes_on_as_if_it_was_never_broken_off(evaluator, tmp_path, monkeypatch, before):
    monkeypatch.setattr("senas.training.data.CHUNK_BATCHES", 2)
    made = evaluator(accumulate=2, clip=0.5, average="ema")
    whole, weights = trained(made, tmp_path, monkeypatch)

    def broken_off(job, epoch, scores):
        if epoch == 2:
            raise KeyboardInterrupt
        return False

    job = Job(SEConfig(), SEED, EPOCHS, tmp_path / "parts.safetensors", tmp_path / "saved.ckpt")
    with pytest.raises(KeyboardInterrupt):
        list(made.evaluate([job], broken_off))
    torch.rand(3)
    if before:  # then it was the other loop of Lightning's that counted
        saved = torch.load(job.checkpoint)
        saved["loops"]["fit_loop"]["epoch_loop.manual_optimization.optim_step_progress"]["total"]["completed"] = 0
        torch.save(saved, job.checkpoint)
    (result,) = made.evaluate([job], lambda *said: False)
    assert (result.curve, result.scores) == (whole.curve, whole.scores)
    assert unequal(load_file(job.weights), weights) == []
