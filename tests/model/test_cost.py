"""Costs: the closed form against what is counted, against published numbers, and against timm's networks."""

import pytest
import torch
from torch import nn
from torchvision import models

from senas.core.block import Placement, SEBlock, width
from senas.core.config import SEConfig
from senas.model.backbones import named
from senas.model.cost import macs, params
from senas.model.sites import trace
from senas.model.surgery import insert

IMAGENET = (3, 224, 224)


@pytest.fixture(scope="module")
def resnet50():
    """torchvision's resnet50 without storage for its weights, and its trace."""
    with torch.device("meta"):
        backbone = models.resnet50(weights=None)
    return backbone, trace(backbone, IMAGENET)


def everywhere(traced, reduction, placement=Placement.STANDARD, bias=True):
    return SEConfig(
        {
            site.name: SEBlock(hidden=width(site.places[placement].channels, reduction), placement=placement, bias=bias)
            for site in traced.sites
        }
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("placement", Placement)
def test_parameters_in_closed_form_are_those_counted(resnet50, placement, bias):
    backbone, traced = resnet50
    config = everywhere(traced, 16, placement, bias)
    assert params(backbone) + config.params(traced.sites) == params(insert(backbone, config, traced))


@pytest.mark.parametrize("placement", Placement)
def test_macs_in_closed_form_are_those_counted(resnet50, placement):
    backbone, traced = resnet50
    config, example = everywhere(traced, 16, placement), (3, 64, 64)
    assert macs(backbone, example) + config.macs(traced.sites) == macs(insert(backbone, config, traced), example)


def test_resnet50_has_25557032_parameters(resnet50):
    assert params(resnet50[0]) == 25_557_032


# Hu et al., arXiv:1709.01507: (2/r) x sum over stages of N_s x C_s^2 more than the backbone's.
@pytest.mark.parametrize(
    ("reduction", "total"), [(2, 45_676_584), (4, 35_616_808), (8, 30_586_920), (16, 28_071_976), (32, 26_814_504)]
)
def test_se_resnet50_has_the_parameters_of_the_paper(resnet50, reduction, total):
    backbone, traced = resnet50
    assert params(insert(backbone, everywhere(traced, reduction, bias=False), traced)) == total


def test_se_resnet50_with_biases_has_28088024_parameters(resnet50):
    backbone, traced = resnet50
    assert params(insert(backbone, everywhere(traced, 16), traced)) == 28_088_024


def test_resnet50_takes_4089_million_multiply_accumulates_at_224_and_with_se_4092(resnet50):
    backbone, traced = resnet50
    plain = macs(backbone, IMAGENET)
    assert f"{plain / 1e9:.4f}" == "4.0892"
    assert f"{(plain + everywhere(traced, 16).macs(traced.sites)) / 1e9:.4f}" == "4.0917"


def test_macs_are_counted_for_one_image():
    # 3 x 3 x 3 weights for each of 4 x 8 x 8 outputs, then 4 x 5 of the linear layer
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    assert macs(net, (3, 8, 8)) == 27 * 4 * 64 + 4 * 5


def test_counting_leaves_the_network_as_it_was(net):
    before = {name: tensor.clone() for name, tensor in net.train().state_dict().items()}
    macs(net, (3, 8, 8))
    assert net.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_macs_of_a_network_in_float64_are_the_same(net):
    assert macs(net, (3, 8, 8)) == macs(net.double(), (3, 8, 8))


def test_running_statistics_are_no_parameters():
    assert params(nn.BatchNorm2d(8)) == 16


# timm's SE networks, in which somebody else wrote the block by hand


@pytest.mark.slow
def test_the_network_computes_what_timms_seresnet50_does():
    import timm

    torch.manual_seed(0)
    theirs = timm.create_model("seresnet50", pretrained=False, num_classes=10).double().eval()
    for module in theirs.modules():  # fresh ones have a last norm of zero, which hides the whole branch
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_(0, 0.2)
    backbone = named("resnet50", classes=10, channels=3)
    traced = trace(backbone, (3, 64, 64))
    ours = insert(backbone.double(), SEConfig.everywhere(traced.sites, 16), traced).eval()
    given = {
        key: value.flatten(1) if ".se.fc" in key and value.ndim == 4 else value
        for key, value in theirs.state_dict().items()
    }
    ours.load_state_dict(given)
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-9, atol=1e-9)


def test_timms_seresnet50_has_as_many_parameters(resnet50):
    import timm

    with torch.device("meta"):
        theirs = timm.create_model("seresnet50", pretrained=False)
    backbone, traced = resnet50
    assert params(theirs) == params(insert(backbone, everywhere(traced, 16), traced))
