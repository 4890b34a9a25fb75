"""A backbone of the user's own, from the command line to a file and back; and files that name code."""

import shutil
import sys

import pytest
import torch
import yaml

import senas as package
from senas.app.fingerprint import digest
from senas.app.wiring import set_up
from senas.errors import ConfigError

CODE = """
from pathlib import Path
from torch import nn

class Unit(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(x + self.bn(self.conv(x)))

def build(num_classes, in_channels, units=2):
    body, head = [Unit(16) for _ in range(units)], nn.Linear(16, num_classes)
    return nn.Sequential(nn.Conv2d(in_channels, 16, 3), *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)

Path(__file__).with_name("imported").touch()
"""
MINE = ("backbone=custom", "backbone.target=mynet:build", "+backbone.args.units=3", "study.name=mine")


@pytest.fixture
def own(folder, monkeypatch):
    """mynet.py in the working directory; importing it leaves a file `imported` there."""
    (folder / "mynet.py").write_text(CODE)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield folder
    sys.modules.pop("mynet", None)


@pytest.fixture
def forgotten(own):
    """After a call nothing of mynet.py is imported, and nothing says that it was."""

    def forget():
        sys.modules.pop("mynet", None)
        (own / "imported").unlink(missing_ok=True)

    return forget


def test_a_backbone_of_ones_own_is_searched_exported_and_loaded(own, senas, searched, forgotten):
    said = searched(*MINE, "study.trials=1")
    assert (said.code, said.err) == (0, "")
    assert "custom: 7,338 parameters, 3 sites" in said.out
    assert "senas front study.name=mine study.margin=0.02 trust=mynet" in said.out
    assert "senas train se=exported/mine trust=mynet" in said.out
    forgotten()
    for arguments in (["front", "study.name=mine"], ["export", "study.name=mine"]):
        said = senas(*arguments)
        assert (said.code, said.out) == (2, "")
        assert said.err == (
            "senas: backbone.target: runs/mine/config.yaml names code, mynet:build, and a file imports none by itself; "
            "if it is yours, say trust=mynet\n"
        )
    assert not (own / "imported").exists()
    assert not (own / "exported").exists()
    assert senas("front", "study.name=mine", "trust=mynet").code == 0
    said = senas("export", "study.name=mine", "trust=[mynet]")
    assert (said.code, said.err) == (0, "")
    assert 'senas.load("exported/mine", trust="mynet")' in said.out
    card = (own / "exported" / "mine" / "README.md").read_text()
    assert 'senas.load(".", trust="mynet")' in card
    assert "built by `mynet:build`" in card
    assert package.load("exported/mine", trust="mynet")(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.slow
def test_a_notebook_trusts_what_it_launched_and_is_asked_for_what_it_opens(own, forgotten):
    short = {"trainer": {"epochs": 1}, "tracking": "none", "progress": False}
    told = {"library": "custom", "target": "mynet:build"}
    study = package.search("backbone=custom", backbone=told, study={"name": "mine", "trials": 1}, **short)
    assert package.load(study.export("best"), trust="mynet")
    forgotten()
    for call in (
        lambda: package.open_study("mine"),
        lambda: package.export("mine", "again"),
        lambda: package.train("best", seeds=1, against=[], **short),
        lambda: package.search(config="runs/mine/config.yaml"),
    ):
        with pytest.raises(ConfigError, match=r"\Abackbone.target: .* names code, mynet:build, .* say trust=mynet\Z"):
            call()
    assert not (own / "imported").exists()
    assert package.open_study("mine", trust="mynet").name == "mine"
    assert package.train("best", seeds=1, against=[], trust="mynet", **short).runs.shape[0] == 1


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"backbone": {"name": "x", "library": "custom", "target": "evil:build"}}, "backbone.target"),
        ({"data": {"name": "custom", "target": "evil:Data"}}, "data.target"),
        ({"objective": {"name": "penalized", "penalty": 0.1, "metric": "evil:f1", "pick": "best"}}, "objective.metric"),
        ({"objective": {"name": "pareto", "metrics": ["val_loss", "evil:f1"], "pick": "best"}}, "objective.metric"),
        ({"sampler": {"_target_": "evil.Sampler"}}, "sampler._target_"),
        ({"sampler": {"_target_": "optuna.samplers.evil.Sampler"}}, "sampler._target_"),
        ({"pruner": {"_target_": "evil.Pruner"}}, "pruner._target_"),
    ],
)
def test_a_study_s_configuration_that_names_code_imports_nothing(copied, folder, senas, tree, changes, key):
    (folder / "evil.py").write_text("open('written', 'w')")
    file = copied / "pilot" / "config.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}))
    before = tree(folder)
    for arguments in (["front", "study.name=pilot"], ["export", "study.name=pilot", "trust=evi"]):
        said = senas(*arguments)
        assert (said.code, said.out) == (2, "")
        assert len(said.err.splitlines()) == 1
        assert said.err.startswith(f"senas: {key}: runs/pilot/config.yaml names code, ")
    assert "evil" not in sys.modules
    assert tree(folder) == before


@pytest.fixture
def evil(copied, folder):
    """An se.yaml without blocks that leads to the study `pilot`, with other entries for its backbone, and code beside
    it that would leave a file."""
    (folder / "evil.py").write_text("open('written', 'w')")

    def make(**changes):
        images = {"shape": [1, 8, 8], "mean": [0.0], "std": [1.0], "classes": list("0123456789")}
        backbone = {"name": "resnet8", "classes": 10, "channels": 1, **changes}
        plain = {"format": "senas-se-1", "backbone": backbone, "input": images, "se": {}}
        (folder / "se.yaml").write_text(yaml.safe_dump({**plain, "provenance": {"study": "pilot"}}))

    return make


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"library": "custom", "target": "evil:build"}, "backbone.target: se.yaml names code, evil:build, and "),
        ({"library": "timm", "name": "resnet10t", "args": {"stem_width": 99_999}}, "the network would have "),
        (
            {"library": "timm", "name": "resnet10t", "args": {"checkpoint_path": "x"}},
            "se.yaml is damaged",
        ),
    ],
)
def test_training_an_export_imports_nothing_and_builds_nothing_gigantic(evil, folder, senas, tree, changes, words):
    evil(**changes)
    before = tree(folder)
    said = senas("train", "se=se.yaml", "trust=other")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"senas: {words}")
    assert len(said.err.splitlines()) == 1
    assert tree(folder) == before


def test_training_an_export_on_a_study_s_own_data_needs_trust(evil, copied, folder, senas):
    evil()
    file = copied / "pilot" / "config.yaml"
    plain = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**plain, "data": {"name": "custom", "target": "evil:Data"}}))
    said = senas("train", "se=se.yaml")
    assert said.err.startswith("senas: data.target: the study of this export names code, evil:Data, and a file imports")
    assert not (folder / "written").exists()


def weights_of(seed, file):
    from senas.model.backbones import named

    torch.manual_seed(seed)
    torch.save(named("resnet8", classes=5, channels=1, width=16).state_dict(), file)


@pytest.mark.slow
def test_a_study_that_began_with_weights_says_so_and_is_trained_with_them(folder, senas, searched):
    weights_of(0, "a.pt")
    said = searched("backbone.weights=a.pt", "study.name=mine", "study.trials=1")
    assert said.code == 0
    assert "initial weights: a.pt, sha256 " in said.out
    assert "classifier fc: 5 classes of the weights, 10 of the images; begins anew" in said.out
    assert "initial weights: a.pt" in senas("sites", "backbone.weights=a.pt").out
    assert senas("export", "study.name=mine").code == 0
    text = (folder / "exported" / "mine" / "se.yaml").read_text()
    assert "initial_weights: a.pt, sha256" in text
    assert "weights" not in yaml.safe_load(text)["backbone"]
    train = (
        "train",
        "se=exported/mine",
        "against=[]",
        "seeds=1",
        "trainer.epochs=1",
        "tracking=none",
        "progress=false",
    )
    assert "initial weights: a.pt, sha256 " in senas(*train).out
    shutil.move("runs/mine", "runs/moved")
    said = senas(*train, "data=digits")
    assert "these trainings begin from scratch: exported/mine began with a.pt, sha256" in said.out
    assert "\ninitial weights: " not in said.out


@pytest.mark.slow
def test_other_weights_of_the_same_name_are_another_study(folder, searched):
    weights_of(0, "a.pt")
    assert searched("backbone.weights=a.pt", "study.name=mine", "study.trials=1").code == 0
    weights_of(1, "a.pt")
    said = searched("backbone.weights=a.pt", "study.name=mine", "study.trials=2")
    assert said.code == 2
    assert "backbone.weights is" in said.err


def test_the_same_weights_elsewhere_are_the_same_study(folder):
    from senas.app.calls import called

    weights_of(0, "a.pt")
    shutil.copy("a.pt", "b.pt")
    prints = [
        digest(set_up(called("search", [f"backbone.weights={name}"], {})).fingerprint) for name in ("a.pt", "b.pt")
    ]
    assert prints[0] == prints[1]


@pytest.mark.slow
def test_in_processes_of_their_own_a_backbone_is_searched_exported_trained_and_reloaded(own, program):
    short = ("trainer.epochs=1", "tracking=none", "progress=false")
    for arguments in (
        ("search", *MINE, "study.trials=1", *short),
        ("export", "study.name=mine", "trust=mynet"),
        ("train", "se=exported/mine", "against=[]", "seeds=1", "trust=mynet", *short),
    ):
        said = program(*arguments)
        assert (said.returncode, said.stderr) == (0, "")
    code = "import senas, torch; print(senas.load('exported/mine', trust='mynet')(torch.zeros(2, 1, 8, 8)).shape)"
    said = program(command=(sys.executable, "-c", code))
    assert said.stdout == "torch.Size([2, 10])\n", said.stderr


@pytest.mark.slow
def test_a_stripped_network_of_torchvision_is_searched_exported_and_reloaded_in_another_process(
    senas, searched, program
):
    small = ("backbone=torchvision", "backbone.name=mobilenet_v3_small", "+backbone.args.width_mult=0.25")
    said = searched(*small, "backbone.size=32", "backbone.strip_se=true", "study.name=mine", "study.trials=2")
    assert (said.code, said.err) == (0, "")
    said = senas("export", "study.name=mine", "pick=trial:0", "format=onnx")
    assert (said.code, said.err) == (0, "")
    assert "former: all" in said.out
    code = "import senas, torch; print(senas.load('exported/mine')(torch.zeros(2, 3, 32, 32)).shape)"
    said = program(command=(sys.executable, "-c", code))
    assert said.stdout == "torch.Size([2, 10])\n", said.stderr
