"""Folding on networks of torchvision and timm, with weights and statistics that no fresh network has: what stays where,
and that all else computes the same in float64."""

import copy

import pytest
import torch
from torchvision import models

from senas.core.block import Placement, SEBlock
from senas.core.config import SEConfig
from senas.model.fold import fold
from senas.model.gates import gate_paths, instead
from senas.model.sites import trace
from senas.model.surgery import insert

pytestmark = pytest.mark.slow
SIZES = {"squeezenet1_1": 64}
STRIPPED = ("efficientnet_b0",)
"""With the SE blocks that they came with taken out: those read what comes out of a SiLU."""
STAYING = {
    ("convnext_tiny", P): n for P, n in ((Placement.STANDARD, 18), (Placement.IDENTITY, 15), (Placement.POST, 18))
}
"""Sites that stay. In all others every gate folds."""


def built(name):
    kwargs = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    return getattr(models, name)(num_classes=7, **kwargs)


@pytest.mark.parametrize(
    "name",
    [
        *("resnet18", "resnet50", "regnet_x_400mf", "mobilenet_v2", "densenet121", "squeezenet1_1"),
        *("shufflenet_v2_x0_5", "googlenet", "convnext_tiny", *STRIPPED),
    ],
)
def test_every_gate_folds_but_those_between_what_has_no_scale(randomise, name):
    shape = (3, *[SIZES.get(name, 32)] * 2)
    torch.manual_seed(0)
    backbone = built(name)
    traced = trace(backbone, shape, strip_se=name in STRIPPED)
    backbone = randomise(backbone).eval()
    for placement in {placement: None for site in traced.sites for placement in site.places}:
        sites = [site for site in traced.sites if placement in site.places]
        config = SEConfig({site.name: SEBlock(hidden=2, placement=placement) for site in sites})
        factors = {site.name: 0.1 + torch.rand(site.places[placement].channels).double() for site in sites}
        net = insert(backbone, config, traced)
        folded = fold(backbone, net, config, traced, factors)
        assert len(folded.stayed) == STAYING.get((name, placement), 0), placement
        gone = {site: each for site, each in factors.items() if site not in folded.stayed}
        images = torch.randn(2, *shape, dtype=torch.float64)
        with torch.no_grad(), instead(net, gate_paths(backbone, config, traced), gone):
            expected = net(images)
            assert (folded.net(images) - expected).abs().max() <= 1e-10 * expected.abs().max(), placement


@pytest.mark.parametrize("name", ["regnetx_002", "mobilenetv2_035"])
def test_timms_norms_with_an_activation_inside_take_factors_where_it_is_a_relu(randomise, name):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    backbone = timm.create_model(name, num_classes=4)
    traced = trace(copy.deepcopy(backbone), (3, 32, 32))
    backbone = randomise(backbone).eval()
    config = SEConfig({s.name: SEBlock(hidden=2, placement=Placement.PRE) for s in traced.sites})
    factors = {s.name: 0.1 + torch.rand(s.places[Placement.PRE].channels).double() for s in traced.sites}
    net = insert(backbone, config, traced)
    folded = fold(backbone, net, config, traced, factors)
    assert folded.stayed == {}
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad(), instead(net, gate_paths(backbone, config, traced), factors):
        expected = net(images)
    assert (folded.net(images) - expected).abs().max() <= 1e-10 * expected.abs().max()
