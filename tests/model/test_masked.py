"""A block as data: which block it is, its masks say, and it computes what that block does."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from senas.core.block import Activation, Gate, Placement, SEBlock, Squeeze
from senas.core.config import SEConfig
from senas.core.site import Place, Site
from senas.model.carried import cargo_of
from senas.model.masked import Kept, Masked
from senas.model.se import SqueezeExcitation

CHANNELS = 5
PLACE = Place(CHANNELS, 3, 4)
NONE = None


def carried(*blocks):
    site = Site("a", {Placement.STANDARD: PLACE}, PLACE)
    return next(iter(cargo_of([SEConfig({"a": block}) for block in blocks], [site]).values()))


def masked(*blocks, sliced=True):
    torch.manual_seed(0)
    return Masked(carried(*blocks), CHANNELS, sliced=sliced).double()


def select(module, block):
    masks = module.masks(block)
    for name, buffer in module.named_buffers():
        buffer.copy_(masks[name])
    return module


def alone(module, block):
    """The block by itself, with the first rows and columns of the module's weights."""
    net = SqueezeExcitation(block, CHANNELS).double()
    theirs = dict(module.named_parameters())
    with torch.no_grad():
        for name, own in net.named_parameters():
            own.copy_(theirs[name][tuple(map(slice, own.shape))])
    return net


def images():
    x = torch.randn(2, CHANNELS, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return x.requires_grad_()


def differentiated(net):
    """What comes out, and gradients of what went in and of the weights, by name."""
    x = images()
    output = net(x)
    (output * torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)).sum().backward()
    return output.detach(), x.grad, {name: weight.grad for name, weight in net.named_parameters()}


BLOCKS = st.builds(
    SEBlock,
    hidden=st.integers(1, 4),
    squeeze=st.sampled_from(Squeeze),
    gate=st.sampled_from(Gate),
    activation=st.sampled_from(Activation),
    bias=st.booleans(),
)


@settings(max_examples=60)
@given(blocks=st.lists(BLOCKS | st.none(), min_size=1, max_size=4), chosen=BLOCKS)
def test_it_computes_what_the_chosen_block_does_whatever_else_it_could_be(blocks, chosen):
    module = select(masked(chosen, *blocks), chosen)
    ours, theirs = differentiated(module), differentiated(alone(module, chosen))
    torch.testing.assert_close(ours[:2], theirs[:2], rtol=1e-12, atol=1e-12)
    for name, gradient in ours[2].items():
        padded = torch.zeros_like(gradient)
        if name in theirs[2]:
            padded[tuple(map(slice, theirs[2][name].shape))] = theirs[2][name]
        torch.testing.assert_close(gradient, padded, rtol=1e-12, atol=1e-12, msg=name)


@pytest.mark.parametrize("gate", Gate)
@pytest.mark.parametrize("squeeze", Squeeze)
def test_where_it_is_off_what_comes_out_is_what_came_in_to_the_bit(gate, squeeze):
    module = select(masked(SEBlock(hidden=2, gate=gate, squeeze=squeeze), NONE, sliced=False), NONE)
    x = images()
    output = module(x)
    assert torch.equal(output, x)
    upstream = torch.randn_like(output)
    gradients = torch.autograd.grad(output, [x, *module.parameters()], upstream)
    assert torch.equal(gradients[0], upstream)
    assert all((gradient == 0).all() for gradient in gradients[1:])


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("chosen", [NONE, SEBlock(hidden=2), SEBlock(hidden=2, bias=False)], ids=str)
def test_nothing_leaks_from_weights_that_it_does_not_read(chosen, value):
    wide = SEBlock(hidden=4, activation=Activation.SILU, gate=Gate.HARD_SIGMOID, squeeze=Squeeze.MAX)
    module = select(masked(wide, SEBlock(hidden=2), SEBlock(hidden=2, bias=False), NONE), chosen)
    clean = differentiated(module)
    with torch.no_grad():
        for weight in module.parameters():
            weight[weight.grad == 0] = value  # where nothing it computes depends on it
            weight.grad = None
    spoiled = differentiated(module)
    assert any(not weight.isfinite().all() for weight in module.parameters())
    assert torch.equal(spoiled[0], clean[0])
    assert torch.equal(spoiled[1], clean[1])
    assert all(gradient.isfinite().all() for gradient in spoiled[2].values())


def test_only_what_varies_has_masks():
    assert not list(masked(SEBlock(hidden=2), sliced=False).buffers())
    names = {name for name, _ in masked(SEBlock(hidden=2), SEBlock(hidden=3), NONE, sliced=False).named_buffers()}
    assert names == {"on"}
    assert not list(masked(SEBlock(hidden=2, squeeze=Squeeze.LOCAL), sliced=False).buffers())
    three = [SEBlock(hidden=2, squeeze=squeeze) for squeeze in Squeeze]
    assert {name for name, _ in masked(three[0], three[2], sliced=False).named_buffers()} == {"is_local"}
    assert {name for name, _ in masked(*three, sliced=False).named_buffers()} == {"is_local", "is_max"}


class InPlace(nn.Module):
    def forward(self, x):
        return x.mul_(2)


def test_a_block_that_is_kept_as_it_is_and_off_leaves_alone_what_it_would_change_in_place():
    kept = Kept(InPlace(), carried(SEBlock(hidden=1), NONE))
    x = torch.ones(1, 2, 3, 3)
    kept.on.copy_(kept.masks(NONE)["on"])
    assert torch.equal(kept(x), torch.ones(1, 2, 3, 3))
    kept.on.copy_(kept.masks(SEBlock(hidden=1))["on"])
    assert torch.equal(kept(x), torch.full((1, 2, 3, 3), 2.0))
