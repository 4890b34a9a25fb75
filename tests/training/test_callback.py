"""Callbacks of the user's own, as Lightning has them."""

import sys
from fractions import Fraction
from typing import ClassVar

import pytest
import pytorch_lightning as pl
import torch

from senas.core.config import SEConfig
from senas.core.trial import Job, Status
from senas.errors import ConfigError
from senas.training.callback import OwnCallback, own_callbacks

pytestmark = pytest.mark.filterwarnings("ignore")
NONE = SEConfig()


class Counting(pl.Callback):
    """How often each hook was called, by instance."""

    made: ClassVar[list] = []

    def __init__(self):
        self.calls = {}
        self.made.append(self)

    def __getattribute__(self, name):
        if name in ("on_train_batch_end", "on_before_optimizer_step", "on_after_backward", "on_validation_end"):
            self.calls[name] = self.calls.get(name, 0) + 1
        return super().__getattribute__(name)

    def on_after_backward(self, trainer, pl_module):
        pass


class Patient(pl.callbacks.EarlyStopping):
    def __init__(self):
        super().__init__("val_loss", patience=0, stopping_threshold=100.0)  # at once


class Impatient(pl.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        trainer.should_stop = trainer.current_epoch == 1 and batch_idx == 1


class Failing(pl.Callback):
    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        raise ValueError("not today\nor any day")


class Greedy(pl.Callback):
    def on_train_start(self, trainer, pl_module):
        raise torch.OutOfMemoryError("CUDA out of memory")


class Remembering(pl.Callback):
    """Keeps what it is given of the epochs in its state."""

    kept: ClassVar[list] = []

    def state_dict(self):
        return {"kept": self.kept}

    def load_state_dict(self, state_dict):
        self.kept.append(state_dict["kept"][0])


class Demanding(pl.Callback):
    def __init__(self, wanted):
        self.wanted = wanted


@pytest.fixture
def with_own(evaluator):
    def make(*classes):
        made = evaluator()
        made.callbacks = [OwnCallback(f"mine:{cls.__name__}", cls) for cls in classes]
        return made

    return make


def run(made, epochs=3, report=lambda *said: False, **job):
    (result,) = made.evaluate([Job(NONE, 0, epochs, **job)], report)
    return result


def test_hooks_are_called_by_chunk_by_batch_by_step_and_by_epoch(with_own, monkeypatch):
    monkeypatch.setattr("senas.training.data.CHUNK_BATCHES", 2)
    Counting.made.clear()
    run(with_own(Counting), epochs=2)
    (callback,) = Counting.made
    assert callback.calls == {
        "on_train_batch_end": 2 * 3,  # chunks of 2, 2 and 1
        "on_after_backward": 2 * 5,
        "on_before_optimizer_step": 2 * 5,
        "on_validation_end": 2,
    }


def test_each_training_has_one_of_its_own(with_own):
    Counting.made.clear()
    made = with_own(Counting)
    for _ in range(2):
        run(made, epochs=1)
    one, other = Counting.made
    assert one is not other
    assert one.calls == other.calls


def test_being_looked_at_changes_no_number(with_own):
    assert run(with_own(Counting)).curve == run(with_own()).curve


def test_one_that_stops_a_training_by_a_score_leaves_what_was_reached(with_own, tmp_path):
    result = run(with_own(Patient), weights=tmp_path / "net.safetensors")
    assert (result.status, len(result.curve)) == (Status.COMPLETE, 1)
    assert result.curve == run(with_own()).curve[:1]
    assert (tmp_path / "net.safetensors").exists()


def test_one_that_stops_amid_an_epoch_has_it_measured_there(with_own, monkeypatch):
    monkeypatch.setattr("senas.training.data.CHUNK_BATCHES", 2)
    result, whole = run(with_own(Impatient)), run(with_own())
    assert (result.status, len(result.curve)) == (Status.COMPLETE, 2)
    assert result.curve[0] == whole.curve[0]
    assert result.curve[1] != whole.curve[1]  # four batches of five
    assert result.scores["val_loss"] == result.curve[1]["val_loss"]


def test_what_one_raises_is_one_line_that_names_it(with_own):
    with pytest.raises(ConfigError, match=r"\Atrainer\.callbacks: mine:Failing raised ValueError: not today \(.*\)\Z"):
        run(with_own(Failing))


def test_an_error_that_none_of_them_raised_is_not_theirs(with_own):
    def report(job, epoch, scores):
        raise KeyError("report")

    with pytest.raises(KeyError, match="report"):
        run(with_own(Counting), report=report)


def test_one_that_runs_out_of_memory_fails_the_trial(with_own):
    assert run(with_own(Greedy)).status is Status.FAILED


def break_off(made, checkpoint):
    def report(job, epoch, scores):
        if epoch == 2:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        run(made, report=report, checkpoint=checkpoint)


def test_a_training_that_goes_on_from_what_one_kept_has_it_again(with_own, tmp_path, monkeypatch):
    monkeypatch.setattr(Remembering, "kept", [1.5])
    break_off(with_own(Remembering), tmp_path / "saved.ckpt")
    assert len(run(with_own(Remembering), checkpoint=tmp_path / "saved.ckpt").curve) == 3
    assert Remembering.kept == [1.5, 1.5]


def test_a_training_does_not_go_on_from_what_reading_would_run_code_for(with_own, tmp_path, monkeypatch):
    monkeypatch.setattr(Remembering, "kept", [Fraction(1, 3)])
    checkpoint = tmp_path / "saved.ckpt"
    break_off(with_own(Remembering), checkpoint)
    with pytest.raises(ConfigError) as caught:
        run(with_own(Remembering), checkpoint=checkpoint)
    assert str(caught.value) == (
        "trainer.callbacks: the state_dict of mine:Remembering holds fractions.Fraction, which is read from no file; "
        f"keep numbers, words, lists, dicts and tensors there, and delete {checkpoint}: that training begins anew"
    )
    checkpoint.unlink()
    assert len(run(with_own(Remembering), checkpoint=checkpoint).curve) == 3


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (Demanding, "mine:Demanding cannot be made without arguments: TypeError: .*'wanted'"),
        (dict, "mine:dict gives no Callback of Lightning's but something of type dict"),
        (pl.callbacks.ModelCheckpoint, "mine:ModelCheckpoint does not go with senas, which saves and tells of"),
        (pl.callbacks.TQDMProgressBar, "mine:TQDMProgressBar does not go with senas, which saves and tells of"),
    ],
)
def test_one_that_cannot_be_is_refused_before_anything_is_trained(with_own, made, words):
    with pytest.raises(ConfigError, match=rf"\Atrainer\.callbacks: {words}"):
        with_own(made).check()


def test_one_that_goes_is_not_refused(with_own):
    with_own(Counting, Patient).check()


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (["nowhere:Here"], ": there is no module nowhere, "),
        (["json:loads", "json:loads"], " names json:loads twice"),
        (["sys:version"], ": sys:version is no class of callbacks but "),
        (["sys"], ' must name something of yours as package.module:name, got "sys"'),
    ],
)
def test_what_names_no_callback_is_refused(targets, words, monkeypatch):
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    with pytest.raises(ConfigError) as caught:
        own_callbacks(targets)
    assert str(caught.value).startswith(f"trainer.callbacks{words}")
