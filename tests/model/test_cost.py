"""Costs: the closed form against what is counted, against published numbers, and against timm's networks."""

from contextlib import ExitStack
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torchvision import models

from senas.core.block import Placement, SEBlock, Squeeze, width
from senas.core.config import SEConfig
from senas.core.site import stages
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


def everywhere(traced, reduction, placement=Placement.STANDARD, **fields):
    return SEConfig(
        {
            site.name: SEBlock(hidden=width(site.places[placement].channels, reduction), placement=placement, **fields)
            for site in traced.sites
        }
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("placement", Placement)
def test_parameters_in_closed_form_are_those_counted(resnet50, placement, bias):
    backbone, traced = resnet50
    config = everywhere(traced, 16, placement, bias=bias)
    assert params(backbone) + config.params(traced.sites) == params(insert(backbone, config, traced))


@pytest.fixture(scope="module")
def oblong():
    """The same on images of 64 x 96: its trace, and the multiply-accumulates that it takes."""
    with torch.device("meta"):
        backbone = models.resnet50(weights=None)
    return backbone, trace(backbone, (3, 64, 96)), macs(backbone, (3, 64, 96))


@pytest.mark.parametrize(
    ("placement", "squeeze"), [*((each, Squeeze.LOCAL) for each in Placement), (Placement.STANDARD, Squeeze.AVG)]
)
def test_macs_in_closed_form_are_those_counted(oblong, placement, squeeze):
    backbone, traced, own = oblong
    config = everywhere(traced, 16, placement, squeeze=squeeze)
    assert own + config.macs(traced.sites) == macs(insert(backbone, config, traced), (3, 64, 96))


def test_resnet50_has_25557032_parameters(resnet50):
    assert params(resnet50[0]) == 25_557_032


# Hu et al., arXiv:1709.01507: (2/r) x sum over stages of N_s x C_s^2 more than the backbone's.
@pytest.mark.parametrize(
    ("reduction", "total"), [(2, 45_676_584), (4, 35_616_808), (8, 30_586_920), (16, 28_071_976), (32, 26_814_504)]
)
def test_se_resnet50_has_the_parameters_of_the_paper(resnet50, reduction, total):
    backbone, traced = resnet50
    assert params(insert(backbone, everywhere(traced, reduction, bias=False), traced)) == total


# Hu et al., section 6.4: most of it is in the last stage, where leaving SE out costs little accuracy.
def test_stages_of_se_resnet50_have_their_shares_of_the_parameters(resnet50):
    _, traced = resnet50
    config = everywhere(traced, 16, bias=False)
    added = [sum(site.params(config[site.name]) for site in run) for run in stages(traced.sites)]
    assert sum(added) == 2_514_944
    assert [f"{100 * each / sum(added):.1f}" for each in added] == ["1.0", "5.2", "31.3", "62.5"]


def test_se_resnet50_with_biases_has_28088024_parameters(resnet50):
    backbone, traced = resnet50
    assert params(insert(backbone, everywhere(traced, 16), traced)) == 28_088_024


def test_resnet50_takes_4089_million_multiply_accumulates_at_224_with_se_4092_and_with_local_gates_4500(resnet50):
    backbone, traced = resnet50
    plain = macs(backbone, IMAGENET)
    assert f"{plain / 1e9:.4f}" == "4.0892"
    assert f"{(plain + everywhere(traced, 16).macs(traced.sites)) / 1e9:.4f}" == "4.0917"
    local = everywhere(traced, 16, squeeze=Squeeze.LOCAL)
    assert f"{(plain + local.macs(traced.sites)) / 1e9:.4f}" == "4.5002"


def test_with_the_stride_where_the_paper_has_it_resnet50_takes_3858_million(resnet50):
    """Its layout: each stage halves at the first 1 x 1 convolution, torchvision's at the 3 x 3 one."""
    with torch.device("meta"):
        backbone = models.resnet50(weights=None)
    for module in backbone.modules():
        if isinstance(module, models.resnet.Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride
    traced = trace(backbone, IMAGENET)
    assert f"{macs(backbone, IMAGENET) / 1e9:.4f}" == "3.8580"
    assert f"{macs(insert(backbone, everywhere(traced, 16), traced), IMAGENET) / 1e9:.4f}" == "3.8605"
    # Hu et al., section 7.1: without a squeeze 4.27 GFLOPs, as they call them.
    local = everywhere(traced, 16, squeeze=Squeeze.LOCAL)
    assert f"{macs(insert(backbone, local, traced), IMAGENET) / 1e9:.4f}" == "4.2690"


# Every family: whatever the network is, a block costs what the closed form says


def without_weights(name, **options):
    """A network of torchvision that takes no memory. RegNet computes its widths with tensors, and needs a device."""
    if not name.startswith("regnet"):
        with torch.device("meta"):
            return models.get_model(name, weights=None, **options)
    with ExitStack() as stack:
        for init in ("normal_", "ones_", "zeros_", "kaiming_uniform_", "uniform_"):
            stack.enter_context(patch.object(nn.init, init, lambda tensor, *_, **__: tensor))
        return models.get_model(name, weights=None, **options).to("meta")


def sides(name):
    return 128 if name == "inception_v3" else 64


@pytest.fixture(scope="module")
def family():
    """A network of torchvision by name, its trace, and what it has by itself; each made once."""
    made = {}

    def of(name):
        if name not in made:
            options = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
            backbone = without_weights(name, **options)
            example = (3, sides(name), sides(name))
            made[name] = backbone, trace(backbone, example), params(backbone), macs(backbone, example), example
        return made[name]

    return of


FAMILIES = [
    "efficientnet_b0",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "resnext50_32x4d",
    "convnext_tiny",
    "mnasnet0_5",
]


@settings(max_examples=2)
@given(data=st.data())
@pytest.mark.parametrize("name", ["mobilenet_v2", *(pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES)])
def test_the_closed_form_is_what_is_counted_in_every_family(family, name, data):
    backbone, traced, own_params, own_macs, example = family(name)
    blocks = {}
    for site in traced.sites:
        placement = data.draw(st.none() | st.sampled_from(list(site.places)))
        if placement is not None:
            hidden = data.draw(st.integers(1, 64))
            squeeze, bias = data.draw(st.sampled_from(Squeeze)), data.draw(st.booleans())
            blocks[site.name] = SEBlock(hidden=hidden, placement=placement, squeeze=squeeze, bias=bias)
    config = SEConfig(blocks)
    net = insert(backbone, config, traced)
    assert params(net) == own_params + config.params(traced.sites)
    assert macs(net, example) == own_macs + config.macs(traced.sites)


def published():
    """Every network of torchvision that classifies, with each of its published weights at another image size."""
    found = {}
    for name in models.list_models(module=models):
        for weights in models.get_model_weights(name):
            found[name, weights.transforms.keywords["crop_size"]] = weights.meta
    return [pytest.param(name, size, meta, id=f"{name}-{size}") for (name, size), meta in found.items()]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size", "meta"), published())
def test_counts_are_those_that_torchvision_publishes(name, size, meta):
    """Its table is in units of 10^9 multiply-accumulates, rounded to three decimals, whatever it is called there."""
    drawn = {"init_weights": False}
    options = {"googlenet": {"aux_logits": False, **drawn}, "inception": drawn, "vit": {"image_size": size}}
    net = without_weights(name, **options.get(name.split("_")[0], {}))
    assert params(net) == meta["num_params"]
    assert macs(net, (3, size, size)) / 1e9 == pytest.approx(meta["_ops"], abs=0.000501)


# What is counted


def test_a_grouped_convolution_counts_the_channels_of_its_group():
    assert macs(nn.Conv2d(8, 16, 3, padding=1, groups=4), (8, 5, 5)) == 2 * 9 * 16 * 25
    assert macs(nn.Conv2d(8, 8, 3, padding=1, groups=8), (8, 5, 5)) == 9 * 8 * 25


class Functional(nn.Module):
    """Layers by hand: a linear one by its function, a product of matrices by its operator."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(5, 12))

    def forward(self, x):
        flat = x.flatten(1)
        return nn.functional.linear(flat, self.weight) @ self.weight


def test_functional_layers_and_products_of_matrices_are_counted():
    assert macs(Functional(), (3, 2, 2)) == 12 * 5 + 5 * 12


def test_attention_is_counted():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            tokens = x.flatten(2).transpose(1, 2)
            return self.attention(tokens, tokens, tokens, need_weights=False)[0]

    tokens = 9
    assert macs(Attention(), (8, 3, 3)) == 4 * tokens * 8 * 8 + 2 * tokens * tokens * 8


class Elsewhere(nn.Module):
    """Looks at a value, and makes a tensor of its own on the CPU: neither can be on the meta device."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return self.conv(x + torch.ones(1)) if float(x.sum()) == 0 else x


def test_what_cannot_be_on_the_meta_device_is_counted_on_the_cpu():
    assert macs(Elsewhere(), (3, 2, 2)) == 3 * 4 * 4


def test_a_network_that_takes_no_such_image_fails_as_it_does_by_itself():
    with pytest.raises(RuntimeError, match="channels"):
        macs(nn.Conv2d(3, 4, 1), (1, 8, 8))


def test_counting_copies_no_weights(monkeypatch):
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    copied, real = [], {kind: kind.__deepcopy__ for kind in (torch.Tensor, nn.Parameter)}
    for kind, copy in real.items():
        spy = lambda self, memo, copy=copy: copied.append(self.device.type) or copy(self, memo)  # noqa: E731
        monkeypatch.setattr(kind, "__deepcopy__", spy)
    assert macs(net, (3, 8, 8)) == 3 * 4 * 64
    assert "cpu" not in copied


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
