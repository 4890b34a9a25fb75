"""What a supernet carries, read off configurations and off search spaces."""

import pytest

from senas.core.block import Activation, Gate, Original, Placement, SEBlock, Squeeze
from senas.core.config import SEConfig
from senas.core.site import Former, Place, Site
from senas.core.space import Axes, search_space
from senas.errors import SpaceError
from senas.model.carried import Slot, cargo_of, cargo_of_space

P = Placement
PLACE = Place(8, 4, 4)
SITES = [Site(name, {P.PRE: PLACE, P.STANDARD: PLACE, P.POST: PLACE}, PLACE) for name in ("a", "b", "c")]
FORMER = Site("d", {P.INNER: PLACE}, PLACE, Former(P.INNER, None, params=10, macs=10))


def test_only_places_that_some_configuration_uses_are_carried():
    configs = [SEConfig({"a": SEBlock(hidden=1)}), SEConfig({"a": SEBlock(hidden=1, placement=P.PRE)})]
    assert list(cargo_of(configs, SITES)) == [("a", "pre"), ("a", "standard")]


def test_a_place_is_as_wide_as_the_widest_block_there():
    configs = [SEConfig({"a": SEBlock(hidden=width)}) for width in (2, 5, 3)]
    assert cargo_of(configs, SITES)[Slot("a", "standard")].hidden == 5


def test_a_place_has_the_functions_that_are_used_there_and_no_others():
    configs = [
        SEConfig({"a": SEBlock(hidden=1, squeeze=Squeeze.MAX), "b": SEBlock(hidden=1, bias=False)}),
        SEConfig({"a": SEBlock(hidden=1, gate=Gate.HARD_SIGMOID), "b": SEBlock(hidden=1, activation=Activation.SILU)}),
    ]
    a, b = cargo_of(configs, SITES).values()
    assert (a.squeezes, a.gates) == ({Squeeze.AVG, Squeeze.MAX}, {Gate.SIGMOID, Gate.HARD_SIGMOID})
    assert (a.activations, a.biases) == ({Activation.RELU}, {True})
    assert (b.squeezes, b.gates) == ({Squeeze.AVG}, {Gate.SIGMOID})
    assert (b.activations, b.biases) == ({Activation.RELU, Activation.SILU}, {True, False})


def test_a_place_that_every_configuration_uses_is_not_optional():
    always, sometimes = SEBlock(hidden=1), SEBlock(hidden=2, placement=P.POST)
    cargo = cargo_of([SEConfig({"a": always, "b": always}), SEConfig({"a": always, "b": sometimes})], SITES)
    assert {tuple(slot): carried.optional for slot, carried in cargo.items()} == {
        ("a", "standard"): False,
        ("b", "standard"): True,
        ("b", "post"): True,
    }


def test_a_block_of_the_backbones_own_that_is_kept_has_a_slot_of_its_own():
    configs = [SEConfig({"d": Original()}), SEConfig({"d": SEBlock(hidden=3, placement=P.INNER)})]
    assert list(cargo_of(configs, [*SITES, FORMER])) == [("d", "original"), ("d", "inner")]


@pytest.mark.parametrize("per", ["site", "stage", "network"])
def test_a_space_carries_what_all_its_configurations_do(per):
    axes = Axes(sites=("a", "b"), per=per, reduction=(2, 4), placement=(P.PRE, P.POST), squeeze=(Squeeze.MAX,))
    space = search_space(SITES, axes)
    assert cargo_of_space(space) == cargo_of(space, SITES)


def test_a_space_whose_sites_always_have_a_block_in_one_place_carries_it_without_a_choice():
    space = search_space(SITES, Axes(optional=False))
    assert [carried.optional for carried in cargo_of_space(space).values()] == [False] * 3


def test_a_configuration_that_the_network_cannot_have_is_refused():
    with pytest.raises(SpaceError, match="the network has no site z"):
        cargo_of([SEConfig({"z": SEBlock(hidden=1)})], SITES)
    with pytest.raises(SpaceError, match="site a has no placement inner"):
        cargo_of([SEConfig({"a": SEBlock(hidden=1, placement=P.INNER)})], SITES)


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (SEBlock(hidden=3), r"a standard: hidden 3 is more than the 2 that the supernet carries there"),
        (SEBlock(hidden=2, squeeze=Squeeze.MAX), r"squeeze max is not among what the supernet carries there \(avg\)"),
        (SEBlock(hidden=2, gate=Gate.TWICE_SIGMOID), r"gate 2sigmoid is not .* \(hard_sigmoid, sigmoid\)"),
        (SEBlock(hidden=2, activation=Activation.SILU), r"activation silu is not .* \(relu\)"),
        (SEBlock(hidden=2, bias=False), r"bias false is not .* \(true\)"),
    ],
)
def test_a_block_that_is_not_carried_is_refused_by_what_is_not(block, said):
    configs = [SEConfig({"a": SEBlock(hidden=h, gate=g)}) for h, g in ((2, Gate.SIGMOID), (1, Gate.HARD_SIGMOID))]
    slot = Slot("a", "standard")
    carried = cargo_of(configs, SITES)[slot]
    with pytest.raises(SpaceError, match=said):
        carried.check(slot, block)
