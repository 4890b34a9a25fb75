"""Exports of networks of torchvision, timm and one's own: loaded again, and what a hostile se.yaml cannot do."""

import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from senas.core.backbone import Backbone
from senas.core.block import SEBlock
from senas.core.config import SEConfig
from senas.errors import ExportError, SenasError
from senas.exported import bounds
from senas.exported.folder import write
from senas.exported.growth import bounded
from senas.exported.network import insert_se, load, network
from senas.exported.package import Exported, read, se_yaml
from senas.model.backbones import build
from senas.model.sites import trace
from senas.model.surgery import insert

TARGET = "ownnet.deep:build"
CODE = """
from pathlib import Path
from torch import nn

class Unit(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x)

def build(classes, width=4, units=2):
    body, head = [Unit(width) for _ in range(units)], nn.Linear(width, classes)
    return nn.Sequential(nn.Conv2d(1, width, 3), *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)

Path(__file__).with_name("imported").touch()
"""
BACKBONES = {
    "torchvision": Backbone(name="mobilenet_v3_small", library="torchvision", args={"width_mult": 0.25}, size=(32, 32)),
    "timm": Backbone(name="resnet10t", library="timm", size=(32, 48), leaves=("layer4",)),
    "custom": Backbone(name="custom", library="custom", target=TARGET, args={"units": 3}),
}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The folder of a package of one's own, in the working directory; importing it leaves a file `imported`."""
    package = tmp_path / "ownnet"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "deep.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield package
    for name in ("ownnet", "ownnet.deep"):
        sys.modules.pop(name, None)


@pytest.fixture
def written(tmp_path, mine):
    """An export of a backbone with a block at its first site; its folder, and the network in memory."""

    def make(library):
        backbone, channels = BACKBONES[library], 1 if library == "custom" else 3
        shape = (channels, *(backbone.size or (8, 8)))
        net = build(backbone, classes=3, channels=channels, size=shape[1:])
        traced = trace(net, shape)
        site = traced.sites[0]
        config = SEConfig({site.name: SEBlock(hidden=2, placement=site.usual)})
        exported = Exported(
            config=config,
            backbone={"classes": 3, "channels": channels, **backbone.plain()},
            shape=shape,
            mean=(0.0,) * channels,
            std=(1.0,) * channels,
            classes=("a", "b", "c"),
        )
        net, images = insert(net, config, traced).eval(), torch.randn(5, *shape)
        write(tmp_path / "best", exported, traced.sites, net, [(images, torch.zeros(5, dtype=int))], trust=["ownnet"])
        return tmp_path / "best", net, images

    return make


@pytest.fixture
def hostile(tmp_path):
    """An se.yaml without blocks, with other entries for its backbone, timm's resnet10t."""

    def make(**changes):
        exported = Exported(
            config=SEConfig(),
            backbone={"name": "resnet10t", "classes": 2, "channels": 3, "library": "timm", "size": [32, 48], **changes},
            shape=(3, 32, 48),
            mean=(0.0,) * 3,
            std=(1.0,) * 3,
            classes=("a", "b"),
        )
        (tmp_path / "se.yaml").write_text(se_yaml(exported, []).replace("\nse:\n", "\nse: {}\n"))
        return tmp_path

    return make


@pytest.mark.parametrize("library", [pytest.param("torchvision", marks=pytest.mark.slow), "timm"])
def test_the_network_of_a_library_is_loaded_as_it_was(written, library):
    folder, net, images = written(library)
    with torch.no_grad():
        assert torch.equal(load(folder)(images), net(images))


def test_a_network_of_ones_own_is_handed_over_or_trusted(written):
    folder, net, images = written("custom")
    from ownnet.deep import build as build_mine

    with torch.no_grad():
        expected = net(images)
        for loaded in (
            load(folder, backbone=build_mine),
            load(folder, trust="ownnet"),
            load(folder, trust=["other", "ownnet.deep"]),
        ):
            assert torch.equal(loaded(images), expected)


def test_a_network_in_memory_is_handed_over_and_stays_as_it_is(written):
    folder, net, images = written("custom")
    from ownnet.deep import build as build_mine

    given = build_mine(3, units=3)
    before = given[0].weight.clone()
    with torch.no_grad():
        assert torch.equal(load(folder, backbone=given)(images), net(images))
    assert torch.equal(given[0].weight, before)


def test_a_function_that_does_not_take_the_arguments_of_an_export_is_told_which(written):
    folder, *_ = written("custom")
    from ownnet.deep import build as build_mine

    said = r"\Abackbone: <lambda> does not take the arguments .*, units=3 \(.*or hand over the network itself\Z"
    with pytest.raises(ExportError, match=said):
        load(folder, backbone=lambda classes: build_mine(classes, units=3))


@pytest.mark.parametrize("trust", [(), "ownne", "ownnet.deeper", "deep", ["other"]])
def test_without_trust_nothing_is_imported_and_one_line_says_both_ways(written, mine, trust):
    folder, *_ = written("custom")
    for name in ("ownnet", "ownnet.deep"):
        sys.modules.pop(name)
    (mine / "imported").unlink()
    said = r"\Athis export is of a backbone of .* own, ownnet.deep:build, .* backbone=[^\n]*trust=\"ownnet\"\Z"
    with pytest.raises(ExportError, match=said):
        load(folder, trust=trust)
    assert not (mine / "imported").exists()
    assert "ownnet.deep" not in sys.modules
    load(folder, trust="ownnet")
    assert (mine / "imported").exists()


def test_what_was_found_on_other_widths_needs_the_network_for_its_ratios(written):
    folder, *_ = written("custom")
    from ownnet.deep import build as build_mine

    wide = build_mine(3, width=8)
    assert insert_se(wide, folder, (1, 8, 8)).get_submodule("1.se")
    with pytest.raises(ExportError, match="this export is of a backbone of somebody's own"):
        insert_se(wide, folder, (1, 8, 8), keep="ratio")
    assert (
        insert_se(wide, folder, (1, 8, 8), keep="ratio", backbone=build_mine).get_submodule("1.se").fc1.out_features
        == 4
    )


def test_the_network_of_a_library_cannot_be_replaced_by_another(hostile):
    with pytest.raises(ExportError, match=r"\Athis export is of resnet10t, which senas builds; leave backbone= out\Z"):
        load(hostile(), backbone=nn.Linear(1, 1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"library": "hub"}, "backbone.library must be one of senas, torchvision, timm, custom"),
        ({"library": 3}, "backbone.library must be a text"),
        ({"library": "custom"}, "backbone.target must be given"),
        ({"target": "os:system"}, "backbone.target is for backbone=custom, got os:system"),
        ({"target": ["os"]}, "backbone.target must be a text"),
        ({"name": "hf-hub:timm/resnet18"}, "backbone.name must be a plain name"),
        ({"name": "local-dir:evil"}, "backbone.name must be a plain name"),
        ({"weights": "DEFAULT"}, "backbone: unknown key weights"),
        ({"args": {"pretrained": True}}, "backbone.args.pretrained: initial weights are named by"),
        ({"args": {"weights": "DEFAULT"}}, "backbone.args.weights: initial weights are named by"),
        ({"args": {"checkpoint_path": "evil"}}, "backbone.args.checkpoint_path: initial weights"),
        ({"args": {"pretrained_cfg": {"file": "evil"}}}, "backbone.args.pretrained_cfg: initial weights"),
        ({"args": {"norm_layer": "/evil.pt"}}, "backbone.args.norm_layer must be a word"),
        ({"args": {"act_layer": "os.system"}}, "backbone.args.act_layer must be a word"),
        ({"args": {"width_mult": 1e9}}, "backbone.args.width_mult must be a number of at most"),
        ({"args": [1]}, "backbone.args must have keys below it"),
        ({"size": [10**9, 8]}, "backbone.size must be a whole number from 1 to 16,384"),
        ({"size": 32}, "backbone.size must be a list of 2"),
        ({"size": [64, 64]}, "input.shape is 32 x 48, and images are scaled to 64 x 64"),
        ({"strip_se": "yes"}, "backbone.strip_se must be true or false"),
        ({"leaves": "all"}, "backbone.leaves must be a list of at most 2,000 texts"),
        ({"modules": ["x"] * 2001}, "backbone.modules must be a list of at most 2,000 texts"),
        ({"modules": ["x" * 201]}, "backbone.modules: a module path is longer than 200"),
        ({"modules": ["layer1"], "leaves": ["layer1"]}, "backbone.modules names the sites without tracing"),
    ],
)
def test_what_no_export_says_of_its_backbone_is_refused_by_its_key(hostile, changes, words):
    with pytest.raises(ExportError, match=rf"\A.*se\.yaml is damaged: {words}[^\n]*\Z"):
        read(hostile(**changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "resnet18x"}, 'backbone.name: timm has no "resnet18x"'),
        ({"library": "torchvision"}, 'backbone.name: torchvision has no "resnet10t"'),
        ({"args": {"nothing": 1}}, "backbone.args.nothing: resnet10t takes no such argument"),
        ({"args": {"block": "Exit"}}, "backbone.args: resnet10t raised "),
        ({"args": {"stem_width": 1_000_000}}, "the network would have [0-9,]+ parameters"),
        pytest.param(
            {"args": {"layers": [999_999] * 4}}, "the network would have more than 10,000", marks=pytest.mark.slow
        ),
        (
            {"library": "torchvision", "name": "densenet121", "args": {"bn_size": 99_999}},
            "the network would have [0-9,]+ parameters",
        ),
        (
            {"library": "torchvision", "name": "mobilenet_v3_small", "args": {"width_mult": 999_999}},
            "the network would have [0-9,]+ parameters",
        ),
    ],
)
def test_what_cannot_be_built_or_is_gigantic_is_refused_before_it_has_memory(hostile, changes, words):
    with pytest.raises(ExportError, match=rf"\A{words}[^\n]*\Z"):
        network(read(hostile(**changes)))


@pytest.mark.slow
def test_every_classification_network_of_torchvision_is_built_within_bounds_and_without_memory():
    from torchvision import models

    for name in models.list_models(module=models):
        with bounded():
            net = build(Backbone(name=name, library="torchvision"), classes=10, channels=3)
        assert {parameter.device.type for parameter in net.parameters()} == {"meta"}, name


def test_a_network_whose_constructor_counts_is_built_from_a_file(hostile):
    assert network(read(hostile(library="torchvision", name="regnet_y_400mf")))


def test_nothing_is_fetched(hostile, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("something was fetched"))
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: pytest.fail("something was fetched"))
    network(read(hostile()))
    network(read(hostile(name="resnet18", library="torchvision")))


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["timm", "custom", "os:system", "a/b", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["pretrained", "layers", "x"]), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(bounds.OPTIONS), values, max_size=4))
def test_whatever_a_file_says_of_a_backbone_is_a_value_or_one_line(changes):
    said = ""
    try:
        bounds.backbone({"backbone": {"name": "resnet18", "classes": 2, "channels": 3, **changes}})
    except SenasError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 600
