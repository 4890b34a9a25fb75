"""Backbones of every library and of one's own, built by a value."""

import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from senas.core.backbone import Backbone
from senas.errors import ConfigError
from senas.model.backbones import Builder, build, input_channels
from senas.model.classifier import check, run


class Plain(nn.Module):
    """A network of somebody's own: told of the classes, not of the channels."""

    def __init__(self, classes, depth=1):
        super().__init__()
        self.features = nn.Sequential(*(nn.Conv2d(3 if i == 0 else 4, 4, 3, padding=1) for i in range(depth)))
        self.fc = nn.Linear(4, classes)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


def finished(width=4):
    """One that cannot be told of anything: 1,000 classes, 1 channel."""
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 1000))


def of(library, name, **more):
    return Backbone(library=library, name=name, **more)


def mine(target, **args):
    return Backbone(name="custom", library="custom", target=target, args=args)


def built(backbone, classes=10, channels=3, **more):
    with torch.device("meta"):
        return build(backbone, classes=classes, channels=channels, **more)


@pytest.mark.parametrize(
    ("backbone", "channels", "side"),
    [
        (of("torchvision", "mobilenet_v3_small"), 3, 32),
        (of("torchvision", "squeezenet1_1"), 3, 64),
        (of("torchvision", "googlenet"), 3, 64),
        (of("timm", "seresnet18"), 1, 32),
        (of("senas", "resnet20", width=8), 1, 8),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_network_of_every_library_tells_so_many_classes_apart(backbone, channels, side):
    check(built(backbone, 7, channels), (channels, side, side), classes=7, what=backbone.name)


def test_arguments_reach_the_constructor():
    narrow = built(of("torchvision", "mobilenet_v3_small", args={"width_mult": 0.5}))
    assert narrow.features[0][0].out_channels == 8
    assert built(of("timm", "resnet18", args={"drop_path_rate": 0.3})).layer4[1].drop_path.drop_prob == 0.3


def test_auxiliary_heads_are_there_where_they_are_asked_for():
    assert built(of("torchvision", "googlenet")).aux1 is None
    assert built(of("torchvision", "googlenet", args={"aux_logits": True})).aux1 is not None


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        (of("torchvision", "resnet19"), 'backbone.name: torchvision has no "resnet19"; did you mean resnet18 or '),
        (of("torchvision", "fcn_resnet50"), "backbone.name: fcn_resnet50 is among torchvision's networks for segm"),
        (of("torchvision", "ssd300_vgg16"), "backbone.name: ssd300_vgg16 is among torchvision's networks for detec"),
        (of("timm", "seresnt18"), 'backbone.name: timm has no "seresnt18"; did you mean seresnet18 or '),
        (of("torchvision", "densenet121", args={"growth_rat": 1}), "takes no such argument; did you mean growth_rate"),
        (of("torchvision", "vgg11", args={"dropout": "a"}), "backbone.args: vgg11 raised TypeError: "),
        (of("senas", "resnet8", args={"width": 3}), "backbone.args: resnet8 takes none; backbone=torchvision "),
    ],
)
def test_what_a_library_does_not_have_is_one_line(backbone, words):
    with pytest.raises(ConfigError, match=rf"\A.*{words}.*\Z"):
        built(backbone)


def test_timm_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r'\Abackbone=timm needs timm, .*: pip install "senas\[timm\]"\Z'):
        built(of("timm", "resnet18"))


def test_a_network_of_ones_own_is_told_of_what_its_signature_names():
    backbone = mine("mynet:build", depth=2)
    net = built(backbone, 7, own=Plain)
    assert (net.fc.out_features, len(net.features)) == (7, 2)
    assert input_channels(backbone, 1, own=Plain) == 3
    assert input_channels(backbone, 1, own=lambda in_chans, depth: None) == 1


def test_the_classifier_of_a_network_that_cannot_be_told_of_classes_is_replaced():
    net = built(mine("mynet:build", width=5), 7, 1, own=finished, size=(8, 8))
    assert [layer.out_features for layer in net if isinstance(layer, nn.Linear)] == [7]
    assert input_channels(mine("mynet:build"), 3, own=finished) == 1


def test_a_network_in_memory_is_copied():
    mine_here = finished()
    net = built(mine("mynet:build"), 1000, 1, own=mine_here)
    assert type(net) is type(mine_here)
    assert net[0].weight is not mine_here[0].weight


@pytest.mark.parametrize(
    ("own", "args", "words"),
    [
        (Plain, {"dept": 2}, "backbone.args.dept: mynet:build takes no such argument; did you mean depth"),
        (Plain, {"classes": 2}, "backbone.args.classes: the images tell it; leave it out"),
        (Plain, {"depth": "a"}, "backbone.args: mynet:build raised TypeError: "),
        (lambda: 3, {}, "backbone.target: mynet:build gives something of type int; it must give an nn.Module"),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Flatten()), {}, "mynet:build gives 4,096 logits"),
        (finished(), {"width": 3}, "backbone.args: mynet:build is a network already, which takes no width"),
    ],
)
def test_what_cannot_be_built_of_ones_own_is_one_line(own, args, words):
    with pytest.raises(ConfigError, match=rf"\A.*{words}.*\Z"):
        build(mine("mynet:build", **args), classes=10, channels=3, own=own)


def test_a_target_that_is_no_function_is_one_line():
    with pytest.raises(ConfigError, match=r"\Abackbone.target: math:pi is no function or class but 3.14159"):
        build(mine("math:pi"), classes=10, channels=3)


@pytest.mark.parametrize(
    ("network", "shape", "words"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 4, 20), nn.Flatten()),
            (3, 8, 8),
            "backbone.size: it does not take images of 3 x 8",
        ),
        (nn.Conv2d(3, 4, 1), (3, 8, 8), r"backbone: it gives a tensor \(images, 4, 8, 8\), and senas needs logits"),
        (nn.ModuleList(), (3, 8, 8), "nor larger ones"),
        (Plain(9), (3, 8, 8), r"backbone: it gives a tensor \(images, 9\), and senas needs logits \(images, 10\)"),
    ],
)
def test_what_does_not_classify_the_images_is_one_line(network, shape, words):
    with pytest.raises(ConfigError, match=rf"\A.*{words}.*\Z"):
        check(network, shape, classes=10, what="it")


def test_images_that_are_too_small_are_told_a_size_that_is_not():
    with pytest.raises(ConfigError, match=r"scaled to (\d+) it does: backbone.size=\1\Z") as raised:
        check(built(of("torchvision", "inception_v3")), (3, 8, 8), classes=10, what="inception_v3")
    side = int(str(raised.value).rpartition("=")[2])
    check(built(of("torchvision", "inception_v3")), (3, side, side), classes=10, what="inception_v3")


def test_a_network_that_looks_at_values_is_run_all_the_same():
    class Looking(Plain):
        def forward(self, x):
            return super().forward(x) if x.max() >= 0 else x

    assert run(Looking(10), (3, 8, 8)).classifier == "fc"


@pytest.mark.parametrize(("name", "blocks"), [("mobilenet_v3_small", 9), ("efficientnet_b0", 16), ("resnet18", 0)])
def test_blocks_that_stay_in_a_backbone_are_told(name, blocks):
    backbone = Backbone(library="torchvision", name=name)
    told = " ".join(Builder(backbone, classes=3, channels=3, size=(32, 32)).remarks)
    assert told.count(f"{name} comes with {blocks} SE blocks of its own, which stay; backbone.strip_se=true") == (
        1 if blocks else 0
    )
    assert Builder(replace(backbone, strip_se=True), classes=3, channels=3, size=(32, 32)).remarks == ()
