"""Recipes, and the schedules of the learning rate."""

import math
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl

from senas.errors import ConfigError
from senas.model.backbones import named
from senas.training.data import ImageData
from senas.training.task import Classification


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("optimizer", "adam", 'must be one of adamw, sgd, got "adam"'),
        ("schedule", "linear", 'must be one of one_cycle, cosine, constant, got "linear"'),
        ("average", "mean", 'must be one of none, ema, swa, got "mean"'),
        ("lr", 0, "must be a number above 0, got 0"),
        ("lr", -0.1, "must be a number above 0, got -0.1"),
        ("lr", math.inf, "must be a number above 0, got inf"),
        ("lr", math.nan, "must be a number above 0, got nan"),
        ("weight_decay", -1e-4, "must be a number of at least 0, got -0.0001"),
        ("weight_decay", math.nan, "must be a number of at least 0, got nan"),
        ("clip", 0, "must be a number above 0, got 0; null clips nothing"),
        ("clip", math.nan, "must be a number above 0, got nan; null clips nothing"),
        ("accumulate", 0, "must be at least 1, got 0"),
        ("label_smoothing", 1, r"must be in \[0, 1\), got 1"),
        ("label_smoothing", -0.1, r"must be in \[0, 1\), got -0.1"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(recipe, key, value, words):
    with pytest.raises(ConfigError, match=rf"\Atrainer\.{key} {words}\Z"):
        recipe(**{key: value})


class Rates(pl.Callback):
    """The learning rate of each step, and what the schedule says once training is over."""

    def __init__(self):
        self.used, self.after = [], None

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.used.append(optimizer.param_groups[0]["lr"])

    def on_train_end(self, trainer, pl_module):
        self.after = trainer.optimizers[0].param_groups[0]["lr"]


def rates(few, recipe, epochs=3):
    heard = Rates()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[heard],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Classification(named("resnet8", classes=10, channels=1, width=2), recipe), datamodule=few)
    assert len(heard.used) == 5 * epochs
    return heard


pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_one_cycle_rises_to_the_learning_rate_and_ends_near_zero(few, recipe, optimizer):
    used = rates(few, recipe(schedule="one_cycle", lr=0.1, optimizer=optimizer)).used
    peak = used.index(max(used))
    assert max(used) == pytest.approx(0.1, rel=0.05)
    assert used[: peak + 1] == sorted(used[: peak + 1])
    assert used[peak:] == sorted(used[peak:], reverse=True)
    assert used[0] == pytest.approx(0.1 / 25)
    assert used[-1] == pytest.approx(0.1 / 25e4)


def test_cosine_falls_from_the_learning_rate_to_zero(few, recipe):
    heard = rates(few, recipe(schedule="cosine", lr=0.1))
    assert heard.used == [pytest.approx(0.05 * (1 + math.cos(math.pi * step / 15))) for step in range(15)]
    assert heard.after == pytest.approx(0, abs=1e-9)


def test_constant_stays(few, recipe):
    heard = rates(few, recipe(schedule="constant", lr=0.1))
    assert {*heard.used, heard.after} == {0.1}


def test_a_single_step_has_a_schedule_too(few, recipe):
    whole = ImageData(few.train, few.val, few.test, classes=few.classes, batch_size=160)
    for schedule in ("one_cycle", "cosine", "constant"):
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(Classification(named("resnet8", classes=10, channels=1, width=2), recipe(schedule=schedule)), whole)
        assert trainer.global_step == 1


@pytest.mark.parametrize(("optimizer", "kind"), [("adamw", "AdamW"), ("sgd", "SGD")])
def test_the_optimizer_is_the_one_named_with_its_decay(few, recipe, optimizer, kind):
    task = Classification(
        named("resnet8", classes=10, channels=1, width=2), recipe(optimizer=optimizer, schedule="constant")
    )
    task.trainer = SimpleNamespace(datamodule=few, max_epochs=1, precision="32-true", callbacks=[])
    made = task.configure_optimizers()
    assert type(made).__name__ == kind
    assert made.param_groups[0]["weight_decay"] == 0.01
    assert sum(p.numel() for group in made.param_groups for p in group["params"]) == sum(
        p.numel() for p in task.net.parameters()
    )
