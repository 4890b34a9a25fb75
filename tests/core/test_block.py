"""SEBlock: its text, its cost, and what it refuses."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senas.core.block import Activation, Gate, Placement, SEBlock, Squeeze, member, width
from senas.errors import SpaceError


@given(st.from_type(SEBlock))
def test_a_block_is_what_its_text_parses_to(block):
    assert SEBlock.parse(str(block)) == block


@given(st.from_type(SEBlock), st.from_type(SEBlock))
def test_two_blocks_have_one_text_only_if_they_are_equal(one, other):
    other = dataclasses.replace(other, hidden=one.hidden)
    assert (str(one) == str(other)) == (one == other)


def test_the_usual_block_is_a_standard_sigmoid_over_the_mean_with_biases():
    assert SEBlock(hidden=4) == SEBlock(
        hidden=4,
        placement=Placement.STANDARD,
        squeeze=Squeeze.AVG,
        gate=Gate.SIGMOID,
        activation=Activation.RELU,
        bias=True,
    )


def test_the_text_of_a_usual_block_says_width_and_placement_only():
    assert str(SEBlock(hidden=4)) == "h4 standard"


def test_the_text_of_an_unusual_block_says_all_that_is_unusual():
    block = SEBlock(
        hidden=16,
        placement=Placement.PRE,
        squeeze=Squeeze.MAX,
        gate=Gate.TWICE_SIGMOID,
        activation=Activation.SILU,
        bias=False,
    )
    assert str(block) == "h16 pre max 2sigmoid silu no_bias"


def test_the_text_of_a_local_gate_says_local():
    assert str(SEBlock(hidden=4, squeeze=Squeeze.LOCAL)) == "h4 standard local"


def test_no_word_means_two_things():
    words = [word for kind in (Placement, Squeeze, Gate, Activation) for word in kind] + ["no_bias", "none"]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "none",
        "h4",
        "4 standard",
        "h standard",
        "h-4 standard",
        "h4.5 standard",
        "h² standard",
        "h0 standard",
        "h4 sideways",
        "h4 no_bias",
        "h4 standard tanh",
        "r16 standard",
    ],
)
def test_text_of_no_block_is_refused(text):
    with pytest.raises(SpaceError):
        SEBlock.parse(text)


@pytest.mark.parametrize(
    "text", ["h04 standard", "h4 standard avg", "h4 standard max avg", "h4  standard", "h4 standard no_bias max"]
)
def test_a_second_spelling_of_a_block_is_refused(text):
    with pytest.raises(SpaceError):
        SEBlock.parse(text)


def test_a_text_without_a_block_is_answered_with_an_example(refused):
    with refused(SpaceError, '"r16 standard"', '"h4 standard"'):
        SEBlock.parse("r16 standard")


def test_an_unknown_placement_is_answered_with_those_there_are(refused):
    with refused(SpaceError, "placement", '"sideways"', *Placement):
        SEBlock.parse("h4 sideways")


def test_an_unknown_word_is_named_with_its_text(refused):
    with refused(SpaceError, '"tanh"', '"h4 standard tanh"'):
        SEBlock.parse("h4 standard tanh")


@pytest.mark.parametrize("hidden", [0, -1])
def test_a_block_without_width_is_refused_and_told_of_none(refused, hidden):
    with refused(SpaceError, "hidden", "at least 1", f"got {hidden}", "None"):
        SEBlock(hidden=hidden)


def test_a_block_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SEBlock(hidden=4).hidden = 8


@pytest.mark.parametrize(
    ("channels", "reduction", "hidden"), [(64, 16, 4), (16, 16, 1), (16, 32, 1), (24, 16, 1), (40, 16, 2)]
)
def test_the_width_of_a_ratio_is_the_whole_quotient_and_at_least_1(channels, reduction, hidden):
    assert width(channels, reduction) == hidden


@pytest.mark.parametrize(("channels", "reduction"), [(0, 16), (16, 0), (16, -2)])
def test_a_ratio_or_channels_below_1_are_refused_with_both_values(refused, channels, reduction):
    with refused(SpaceError, "at least 1", f"C={channels}", f"r={reduction}"):
        width(channels, reduction)


@given(st.from_type(SEBlock), st.integers(1, 4096))
def test_parameters_are_the_entries_of_two_matrices_and_two_biases(block, channels):
    down, up = [channels] * block.hidden, [block.hidden] * channels  # fan-in of each unit of the two layers
    biases = len(down) + len(up) if block.bias else 0
    assert block.params(channels) == sum(down) + sum(up) + biases


def test_one_layer_pair_of_256_channels_at_r_16_has_8464_parameters():
    block = SEBlock(hidden=width(256, 16))
    assert block.params(256) == 256 * 16 + 16 + 16 * 256 + 256 == 8464


@given(st.from_type(SEBlock), st.integers(1, 4096), st.integers(1, 512), st.integers(1, 512))
def test_macs_are_the_parameters_without_biases_once_or_where_the_gate_is_local_at_each_location(
    block, channels, height, width
):
    locations = height * width if block.squeeze is Squeeze.LOCAL else 1
    assert block.macs(channels, height, width) == locations * dataclasses.replace(block, bias=False).params(channels)


def test_placements_are_in_the_order_in_which_a_unit_computes():
    assert list(Placement) == [
        "pre",
        "inner_before_relu",
        "inner",
        "standard",
        "identity",
        "post_before_relu",
        "post",
    ]


@pytest.mark.parametrize("text", ["mean", "AVG", None, 3, ["avg"]])
def test_a_member_that_there_is_not_is_answered_with_key_value_and_members(refused, text):
    with refused(SpaceError, "space.squeeze", f'"{text}"', "avg, max"):
        member(Squeeze, text, "space.squeeze")


def test_a_member_is_found_by_its_text():
    assert member(Gate, "2sigmoid", "gate") is Gate.TWICE_SIGMOID
