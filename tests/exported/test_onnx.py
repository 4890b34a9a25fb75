"""model.onnx: computes what PyTorch does, on any batch, and says all that a deployer needs."""

import json
import logging
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from senas.core.block import Activation, Gate, Placement, SEBlock, Squeeze
from senas.core.config import SEConfig
from senas.errors import ExportError
from senas.exported import onnx as module
from senas.exported.folder import write
from senas.exported.network import load
from senas.exported.onnx import BATCHES, OPSET, check_installed, onnx_difference, write_onnx
from senas.exported.package import read, se_yaml
from senas.model.backbones import named
from senas.model.surgery import insert

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def folder_onnx(tmp_path_factory, exported, traced, net, validation):
    """An export with model.onnx, its parity in a file beside it."""
    folder = tmp_path_factory.mktemp("onnx") / "best"
    parity = write(folder, exported, traced.sites, net, [validation], onnx=True)
    return folder, parity


@pytest.fixture(scope="module")
def session(folder_onnx):
    return onnxruntime.InferenceSession(str(folder_onnx[0] / "model.onnx"))


@pytest.mark.parametrize("batch", [1, 4, 7, 64])
def test_the_model_gives_the_logits_of_the_loaded_network_for_any_batch(folder_onnx, session, validation, batch):
    images = validation[0][:batch]
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    with torch.no_grad():
        expected = load(folder_onnx[0])(images).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_the_difference_is_measured_on_real_batches_and_is_small(folder_onnx):
    _, parity = folder_onnx
    assert parity.onnx_images == 504
    assert 0 < parity.onnx_difference < 1e-5


def test_the_model_is_one_valid_file_of_the_stated_opset(folder_onnx):
    folder, _ = folder_onnx
    model = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "model.onnx",
        "se.yaml",
        "weights.safetensors",
    ]


def test_the_model_says_what_it_takes_and_gives(session):
    (images,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(float)", ["batch", 1, 8, 8])
    assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", ["batch", 5])


def test_the_model_has_all_that_a_deployer_needs_in_it(folder_onnx, session, exported):
    about = session.get_modelmeta().custom_metadata_map
    assert [json.loads(about[key]) for key in ("shape", "mean", "std", "classes")] == [
        list(value) for value in (exported.shape, exported.mean, exported.std, exported.classes)
    ]
    assert SEConfig.parse(about["configuration"]) == exported.config
    assert about["se.yaml"] == (folder_onnx[0] / "se.yaml").read_text()
    assert "(pixel - mean) / std" in about["normalisation"]


def test_the_model_tells_nothing_of_the_machine_that_wrote_it(folder_onnx):
    content = (folder_onnx[0] / "model.onnx").read_bytes()
    assert [word for word in (b"site-packages", b".py", b"stack_trace", b"/senas") if word in content] == []


@pytest.mark.slow
def test_the_exporter_is_quiet(tmp_path, exported, net, capfd, caplog, recwarn):
    write_onnx(tmp_path, net, exported, "")
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert (*capfd.readouterr(), said, len(recwarn)) == ("", "", [], 0)


@pytest.mark.slow
def test_a_network_exports_to_the_same_bytes_again(folder_onnx, tmp_path, exported, traced, net):
    write_onnx(tmp_path, net, exported, se_yaml(exported, traced.sites))
    assert (tmp_path / "model.onnx").read_bytes() == (folder_onnx[0] / "model.onnx").read_bytes()


KINDS = [
    *({"placement": placement} for placement in Placement),
    *({"squeeze": squeeze} for squeeze in Squeeze),
    *({"gate": gate} for gate in Gate),
    *({"activation": activation} for activation in Activation),
    {"bias": False},
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_kind_of_block_is_exported(tmp_path, exported, traced, validation, kind):
    config = SEConfig({site.name: SEBlock(hidden=3, **kind) for site in traced.sites})
    torch.manual_seed(0)
    net = insert(named(**exported.backbone), config, traced, seed=1)
    for name, parameter in net.named_parameters():
        if ".se." in name:
            nn.init.normal_(parameter, std=2.0)  # gates far from their start, so that a wrong one would be seen
    net(validation[0][:64])
    write_onnx(tmp_path, net.eval(), replace(exported, config=config), "")
    assert onnx_difference(tmp_path, net, validation[0][:12]) < 1e-4
    with torch.no_grad():
        plain = insert(named(**exported.backbone), SEConfig(), traced).eval()
        plain.load_state_dict({k: v for k, v in net.state_dict().items() if ".se." not in k})
        assert float((plain(validation[0][:12]) - net(validation[0][:12])).abs().max()) > 1e-2


# Refused


def test_every_batch_size_is_tried_even_on_few_images():
    for images in (1, 3, 12, 20, 504):
        sizes = [len(batch) for batch in module._in_batches(torch.zeros(images, 1, 2, 2))]
        assert tuple(sizes[:3]) == BATCHES
        assert sum(sizes) == max(images, 12)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [0.01, float("nan")])
def test_logits_that_differ_are_refused_and_nothing_is_left(
    tmp_path, exported, traced, net, validation, monkeypatch, wrong
):
    class Wrong(onnxruntime.InferenceSession):
        def run(self, *arguments):
            return [logits + wrong for logits in super().run(*arguments)]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Wrong)
    with pytest.raises(ExportError, match=r"\Aformat=onnx: onnxruntime's logits for 1 images differ by [^\n]*\Z"):
        write(tmp_path / "best", exported, traced.sites, net, [validation], onnx=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_the_way_out(tmp_path, exported, traced, net, monkeypatch, package):
    found = module.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == package else found(name))
    line = rf"\Aformat=onnx needs {package}, which is not installed: pip install 'senas\[onnx\]', or leave format out\Z"
    with pytest.raises(ExportError, match=line):
        check_installed()
    with pytest.raises(ExportError, match=line):
        write(tmp_path / "best", exported, traced.sites, net, [], onnx=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_weights_that_do_not_fit_into_one_file_lie_beside_it(tmp_path, exported, traced, net, validation, monkeypatch):
    monkeypatch.setattr(module, "ONE_FILE", 1000)
    write(tmp_path / "best", exported, traced.sites, net, [validation], onnx=True)
    names = {path.name for path in (tmp_path / "best").iterdir()}
    assert names == {"README.md", "model.onnx", "model.onnx.data", "se.yaml", "weights.safetensors"}
    assert onnx_difference(tmp_path / "best", net, validation[0][:12]) < 1e-5


WITHOUT_TORCH = """
import json, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "senas"):
            raise ImportError(f"{name} is not to be had here")

sys.meta_path.insert(0, Refuse())
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
about = session.get_modelmeta().custom_metadata_map
mean, std = (np.array(json.loads(about[key]), np.float32)[:, None, None] for key in ("mean", "std"))
pixels = np.load("pixels.npy")
logits = [session.run(["logits"], {"images": (part - mean) / std})[0] for part in np.split(pixels, [1, 5, 12])]
np.save("logits.npy", np.concatenate(logits))
try:
    import torch
except ImportError:
    print(json.loads(about["classes"])[3])
"""


@pytest.mark.slow
def test_without_pytorch_the_model_gives_the_logits_of_senas_load(tmp_path):
    from sklearn.datasets import load_digits

    from senas.core.site import Site
    from senas.exported.package import Exported
    from senas.model.sites import trace

    pixels = (load_digits().images[:100, None] / 16).astype(np.float32)
    backbone = {"name": "resnet8", "classes": 10, "channels": 1, "width": 8}
    torch.manual_seed(0)
    fresh = named(**backbone)
    traced = trace(fresh, (1, 8, 8))
    sites: tuple[Site, ...] = traced.sites
    net = insert(fresh, SEConfig.everywhere(sites, 4), traced)
    mean, std = float(pixels.mean()), float(pixels.std())
    images = torch.from_numpy((pixels - mean) / std)
    net(images)
    about = Exported(
        config=SEConfig.everywhere(sites, 4),
        backbone=backbone,
        shape=(1, 8, 8),
        mean=(mean,),
        std=(std,),
        classes=tuple(f"digit {n}" for n in range(10)),
    )
    write(tmp_path / "best", about, sites, net.eval(), [(images, torch.zeros(100, dtype=torch.int64))], onnx=True)
    np.save(tmp_path / "best" / "pixels.npy", pixels)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], cwd=tmp_path / "best", capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("digit 3\n", "")
    again = read(tmp_path / "best")
    with torch.no_grad():
        expected = load(tmp_path / "best")((torch.from_numpy(pixels) - again.mean[0]) / again.std[0])
    np.testing.assert_allclose(np.load(tmp_path / "best" / "logits.npy"), expected.numpy(), atol=1e-4)
    assert expected.std() > 0.01  # not a constant
