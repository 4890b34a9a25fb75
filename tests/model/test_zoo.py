"""The networks that people have: how many units, and surgery at every placement of every site."""

import pytest
import torch
from torch import nn
from torchvision import models

from senas.core.block import Activation, Placement, SEBlock
from senas.core.config import SEConfig
from senas.core.site import stages
from senas.core.space import Axes, search_space
from senas.errors import SurgeryError
from senas.model.se import SqueezeExcitation
from senas.model.sites import trace
from senas.model.surgery import insert

P = Placement
pytestmark = pytest.mark.slow


def of_torchvision(name, **args):
    if name in ("googlenet", "inception_v3"):
        args |= {"aux_logits": False, "init_weights": False}
    if not name.startswith(("vgg", "alexnet")):
        return getattr(models, name)(weights=None, num_classes=10, **args)
    with torch.device("meta"):
        net = getattr(models, name)(weights=None)
        net.classifier = nn.Linear(net.classifier[1 if name == "alexnet" else 0].in_features, 10)  # else 120 M weights
    net.to_empty(device="cpu")
    for module in net.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return net


# How many units


RESIDUAL = {
    "resnet18": 8,
    "resnet50": 16,
    "mobilenet_v2": 10,
    "mnasnet0_5": 10,
    "regnet_y_400mf": 16,
    "efficientnet_b0": 9,
    "convnext_tiny": 18,
    "mobilenet_v3_large": 10,
    "maxvit_t": 11,
}


@pytest.mark.parametrize("name", RESIDUAL)
def test_torchvisions_networks_have_a_site_a_residual_unit(name):
    side = 224 if name == "maxvit_t" else 64
    sites = trace(of_torchvision(name), (3, side, side)).sites
    assert len(sites) == RESIDUAL[name]
    assert {P.PRE, P.STANDARD, P.IDENTITY, P.POST} <= set.intersection(*(set(site.places) for site in sites))


def test_res2net_has_a_site_a_unit_whatever_is_added_within():
    timm = pytest.importorskip("timm")
    assert len(trace(timm.create_model("res2net50_26w_4s"), (3, 64, 64)).sites) == 16


def test_units_of_one_path_in_hrnet_are_numbered():
    timm = pytest.importorskip("timm")
    traced = trace(timm.create_model("hrnet_w18_small"), (3, 64, 64))
    names = [site.name for site in traced.sites]
    assert (len(set(names)), len({unit.owner for unit in traced.units})) == (35, 27)
    assert {"stage2.0", "stage2.0-2", "stage3.0", "stage3.0-2", "stage3.0-3"} <= set(names)


PLAIN = {
    "alexnet": (5, "features.0"),
    "vgg11": (8, "features.0"),
    "vgg11_bn": (8, "features.0"),
    "vgg16_bn": (13, "features.0"),
    "squeezenet1_1": (25, "features.0"),  # 8 fire modules of 3, and the stem; the classifier's is none
    "densenet121": (59, "features.conv0"),  # 58 dense layers, and the stem
    "shufflenet_v2_x0_5": (37, "conv1.0"),
    "googlenet": (57, "conv1.conv"),
    "inception_v3": (94, "Conv2d_1a_3x3.conv"),
}


@pytest.mark.parametrize("name", PLAIN)
def test_networks_without_residual_units_have_their_convolutions(name):
    sites = trace(of_torchvision(name), (3, 96, 96)).sites
    assert (len(sites), sites[0].name) == PLAIN[name]
    assert {tuple(site.places) for site in sites} == {(P.PRE, P.STANDARD, P.POST)}


@pytest.mark.parametrize("name", ["swin_t", "vit_b_16"])
def test_a_vision_transformer_is_refused_in_one_line(name):
    with pytest.raises(SurgeryError, match=r"\A(Swin|Vision)Transformer has no site: .*backbone\.modules.*\Z"):
        trace(of_torchvision(name), (3, 224, 224))


# Stages


@pytest.mark.parametrize(
    ("name", "strip", "sizes"),
    [
        ("resnet18", False, [2, 2, 2, 2]),
        ("vgg16_bn", False, [2, 2, 3, 3, 3]),
        ("efficientnet_b0", False, [1, 1, 2, 2, 3]),
        ("efficientnet_b0", True, [1, 2, 2, 3, 3, 4, 1]),
    ],
)
def test_stages_are_those_of_the_papers(name, strip, sizes):
    sites = trace(of_torchvision(name), (3, 224, 224), strip_se=strip).sites
    assert [len(stage) for stage in stages(sites)] == sizes
    choices = search_space(sites, Axes(per="stage", placement=(sites[0].usual,))).choices
    assert [len(choice.sites) for choice in choices] == sizes


# Surgery


FAMILIES = {
    "resnet18": 64,
    "mobilenet_v2": 32,
    "mnasnet0_5": 32,
    "regnet_x_400mf": 32,
    "efficientnet_b0": 32,
    "mobilenet_v3_small": 32,
    "convnext_tiny": 32,
    "vgg11_bn": 32,
    "alexnet": 64,
    "squeezenet1_1": 64,
    "densenet121": 32,
    "shufflenet_v2_x0_5": 32,
    "googlenet": 32,
    "inception_v3": 80,
}


def gated(traced):
    """One configuration for each rank among the placements, so that every placement of every site is in one of them."""
    most = max(len(site.places) for site in traced.sites)
    for rank in range(most):
        yield SEConfig(
            {
                site.name: SEBlock(hidden=2, placement=list(site.places)[rank], activation=Activation.SILU)
                for site in traced.sites
                if rank < len(site.places)
            }
        )


@pytest.mark.parametrize("name", FAMILIES)
def test_every_placement_of_every_site_changes_what_is_computed_and_learns(name, randomise):
    side = FAMILIES[name]
    torch.manual_seed(0)
    backbone = randomise(of_torchvision(name)).float()
    traced = trace(backbone, (3, side, side))
    x = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(1))
    for config in gated(traced):
        net = insert(backbone, config, traced)
        calls = dict.fromkeys((m for m in net.modules() if isinstance(m, SqueezeExcitation)), 0)
        assert len(calls) == len(config)
        for block in calls:
            block.register_forward_hook(
                lambda block, args, output, calls=calls: calls.update({block: calls[block] + 1})
            )
        net.train()(x).square().mean().backward()
        assert set(calls.values()) == {1}
        for block in calls:
            for parameter in block.fc2.parameters():
                assert parameter.grad.isfinite().all()
                assert parameter.grad.abs().max() > 0
        assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)
        assert net.eval()(x).isfinite().all()


@pytest.mark.parametrize("name", FAMILIES)
def test_keys_and_values_of_the_backbone_survive_and_new_keys_are_the_blocks(name):
    backbone = of_torchvision(name)
    side = FAMILIES[name]
    traced = trace(backbone, (3, side, side))
    net = insert(backbone, SEConfig.everywhere(traced.sites), traced)
    blocks = tuple(f"{path}." for path, module in net.named_modules() if isinstance(module, SqueezeExcitation))
    theirs, ours = backbone.state_dict(), net.state_dict()
    assert [key for key in ours if not key.startswith(blocks)] == list(theirs)
    assert all(torch.equal(ours[key], value) for key, value in theirs.items())
    assert len(blocks) == len(traced.sites)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", FAMILIES)
def test_without_blocks_the_graph_computes_bit_for_bit_what_the_backbone_does(name, training):
    side = FAMILIES[name]
    backbone = of_torchvision(name).train(training)
    traced = trace(backbone, (3, side, side))
    # A block that is the identity: with none at all, no graph would run.
    first = traced.sites[0]
    config = SEConfig({first.name: SEBlock(hidden=1, placement=next(iter(first.places)))})
    net = insert(backbone, config, traced)
    (block,) = (module for module in net.modules() if isinstance(module, SqueezeExcitation))
    block.forward = nn.Identity().forward
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    outputs = []
    for each in (net, backbone):
        torch.manual_seed(2)  # of dropout
        outputs.append(each(x))
    assert torch.equal(*outputs)
