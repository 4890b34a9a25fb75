"""How latency is measured, and what came out, as values."""

import math

import pytest

from senas.core.latency import Latency, Timing
from senas.errors import ConfigError


def test_the_score_is_the_median_and_the_spread_between_the_quartiles():
    measured = Latency(Timing(), (1.0, 2.0, 3.0, 4.0, 100.0))
    assert measured.median_ms == 3.0
    assert measured.quartiles_ms == (2.0, 4.0)
    assert measured.scores == {"latency_ms": 3.0, "latency_spread_ms": 2.0}
    assert str(measured) == "3 ms (2 to 4)"


def test_words_say_runtime_hardware_batch_threads_and_repeats():
    timing = Timing(hardware="AMD EPYC", threads=2, batch_size=8)
    assert timing.words == "eager on AMD EPYC, batch of 8, 2 threads, 30 repeats"
    assert Timing(device="cuda", repeats=1).words == "eager on cuda, batch of 1, 1 repeat"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"runtime": "tensorrt"}, ["latency.runtime", "eager, compile, onnx", '"tensorrt"']),
        ({"device": "tpu"}, ["latency.device", "cpu, cuda", '"tpu"']),
        ({"threads": 0}, ["latency.threads", "at least 1", "got 0"]),
        ({"batch_size": 0}, ["latency.batch_size", "at least 1", "got 0"]),
        ({"repeats": -1}, ["latency.repeats", "at least 1", "got -1"]),
        ({"runtime": "onnx", "device": "cuda"}, ["latency.runtime=onnx", "CPU", "latency.device=cuda"]),
    ],
)
def test_what_cannot_be_measured_so_is_refused_with_key_and_value(refused, fields, words):
    with refused(ConfigError, *words):
        Timing(**fields)


def test_how_much_longer_one_takes_is_read_pass_by_pass():
    """The machine became ten times slower half way: each pair still says that one takes twice as long."""
    plain = Latency(Timing(), (1.0, 1.0, 1.0, 10.0, 10.0))
    twice = Latency(Timing(), (2.0, 2.0, 2.0, 20.0, 20.0))
    assert twice.times_as_long(plain) == (2.0, 2.0, 2.0)
    assert Latency(Timing(), (1.0, 2.0, 3.0)).times_as_long(Latency(Timing(), (1.0, 1.0, 1.0))) == (2.0, 1.5, 2.5)


def test_how_much_longer_it_takes_is_a_median_of_differences_pass_by_pass():
    with_it = Latency(Timing(), [10.0 + n for n in range(1, 31)])
    without = Latency(Timing(), [10.0] * 30)
    longer = with_it.longer_than(without)
    assert (longer.mean, longer.low, longer.high) == (15.5, 11.0, 20.0)  # P(Binomial(30, 1/2) <= 10) = 0.049


def test_few_passes_do_not_bound_how_much_longer_it_takes():
    longer = Latency(Timing(), [2.0, 3.0, 4.0]).longer_than(Latency(Timing(), [1.0, 1.0, 1.0]))
    assert (longer.mean, longer.low, longer.high) == (2.0, -math.inf, math.inf)
