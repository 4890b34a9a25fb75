"""SearchSpace: finite, without repetition, drawn and encoded by one walk."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from senas.core.block import Activation, Gate, Placement, SEBlock, Squeeze, width
from senas.core.config import SEConfig
from senas.core.site import Former, Place, Site, stages
from senas.core.space import Axes, search_space
from senas.errors import SpaceError

PLACEMENTS = (Placement.PRE, Placement.STANDARD, Placement.POST)
STANDARD = Placement.STANDARD


def site(name, channels, placements=(STANDARD,)):
    place = Place(channels, 8, 8)
    return Site(name, dict.fromkeys(placements, place), place)


@st.composite
def networks(draw):
    """One to four sites, not all with the same placements, with channels at which ratios alias."""
    channels = st.sampled_from([1, 8, 16, 32, 48])
    sites = []
    for number in range(draw(st.integers(1, 4))):
        offered = draw(st.sets(st.sampled_from(PLACEMENTS), min_size=1))
        places = {placement: Place(draw(channels), 8, 8) for placement in PLACEMENTS if placement in offered}
        sites.append(Site(f"unit{number}", places, Place(draw(channels), 8, 8)))
    return tuple(sites)


def some(values, most):
    return st.lists(st.sampled_from(values), min_size=1, max_size=most).map(tuple)  # repetitions are welcome


axes_of_any_kind = st.builds(
    Axes,
    per=st.sampled_from(["site", "stage", "network"]),
    reduction=some([1, 2, 8, 16, 32, 64], 3),
    placement=some(PLACEMENTS, 2),
    squeeze=some(list(Squeeze), 2),
    gate=st.just((Gate.SIGMOID,)),
    activation=st.just((Activation.RELU,)),
    bias=st.sampled_from([(True,), (False,), (True, False)]),
    optional=st.booleans(),
)


@st.composite
def spaces(draw, axes=axes_of_any_kind):
    try:
        space = search_space(draw(networks()), draw(axes))
    except SpaceError:  # nothing is left to choose from; what is refused, and how, is tested by example
        assume(False)
    assume(space.size <= 1000)
    return space


@given(spaces())
def test_no_configuration_is_in_a_space_twice_and_size_counts_them(space):
    assert len(set(space)) == len(list(space)) == space.size


@given(spaces())
def test_every_configuration_is_drawn_from_its_own_code(space):
    for config in space:
        code = space.encode(config)
        assert space.draw(lambda name, _, code=code: code[name]) == config


@given(spaces(), st.randoms(use_true_random=False))
def test_what_is_drawn_has_the_code_that_was_chosen(space, random):
    chosen = {}
    config = space.draw(lambda name, options: chosen.setdefault(name, random.choice(options)))
    assert space.encode(config) == chosen


@given(spaces())
def test_each_choice_is_asked_once_with_all_its_options(space):
    asked = []
    space.draw(lambda name, options: asked.append((name, list(options))) or options[0])
    assert asked == [(choice.name, list(choice.options)) for choice in space.choices]
    assert len({name for name, _ in asked}) == len(asked)


@given(spaces())
def test_the_largest_costs_are_those_of_the_configuration_that_has_the_most(space):
    assert space.largest_params == max(config.params(space.sites) for config in space)
    assert space.largest_macs == max(config.macs(space.sites) for config in space)


@given(networks(), axes_of_any_kind.filter(lambda axes: axes.per == "site"))
def test_a_site_has_one_option_for_each_block_that_the_axes_can_mean(sites, axes):
    expected = []
    for unit in sites:
        options = {
            SEBlock(hidden=width(unit.places[placement].channels, r), placement=placement, squeeze=squeeze, bias=bias)
            for r, placement, squeeze, bias in itertools.product(
                axes.reduction, axes.placement, axes.squeeze, axes.bias
            )
            if placement in unit.places
        }
        expected.append(options | ({None} if axes.optional else set()))
    assume(all(expected) and expected != [{None}] * len(sites))
    assert [{block for (block,) in choice.options.values()} for choice in search_space(sites, axes).choices] == expected


@given(spaces())
def test_sites_of_one_choice_get_one_ratio_placement_and_form_or_none_at_all(space):
    for config in space:
        for choice in space.choices:
            tied = [config.get(name) for name in choice.sites]
            assert None not in tied or set(tied) == {None}
            if None not in tied:
                assert len({block.traits for block in tied}) == 1
                places = [unit.places[tied[0].placement] for unit in space.sites if unit.name in choice.sites]
                assert any(
                    [block.hidden for block in tied] == [width(place.channels, r) for place in places]
                    for r in range(1, 65)
                )


# conf/space/paper.yaml: the axes of Hu et al., (1 without SE + 5 ratios x 4 placements) ^ 3 stages. At C = 16, r = 16
# and r = 32 are one width.
@pytest.mark.parametrize(("channels", "size"), [((32, 64, 128), 9261), ((16, 32, 64), 17 * 21 * 21)])
def test_the_papers_axes_per_stage_have_9261_configurations_less_those_that_are_the_same(channels, size):
    tried = (STANDARD, Placement.PRE, Placement.POST, Placement.IDENTITY)
    sites = [site(f"layer{n}.{unit}", c, tried) for n, c in enumerate(channels, 1) for unit in range(2)]
    assert search_space(sites, Axes(per="stage", reduction=(2, 4, 8, 16, 32), placement=tried)).size == size


def test_options_are_none_and_then_every_ratio_with_every_placement_in_words():
    space = search_space([site("a", 64, PLACEMENTS)], Axes(reduction=(16, 4), placement=(STANDARD, Placement.PRE)))
    assert list(space.choices[0].options) == ["none", "r16 standard", "r16 pre", "r4 standard", "r4 pre"]


def test_options_say_whatever_differs_from_the_usual_block():
    axes = Axes(
        reduction=(4,),
        squeeze=(Squeeze.AVG, Squeeze.MAX),
        gate=(Gate.TWICE_SIGMOID,),
        activation=(Activation.SILU,),
        bias=(False,),
        optional=False,
    )
    assert search_space([site("a", 8)], axes).choices[0].options == {
        "r4 standard 2sigmoid silu no_bias": (
            SEBlock(hidden=2, gate=Gate.TWICE_SIGMOID, activation=Activation.SILU, bias=False),
        ),
        "r4 standard max 2sigmoid silu no_bias": (
            SEBlock(hidden=2, squeeze=Squeeze.MAX, gate=Gate.TWICE_SIGMOID, activation=Activation.SILU, bias=False),
        ),
    }


def test_ratios_of_one_width_are_one_option_named_by_the_first():
    space = search_space([site("a", 16)], Axes(reduction=(32, 16, 8)))
    assert list(space.choices[0].options) == ["none", "r32 standard", "r8 standard"]


def test_ratios_are_not_merged_where_one_tied_site_tells_them_apart():
    space = search_space([site("a", 16), site("b", 32)], Axes(per="network", reduction=(16, 32)))
    assert list(space.choices[0].options) == ["none", "r16 standard", "r32 standard"]


def test_per_site_every_site_is_a_choice_of_its_own(resnet50):
    space = search_space(resnet50, Axes(reduction=(4, 16)))
    assert [choice.sites for choice in space.choices] == [(unit.name,) for unit in resnet50]
    assert space.size == 3**16


def test_per_stage_the_sites_of_a_stage_share_a_choice(resnet50):
    space = search_space(resnet50, Axes(per="stage", reduction=(4, 16)))
    assert [choice.name for choice in space.choices] == ["stage1", "stage2", "stage3", "stage4"]
    assert [choice.sites for choice in space.choices] == [tuple(u.name for u in run) for run in stages(resnet50)]
    assert space.size == 3**4


def test_per_network_all_sites_share_one_choice(resnet50):
    space = search_space(resnet50, Axes(per="network", reduction=(4, 16)))
    assert [(choice.name, len(choice.sites)) for choice in space.choices] == [("network", 16)]
    assert set(space) == {SEConfig(), SEConfig.everywhere(resnet50, 4), SEConfig.everywhere(resnet50, 16)}


def test_tied_sites_share_a_ratio_not_a_width(resnet50):
    space = search_space(resnet50, Axes(per="network", reduction=(16,), optional=False))
    (config,) = space
    assert [block.hidden for block in config.values()] == [16] * 3 + [32] * 4 + [64] * 6 + [128] * 3


def test_the_width_is_that_of_the_channels_at_the_placement(resnet50):
    space = search_space(resnet50, Axes(sites=("layer2.0",), reduction=(16,), placement=(Placement.PRE,)))
    assert space.choices[0].options["r16 pre"] == (SEBlock(hidden=16, placement=Placement.PRE),)


@pytest.mark.parametrize(
    ("per", "options"),
    [
        ("site", [["none", "r4 standard", "r4 pre"], ["none", "r4 standard"]]),
        ("stage", [["none", "r4 standard"]]),
        ("network", [["none", "r4 standard"]]),
    ],
)
def test_a_placement_missing_on_one_site_is_missing_for_all_that_are_tied_to_it(per, options):
    sites = [site("a", 8, [STANDARD, Placement.PRE]), site("b", 8)]
    space = search_space(sites, Axes(per=per, reduction=(4,), placement=(STANDARD, Placement.PRE)))
    assert [list(choice.options) for choice in space.choices] == options


def test_a_site_that_offers_nothing_asked_for_stays_without_se():
    space = search_space([site("a", 8), site("b", 8, [Placement.POST])], Axes(reduction=(4,)))
    assert [str(config) for config in space] == ["none", "a: h2 standard"]


def test_closed_sites_have_no_choice_and_stay_without_se(resnet50):
    space = search_space(resnet50, Axes(sites=("layer4.*",), reduction=(16,)))
    assert [choice.name for choice in space.choices] == ["layer4.0", "layer4.1", "layer4.2"]
    assert space.sites == resnet50


def test_without_optional_every_site_has_a_block(resnet50):
    space = search_space(resnet50, Axes(per="stage", optional=False))
    assert {len(config) for config in space} == {16}


@given(spaces())
def test_a_space_contains_what_it_enumerates(space):
    assert all(config in space for config in space)


@pytest.mark.parametrize(
    "config",
    [
        {"layer1.0": SEBlock(hidden=17)},
        {"layer1.0": SEBlock(hidden=16, placement=Placement.PRE)},
        {"layer1.0": SEBlock(hidden=16, bias=False)},
        {"layer1.0": SEBlock(hidden=16), "layer2.0": SEBlock(hidden=32)},
        {"elsewhere": SEBlock(hidden=16)},
    ],
)
def test_a_configuration_that_cannot_be_drawn_is_not_in_the_space(resnet50, config):
    space = search_space(resnet50, Axes(sites=("layer1.*",), reduction=(16,)))
    assert SEConfig({"layer1.0": SEBlock(hidden=16)}) in space
    assert SEConfig(config) not in space


def test_half_a_stage_is_not_in_a_space_of_whole_stages(resnet50):
    assert SEConfig({"layer1.0": SEBlock(hidden=16)}) not in search_space(resnet50, Axes(per="stage"))


def test_no_code_for_a_width_that_is_not_offered_names_the_choice(refused, resnet50):
    with refused(SpaceError, "layer1.0: h17 standard", "not in the search space", "layer1.0 has no such option"):
        search_space(resnet50, Axes()).encode(SEConfig({"layer1.0": SEBlock(hidden=17)}))


def test_no_code_for_a_closed_site_names_the_site(refused, resnet50):
    with refused(SpaceError, "layer2.0: h32 standard", "not in the search space", "layer2.0 is not open"):
        search_space(resnet50, Axes(sites=("layer1.*",))).encode(SEConfig({"layer2.0": SEBlock(hidden=32)}))


def test_an_option_that_is_not_offered_is_answered_with_those_that_are(refused, resnet50):
    with refused(SpaceError, "layer1.0", '"r2 standard"', "none, r4 standard, r16 standard"):
        search_space(resnet50, Axes()).draw(lambda name, options: "r2 standard")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"per": "block"}, ["space.per", '"block"', "site, stage, network"]),
        ({"sites": ()}, ["space.sites", "at least one"]),
        ({"placement": ()}, ["space.placement", "at least one"]),
        ({"squeeze": ()}, ["space.squeeze", "at least one"]),
        ({"gate": ()}, ["space.gate", "at least one"]),
        ({"activation": ()}, ["space.activation", "at least one"]),
        ({"bias": ()}, ["space.bias", "at least one"]),
        ({"reduction": (4, 0)}, ["space.reduction", "at least 1", "got 0", "space.optional=true"]),
    ],
)
def test_wrong_axes_are_refused_with_key_value_and_way_out(refused, fields, words):
    with refused(SpaceError, *words):
        Axes(**fields)


def test_sites_that_match_nothing_are_refused_with_the_key(refused, resnet50):
    with refused(SpaceError, "space.sites", '"layer9.*"', "layer1.0"):
        search_space(resnet50, Axes(sites=("layer9.*",)))


def test_a_site_that_must_have_a_block_and_offers_none_is_refused(refused):
    with refused(SpaceError, "b", "pre", "space.placement", "space.sites", "space.optional=true"):
        search_space([site("a", 8, [Placement.PRE]), site("b", 8)], Axes(placement=(Placement.PRE,), optional=False))


@pytest.mark.parametrize("per", ["site", "network"])
def test_a_space_of_nothing_but_none_is_refused_with_key_and_placements(refused, per):
    with refused(SpaceError, "empty", "space.placement", "pre, identity"):
        search_space([site("a", 8)], Axes(per=per, placement=(Placement.PRE, Placement.IDENTITY)))


def test_without_ratios_each_former_block_is_kept_or_taken_out():
    place = Place(16, 8, 8)
    ours = Former(Placement.INNER, SEBlock(hidden=5, placement=Placement.INNER), params=181, macs=160)
    sites = [Site("a", {Placement.INNER: place}, place, ours), Site("b", {Placement.STANDARD: place}, place)]
    space = search_space(sites, Axes(reduction=(), placement=(Placement.INNER,)))
    assert {choice.name: list(choice.options) for choice in space.choices} == {"a": ["none", "former"], "b": ["none"]}
    assert set(space) == {SEConfig(), SEConfig.former(sites)}
    with pytest.raises(SpaceError, match=r"\Aspace\.reduction is empty; give at least one value, [^\n]*strip_se=true"):
        search_space(sites[1:], Axes(reduction=()))
