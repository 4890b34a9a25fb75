"""Sites by module path: nothing is traced, and the outputs of the modules named are gated in place."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from senas.core.block import Gate, Placement, SEBlock
from senas.core.config import SEConfig
from senas.core.site import Place
from senas.errors import SurgeryError
from senas.model.cost import params
from senas.model.se import SqueezeExcitation
from senas.model.sites import trace
from senas.model.surgery import insert

EXAMPLE = (3, 8, 10)


class Deciding(nn.Module):
    """Cannot be traced: it decides by the values of its input."""

    def __init__(self, channels, width):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, 2, 1)

    def forward(self, x):
        y = self.conv(x)
        return F.relu(y) if y.sum() > 0 else F.relu(-y)


class Net(nn.Module):
    """Each image of the batch by itself, which no graph could say."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.first = Deciding(4, 6)
        self.second = Deciding(6, 8)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.heads = nn.ModuleList([nn.Linear(8, 5)])

    def forward(self, x):
        x = self.pool(self.second(self.first(self.stem(x)))).flatten(1)
        return sum(head(x) for head in self.heads)


PATHS = ("stem", "first", "second")


@pytest.fixture
def net():
    return Net().eval()


def images(count=3):
    return torch.randn(count, *EXAMPLE, generator=torch.Generator().manual_seed(0))


def operated(net, paths=PATHS, **fields):
    return insert(
        net, SEConfig({path: SEBlock(hidden=2, placement=Placement.POST, **fields) for path in paths}), traced_at(net)
    )


def traced_at(net, paths=PATHS):
    return trace(net, EXAMPLE, modules=paths)


def test_each_module_named_is_a_site_with_the_placement_post(net):
    sites = traced_at(net).sites
    assert {site.name: dict(site.places) for site in sites} == {
        "stem": {Placement.POST: Place(4, 8, 10)},
        "first": {Placement.POST: Place(6, 4, 5)},
        "second": {Placement.POST: Place(8, 2, 3)},
    }


def test_sites_are_in_the_order_of_the_calls_however_they_are_named(net):
    assert [site.name for site in traced_at(net, ["second", "stem"]).sites] == ["stem", "second"]


def test_the_output_of_each_module_is_gated(net):
    ours = operated(net)

    def by_hand(x):
        x = ours.stem.se(F.relu(ours.stem[0](x)))
        for unit in (ours.first, ours.second):
            y = unit.conv(x)
            x = unit.se(F.relu(y) if y.sum() > 0 else F.relu(-y))
        return ours.heads[0](x.mean((2, 3)))

    torch.testing.assert_close(ours(images()), by_hand(images()))


def test_a_gate_that_starts_at_1_changes_not_a_bit_in_either_mode(net):
    ours = operated(net, gate=Gate.TWICE_SIGMOID)
    for mode in (True, False):
        assert torch.equal(ours.train(mode)(images()), net.train(mode)(images()))


def test_without_blocks_the_network_is_a_plain_copy(net):
    ours = insert(net, SEConfig(), traced_at(net))
    assert type(ours) is Net
    assert torch.equal(ours(images()), net(images()))


def test_the_backbone_is_not_touched(net):
    keys, kind = list(net.state_dict()), type(net.first)
    operated(net)
    assert list(net.state_dict()) == keys
    assert type(net.first) is kind
    assert not net.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_keys_of_the_backbone_stay_and_blocks_are_called_se(net):
    ours = operated(net)
    assert [key for key in ours.state_dict() if ".se." not in key] == list(net.state_dict())
    assert {key.partition(".se.")[0] for key in ours.state_dict() if ".se." in key} == set(PATHS)
    assert type(ours.first).__name__ == "Deciding"
    assert isinstance(ours.first, Deciding)


def test_parameters_of_the_blocks_are_as_the_closed_form_says(net):
    traced = traced_at(net)
    config = SEConfig({path: SEBlock(hidden=2, placement=Placement.POST) for path in PATHS})
    assert params(insert(net, config, traced)) - params(net) == config.params(traced.sites)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_a_copy_and_a_pickle_are_gated_with_blocks_of_their_own(net, how):
    ours = operated(net)
    again = how(how(ours))
    assert torch.equal(again(images()), ours(images()))
    with torch.no_grad():
        again.first.se.fc2.bias.add_(1)
    assert not torch.equal(again(images()), ours(images()))


def test_a_module_that_knows_itself_can_be_copied(net):
    net.first.me = [net.first]
    again = copy.deepcopy(operated(net))
    assert again.first.me == [again.first]


def test_hooks_run_and_see_the_gated_output(net):
    heard = []
    net.first.register_forward_hook(lambda module, args, output: heard.append(output))
    ours = operated(net)
    assert heard == []
    ours(images())
    before = ours.first.conv(ours.stem(images()))
    assert torch.equal(heard[-1], ours.first.se(F.relu(before) if before.sum() > 0 else F.relu(-before)))


def test_every_block_gets_gradients(net):
    ours = operated(net).train()
    ours(images()).square().sum().backward()
    blocks = [module for module in ours.modules() if isinstance(module, SqueezeExcitation)]
    assert len(blocks) == 3
    assert all(block.fc2.bias.grad.abs().sum() > 0 for block in blocks)


def test_modules_within_modules_are_gated_each():
    net = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    config = SEConfig({path: SEBlock(hidden=1, placement=Placement.POST) for path in ("0", "0.0")})
    ours = insert(net, config, trace(net, EXAMPLE, modules=["0", "0.0"])).eval()
    y = net.eval()[0][1](ours[0][0].se(net[0][0](images())))
    torch.testing.assert_close(ours(images()), ours[0].se(y).mean((2, 3)))


# Refusals, each in one line


def refusal(net, path):
    with pytest.raises(SurgeryError) as caught:
        trace(net, EXAMPLE, modules=["stem", path])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_path_that_is_not_there_is_named_with_the_nearest(net):
    assert refusal(net, "frist") == "backbone.modules: Net has no module frist; did you mean first?"


def test_a_list_of_modules_which_is_never_called_is_refused(net):
    assert refusal(net, "heads").startswith("backbone.modules: heads is never called itself")


def test_an_output_without_height_and_width_is_refused(net):
    assert refusal(net, "heads.0") == "backbone.modules: heads.0 gives a tensor of shape (2, 5), not (B, C, H, W)"


class Changed(Net):
    """`self.extra` is used as the test says."""

    def __init__(self, extra, use):
        super().__init__()
        self.extra, self.use = extra, use

    def forward(self, x):
        return super().forward(self.use(self, x))


def test_a_module_that_is_called_twice_is_refused():
    net = Changed(nn.Conv2d(3, 3, 1), lambda net, x: net.extra(net.extra(x)))
    assert refusal(net, "extra").startswith("backbone.modules: extra is called 2 times")


class Two(nn.Module):
    def forward(self, x):
        return x, x


def test_an_output_of_several_tensors_is_refused():
    assert "gives a tuple" in refusal(Changed(Two(), lambda net, x: net.extra(x)[0]), "extra")


class ChannelsLast(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 1)

    def forward(self, x):
        return self.conv(x).permute(0, 2, 3, 1)


@pytest.mark.parametrize("width", [3, 8], ids=["another number", "the number of channels is the height"])
def test_an_output_with_the_channels_last_is_refused(width):
    net = Changed(ChannelsLast(width), lambda net, x: net.extra(x).permute(0, 3, 1, 2)[:, :3])
    assert "whose dimension 1 is not the channels" in refusal(net, "extra")


class RunsAll(nn.Sequential):
    def forward(self, x):
        for module in self:
            x = F.relu(module(x))
        return x


def test_a_module_that_would_run_the_block_itself_is_refused():
    net = Changed(RunsAll(nn.Conv2d(3, 3, 1)), lambda net, x: net.extra(x))
    assert "runs all modules in it by itself" in refusal(net, "extra")


def test_a_dense_block_is_refused_too():
    torchvision = pytest.importorskip("torchvision")
    with pytest.raises(SurgeryError, match=r"\Abackbone\.modules: features\.denseblock1 runs all modules in it"):
        trace(torchvision.models.densenet121(), (3, 64, 64), modules=["features.denseblock1"])


def test_a_compiled_module_is_refused():
    net = Changed(torch.jit.script(nn.Sequential(nn.Conv2d(3, 3, 1))), lambda net, x: net.extra(x))
    assert "torch.jit" in refusal(net, "extra")


def test_an_image_that_does_not_fit_is_refused(net):
    with pytest.raises(SurgeryError, match=r"\ANet does not run on an image of 4x8x8: .+\Z"):
        trace(net, (4, 8, 8), modules=["stem"])


def test_the_windows_of_a_swin_transformer_are_refused():
    torchvision = pytest.importorskip("torchvision")
    with pytest.raises(SurgeryError, match="dimension 1 is not the channels"):
        trace(torchvision.models.swin_t(), (3, 64, 64), modules=["features.1"])
