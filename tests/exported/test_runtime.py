"""ONNX Runtime as something that is timed."""

import numpy as np
import pytest
import torch

from senas.core.latency import Timing
from senas.errors import ConfigError
from senas.exported import runtime
from senas.exported.runtime import onnx_runtime
from senas.model.backbones import named
from senas.model.latency import latency


@pytest.mark.slow
def test_it_runs_the_network_with_its_own_threads(monkeypatch):
    import onnxruntime

    made, real = [], onnxruntime.InferenceSession

    def spy(model, options, **kwargs):
        made.append((options.intra_op_num_threads, options.inter_op_num_threads))
        return real(model, options, **kwargs)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    net = named("resnet8", classes=10, channels=1).eval()
    images = torch.randn(3, 1, 8, 8)
    (logits,) = onnx_runtime(net, images, Timing(runtime="onnx", threads=2, batch_size=3))()
    with torch.no_grad():
        np.testing.assert_allclose(logits, net(images).numpy(), atol=1e-5)
    assert made == [(2, 1)]


@pytest.mark.slow
def test_latency_there_is_measured_as_elsewhere():
    timing = Timing(runtime="onnx", repeats=3)
    measured = latency(named("resnet8", classes=10, channels=1), (1, 8, 8), timing, onnx_runtime)
    assert len(measured.times_ms) == 3
    assert measured.timing.runtime == "onnx"


def test_without_the_extra_there_is_one_line(monkeypatch):
    monkeypatch.setattr(runtime, "missing_packages", lambda: ["onnxruntime"])
    with pytest.raises(ConfigError, match=r"^latency\.runtime=onnx needs onnxruntime, .*senas\[onnx\].*eager$"):
        onnx_runtime(torch.nn.Identity(), torch.zeros(1), Timing(runtime="onnx"))
