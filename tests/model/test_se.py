"""SqueezeExcitation: against torchvision's, against the paper's formula written out, and at its start."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.ops import SqueezeExcitation as TorchvisionSE

from senas.core.block import Activation, Gate, SEBlock, Squeeze
from senas.model.se import SqueezeExcitation

C, HIDDEN = 6, 3
GATES = {
    Gate.SIGMOID: torch.sigmoid,
    Gate.HARD_SIGMOID: lambda z: ((z + 3) / 6).clamp(0, 1),
    Gate.TWICE_SIGMOID: lambda z: 2 * torch.sigmoid(z),
}


def images(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, C, 5, 7, generator=generator, dtype=torch.float64)


def block(**fields):
    """An SE block in float64, every weight of it drawn."""
    torch.manual_seed(0)
    module = SqueezeExcitation(SEBlock(hidden=HIDDEN, **fields), C).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def by_the_paper(x_BCHW, module):
    """s = squeeze(x), z = gate(W2 act(W1 s + b1) + b2), y_c = z_c x_c; of a local gate s = x, location by location."""
    said = module.block
    s = {
        Squeeze.AVG: lambda x: (x.sum((2, 3)) / (5 * 7))[:, None, None],
        Squeeze.MAX: lambda x: x.flatten(2).max(2).values[:, None, None],
        Squeeze.LOCAL: lambda x: x.permute(0, 2, 3, 1),
    }[said.squeeze](x_BCHW)
    z = s @ module.fc1.weight.T + (module.fc1.bias if said.bias else 0)
    z = z.clamp(min=0) if said.activation is Activation.RELU else z * torch.sigmoid(z)
    z = z @ module.fc2.weight.T + (module.fc2.bias if said.bias else 0)
    return GATES[said.gate](z).permute(0, 3, 1, 2) * x_BCHW


def gradients(output, inputs):
    """Of one weighted sum of the outputs."""
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    return torch.autograd.grad((output * weights).sum(), inputs)


@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("gate", Gate)
@pytest.mark.parametrize("squeeze", Squeeze)
def test_a_block_computes_the_formula_of_the_paper(squeeze, gate, bias, activation):
    module, x = block(squeeze=squeeze, gate=gate, bias=bias, activation=activation), images().requires_grad_()
    ours, theirs = module(x), by_the_paper(x, module)
    torch.testing.assert_close(ours, theirs)
    inputs = [x, *module.parameters()]
    torch.testing.assert_close(gradients(ours, inputs), gradients(theirs, inputs))


def test_the_hard_sigmoid_is_drawn_where_it_bends():
    module = block(gate=Gate.HARD_SIGMOID)
    gates = module.gates(50 * images())
    assert (gates == 0).any()
    assert (gates == 1).any()
    assert ((gates > 0) & (gates < 1)).any()


@pytest.mark.parametrize(
    ("gate", "scale"), [(Gate.SIGMOID, nn.Sigmoid), (Gate.HARD_SIGMOID, nn.Hardsigmoid)], ids=["sigmoid", "hard"]
)
def test_a_block_agrees_with_torchvisions_on_the_same_weights(gate, scale):
    module, x = block(gate=gate), images().requires_grad_()
    theirs = TorchvisionSE(C, HIDDEN, scale_activation=scale).double()
    for name in ("fc1", "fc2"):
        layer = getattr(module, name)
        getattr(theirs, name).weight.data = layer.weight.data[:, :, None, None].clone()
        getattr(theirs, name).bias.data = layer.bias.data.clone()
    torch.testing.assert_close(module(x), theirs(x))
    ours = gradients(module(x), [x, *module.parameters()])
    reference = gradients(theirs(x), [x, *theirs.parameters()])
    torch.testing.assert_close(ours, tuple(g.view_as(o) for g, o in zip(reference, ours, strict=True)))


def test_gates_are_one_factor_an_image_and_channel():
    module, x = block(), images()
    torch.testing.assert_close(module(x), x * module.gates(x).reshape(4, C, 1, 1))


def test_local_gates_are_one_factor_an_image_channel_and_location():
    module, x = block(squeeze=Squeeze.LOCAL), images()
    torch.testing.assert_close(module(x), x * module.gates(x))
    assert module.gates(x).shape == x.shape
    assert (module.gates(x).amax((2, 3)) - module.gates(x).amin((2, 3))).min() > 0.1


def test_a_local_gate_reads_no_other_location():
    module, x = block(squeeze=Squeeze.LOCAL), images()
    other = x.clone()
    other[:, :, 2, 3] += 1
    changed = module.gates(other) != module.gates(x)
    assert changed[:, :, 2, 3].all()
    assert not changed.index_fill(2, torch.tensor(2), False).any()
    assert not changed.index_fill(3, torch.tensor(3), False).any()


def test_on_maps_of_one_location_a_local_gate_is_the_global_one():
    module, local = block(), block(squeeze=Squeeze.LOCAL)
    assert {name: t.shape for name, t in local.state_dict().items()} == {
        n: t.shape for n, t in block().state_dict().items()
    }
    local.load_state_dict(module.state_dict())
    x = images()[:, :, :1, :1].requires_grad_()
    torch.testing.assert_close(local(x), module(x), rtol=1e-12, atol=1e-12)
    inputs = [[x, *net.parameters()] for net in (local, module)]
    ours, theirs = gradients(local(x), inputs[0]), gradients(module(x), inputs[1])
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("squeeze", Squeeze)
def test_a_block_keeps_the_layout_of_memory_and_computes_the_same_in_it(squeeze):
    module, x = block(squeeze=squeeze), images()
    found = module(x.to(memory_format=torch.channels_last))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert module(x).is_contiguous()
    torch.testing.assert_close(found, module(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("squeeze", Squeeze)
def test_in_bfloat16_the_gates_are_near_those_of_float32(squeeze):
    module, x = block(squeeze=squeeze).float(), images().float()
    with torch.autocast("cpu", torch.bfloat16):
        found = module.gates(x)
    assert found.dtype is torch.bfloat16
    torch.testing.assert_close(found.float(), module.gates(x), rtol=0, atol=0.03)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("channels", "hidden"), [(1, 1), (16, 1), (24, 5), (8, 32)])
@pytest.mark.parametrize("squeeze", [Squeeze.AVG, Squeeze.LOCAL])
def test_the_weights_counted_are_the_closed_form(squeeze, channels, hidden, bias):
    said = SEBlock(hidden=hidden, bias=bias, squeeze=squeeze)
    counted = sum(parameter.numel() for parameter in SqueezeExcitation(said, channels).parameters())
    assert counted == said.params(channels)


@pytest.mark.parametrize("bias", [True, False])
def test_twice_the_sigmoid_starts_as_exactly_the_identity(bias):
    module, x = SqueezeExcitation(SEBlock(hidden=HIDDEN, gate=Gate.TWICE_SIGMOID, bias=bias), C), images().float()
    assert torch.equal(module(x), x)


def test_twice_the_sigmoid_learns_from_its_start():
    module, x = SqueezeExcitation(SEBlock(hidden=HIDDEN, gate=Gate.TWICE_SIGMOID), C), images().float()
    module(x).square().mean().backward()
    assert module.fc2.weight.grad.abs().max() > 0
    assert module.fc2.bias.grad.abs().min() > 0


def test_the_other_gates_start_with_drawn_weights():
    module = SqueezeExcitation(SEBlock(hidden=HIDDEN), C)
    assert module.fc2.weight.abs().min() > 0


def test_printing_a_network_says_which_block_it_is():
    assert "h3 standard max" in repr(SqueezeExcitation(SEBlock(hidden=3, squeeze=Squeeze.MAX), C))


def test_a_block_takes_images_of_any_size():
    module = block()
    assert F.adaptive_avg_pool2d(module(torch.ones(1, C, 1, 9, dtype=torch.float64)), 1).shape == (1, C, 1, 1)
