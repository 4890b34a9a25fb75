"""What comes out of surgery: a copy, of the backbone's own class and names; and what goes in is not touched."""

import copy
import pickle

import pytest
import torch
from torch import nn

from senas.core.block import Gate, Placement, SEBlock
from senas.core.config import SEConfig
from senas.errors import SpaceError, SurgeryError
from senas.exported.network import insert_se
from senas.model.backbones import named
from senas.model.cifar import CIFAR_DEPTHS, CifarResNet
from senas.model.cost import params
from senas.model.se import SqueezeExcitation
from senas.model.sites import trace
from senas.model.surgery import insert

P = Placement


def images(count=2, dtype=torch.float32):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(3), dtype=dtype)


def state(net):
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def assert_equal_states(ours, theirs):
    assert list(ours) == list(theirs)
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


def trained_a_little(net, seed=0):
    """Outputs of three steps of training and of the evaluation behind them, with the state at the end."""
    torch.manual_seed(seed)
    optimizer, outputs = torch.optim.SGD(net.parameters(), lr=0.1), []
    net.train()
    for _ in range(3):
        output = net(images(4))
        optimizer.zero_grad()
        output.square().mean().backward()
        optimizer.step()
        outputs.append(output.detach())
    net.eval()
    outputs.append(net(images(4)).detach())
    net.train()
    outputs.append(net(images(4)).detach())
    return torch.stack(outputs), state(net)


# The caller's module


@pytest.mark.parametrize("training", [True, False])
def test_the_callers_module_is_not_touched(net, everywhere, example, training):
    net.train(training)
    before, forward, kind = state(net), type(net).forward, type(net)
    insert_se(net, everywhere(), example)
    assert_equal_states(state(net), before)
    assert type(net) is kind
    assert type(net).forward is forward
    assert net.training is training
    assert all(module.training is training for module in net.modules())
    assert not any(isinstance(module, SqueezeExcitation) for module in net.modules())


def test_training_the_copy_leaves_the_callers_weights_alone(net, everywhere, example):
    before = state(net)
    trained_a_little(insert_se(net, everywhere(), example))
    assert_equal_states(state(net), before)


def test_a_trace_serves_any_number_of_surgeries(net, everywhere, example):
    traced = trace(net, example)
    first = insert(net, everywhere(P.PRE), traced)
    insert(net, everywhere(P.POST), traced)
    again = insert(net, everywhere(P.PRE), traced)
    assert torch.equal(first(images()), again(images()))


def test_surgery_does_not_draw_from_the_global_random_numbers(net, everywhere, example):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    insert_se(net, everywhere(), example)
    assert torch.equal(torch.get_rng_state(), before)


# Without SE


def test_without_blocks_training_and_evaluation_are_bit_for_bit_the_backbones(net, example):
    assert all(map(torch.equal, trained_a_little(insert_se(net, SEConfig(), example))[:1], trained_a_little(net)[:1]))


@pytest.mark.parametrize("traced_in", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("mode", [True, False], ids=["train", "eval"])
def test_blocks_that_start_as_the_identity_change_not_a_bit(net, everywhere, example, traced_in, mode):
    operated = insert_se(net.train(traced_in), everywhere(gate=Gate.TWICE_SIGMOID), example)
    assert torch.equal(operated.train(mode)(images(4)), net.train(mode)(images(4)))


def test_dropout_follows_the_mode_after_surgery(example, everywhere):
    net = nn.Sequential(CifarResNet(8, classes=5, width=4), nn.Dropout(0.5)).eval()
    operated = insert_se(net, SEConfig({"0.layer1.0": SEBlock(hidden=2)}), example)
    assert torch.equal(operated(images()), operated(images()))
    operated.train()
    assert (operated(images(8)) == 0).any()


# Names and classes


def test_the_backbones_keys_survive_in_their_order(net, everywhere, example):
    keys = [key for key in insert_se(net, everywhere(), example).state_dict() if ".se." not in key]
    assert keys == list(net.state_dict())


def test_a_block_is_called_se_in_the_module_of_its_unit(net, example):
    operated = insert_se(net, SEConfig({"layer2.0": SEBlock(hidden=2)}), example)
    added = {key for key in operated.state_dict() if key not in net.state_dict()}
    assert added == {f"layer2.0.se.{layer}.{what}" for layer in ("fc1", "fc2") for what in ("weight", "bias")}


def test_a_block_steps_aside_for_a_module_that_is_called_se_already(net, example):
    net.layer1[0].se = nn.Identity()
    operated = insert_se(net, SEConfig({"layer1.0": SEBlock(hidden=2)}), example)
    assert isinstance(operated.layer1[0].se, nn.Identity)
    assert isinstance(operated.layer1[0].se_, SqueezeExcitation)


def test_the_copy_is_of_the_backbones_class_in_name_and_kind(net, everywhere, example):
    operated = insert_se(net, everywhere(), example)
    assert isinstance(operated, type(net))
    assert type(operated).__name__ == type(net).__name__
    assert type(operated.layer1) is nn.Sequential


def test_weights_of_the_backbone_load_into_the_copy_but_for_its_blocks(net, everywhere, example):
    operated = insert_se(net, everywhere(), example)
    missing, unexpected = operated.load_state_dict(net.state_dict(), strict=False)
    assert unexpected == []
    assert all(".se." in key for key in missing)


# Copies of the copy


@pytest.mark.parametrize("how", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_a_copy_and_a_pickle_compute_the_same(net, everywhere, example, how):
    operated = insert_se(net, everywhere(P.PRE), example)
    again = how(operated)
    assert type(again).__name__ == type(operated).__name__
    assert isinstance(again, type(net))
    assert torch.equal(again(images()), operated(images()))
    assert_equal_states(state(again), state(operated))


def test_a_copy_has_weights_of_its_own(net, everywhere, example):
    operated = insert_se(net, everywhere(), example)
    before = operated.eval()(images())
    trained_a_little(copy.deepcopy(operated))
    assert torch.equal(operated.eval()(images()), before)


def test_a_pickle_of_a_pickle_is_still_whole(net, everywhere, example):
    operated = insert_se(net, everywhere(), example).eval()
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(operated))))
    assert torch.equal(again(images()), operated(images()))


def test_the_deepest_backbone_can_be_pickled(example):
    deepest = named(f"resnet{CIFAR_DEPTHS[-1]}", classes=5, channels=3, width=4)
    operated = insert_se(deepest, SEConfig({"layer1.0": SEBlock(hidden=2)}), example).eval()
    assert torch.equal(pickle.loads(pickle.dumps(operated))(images()), operated(images()))


def test_the_copy_can_be_exported_by_torch_for_any_batch(net, everywhere, example):
    operated = insert_se(net, everywhere(P.POST), example).eval()
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(operated, (images(),), dynamic_shapes=({0: batch},)).module()
    for count in (2, 5):
        torch.testing.assert_close(program(images(count)), operated(images(count)))


# Where and how the blocks are


def test_blocks_take_the_type_of_the_weights(net, everywhere):
    operated = insert(net.double(), everywhere(), trace(copy.deepcopy(net).float(), (3, 8, 8)))
    assert {parameter.dtype for parameter in operated.parameters()} == {torch.float64}
    assert operated(images(dtype=torch.float64)).dtype == torch.float64


def test_a_network_in_float64_can_be_traced(net, everywhere, example):
    traced = trace(net.double(), example)
    assert insert(net, everywhere(), traced)(images(dtype=torch.float64)).dtype == torch.float64


def test_blocks_go_into_a_network_in_channels_last(net, everywhere, example):
    expected = insert_se(net, everywhere(), example).eval()(images())
    operated = insert_se(net.to(memory_format=torch.channels_last), everywhere(), example).eval()
    assert operated.stem.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(operated(images().to(memory_format=torch.channels_last)), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_blocks_go_to_the_device_of_the_network(net, everywhere, example):
    operated = insert_se(net.cuda(), everywhere(), example)
    assert {parameter.device.type for parameter in operated.parameters()} == {"cuda"}
    assert operated(images().cuda()).isfinite().all()


@pytest.mark.parametrize("training", [True, False])
def test_blocks_are_in_the_mode_of_the_network(net, everywhere, example, training):
    operated = insert_se(net.train(training), everywhere(), example)
    assert all(module.training is training for module in operated.modules())


def test_a_block_starts_from_the_seed_and_its_site_whatever_other_sites_have(net, everywhere, example):
    traced = trace(net, example)
    alone = insert(net, everywhere(sites=["layer2.1"]), traced, seed=5)
    among = insert(net, everywhere(), traced, seed=5)
    assert_equal_states(state(alone.layer2[1].se), state(among.layer2[1].se))


def test_two_sites_and_two_seeds_start_from_different_weights(net, everywhere, example):
    traced = trace(net, example)
    one, other = (insert(net, everywhere(), traced, seed) for seed in (5, 6))
    weights = [one.layer2[0].se.fc1.weight, one.layer2[1].se.fc1.weight, other.layer2[0].se.fc1.weight]
    assert not any(torch.equal(a, b) for i, a in enumerate(weights) for b in weights[:i])


def test_a_block_starts_equal_at_every_placement_of_equal_channels(net, everywhere, example):
    traced = trace(net, example)
    one, other = (insert(net, everywhere(placement), traced) for placement in (P.STANDARD, P.POST))
    assert_equal_states(state(one.layer1[0].se), state(other.layer1[0].se))


def test_parameters_of_the_blocks_are_counted(net, everywhere, example):
    traced, config = trace(net, example), everywhere(P.INNER, bias=False)
    counted = params(insert(net, config, traced)) - params(net)
    assert counted == config.params(traced.sites) > 0


# Refusals


def test_a_site_that_the_network_lacks_is_named(net, example):
    with pytest.raises(SpaceError, match=r"\Athe network has no site layer9\.0; its sites are layer1\.0, .*\Z"):
        insert_se(net, SEConfig({"layer1.0": SEBlock(hidden=2), "layer9.0": SEBlock(hidden=2)}), example)


def test_a_placement_that_a_site_lacks_is_named(kinds):
    backbone, traced = kinds["plain"]
    config = SEConfig({"layer1.0": SEBlock(hidden=2, placement=P.POST_BEFORE_RELU)})
    with pytest.raises(SpaceError, match=r"\Asite layer1\.0 has no placement post_before_relu; it has pre, .*\Z"):
        insert(backbone, config, traced)


def test_a_network_that_has_blocks_already_is_refused(net, everywhere, example):
    operated = insert_se(net, everywhere(), example)
    with pytest.raises(SurgeryError, match=r"\ANet has SE blocks .*\Z"):
        insert_se(operated, everywhere(), example)


@pytest.mark.parametrize("kind", ["forward", "forward_pre", "full_backward", "full_backward_pre"])
def test_hooks_on_a_container_are_refused(net, everywhere, example, kind):
    getattr(net.layer1, f"register_{kind}_hook")(lambda *args: None)
    with pytest.raises(SurgeryError, match=r"\Alayer1 is a container with hooks.*leaf modules.*\Z"):
        insert_se(net, everywhere(), example)


def test_hooks_on_leaves_and_on_the_root_still_run(net, everywhere, example):
    heard = []
    net.register_forward_hook(lambda module, args, output: heard.append("root"))
    net.layer1[0].conv1.register_forward_hook(lambda module, args, output: heard.append("leaf"))
    operated = insert_se(net, everywhere(), example)
    heard.clear()
    operated(images())
    assert sorted(heard) == ["leaf", "root"]


class Undecided(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x) if x.mean() > 0 else x


def test_a_network_that_decides_by_the_data_is_refused_in_one_line(example):
    with pytest.raises(SurgeryError, match=r"\AUndecided cannot be traced by torch\.fx: .+\Z"):
        trace(Undecided(), example)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8)])
def test_an_image_that_does_not_fit_is_refused_in_one_line_with_the_cause(net, capfd, shape):
    words = "x".join(map(str, shape))
    with pytest.raises(SurgeryError, match=rf"\ANet does not run on an image of {words}: (?!ShapeProp).+\Z"):
        trace(net, shape)
    assert "Traceback" not in capfd.readouterr().err
