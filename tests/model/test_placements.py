"""Each placement, against units written by hand with the SE block called where the paper says.

Source: Hu et al., arXiv:1709.01507, section 6.4 and figure 5. In float64, in the mode of training (statistics of the
batch) and of evaluation, outputs and the gradients of every weight and of the images.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from senas.core.block import Placement, SEBlock
from senas.core.config import SEConfig
from senas.model.surgery import insert

P = Placement
OFFERED = {
    "basic": list(P),
    "bottleneck": list(P),
    "cifar": list(P),
    "pre-activation": [P.PRE, P.INNER_BEFORE_RELU, P.INNER, P.STANDARD, P.IDENTITY],
    "plain": [P.PRE, P.INNER_BEFORE_RELU, P.INNER, P.STANDARD, P.IDENTITY, P.POST],
}
CASES = [(kind, placement) for kind, placements in OFFERED.items() for placement in placements]


def assert_as_by_hand(kinds, kind, config, train):
    backbone, traced = kinds[kind]
    net = insert(backbone, config, traced, seed=1).train(train)

    def gate(site, placement, value):
        gated = site in config and config[site].placement is placement
        return net.get_submodule(site).se(value) if gated else value

    def differentiated(forward):
        x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64).requires_grad_()
        output = forward(x)
        weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
        return output, *torch.autograd.grad((output * weights).sum(), [x, *net.parameters()])

    ours = differentiated(lambda x: net(x + 0))  # + 0: a leaf may not be changed in place
    by_hand = differentiated(lambda x: type(backbone).by_hand(net, x + 0, gate))
    torch.testing.assert_close(ours, by_hand, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("kind", "placement"), CASES)
def test_a_placement_is_where_the_paper_has_it(kinds, everywhere, kind, placement, train):
    config = everywhere(placement, sites=kinds[kind][0].units)
    assert_as_by_hand(kinds, kind, config, train)


@pytest.mark.parametrize(("kind", "placement"), CASES)
def test_a_block_at_any_placement_changes_what_is_computed(kinds, everywhere, kind, placement):
    backbone, traced = kinds[kind]
    for site in backbone.units:
        net = insert(backbone, everywhere(placement, [site]), traced)
        x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
        assert (net.eval()(x) - backbone.eval()(x)).abs().max() > 1e-6


@pytest.mark.parametrize("kind", OFFERED)
@settings(max_examples=25)
@given(data=st.data())
def test_any_blocks_together_are_as_by_hand(kinds, kind, data):
    config = SEConfig(
        {
            site: SEBlock(hidden=2, placement=placement)
            for site in kinds[kind][0].units
            if (placement := data.draw(st.none() | st.sampled_from(OFFERED[kind])))
        }
    )
    assert_as_by_hand(kinds, kind, config, train=True)


@pytest.mark.parametrize("later", [P.PRE, P.IDENTITY])
@pytest.mark.parametrize("earlier", [P.POST, P.POST_BEFORE_RELU])
@pytest.mark.parametrize("kind", ["basic", "bottleneck", "cifar"])
def test_a_block_behind_one_unit_and_one_at_the_head_of_the_next_are_composed(kinds, kind, earlier, later):
    first, second, _ = kinds[kind][0].units
    config = SEConfig({first: SEBlock(hidden=2, placement=earlier), second: SEBlock(hidden=2, placement=later)})
    assert_as_by_hand(kinds, kind, config, train=True)


@pytest.mark.parametrize("kind", OFFERED)
def test_what_a_kind_of_unit_offers(kinds, kind):
    _, traced = kinds[kind]
    before = traced.sites[:-1] if kind == "pre-activation" else traced.sites
    offered = [
        set(site.places) - ({P.POST, P.POST_BEFORE_RELU} if kind == "pre-activation" else set()) for site in before
    ]
    assert offered == [set(OFFERED[kind])] * len(before)
