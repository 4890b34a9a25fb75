"""Initial weights: from files that the tests write, and by the names that libraries have."""

import io
import pickle
import urllib.error

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from senas.core.backbone import Backbone
from senas.errors import ConfigError
from senas.model import fetched
from senas.model.backbones import Builder, named
from senas.model.weights import put_weights


class Hostile:
    """A pickle that writes a file when it is loaded without care."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return exec, (f"open({str(self.file)!r}, 'w').close()",)


@pytest.fixture
def trained():
    """A state dict of resnet8 for 100 classes of grey images."""
    torch.manual_seed(1)
    return named("resnet8", classes=100, channels=1, width=4).state_dict()


@pytest.fixture
def builder(tmp_path):
    """`Builder` of resnet8 for grey images, with a file of these weights."""

    def make(held, classes=100, channels=1, save=torch.save):
        save(held, tmp_path / "weights.pt")
        backbone = Backbone(name="resnet8", width=4, weights=str(tmp_path / "weights.pt"))
        return Builder(backbone, classes=classes, channels=channels, size=(8, 8))

    return make


def same(network, state, but=()):
    held = network.state_dict()
    return all(torch.equal(held[name], state[name]) for name in state if name not in but)


@pytest.mark.parametrize("save", [torch.save, save_file], ids=["torch", "safetensors"])
def test_the_weights_of_a_file_are_the_initial_ones(builder, trained, save):
    assert same(builder(trained, save=save)(), trained)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"state_dict": {f"net._orig_mod.{name}": tensor for name, tensor in state.items()}},
        lambda state: {name: tensor for name, tensor in state.items() if "num_batches" not in name},
    ],
    ids=["state_dict", "model", "module", "net and _orig_mod", "old"],
)
def test_what_training_programs_wrap_around_weights_is_taken_off(builder, trained, wrapped):
    assert same(builder(wrapped(trained))(), trained, but=[n for n in trained if "num_batches" in n])


def test_the_classifier_for_other_classes_begins_anew_and_is_spoken_of(builder, trained):
    made = builder(trained, classes=7)
    torch.manual_seed(5)
    first = made()
    assert made.remarks[1] == "classifier fc: 100 classes of the weights, 7 of the images; begins anew"
    assert same(first, trained, but=("fc.weight", "fc.bias"))
    assert first.fc.weight.shape == (7, 16)
    assert not torch.equal(first.fc.weight, made().fc.weight)


def test_weights_without_a_classifier_are_taken(builder, trained):
    made = builder({name: tensor for name, tensor in trained.items() if not name.startswith("fc.")})
    assert made.remarks[1] == "classifier fc: not among the weights; begins anew"


def test_every_network_has_weights_of_its_own(builder, trained):
    made = builder(trained)
    with torch.no_grad():
        made().conv1.weight.zero_()
    assert same(made(), trained)


def test_a_file_that_changes_while_a_study_lives_changes_nothing(builder, trained, tmp_path):
    made = builder(trained)
    (tmp_path / "weights.pt").write_bytes(b"")
    assert same(made(), trained)


def test_another_file_has_another_digest(builder, trained):
    other = {**trained, "fc.bias": trained["fc.bias"] + 1}
    assert builder(trained).digest == builder(trained).digest != builder(other).digest


def test_weights_of_colour_images_make_grey_ones_be_repeated(builder):
    assert builder(named("resnet8", classes=100, channels=3, width=4).state_dict()).channels == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layer1.0.conv1.weight": None}, "does not fit resnet8: it has no layer1.0.conv1.weight"),
        ({"layer9.weight": torch.ones(3)}, "does not fit resnet8: it has layer9.weight, which the backbone has not"),
        ({"bn1.weight": torch.ones(3)}, "bn1.weight is 3 there, and 4 in the backbone"),
        ({"bn1.weight": torch.ones(4, dtype=torch.int8)}, "bn1.weight is torch.int8 there, and torch.float32 in the"),
        ({"bn1.weight": torch.full((4,), torch.nan)}, "bn1.weight has numbers that are not finite"),
        ({"fc.weight": torch.ones(100, 9)}, "fc.weight is 100 x 9 there, and 100 x 16 in the backbone"),
        ({"bn1.weight": [1, 2]}, "holds something of type list as bn1.weight; save it with torch.save"),
    ],
)
def test_what_does_not_fit_is_one_line_that_names_it(builder, trained, change, words):
    held = {name: tensor for name, tensor in {**trained, **change}.items() if tensor is not None}
    with pytest.raises(ConfigError, match=rf"\Abackbone.weights: .*weights.pt .*{words}.*\Z"):
        builder(held)


def pickled(held, path):
    path.write_bytes(pickle.dumps(held))


@pytest.mark.parametrize("save", [torch.save, pickled], ids=["torch", "pickle"])
def test_a_file_that_would_run_code_is_refused_and_runs_nothing(builder, trained, tmp_path, save):
    written = tmp_path / "written"
    with pytest.raises(ConfigError, match=r"\Abackbone.weights: .* holds more than tensors, .* is not run"):
        builder({**trained, "evil": Hostile(written)}, save=save)
    assert not written.exists()
    pickle.loads(pickle.dumps(Hostile(written)))
    assert written.exists()


def garbled(held, path):
    content = io.BytesIO()
    torch.save(held, content)
    path.write_bytes(content.getvalue()[:200])


@pytest.mark.parametrize(
    ("save", "words"),
    [
        (garbled, "is neither safetensors nor a state dict that torch.save wrote"),
        (lambda held, path: path.write_bytes(b"\xff" * 8 + b"{}"), "is neither safetensors nor a state dict"),
        (lambda held, path: path.write_bytes(b""), "is neither safetensors nor a state dict"),
        (lambda held, path: torch.save([1, 2], path), "holds no state dict but list"),
        (lambda held, path: torch.save({}, path), "holds no state dict but dict"),
        (lambda held, path: torch.save(nn.Linear(2, 2), path), "holds more than tensors"),
    ],
)
def test_a_file_that_is_no_state_dict_is_one_line(builder, trained, save, words):
    with pytest.raises(ConfigError, match=rf"\Abackbone.weights: .*{words}[^\n]*\Z"):
        builder(trained, save=save)


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        (Backbone(name="resnet8", weights="none.pt"), r'there is no file "none.pt"\Z'),
        (Backbone(name="resnet18", weights="DEFALT"), 'none of that name; did you mean "DEFAULT"'),
        (Backbone(name="resnet18", library="torchvision", weights="x"), 'no file "x"; torchvision has DEFAULT, IMAGE'),
        (Backbone(name="resnet18", library="timm", weights="a1_in2k"), 'did you mean "a1_in1k"'),
    ],
)
def test_weights_that_nobody_has_are_one_line(backbone, words):
    with pytest.raises(ConfigError, match=rf"\Abackbone.weights: [^\n]*{words}"):
        Builder(backbone, classes=10, channels=3, size=(32, 32))


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_weights_that_cannot_be_fetched_are_one_line(monkeypatch, tmp_path, library):
    def fails(*_, **__):
        raise urllib.error.URLError("no route")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", fails)
    monkeypatch.setattr(fetched, "silence", lambda address, seconds: "no route")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    backbone = Backbone(name="resnet18", library=library, weights="DEFAULT")
    with pytest.raises(ConfigError, match=r"\Abackbone.weights: DEFAULT of [^\n]* cannot be had [^\n]*weights=FILE\Z"):
        Builder(backbone, classes=10, channels=3, size=(32, 32))


def test_weights_by_name_are_those_that_the_library_fetches(monkeypatch):
    from torchvision import models

    theirs = models.googlenet(init_weights=False).state_dict()  # with auxiliary heads, which come with the weights
    monkeypatch.setattr("torchvision.models._api.WeightsEnum.get_state_dict", lambda self, **_: theirs)
    backbone = Backbone(name="googlenet", library="torchvision", weights="IMAGENET1K_V1")
    made = Builder(backbone, classes=10, channels=3, size=(64, 64))
    assert same(made(), {k: v for k, v in theirs.items() if not k.startswith("aux")}, but=("fc.weight", "fc.bias"))
    assert made.remarks[2] == "classifier fc: 1,000 classes of the weights, 10 of the images; begins anew"


@pytest.mark.slow
def test_auxiliary_heads_of_a_file_are_left_out_and_spoken_of(tmp_path):
    from torchvision import models

    torch.save(models.googlenet(init_weights=False).state_dict(), tmp_path / "google.pt")
    backbone = Backbone(name="googlenet", library="torchvision", weights=str(tmp_path / "google.pt"))
    made = Builder(backbone, classes=1000, channels=3, size=(64, 64))
    assert made.remarks[-1] == "auxiliary heads of the weights: left out"


class Versioned(nn.Linear):
    """Takes weights of its own version only, as some networks of torchvision do."""

    _version = 2

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if local_metadata.get("version") != 2:
            raise ValueError("version should be 2")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def test_tensors_by_name_are_put_into_modules_that_ask_for_a_version():
    net, other = nn.Sequential(Versioned(2, 2)), nn.Sequential(Versioned(2, 2))
    put_weights(net, dict(other.state_dict()))
    assert torch.equal(net[0].weight, other[0].weight)
    with pytest.raises(RuntimeError, match="Missing key"):
        put_weights(net, {})
