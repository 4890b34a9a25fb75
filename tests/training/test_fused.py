"""Several trainings as members of one network: each is what it is alone."""

import signal
import sys

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from senas.core.block import Gate, Placement, SEBlock, Squeeze
from senas.core.config import SEConfig
from senas.core.ports import Pulse
from senas.core.recipe import Device
from senas.core.trial import Failure, Job, Status
from senas.training import fused, watch
from senas.training.augment import Augmentation
from senas.training.fused import Fused, Measured
from senas.training.side_by_side import side_by_side

NONE = SEConfig()
MIXED = SEConfig(
    {
        "layer1.0": SEBlock(hidden=3, placement=Placement.PRE, gate=Gate.TWICE_SIGMOID),
        "layer2.0": SEBlock(hidden=1, squeeze=Squeeze.LOCAL),
        "layer3.0": SEBlock(hidden=2, bias=False),
    }
)


@pytest.fixture(autouse=True)
def _double():
    """So that rounding does not hide what is wrong."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def double(few):
    """The few digits in double precision, for as long as a test takes."""
    before = few.train, few.val, few.test
    for name in ("train", "val", "test"):
        part = getattr(few, name)
        setattr(few, name, type(part)(part.images.double(), part.labels))
    yield few
    few.train, few.val, few.test = before


@pytest.fixture
def together(evaluator, double):
    def make(members=4, always=True, workers=1, **fields):
        made = evaluator(device=Device(accelerator="cpu", threads=1, precision="64-true"), **fields)
        otherwise = side_by_side(made, workers, 24)
        return Fused(made, members, said.append, otherwise=otherwise, always=always)

    said = []
    make.said = said
    return make


def equal(result, other):
    assert (result.status, len(result.curve)) == (other.status, len(other.curve))
    for scores, others in zip([*result.curve, result.scores], [*other.curve, other.scores], strict=True):
        assert scores == pytest.approx(others, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"optimizer": "sgd", "lr": 0.1, "schedule": "cosine", "label_smoothing": 0.1},
        {"clip": 0.5},
        {"accumulate": 2, "schedule": "constant"},
    ],
    ids=["adamw", "sgd", "clip", "accumulate"],
)
def test_each_member_is_what_it_is_alone(together, se, go_on, tmp_path, fields):
    made = together(**fields)
    jobs = [
        Job(config, seed, 2, tmp_path / f"{number}.safetensors")
        for number, (config, seed) in enumerate([(NONE, 1), (se, 1), (MIXED, 2), (se, 2)])
    ]
    results = list(made.evaluate(jobs, go_on))
    assert [result.job for result in results] == jobs
    for result in results:
        together_ = load_file(result.job.weights)
        (alone,) = made.standalone.evaluate([result.job], go_on)
        equal(result, alone)
        weights = load_file(result.job.weights)
        assert list(together_) == list(weights)
        for name, tensor in weights.items():
            torch.testing.assert_close(together_[name], tensor, rtol=1e-8, atol=1e-8)


def test_images_are_changed_as_each_members_seed_says(together, se, go_on, few, monkeypatch):
    monkeypatch.setattr(few, "augmentation", Augmentation(flip=True, crop=1))
    made = together()
    jobs = [Job(se, seed, 2) for seed in (1, 2)]
    changed = list(made.evaluate(jobs, go_on))
    for result, alone in zip(changed, made.standalone.evaluate(jobs, go_on), strict=True):
        equal(result, alone)
    monkeypatch.setattr(few, "augmentation", Augmentation())
    for result, plain in zip(changed, made.evaluate(jobs, go_on), strict=True):
        assert result.scores["train_loss"] != plain.scores["train_loss"]


def test_what_is_measured_on_the_test_part_is_too(together, se, go_on):
    made = together()
    jobs = [Job(se, seed, 1, test=True) for seed in (1, 2)]
    for result, alone in zip(made.evaluate(jobs, go_on), made.standalone.evaluate(jobs, go_on), strict=True):
        assert "test_loss" in result.scores
        equal(result, alone)


def test_one_whose_loss_is_lost_leaves_the_others_as_they_are_alone(together, se, go_on):
    made = together(clip=1.0)
    build, calls = made.standalone.build, []

    def broken():  # the second network that is built for a job
        calls.append(build())
        if len(calls) == 3:  # the first is that of the supernet
            nn.init.constant_(calls[-1].fc.weight, float("nan"))
        return calls[-1]

    made.standalone.build = broken
    jobs = [Job(se, seed, 2) for seed in (1, 2, 3)]
    results = list(made.evaluate(jobs, go_on))
    assert [result.failure for result in results] == [None, Failure.DIVERGED, None]
    assert results[1].reason == "the loss is not finite after epoch 1"
    made.standalone.build = build
    for number in (0, 2):
        (alone,) = made.standalone.evaluate([jobs[number]], go_on)
        equal(results[number], alone)


def test_one_that_is_stopped_ends_there_and_the_others_go_on(together, se, tmp_path):
    made, told = together(), []

    def report(job, epoch, scores):
        told.append((job.seed, epoch))
        return job.seed == 2

    jobs = [Job(se, seed, 3, tmp_path / f"{seed}.safetensors") for seed in (1, 2)]
    results = list(made.evaluate(jobs, report))
    assert [(result.status, len(result.curve)) for result in results] == [(Status.COMPLETE, 3), (Status.PRUNED, 1)]
    assert told == [(1, 1), (2, 1), (1, 2), (1, 3)]
    assert [path.name for path in tmp_path.iterdir()] == ["1.safetensors"]


def test_they_come_in_batches_of_as_many_as_are_asked_for(together, go_on, monkeypatch):
    made, sizes = together(members=3), []
    train = made._train
    monkeypatch.setattr(made, "_train", lambda jobs, *rest: sizes.append(len(jobs)) or train(jobs, *rest))
    jobs = [Job(NONE, seed, 1) for seed in range(5)]
    assert [result.job for result in made.evaluate([*jobs[:4], None, jobs[4]], go_on)] == jobs
    assert sizes == [3]  # one by itself needs no company


def test_pulses_are_each_members_own(together, go_on, monkeypatch):
    monkeypatch.setattr(watch, "PULSE_SECONDS", 0.0)
    made, heard = together(), []
    list(made.evaluate([Job(NONE, seed, 1) for seed in (1, 2)], go_on, lambda job, pulse: heard.append((job, pulse))))
    assert {job.seed for job, _ in heard} == {1, 2}
    losses = [pulse.scores["train_loss"] for _, pulse in heard[:2]]
    assert losses[0] != losses[1]
    assert all(isinstance(pulse, Pulse) and 0 < pulse.epochs <= 1 for _, pulse in heard)


# Whether it pays


@pytest.mark.parametrize(("seconds", "expected"), [((0.5, 1.0), True), ((0.95, 1.0), True), ((1.2, 1.0), False)])
def test_what_was_measured_decides_and_is_said(together, go_on, monkeypatch, seconds, expected):
    made, trained = together(always=False), []
    monkeypatch.setattr(made, "compared", lambda jobs: Measured(len(jobs), *seconds))
    train = made._train
    monkeypatch.setattr(made, "_train", lambda jobs, *rest: trained.append(len(jobs)) or train(jobs, *rest))
    jobs = [Job(NONE, seed, 1) for seed in range(2)]
    assert [result.job for result in made.evaluate(jobs, go_on)] == jobs
    assert trained == ([2] if expected else [])
    (line,) = together.said
    assert line.startswith(f"fused: a step of 2 networks together takes {seconds[0]:.2f} of the time of 2 steps of one")
    assert line.endswith("trained together" if expected else "one after the other")


def test_the_measurement_is_of_real_steps_and_changes_no_training(together, se, go_on):
    made = together(always=False)
    jobs = [Job(se, seed, 1) for seed in (1, 2)]
    measured = made.compared(jobs)
    assert measured.members == 2
    assert 0 < measured.together < 10
    assert 0 < measured.alone < 10
    made.always = True
    for result, alone in zip(made.evaluate(jobs, go_on), made.standalone.evaluate(jobs, go_on), strict=True):
        equal(result, alone)


def test_what_does_not_fit_together_is_trained_one_by_one(together, go_on, monkeypatch):
    made, sizes, fit = together(), [], None

    def full(jobs, watches):
        sizes.append(len(jobs))
        if len(jobs) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return fit(jobs, watches)

    fit = made._fit
    monkeypatch.setattr(made, "_fit", full)
    results = list(made.evaluate([Job(NONE, seed, 1) for seed in range(8)], go_on))
    assert [(result.job.seed, result.failure) for result in results] == [(seed, None) for seed in range(8)]
    assert sizes == [4, 2, 2]
    assert together.said == [
        "fused: 4 networks together, not measured whether that is faster (evaluator.together)",
        "fused: 4 networks together do not fit into memory; from now on 2",
    ]


def test_where_not_even_the_measurement_fits_there_are_fewer(together, go_on, monkeypatch):
    made = together(always=False)

    def compared(jobs):
        if len(jobs) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return Measured(len(jobs), 0.5, 1.0)

    monkeypatch.setattr(made, "compared", compared)
    results = list(made.evaluate([Job(NONE, seed, 1) for seed in range(6)], go_on))
    assert [(result.job.seed, result.failure) for result in results] == [(seed, None) for seed in range(6)]
    first, second = together.said
    assert first == "fused: 4 networks together do not fit into memory; from now on 2"
    assert second.startswith("fused: a step of 2 networks")


def test_once_it_does_not_pay_all_that_come_are_trained_otherwise(together, go_on, monkeypatch):
    made, measured, events = together(members=2, always=False), [], []
    monkeypatch.setattr(made, "compared", lambda jobs: measured.append(len(jobs)) or Measured(len(jobs), 1.2, 1.0))

    def jobs():
        for seed in range(5):
            events.append(f"pulled {seed}")
            yield Job(NONE, seed, 1)

    for result in made.evaluate(jobs(), go_on):
        events.append(f"result {result.job.seed}")
    assert events[:7] == ["pulled 0", "pulled 1", "result 0", "result 1", "pulled 2", "result 2", "pulled 3"]
    assert [result.job.seed for result in made.evaluate([Job(NONE, seed, 1) for seed in range(3)], go_on)] == [0, 1, 2]
    assert measured == [2]


def test_that_it_does_not_pay_for_fewer_says_nothing_of_more(together, go_on, monkeypatch):
    made, measured = together(members=3, always=False), []
    monkeypatch.setattr(
        made, "compared", lambda jobs: measured.append(len(jobs)) or Measured(len(jobs), 1.2 - 0.3 * len(jobs), 0.5)
    )
    jobs = [Job(NONE, seed, 1) for seed in range(5)]
    assert [result.job for result in made.evaluate([*jobs[:2], None, *jobs[2:]], go_on)] == jobs
    assert measured == [2, 3]
    assert together.said[-1].endswith("trained together")


@pytest.mark.parametrize(("at_once", "expected"), [(1, True), (2, False)])
def test_steps_that_would_go_on_beside_each_other_count_as_that_much_faster(at_once, expected):
    measured = Measured(8, 0.6, 1.0, at_once)
    assert measured.pays is expected
    assert measured.words.endswith("trained together" if expected else "by themselves, 2 at a time")


@pytest.mark.skipif(sys.platform != "linux", reason="trainings beside each other need Linux")
def test_after_a_real_measurement_with_several_threads_processes_train_what_is_left(together, se, go_on, monkeypatch):
    def too_long(*_):
        pytest.fail("the trainings never end")

    threads = torch.get_num_threads()
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(60)
    try:
        torch.set_num_threads(2)
        F.conv2d(torch.rand(64, 16, 32, 32), torch.rand(16, 16, 3, 3))
        made = together(members=2, always=False, workers=2)
        monkeypatch.setattr(fused, "WORTH_IT", 0.0)
        jobs = [Job(se, seed, 1) for seed in (1, 2, 3)]
        results = list(made.evaluate(jobs, go_on))
        for result, alone in zip(results, made.standalone.evaluate(jobs, go_on), strict=True):
            equal(result, alone)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        torch.set_num_threads(threads)
    (line,) = together.said
    assert line.endswith("which can go on 2 at a time: they are trained by themselves, 2 at a time")


def test_what_cannot_be_one_network_is_said_in_a_line_and_trained_by_itself(together, go_on, monkeypatch):
    made = together(always=False)

    def compared(jobs):
        raise RuntimeError("vmap: it looks like you are calling .item() on a Tensor.\nMore.")

    monkeypatch.setattr(made, "compared", compared)
    results = list(made.evaluate([Job(NONE, seed, 1) for seed in range(2)], go_on))
    assert [result.failure for result in results] == [None, None]
    assert together.said == [
        "fused: these networks are trained one after the other, as together fails: vmap: it looks like you are calling "
        ".item() on a Tensor."
    ]


def test_what_is_saved_after_each_epoch_is_trained_by_itself(together, go_on, monkeypatch, tmp_path):
    made = together()
    monkeypatch.setattr(made, "_train", lambda *_: pytest.fail("together"))
    jobs = [Job(NONE, seed, 1, checkpoint=tmp_path / f"{seed}.ckpt") for seed in range(2)]
    list(made.evaluate(jobs, go_on))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.ckpt", "1.ckpt"]


@pytest.mark.parametrize(
    ("fields", "device", "expected"),
    [
        ({}, {}, ""),
        ({"average": "ema"}, {}, "trainer.average=ema"),
        ({}, {"compile": True}, "trainer.compile=true"),
        ({}, {"precision": "16-mixed"}, "trainer.precision=16-mixed"),
    ],
)
def test_what_hinders_it_is_said_by_its_key(evaluator, fields, device, expected):
    made = evaluator(device=Device(accelerator="cpu", **device), **fields)
    assert Fused(made, 4, print).hindrance() == expected


def test_batches_end_where_a_result_is_needed():
    one, two, three = (Job(NONE, seed, 1) for seed in range(3))
    assert list(fused._batches(iter([one, None, None, two, three]), lambda: 2)) == [[one], [two, three]]
    assert list(fused._batches(iter([one, two, three]), lambda: 2)) == [[one, two], [three]]
