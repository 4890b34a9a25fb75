"""Latency: what is run, how often, in which mode. No test here asserts a time."""

import gc
import re

import pytest
import torch
from torch import nn

from senas.core.latency import Timing
from senas.errors import ConfigError
from senas.model import latency as module
from senas.model.latency import WARM_UP_RUNS, check, hardware, latencies, latency, machine

QUICK = Timing(repeats=5)


class Spy(nn.Module):
    """Notes each pass: its name, the batch, the mode and the surroundings."""

    passes: list = []  # noqa: RUF012  a copy of a spy tells the same

    def __init__(self, name="spy"):
        super().__init__()
        self.name, self.conv = name, nn.Conv2d(3, 4, 1)

    def forward(self, x):
        Spy.passes.append(
            {
                "name": self.name,
                "shape": tuple(x.shape),
                "training": self.training,
                "inference": torch.is_inference_mode_enabled(),
                "threads": torch.get_num_threads(),
                "collected": gc.isenabled(),
                "dtype": self.conv.weight.dtype,
            }
        )
        return self.conv(x)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch):
    monkeypatch.setattr(module, "WARM_UP_SECONDS", 0.0)
    Spy.passes = []


def test_each_repeat_is_a_pass_of_its_own_after_some_to_warm_up():
    measured = latency(Spy(), (3, 8, 8), QUICK)
    assert len(measured.times_ms) == 5
    assert len(Spy.passes) == WARM_UP_RUNS + 5
    assert all(time > 0 for time in measured.times_ms)


def test_passes_are_made_in_eval_without_gradients_in_float32():
    latency(Spy().double().train(), (3, 8, 8), QUICK)
    assert {(each["training"], each["inference"], each["dtype"]) for each in Spy.passes} == {
        (False, True, torch.float32)
    }


def test_the_batch_has_the_size_that_was_asked_for():
    latency(Spy(), (3, 8, 6), Timing(repeats=1, batch_size=7))
    assert {each["shape"] for each in Spy.passes} == {(7, 3, 8, 6)}


def test_threads_are_set_and_set_back():
    before = torch.get_num_threads()
    latency(Spy(), (3, 8, 8), Timing(repeats=1, threads=before + 1))
    assert {each["threads"] for each in Spy.passes} == {before + 1}
    assert torch.get_num_threads() == before


def test_threads_are_set_back_after_a_network_that_fails():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError):
        latency(Spy(), (5, 8, 8), Timing(repeats=1, threads=before + 1))
    assert torch.get_num_threads() == before


def test_garbage_is_not_collected_amid_a_pass():
    latency(Spy(), (3, 8, 8), QUICK)
    assert [each["collected"] for each in Spy.passes[WARM_UP_RUNS:]] == 5 * [False]
    assert gc.isenabled()


def test_the_network_is_left_as_it_was():
    net = Spy().double().train()
    before = net.conv.weight.clone()
    latency(net, (3, 8, 8), QUICK)
    assert net.training
    assert torch.equal(net.conv.weight, before)
    assert net.conv.weight.dtype is torch.float64


def test_several_networks_take_turns_there_and_back():
    one, other = latencies([Spy("one"), Spy("other")], (3, 8, 8), QUICK)
    there = ["one", "other"]
    assert [each["name"] for each in Spy.passes[2 * WARM_UP_RUNS :]] == [
        *there,
        *there[::-1],
        *there,
        *there[::-1],
        *there,
    ]
    assert len(one.times_ms) == len(other.times_ms) == 5


def test_another_runtime_makes_each_network_ready_once():
    made = []

    def prepare(net, images, timing):
        made.append((net.name, tuple(images.shape), timing.threads))
        return lambda: net(images)

    latencies([Spy("one"), Spy("other")], (3, 8, 8), Timing(repeats=2, threads=1), prepare)
    assert made == [("one", (1, 3, 8, 8), 1), ("other", (1, 3, 8, 8), 1)]


def test_a_machine_is_told_by_its_processor_and_its_cores():
    assert re.fullmatch(rf"{re.escape(hardware('cpu'))}, [1-9]\d* cores?(, .+)?", machine())


def test_the_result_names_the_hardware():
    assert latency(Spy(), (3, 8, 8), QUICK).timing.hardware == hardware("cpu") != ""
    assert latency(Spy(), (3, 8, 8), Timing(repeats=1, hardware="my board")).timing.hardware == "my board"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_line():
    with pytest.raises(ConfigError, match=r"^latency\.device=cuda: .*no CUDA device here; latency\.device=cpu .*$"):
        check(Timing(device="cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_is_timed_from_idle_to_idle():
    measured = latency(Spy(), (3, 8, 8), Timing(repeats=5, device="cuda"))
    assert all(time > 0 for time in measured.times_ms)
    assert measured.timing.hardware == torch.cuda.get_device_name()


@pytest.mark.slow
def test_a_compiled_network_runs_what_was_compiled(net):
    compiled = []
    real = torch.compile

    def spy(*args, **kwargs):
        compiled.append(args)
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", spy)
        measured = latency(net, (3, 8, 8), Timing(runtime="compile", repeats=3))
    assert (len(compiled), len(measured.times_ms)) == (1, 3)
