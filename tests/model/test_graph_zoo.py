"""Networks of torchvision and of timm compute after surgery what they did before, in train() and in eval()."""

import pytest
import torch
import torchvision
from torch import nn

from senas.core.block import Gate, SEBlock
from senas.core.config import SEConfig
from senas.errors import SurgeryError
from senas.model.sites import trace
from senas.model.surgery import insert

TORCHVISION = {
    **dict.fromkeys(("alexnet", "vgg11_bn", "squeezenet1_1", "densenet121", "shufflenet_v2_x0_5", "mnasnet0_5"), 64),
    **dict.fromkeys(("resnet18", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "regnet_y_400mf"), 64),
    **dict.fromkeys(("convnext_tiny", "googlenet"), 64),
    **dict.fromkeys(("inception_v3",), 128),
}
TIMM = {  # functional batch norm, stochastic depth, in-place scaling, split attention, re-parametrised branches, ...
    **dict.fromkeys(("resnet18", "seresnet18", "skresnet18", "resnest14d", "res2net50_26w_4s", "nf_resnet50"), 64),
    **dict.fromkeys(("efficientnet_lite0", "tf_mobilenetv3_small_100", "mixnet_s", "ghostnet_100", "lcnet_050"), 64),
    **dict.fromkeys(("repvgg_a0", "mobileone_s0", "hrnet_w18_small", "dla34", "edgenext_xx_small", "rexnet_100"), 64),
}


def randomised(net):
    """Statistics and scales that are not those of a fresh network, under which wrong graphs pass."""
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5, generator=generator)
            module.running_mean.normal_(0, 0.1, generator=generator)
    return net


def assert_survives(net, size):
    traced = trace(net, (3, size, size))
    block = {site.name: SEBlock(hidden=1, placement=site.usual, gate=Gate.TWICE_SIGMOID) for site in traced.sites}
    ours = insert(net, SEConfig(block), traced)  # the blocks give what they get, bit for bit
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    for mode in (True, False, True):
        outputs = []
        for each in (net, ours):
            torch.manual_seed(2)
            with torch.no_grad():
                outputs.append(each.train(mode)(images))
        assert torch.equal(*outputs)
    for name, buffer in net.named_buffers():
        assert torch.equal(ours.get_buffer(name), buffer), name


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISION)
def test_a_network_of_torchvision_goes_on_as_it_was(name):
    how = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    torch.manual_seed(0)
    assert_survives(randomised(torchvision.models.get_model(name, num_classes=5, **how)), TORCHVISION[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM)
def test_a_network_of_timm_goes_on_as_it_was(name):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    how = {} if name in ("ghostnet_100", "hrnet_w18_small", "dla34") else {"drop_path_rate": 0.2}
    assert_survives(randomised(timm.create_model(name, num_classes=5, **how)), TIMM[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_of_torchvision_are_refused_naming_the_argument(name):
    net = torchvision.models.get_model(name, init_weights=False)
    with pytest.raises(SurgeryError, match=r"\A\w+ has auxiliary heads in train\(\).*aux_logits=False\Z"):
        trace(net, (3, 128, 128))
