"""Trainings in processes beside each other: what each computes, and what one of them that dies does to the others."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from senas.core.config import SEConfig
from senas.core.ports import Pulse
from senas.core.recipe import Device
from senas.core.trial import Failure, Job, Status
from senas.errors import ConfigError
from senas.training import watch
from senas.training.metric import OwnMetric
from senas.training.processes import Processes
from senas.training.side_by_side import at_once, side_by_side

NONE = SEConfig()
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="trainings beside each other need Linux")


@pytest.fixture
def two(evaluator):
    return lambda **fields: Processes(evaluator(**fields), 2)


@pytest.fixture
def cores():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def children():
    return [int(word) for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def test_each_is_bit_for_bit_what_it_is_alone_in_the_order_of_the_jobs(two, evaluator, se, go_on, tmp_path):
    jobs = [Job(c, s, 2, tmp_path / f"{n}.safetensors") for n, (c, s) in enumerate([(NONE, 1), (se, 1), (se, 2)])]
    alone = [Job(job.config, job.seed, 2, tmp_path / f"alone{n}.safetensors") for n, job in enumerate(jobs)]
    results = list(two().evaluate(jobs, go_on))
    one_by_one = list(evaluator().evaluate(alone, go_on))
    assert [result.job for result in results] == jobs
    assert [(r.scores, r.curve) for r in results] == [(r.scores, r.curve) for r in one_by_one]
    for job, other in zip(jobs, alone, strict=True):
        weights, others = load_file(job.weights), load_file(other.weights)
        assert all(torch.equal(weights[name], others[name]) for name in others)


def test_no_more_are_pulled_than_can_run_before_a_result_is_out(two, se, go_on):
    said = []

    def jobs():
        for seed in range(4):
            said.append(f"pulled {seed}")
            yield Job(se, seed, 1)

    for result in two().evaluate(jobs(), go_on):
        said.append(f"result {result.job.seed}")
    assert said == ["pulled 0", "pulled 1", "result 0", "pulled 2", "result 1", "pulled 3", "result 2", "result 3"]


def test_where_no_job_is_there_yet_a_result_comes_first(two, go_on):
    said = []

    def jobs():
        for seed in (0, None, 1):
            said.append(f"pulled {seed}")
            yield None if seed is None else Job(NONE, seed, 1)

    for result in two().evaluate(jobs(), go_on):
        said.append(f"result {result.job.seed}")
    assert said == ["pulled 0", "pulled None", "result 0", "pulled 1", "result 1"]


def test_epochs_are_reported_and_training_stops_where_the_answer_says(two, se):
    epochs = []
    jobs = [Job(se, seed, 4) for seed in (0, 1)]
    results = list(two().evaluate(jobs, lambda job, epoch, scores: epochs.append((job.seed, epoch)) or job.seed == 1))
    assert [result.status for result in results] == [Status.COMPLETE, Status.PRUNED]
    assert sorted(epochs) == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 1)]


def test_pulses_come_through(two, go_on, monkeypatch):
    monkeypatch.setattr(watch, "PULSE_SECONDS", 0.0)
    pulses = []
    list(two().evaluate([Job(NONE, 0, 1)], go_on, lambda job, pulse: pulses.append(pulse)))
    assert pulses
    assert all(isinstance(pulse, Pulse) for pulse in pulses)


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_killed_is_trained_once_more_and_fails_by_itself(two, evaluator, go_on, times):
    killed = []

    def kill(job, epoch, scores):
        if job.seed == 1 and epoch == 1 and len(killed) < times:
            killed.append(len(children()))
            os.kill(children()[-1], signal.SIGKILL)
            time.sleep(0.1)
        return False

    jobs = [Job(NONE, seed, 2) for seed in range(4)]
    results = list(two().evaluate(jobs, kill))
    assert [result.job for result in results] == jobs
    failures = [result.failure for result in results]
    if times == 1:
        assert failures == [None] * 4
        (alone,) = evaluator().evaluate([jobs[1]], go_on)
        assert results[1].scores == alone.scores
    else:
        assert failures == [None, Failure.KILLED, None, None]
        assert results[1].reason == "its process ended twice (killed by SIGKILL), as where memory runs out"
        assert results[1].scores == {}


def test_what_a_training_finds_ended_is_no_end_of_the_process(two, go_on):
    def broken():
        raise EOFError("Ran out of input")

    made = two()
    made.standalone.build = broken
    with pytest.raises(EOFError, match="Ran out of input"):
        list(made.evaluate([Job(NONE, 0, 1)], go_on))


def test_where_all_are_told_to_end_it_is_no_failure_of_a_training(two):
    def end(job, epoch, scores):
        for child in children():
            os.kill(child, signal.SIGTERM)
        time.sleep(0.1)
        return False

    with pytest.raises(KeyboardInterrupt):
        list(two().evaluate([Job(NONE, seed, 2) for seed in range(4)], end))


def test_a_process_that_died_between_two_jobs_is_replaced(two, go_on):
    results = two().evaluate([Job(NONE, seed, 1) for seed in range(4)], go_on)
    next(results)
    for child in children():
        os.kill(child, signal.SIGKILL)
    time.sleep(0.1)
    rest = list(results)
    assert [result.job.seed for result in rest] == [1, 2, 3]
    assert [result.failure for result in rest[1:]] == [None, None]


def test_what_goes_wrong_in_a_process_is_raised_as_what_it_is(two, evaluator, go_on):
    def broken():
        raise ConfigError("trainer.lr is not what it should be")

    made = two()
    made.standalone.build = broken
    with pytest.raises(ConfigError, match=r"^trainer.lr is not what it should be$"):
        list(made.evaluate([Job(NONE, 0, 1)], go_on))


def test_what_nobody_foresaw_says_where_it_was(two, go_on):
    def broken():
        raise ZeroDivisionError("here")

    made = two()
    made.standalone.build = broken
    with pytest.raises(ZeroDivisionError, match="here") as caught:
        list(made.evaluate([Job(NONE, 0, 1)], go_on))
    assert any("in broken" in note for note in caught.value.__notes__)


def test_an_error_that_cannot_be_sent_is_told_in_words(two, go_on):
    class LocalError(Exception):
        pass

    def broken():
        raise LocalError("here")

    made = two()
    made.standalone.build = broken
    with pytest.raises(Exception, match="LocalError: here"):
        list(made.evaluate([Job(NONE, 0, 1)], go_on))


@pytest.mark.parametrize("how", ["closed", "interrupted"])
def test_no_process_is_left_behind(two, how):
    before = children()

    def report(job, epoch, scores):
        if how == "interrupted":
            raise KeyboardInterrupt
        return False

    results = two().evaluate([Job(NONE, seed, 50 if how == "interrupted" else 1) for seed in range(3)], report)
    if how == "interrupted":
        with pytest.raises(KeyboardInterrupt):
            next(results)
    else:
        next(results)
        assert children() != before
        results.close()
    assert children() == before


def test_metrics_of_ones_own_are_measured_there_too(two, go_on):
    def flipped(logits, labels):
        return float((logits.argmax(1) != labels).float().mean())

    made = two()
    made.standalone.metrics = [OwnMetric("flipped", flipped, False, "mine:flipped")]
    (result,) = made.evaluate([Job(NONE, 0, 1)], go_on)
    assert result.scores["flipped"] == pytest.approx(result.scores["val_error"])


def test_trainings_go_on_where_the_first_process_has_calculated_with_several_threads(evaluator, cores, go_on):
    def too_long(*_):
        pytest.fail("the trainings never end")

    cores(2)
    torch.nn.functional.conv2d(torch.rand(64, 16, 32, 32), torch.rand(16, 16, 3, 3))
    made = Processes(evaluator(device=Device(accelerator="cpu", threads=2)), 2)
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(60)
    try:
        results = list(made.evaluate([Job(NONE, seed, 1) for seed in range(3)], go_on))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert [result.failure for result in results] == [None] * 3


# How many


@pytest.mark.parametrize(
    ("there", "trainings", "threads", "expected"),
    [(1, 24, None, 1), (2, 24, None, 2), (8, 24, None, 4), (8, 3, None, 3), (8, 24, 4, 2)],
)
def test_where_nobody_says_how_many_it_is_one_a_core_and_four_at_most(
    evaluator, cores, there, trainings, threads, expected
):
    cores(there)
    made = evaluator(device=Device(accelerator="cpu", threads=threads))
    assert at_once(side_by_side(made, None, trainings)) == expected


def test_the_cores_are_divided_among_large_networks(evaluator, cores):
    cores(4)
    made = evaluator(device=Device(accelerator="cpu"))
    made.backbone_macs = 10**9
    assert side_by_side(made, 2, 24).standalone.device.threads == 2


def test_one_at_a_time_stays_in_this_process(evaluator):
    made = evaluator()
    assert side_by_side(made, 1, 24) is made


def test_beside_a_measurement_of_latency_nothing_is_trained(evaluator, cores):
    cores(8)
    made = evaluator()
    made.stopwatch = lambda net: None
    assert side_by_side(made, None, 24) is made
    with pytest.raises(ConfigError, match=r"^evaluator.workers=2: latency is measured, .*; evaluator.workers=1 trains"):
        side_by_side(made, 2, 24)


def test_data_of_ones_own_are_read_by_one_process(evaluator, cores):
    cores(8)
    made = evaluator()
    made.data = object()
    assert side_by_side(made, None, 24) is made
    with pytest.raises(ConfigError, match=r"^evaluator.workers=2: data=custom has loaders and files of its own"):
        side_by_side(made, 2, 24)


def test_several_on_one_gpu_are_refused_in_a_line(evaluator):
    made = evaluator(device=Device(accelerator="gpu"))
    with pytest.raises(ConfigError, match=r"^evaluator.workers=2: trainer.accelerator=gpu is one device"):
        side_by_side(made, 2, 24)
