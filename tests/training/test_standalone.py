"""The evaluator that trains one configuration at a time, on a few digits."""

import logging
import os
import signal
import warnings

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from senas.core.config import SEConfig
from senas.core.latency import Latency, Timing
from senas.core.recipe import Device
from senas.core.trial import Failure, Job, Status
from senas.errors import ConfigError
from senas.model.backbones import named
from senas.model.cost import macs, params
from senas.training.surroundings import threads_for

NONE = SEConfig()


def run(evaluator, report, *jobs):
    return list(evaluator.evaluate(jobs, report))


def scores_but(result, *names):
    return {name: value for name, value in result.scores.items() if name not in names}


# What a result says


def test_a_job_that_went_well_is_complete_with_all_its_scores(evaluator, go_on, se):
    (result,) = run(evaluator(), go_on, job := Job(se, seed=0, epochs=2))
    assert (result.job, result.status, result.failure, result.reason) == (job, Status.COMPLETE, None, "")
    assert set(result.scores) == {
        *("train_loss", "val_loss", "val_accuracy", "val_error", "val_loss_even"),
        *("se_params", "params", "macs"),
    }
    assert result.seconds > 0


@pytest.mark.parametrize("epochs", [1, 3])
def test_the_curve_has_an_entry_an_epoch_and_ends_in_the_scores(evaluator, go_on, epochs):
    (result,) = run(evaluator(), go_on, Job(NONE, seed=0, epochs=epochs))
    assert len(result.curve) == epochs
    assert result.curve[-1].items() <= result.scores.items()


def test_accuracy_and_error_make_one(evaluator, go_on):
    (result,) = run(evaluator(), go_on, Job(NONE, seed=0, epochs=1))
    assert result.scores["val_accuracy"] + result.scores["val_error"] == 1
    assert result.scores["val_accuracy"] * 40 == pytest.approx(round(result.scores["val_accuracy"] * 40))


def test_training_learns(evaluator, go_on):
    (result,) = run(evaluator(), go_on, Job(NONE, seed=0, epochs=6))
    losses = [scores["train_loss"] for scores in result.curve]
    assert losses[-1] < losses[0] - 0.5


def test_costs_are_those_counted_on_the_network(evaluator, go_on, se):
    trainer = evaluator()
    (result,) = run(trainer, go_on, job := Job(se, seed=0, epochs=1))
    net = trainer.network(job)
    assert result.scores["params"] == params(net)
    assert result.scores["macs"] == macs(net, (1, 8, 8))
    assert result.scores["se_params"] == params(net) - params(trainer.network(Job(NONE, seed=0, epochs=1)))


def test_costs_are_known_without_training(evaluator, se):
    assert evaluator().costs(Job(se, seed=0, epochs=1)).keys() == {"se_params", "params", "macs"}


def test_the_stopwatch_is_held_to_the_network_of_the_job(evaluator, se):
    trainer, timed = evaluator(), []
    assert trainer.measure(Job(se, seed=0, epochs=1)) == {}
    trainer.stopwatch = lambda net: timed.append(params(net)) or Latency(Timing(), (1.0, 2.0, 4.0))
    assert trainer.measure(Job(se, seed=0, epochs=1)) == {"latency_ms": 2.0, "latency_spread_ms": 1.5}
    assert timed == [trainer.backbone_params + se.params(trainer.traced.sites)]


def test_costs_that_were_found_before_are_among_the_scores_and_not_found_again(evaluator, go_on):
    trainer, reported = evaluator(), []
    trainer.stopwatch = lambda net: pytest.fail("it was measured again")
    job = Job(NONE, seed=0, epochs=1, costs={"latency_ms": 2.0})
    (result,) = run(trainer, lambda job, epoch, scores: reported.append(scores) or False, job)
    assert result.scores["latency_ms"] == 2.0
    assert reported[0]["latency_ms"] == 2.0
    assert result.scores["params"] == trainer.backbone_params


def test_jobs_are_answered_in_their_order(evaluator, go_on, se):
    jobs = [Job(config, seed=0, epochs=1) for config in (se, NONE, se)]
    assert [result.job for result in run(evaluator(), go_on, *jobs)] == jobs


# What decides a result


def test_one_seed_gives_one_result_bit_for_bit(evaluator, go_on, se):
    job = Job(se, seed=4, epochs=2)
    first, again = run(evaluator(), go_on, job, job)
    torch.manual_seed(123)
    (elsewhere,) = run(evaluator(), go_on, job)
    assert first.curve == again.curve == elsewhere.curve
    assert first.scores == elsewhere.scores


def test_dropout_follows_the_seed_too(evaluator, go_on):
    def dropping():
        net = named("resnet8", classes=10, channels=1, width=4)
        net.fc = nn.Sequential(nn.Dropout(0.5), net.fc)
        return net

    job = Job(NONE, seed=4, epochs=1)
    first, again = run(evaluator(build=dropping), go_on, job, job)
    assert first.curve == again.curve


def test_another_seed_gives_another_result(evaluator, go_on):
    one, other = run(evaluator(), go_on, Job(NONE, seed=0, epochs=1), Job(NONE, seed=1, epochs=1))
    assert one.scores["train_loss"] != other.scores["train_loss"]


def test_the_backbone_starts_from_the_seed_whatever_blocks_are_there(evaluator, se):
    trainer = evaluator()
    plain = trainer.network(Job(NONE, seed=4, epochs=1)).state_dict()
    with_se = trainer.network(Job(se, seed=4, epochs=1)).state_dict()
    assert all(torch.equal(with_se[name], tensor) for name, tensor in plain.items())


def test_another_seed_starts_from_other_weights(evaluator, se):
    trainer = evaluator()
    one, other = (trainer.network(Job(se, seed=seed, epochs=1)).state_dict() for seed in (4, 5))
    assert not torch.equal(one["conv1.weight"], other["conv1.weight"])
    assert not torch.equal(one["layer1.0.se.fc1.weight"], other["layer1.0.se.fc1.weight"])


def test_the_first_weights_are_not_drawn_from_the_global_random_numbers(evaluator, se):
    trainer = evaluator()
    before = torch.get_rng_state()
    trainer.network(Job(se, seed=4, epochs=1))
    assert torch.equal(torch.get_rng_state(), before)


def validation(few, net):
    """Mean cross-entropy and accuracy on the validation part, image by image."""
    with torch.no_grad():
        logits = torch.cat([net.eval()(image[None]) for image in few.val.images])
    losses = torch.logsumexp(logits, 1) - logits[torch.arange(len(few.val)), few.val.labels]
    return float(losses.double().mean()), float((logits.argmax(1) == few.val.labels).double().mean())


def test_the_scores_are_those_of_the_weights_that_are_left(evaluator, go_on, se, few, tmp_path):
    trainer, file = evaluator(), tmp_path / "deep" / "trial.safetensors"
    (result,) = run(trainer, go_on, job := Job(se, seed=0, epochs=2, weights=file))
    net = trainer.network(job)
    net.load_state_dict(load_file(file))
    loss, accuracy = validation(few, net)
    assert result.scores["val_loss"] == pytest.approx(loss, rel=1e-5)
    assert result.scores["val_accuracy"] == accuracy


def test_label_smoothing_is_in_the_training_loss_and_not_in_the_validation_loss(evaluator, go_on, few, tmp_path):
    trainer, file = evaluator(label_smoothing=0.5), tmp_path / "trial.safetensors"
    (smooth,) = run(trainer, go_on, job := Job(NONE, seed=0, epochs=3, weights=file))
    net = trainer.network(job)
    net.load_state_dict(load_file(file))
    assert smooth.scores["val_loss"] == pytest.approx(validation(few, net)[0], rel=1e-5)


def test_the_training_loss_is_the_mean_over_the_epochs_batches(evaluator, go_on, few):
    # With so small a learning rate the weights stay as they start, so the loss can be computed afterwards.
    trainer = evaluator(lr=1e-12, schedule="constant", weight_decay=0.0, label_smoothing=0.3)
    (result,) = run(trainer, go_on, job := Job(NONE, seed=2, epochs=1))
    few.seed = 2
    net, losses = trainer.network(job).train(), []
    (chunk,) = few.train_dataloader()
    for images, labels in chunk.batches():
        losses.append(F.cross_entropy(net(images), labels, label_smoothing=0.3).item())
    assert result.scores["train_loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_channels_last_changes_the_memory_and_not_the_result(evaluator, go_on, se):
    (usual,) = run(evaluator(), go_on, Job(se, seed=0, epochs=1))
    (last,) = run(evaluator(channels_last=True), go_on, Job(se, seed=0, epochs=1))
    assert last.scores["val_loss"] == pytest.approx(usual.scores["val_loss"], abs=1e-3)


# Weights


def test_the_weights_are_written_whole_under_their_name_alone(evaluator, go_on, se, tmp_path):
    file = tmp_path / "trial.safetensors"
    trainer = evaluator(channels_last=True)
    run(trainer, go_on, job := Job(se, seed=0, epochs=1, weights=file))
    assert [path.name for path in tmp_path.iterdir()] == ["trial.safetensors"]
    assert set(load_file(file)) == set(trainer.network(job).state_dict())


def test_a_trial_that_was_stopped_leaves_no_weights(evaluator, tmp_path):
    job = Job(NONE, seed=0, epochs=3, weights=tmp_path / "trial.safetensors")
    run(evaluator(), lambda *args: True, job)
    assert list(tmp_path.iterdir()) == []


# Reports


def test_each_epoch_is_reported_with_its_scores_and_costs(evaluator, se):
    heard = []
    (result,) = run(evaluator(), lambda *said: heard.append(said), job := Job(se, seed=0, epochs=2))
    assert [(of, epoch) for of, epoch, _ in heard] == [(job, 1), (job, 2)]
    assert heard[-1][2] == scores_but(result, "val_loss_even")
    assert heard[0][2].items() >= result.curve[0].items()


def test_a_report_that_says_stop_prunes_the_trial_there(evaluator):
    (result,) = run(evaluator(), lambda job, epoch, scores: epoch == 2, Job(NONE, seed=0, epochs=4))
    assert result.status is Status.PRUNED
    assert len(result.curve) == 2
    assert result.scores["val_loss"] == result.curve[1]["val_loss"]


def test_a_trial_that_is_told_to_stop_after_its_last_epoch_is_complete(evaluator):
    (result,) = run(evaluator(), lambda job, epoch, scores: epoch == 2, Job(NONE, seed=0, epochs=2))
    assert result.status is Status.COMPLETE


def test_a_pruned_trial_was_trained_as_if_it_went_on(evaluator, go_on):
    job = Job(NONE, seed=0, epochs=4)
    (pruned,) = run(evaluator(), lambda job, epoch, scores: epoch == 2, job)
    (whole,) = run(evaluator(), go_on, job)
    assert pruned.curve == whole.curve[:2]


def test_an_error_in_a_report_is_not_swallowed(evaluator):
    def report(job, epoch, scores):
        raise KeyError("report")

    with pytest.raises(KeyError, match="report"):
        run(evaluator(), report, Job(NONE, seed=0, epochs=1))


# Failures


def test_a_loss_that_is_lost_fails_the_trial_and_the_next_job_goes_on(evaluator, go_on, tmp_path):
    trainer = evaluator(optimizer="sgd", lr=1e6, schedule="constant")
    jobs = [Job(NONE, seed=seed, epochs=30, weights=tmp_path / f"{seed}") for seed in (0, 1)]
    results = run(trainer, go_on, *jobs)
    assert [result.status for result in results] == [Status.FAILED] * 2
    assert [result.failure for result in results] == [Failure.DIVERGED] * 2
    assert all(result.scores == {} for result in results)
    assert all("not finite" in result.reason and "\n" not in result.reason for result in results)
    assert all(len(result.curve) < 30 for result in results)
    assert list(tmp_path.iterdir()) == []


class Failing(nn.Module):
    """Raises `error` in the first training step; until then a network."""

    def __init__(self, error):
        super().__init__()
        self.error, self.net = error, nn.Linear(64, 10)

    def forward(self, x):
        if self.training:
            raise self.error
        return self.net(x.flatten(1))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nand more lines"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:75] err == 0. DefaultCPUAllocator: not enough memory: 9 GB"),
    ],
    ids=["cuda", "python", "cpu"],
)
def test_running_out_of_memory_fails_the_trial_and_the_next_job_goes_on(evaluator, go_on, error):
    results = run(evaluator(build=lambda: Failing(error)), go_on, *[Job(NONE, seed=seed, epochs=1) for seed in (0, 1)])
    assert [(result.status, result.failure) for result in results] == [(Status.FAILED, Failure.MEMORY)] * 2
    assert all(result.reason and "\n" not in result.reason for result in results)
    assert all(result.scores == {} for result in results)


def test_a_real_allocation_that_is_too_large_counts_as_out_of_memory(evaluator, go_on):
    class Greedy(Failing):
        def forward(self, x):
            return self.net(x.flatten(1)) + (torch.empty(1 << 50).sum() if self.training else 0)

    (result,) = run(evaluator(build=lambda: Greedy(None)), go_on, Job(NONE, seed=0, epochs=1))
    assert result.failure is Failure.MEMORY


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("no"), ZeroDivisionError()])
def test_any_other_error_of_the_network_is_not_swallowed(evaluator, go_on, error):
    with pytest.raises(type(error)):
        run(evaluator(build=lambda: Failing(error)), go_on, Job(NONE, seed=0, epochs=1))


def test_what_cannot_be_compiled_is_one_line_that_names_the_key(evaluator, go_on):
    error = torch._dynamo.exc.InternalTorchDynamoError("\nno C++ compiler\nand forty more lines")
    trainer = evaluator(build=lambda: Uncompiled(error), device=Device(accelerator="cpu", compile=True))
    with pytest.raises(ConfigError, match=r"^trainer.compile=true: .*\(no C\+\+ compiler\).*trainer.compile=false"):
        run(trainer, go_on, Job(NONE, seed=0, epochs=1))


class Uncompiled(Failing):
    """Raises what compiling it would have."""

    def compile(self):
        pass


# Ctrl-C


@pytest.fixture
def python_handler():
    """Where the tests run in the background, SIGINT is ignored from the start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "interrupt", [lambda: os.kill(os.getpid(), signal.SIGINT), lambda: signal.raise_signal(signal.SIGINT)]
)
def test_ctrl_c_is_a_keyboard_interrupt_and_the_next_one_too(evaluator, interrupt, python_handler):
    handler = signal.getsignal(signal.SIGINT)

    def report(job, epoch, scores):
        interrupt()
        return False

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(evaluator(), report, Job(NONE, seed=0, epochs=3))
        assert signal.getsignal(signal.SIGINT) is handler


def test_a_handler_of_the_callers_is_asked_and_still_there_afterwards(evaluator):
    heard = []
    before = signal.signal(signal.SIGINT, handler := lambda number, frame: heard.append(number))
    try:
        (result,) = run(evaluator(), lambda *said: os.kill(os.getpid(), signal.SIGINT), Job(NONE, seed=0, epochs=1))
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]
    assert result.status is Status.COMPLETE


# What is left as it was


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_training_takes_the_threads_it_is_told_and_gives_them_back(evaluator, two_threads):
    seen = []
    run(evaluator(), lambda *said: seen.append(torch.get_num_threads()), Job(NONE, seed=0, epochs=1))
    assert seen == [1]
    assert torch.get_num_threads() == 2


def test_threads_are_given_back_after_an_error_too(evaluator, go_on, two_threads):
    with pytest.raises(ValueError, match="broken"):
        run(evaluator(build=lambda: Failing(ValueError("broken"))), go_on, Job(NONE, seed=0, epochs=1))
    assert torch.get_num_threads() == 2


def test_small_networks_get_one_thread_and_large_ones_as_many_as_torch_takes():
    assert (threads_for(10**6), threads_for(10**10)) == (1, torch.get_num_threads())


def test_training_says_nothing_and_lightning_may_speak_again_afterwards(evaluator, go_on, capfd):
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        run(evaluator(), go_on, Job(NONE, seed=0, epochs=1))
    assert [str(each.message) for each in heard if "num_workers" in str(each.message)] == []
    assert capfd.readouterr() == ("", "")
    assert logger.level == level


def test_training_leaves_no_file_behind(evaluator, go_on, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(evaluator(), go_on, Job(NONE, seed=0, epochs=1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_job_on_cuda_gives_finite_scores_and_weights_for_any_machine(evaluator, go_on, se, tmp_path, precision):
    trainer = evaluator(device=Device(accelerator="cuda", precision=precision), channels_last=True)
    (result,) = run(trainer, go_on, job := Job(se, seed=0, epochs=2, weights=tmp_path / "trial.safetensors"))
    assert result.status is Status.COMPLETE
    assert all(value - value == 0 for value in result.scores.values())
    trainer.network(job).load_state_dict(load_file(job.weights))


# Amid an epoch


def test_a_long_epoch_tells_how_far_it_is_and_its_training_loss_so_far(evaluator, go_on, monkeypatch):
    monkeypatch.setattr("senas.training.watch.PULSE_SECONDS", 0.0)
    told = []
    (result,) = evaluator().evaluate([Job(NONE, 0, 2)], go_on, lambda job, pulse: told.append(pulse))
    batches = 5 + 1  # 160 training images in batches of 32, 40 validation images in one
    assert [pulse.epochs for pulse in told] == pytest.approx([n / batches for n in range(1, 13)])
    assert [pulse.steps for pulse in told] == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 10]
    assert told[5].scores["train_loss"] == pytest.approx(result.curve[0]["train_loss"])
    assert told[0].scores["train_loss"] != pytest.approx(told[5].scores["train_loss"])


def test_short_epochs_are_told_of_at_their_ends_only(evaluator, go_on):
    told = []
    list(evaluator().evaluate([Job(NONE, 0, 2)], go_on, lambda job, pulse: told.append(pulse)))
    assert told == []


def test_being_listened_to_changes_no_score(evaluator, go_on, se, monkeypatch):
    (alone,) = evaluator().evaluate([Job(se, 0, 2)], go_on)
    monkeypatch.setattr("senas.training.watch.PULSE_SECONDS", 0.0)
    (heard,) = evaluator().evaluate([Job(se, 0, 2)], go_on, lambda job, pulse: None)
    assert heard.curve == alone.curve
