"""An SE configuration to take away: written, read, loaded, and refused where it cannot be trusted."""

import math

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

import senas
from senas.core.block import Placement, SEBlock
from senas.core.config import SEConfig
from senas.errors import ExportError, SenasError, SpaceError
from senas.exported.folder import write
from senas.exported.network import insert_se, load, network
from senas.exported.package import read, se_yaml
from senas.model.backbones import named
from senas.model.se import SqueezeExcitation
from senas.model.sites import trace
from senas.model.surgery import insert

BACKBONE = {"name": "resnet8", "classes": 5, "channels": 1, "width": 4}
SHAPE = (1, 8, 8)
SCORES = {"val_loss": 0.123456789012345, "se_params": 100, "macs": 1e9}


# There and back


def test_the_reloaded_network_predicts_what_the_one_in_memory_does(
    tmp_path, exported, traced, net, validation, monkeypatch
):
    parity = write(tmp_path / "best", exported, traced.sites, net, [validation])
    images, labels = validation
    with torch.no_grad():
        logits = net(images)
    assert (parity.images, parity.difference) == (700, 0)
    assert parity.val_loss == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-5)
    assert parity.val_accuracy == float((logits.argmax(1) == labels).double().mean())
    assert torch.equal(load(tmp_path / "best")(images[:500]), net(images[:500]))


def test_a_difference_is_refused_and_nothing_is_left(tmp_path, exported, traced, net, validation):
    class Moody(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def state_dict(self, *args, **kwargs):
            return self.net.state_dict()

        def forward(self, x):
            return self.net(x) + 0.25

    with pytest.raises(ExportError, match=r"\Athe reloaded network's logits differ by 0\.25 "):
        write(tmp_path / "best", exported, traced.sites, Moody(), [validation])
    assert list(tmp_path.iterdir()) == []


def test_the_loaded_network_is_in_eval_with_the_weights_of_the_study(folder, net):
    loaded = load(folder)
    assert not any(module.training for module in loaded.modules())
    for name, tensor in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_the_public_load_is_this_one(folder, validation):
    assert torch.equal(senas.load(str(folder))(validation[0][:4]), load(folder)(validation[0][:4]))


def test_what_is_read_is_what_was_written(folder, exported):
    assert read(folder) == read(folder / "se.yaml") == read(str(folder)) == exported


def test_weights_in_channels_last_are_written_too(tmp_path, exported, traced, net, validation):
    import copy

    last = copy.deepcopy(net).to(memory_format=torch.channels_last)
    assert write(tmp_path / "best", exported, traced.sites, last, [validation]).difference < 1e-4


def test_an_export_without_se_can_be_read_and_loaded(tmp_path, exported, traced, validation):
    from dataclasses import replace

    plain = named(**BACKBONE).eval()
    parity = write(tmp_path / "none", replace(exported, config=SEConfig()), traced.sites, plain, [validation])
    assert parity.difference == 0
    assert read(tmp_path / "none").config == SEConfig()


def test_exporting_again_into_the_same_folder_replaces_all_files(folder, exported, traced, validation):
    from dataclasses import replace

    other = SEConfig({"layer2.0": SEBlock(hidden=1)})
    fresh = insert(named(**BACKBONE), other, traced).eval()
    write(folder, replace(exported, config=other), traced.sites, fresh, [validation])
    assert read(folder).config == other
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "se.yaml", "weights.safetensors"]
    assert torch.equal(load(folder)(validation[0][:4]), fresh(validation[0][:4]))


def test_a_folder_of_folders_is_made(tmp_path, exported, traced, net, validation):
    write(tmp_path / "a" / "b", exported, traced.sites, net, [validation])
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


# What the file looks like


def test_the_file_is_plain_yaml_with_the_configuration_in_it(exported, traced):
    plain = yaml.safe_load(se_yaml(exported, traced.sites))
    assert plain["format"] == "senas-se-1"
    assert SEConfig.from_plain(plain["se"]) == exported.config
    assert plain["backbone"] == BACKBONE
    assert plain["scores"] == SCORES


def test_every_site_has_a_line_that_says_in_words_what_is_there(exported, traced):
    lines = se_yaml(exported, traced.sites).splitlines()
    assert "  layer2.0: none" in lines
    (pre,) = [line for line in lines if line.startswith("  layer1.0: ")]
    assert pre.endswith("# r2 pre, 4 channels at 8 x 8")
    assert "placement: pre" in pre


@pytest.mark.parametrize("name", ["4.10", "1e3", "on", "null", "0", "0o17", "1_0", "layer1.0"])
def test_a_site_keeps_its_name_whatever_yaml_would_make_of_it(exported, traced, name):
    from dataclasses import replace

    sites = [replace(traced.sites[0], name=name)]
    config = SEConfig({name: SEBlock(hidden=2)})
    text = se_yaml(replace(exported, config=config), sites)
    assert SEConfig.from_plain(yaml.safe_load(text)["se"]) == config


def test_only_three_files_are_written_and_none_is_a_pickle(folder, exported):
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "se.yaml", "weights.safetensors"]
    assert set(load_file(folder / "weights.safetensors")) == set(network(exported).state_dict())


# Files that cannot be read or trusted


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "it is not YAML"),
        (b"\xff\xfe\x00", "it is not YAML"),
        (b"format: senas-se-1\nformat: [", "it is not YAML"),
        (b"", "is not an SE configuration of senas"),
        (b"[1, 2]", "is not an SE configuration of senas"),
        (b"some text", "is not an SE configuration of senas"),
        (b"format: senas-se-2\nse: {}", "is not an SE configuration of senas"),
        (b"layer1.0: {hidden: 2}", "is not an SE configuration of senas"),
    ],
)
def test_a_corrupt_or_foreign_file_is_refused_in_one_line(folder, content, words):
    (folder / "se.yaml").write_bytes(content)
    with pytest.raises(ExportError, match=rf"\A.*se\.yaml .*{words}.*\Z"):
        load(folder)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ExportError, match=r"\A.*nowhere cannot be read: No such file or directory\Z"):
        load(tmp_path / "nowhere")


def test_a_folder_without_an_export_is_refused(tmp_path):
    with pytest.raises(ExportError, match=r"\A.*se\.yaml cannot be read: No such file or directory\Z"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"se": None}, "se is missing"),
        ({"backbone": None}, "backbone is missing"),
        ({"input": None}, "input is missing"),
        ({"input": {"shape": [1, 8, 8]}}, "mean is missing"),
        ({"input": {"shape": 8}}, "damaged"),
        ({"input": "none"}, "damaged"),
        ({"backbone": "resnet8"}, "damaged"),
        ({"se": ["layer1.0"]}, "maps sites to SE blocks"),
        ({"se": {"layer1.0": {"hidden": 0}}}, "site layer1.0: hidden"),
        ({"se": {"layer1.0": {"hiden": 2}}}, 'site layer1.0: unknown key "hiden"'),
        ({"se": {"layer1.0": {"hidden": 2, "placement": "side"}}}, "site layer1.0: placement"),
    ],
)
def test_a_damaged_file_is_refused_with_what_is_wrong(damaged, changes, words):
    with pytest.raises(ExportError, match=rf"\A.*se\.yaml is damaged: .*{words if words != 'damaged' else ''}.*\Z"):
        load(damaged(**changes))


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        ({"name": "resnet8", "classes": 5}, "backbone: channels is missing; it needs name, classes, channels"),
        (
            {**BACKBONE, "weights": "evil.pt"},
            "backbone: unknown key weights; there are name, classes, channels, library, target, args, "
            "width, size, strip_se, leaves, modules",
        ),
        ({**BACKBONE, "classes": "five"}, "backbone.classes must be a whole number from 1 to 100,000, got five"),
        ({**BACKBONE, "classes": -1}, "backbone.classes must be a whole number from 1 to 100,000, got -1"),
        ({**BACKBONE, "channels": True}, "backbone.channels must be a whole number from 1 to 4,096, got True"),
        ({**BACKBONE, "width": "4"}, "backbone.width must be a whole number from 1 to 4,096, got 4"),
        ({**BACKBONE, "width": 4.0}, "backbone.width must be a whole number from 1 to 4,096, got 4.0"),
        ({**BACKBONE, "name": 8}, "backbone.name must be a name, got 8"),
    ],
)
def test_a_backbone_that_cannot_be_built_is_refused_in_one_line(damaged, backbone, words):
    with pytest.raises(ExportError, match=rf"\A.*se\.yaml is damaged: {words}\Z"):
        load(damaged(backbone=backbone))


@pytest.mark.parametrize("name", ["os.system", "vgg16", "resnet9", "torchvision.models.resnet18"])
def test_an_unknown_backbone_is_refused_with_those_there_are(damaged, name):
    with pytest.raises(ExportError, match=rf"\Abackbone\.name: unknown backbone .*{name}.*resnet8.*\Z"):
        load(damaged(backbone={**BACKBONE, "name": name}))


def test_a_configuration_for_another_backbone_is_refused_by_its_sites(damaged):
    with pytest.raises(ExportError, match=r"\Athis SE configuration does not fit .*no site layer9\.0.*\Z"):
        load(damaged(se={"layer9.0": {"hidden": 2}}))


@pytest.mark.parametrize("shape", [[3, 8, 8], [1, 8], ["a", "b", "c"], [1, 0, 0]])
def test_a_shape_that_the_backbone_cannot_take_is_refused_in_one_line(folder, damaged, shape):
    plain = read(folder)
    changed = {"shape": shape, "mean": list(plain.mean), "std": list(plain.std), "classes": list(plain.classes)}
    with pytest.raises(SenasError, match=r"\A.+\Z"):
        load(damaged(input=changed))


@pytest.mark.parametrize(
    "hostile",
    [
        "!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{file}']]",
        "!!python/object/new:os.system ['touch {file}']",
        "!!python/name:os.system",
        "!!python/module:os",
    ],
)
def test_hostile_yaml_is_refused_and_not_executed(folder, tmp_path, hostile):
    file = tmp_path / "executed"
    text = (folder / "se.yaml").read_text()
    (folder / "se.yaml").write_text(f"{text}\nextra: {hostile.format(file=file)}\n")
    with pytest.raises(ExportError, match=r"\A.*se\.yaml cannot be read: it has a tag \(!\), which no se\.yaml has\Z"):
        load(folder)
    assert not file.exists()


# Weights


def test_missing_weights_are_named(folder):
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ExportError, match=r"\A.*weights\.safetensors cannot be read: .*\Z"):
        load(folder)


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: b"pickle", lambda content: content[:-4]])
def test_corrupt_weights_are_refused_in_one_line(folder, damage):
    file = folder / "weights.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ExportError, match=r"\A.*weights\.safetensors cannot be read: .*\Z"):
        load(folder)


def test_a_pickle_in_place_of_the_weights_is_refused_and_not_executed(folder, net):
    torch.save(net.state_dict(), folder / "weights.safetensors")
    with pytest.raises(ExportError, match=r"\A.*weights\.safetensors cannot be read: .*\Z"):
        load(folder)


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape"])
def test_weights_of_another_network_are_refused_with_the_first_difference(folder, change):
    weights = load_file(folder / "weights.safetensors")
    if change == "missing":
        del weights["layer1.0.se.fc1.weight"]
    elif change == "unexpected":
        weights["layer2.0.se.fc1.weight"] = torch.zeros(1)
    else:
        weights["fc.weight"] = torch.zeros(6, 16)
    save_file(weights, folder / "weights.safetensors")
    words = {"missing": "layer1.0.se.fc1.weight", "unexpected": "layer2.0.se.fc1.weight", "shape": "fc.weight"}
    with pytest.raises(ExportError, match=rf"\A.*holds the weights of another network: .*{words[change]}.*\Z"):
        load(folder)


# On a network of yours


@pytest.fixture
def resnet18():
    from torchvision import models

    return models.resnet18(weights=None, num_classes=7)


@pytest.fixture
def for_resnet18(tmp_path, exported):
    """An se.yaml made for a resnet18 with other classes."""
    from dataclasses import replace

    backbone = {"name": "resnet18", "classes": 10, "channels": 3}
    sites = trace(named(**backbone), (3, 32, 32)).sites
    config = SEConfig({"layer1.0": SEBlock(hidden=4), "layer4.1": SEBlock(hidden=32, placement=Placement.PRE)})
    file = tmp_path / "se.yaml"
    other = replace(
        exported,
        backbone=backbone,
        shape=(3, 32, 32),
        mean=(0.5, 0.5, 0.5),
        std=(0.2, 0.2, 0.2),
        classes=tuple("0123456789"),
        config=config,
    )
    file.write_text(se_yaml(other, sites))
    return file


@pytest.mark.parametrize("given", ["file", "text", "folder", "value"])
def test_a_configuration_goes_into_a_network_with_other_classes(resnet18, for_resnet18, given):
    configuration = {
        "file": for_resnet18,
        "text": str(for_resnet18),
        "folder": for_resnet18.parent,
        "value": read(for_resnet18).config,
    }[given]
    images = torch.randn(2, 3, 32, 32)
    operated = senas.insert_se(resnet18, configuration, images)
    assert operated(images).shape == (2, 7)
    assert [key for key in operated.state_dict() if ".se." not in key] == list(resnet18.state_dict())
    blocks = {name: module for name, module in operated.named_modules() if isinstance(module, SqueezeExcitation)}
    assert list(blocks) == ["layer1.0.se", "layer4.1.se"]
    assert not any(isinstance(module, SqueezeExcitation) for module in resnet18.modules())


def test_an_example_may_be_a_batch_or_a_shape(resnet18, for_resnet18):
    images = torch.randn(2, 3, 32, 32)
    by_batch, by_shape = (insert_se(resnet18, for_resnet18, given).eval() for given in (images, (3, 32, 32)))
    assert torch.equal(by_batch(images), by_shape(images))


def test_sites_that_the_network_lacks_are_named(resnet18):
    config = SEConfig({"layer1.0": SEBlock(hidden=4), "layer3.5": SEBlock(hidden=4)})
    with pytest.raises(SpaceError, match=r"\Athe network has no site layer3\.5; its sites are layer1\.0, .*\Z"):
        senas.insert_se(resnet18, config, (3, 32, 32))


def test_scores_may_be_left_out(exported, traced, tmp_path):
    from dataclasses import replace

    (tmp_path / "se.yaml").write_text(se_yaml(replace(exported, scores={}, provenance={}), traced.sites))
    assert (read(tmp_path).scores, read(tmp_path).provenance) == ({}, {})


def test_numbers_survive_to_the_last_digit(folder):
    assert math.isclose(read(folder).scores["val_loss"], SCORES["val_loss"], rel_tol=0, abs_tol=0)
