"""SEConfig: a value with one text, its plain form, and its cost in closed form."""

import pickle

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from senas.core.block import Gate, Original, Placement, SEBlock, width
from senas.core.config import SEConfig, spoken_block
from senas.core.site import Former, Place, Site, stages
from senas.errors import SpaceError

configs = st.from_type(SEConfig)
R16 = SEBlock(hidden=16)


@given(configs)
def test_a_configuration_is_what_its_text_parses_to(config):
    assert SEConfig.parse(str(config)) == config


@given(configs)
def test_a_configuration_is_what_its_plain_form_says(config):
    assert SEConfig.from_plain(config.plain()) == config


@given(configs)
def test_a_configuration_survives_yaml(config):
    assert SEConfig.from_plain(yaml.safe_load(yaml.safe_dump(config.plain()))) == config


@given(configs, st.randoms(use_true_random=False))
def test_the_order_of_writing_does_not_matter(config, random):
    items = list(config.items())
    random.shuffle(items)
    other = SEConfig(dict(items))
    assert (other, hash(other), str(other)) == (config, hash(config), str(config))
    assert str(SEConfig.parse("; ".join(f"{site}: {block}" for site, block in items) or "none")) == str(config)


@pytest.mark.parametrize("names", [("layer1", "layer01"), ("0.1", "00.1")])
def test_names_that_differ_in_a_leading_zero_have_one_order(names):
    there, back = (SEConfig(dict.fromkeys(order, R16)) for order in (names, names[::-1]))
    assert (there, hash(there), str(there)) == (back, hash(back), str(back))


@given(configs, configs)
def test_configurations_are_equal_exactly_where_their_texts_are(one, other):
    assert (one == other) == (str(one) == str(other))


@given(configs, st.from_type(SEBlock))
def test_another_block_makes_another_configuration(config, block):
    assert SEConfig({**config, "elsewhere": block}) != config


def test_a_site_without_a_block_is_the_same_as_a_site_left_out():
    assert SEConfig({"layer1.0": R16, "layer1.1": None}) == SEConfig({"layer1.0": R16})


def test_the_configuration_without_se_is_called_none():
    assert (str(SEConfig()), SEConfig.parse("none"), len(SEConfig())) == ("none", {}, 0)


def test_the_text_lists_sites_with_their_blocks():
    config = SEConfig({"layer1.1": SEBlock(hidden=4, placement=Placement.PRE), "layer1.0": R16})
    assert str(config) == "layer1.0: h16 standard; layer1.1: h4 pre"
    assert repr(config) == "SEConfig(layer1.0: h16 standard; layer1.1: h4 pre)"


def test_numbers_in_names_are_ordered_as_numbers():
    config = SEConfig(dict.fromkeys(["layer10.0", "layer1.10", "layer1.2", "layer2.0"], R16))
    assert list(config) == ["layer1.2", "layer1.10", "layer2.0", "layer10.0"]


def test_a_configuration_cannot_be_changed_through_what_it_was_made_of():
    blocks = {"layer1.0": R16}
    config = SEConfig(blocks)
    blocks["layer1.1"] = R16
    assert list(config) == ["layer1.0"]


def test_a_configuration_that_went_to_another_process_has_the_hash_that_it_has_there():
    """Hashes of texts differ from process to process: one that came along would not find its equal."""
    config = SEConfig({"layer1.0": SEBlock(hidden=4)})
    hash(config)
    came = pickle.loads(pickle.dumps(config))
    assert came._hash is None
    assert came == config


def test_a_configuration_has_no_assignment():
    with pytest.raises(TypeError):
        SEConfig()["layer1.0"] = R16


@pytest.mark.parametrize("text", ["", "layer1.0", "layer1.0: none", "layer1.0: r16 standard", "layer1.0: h4 standard;"])
def test_text_of_no_configuration_is_refused(text):
    with pytest.raises(SpaceError):
        SEConfig.parse(text)


def test_text_with_two_blocks_for_one_site_is_refused(refused):
    with refused(SpaceError, "layer1.0"):
        SEConfig.parse("layer1.0: h4 standard; layer1.0: h8 standard")


def test_the_plain_form_has_every_field_in_plain_types():
    plain = SEConfig({"layer1.0": SEBlock(hidden=4, gate=Gate.TWICE_SIGMOID)}).plain()
    assert plain == {
        "layer1.0": {
            "hidden": 4,
            "placement": "standard",
            "squeeze": "avg",
            "gate": "2sigmoid",
            "activation": "relu",
            "bias": True,
        }
    }
    assert {type(value) for value in plain["layer1.0"].values()} == {int, str, bool}


def test_a_plain_site_may_be_none():
    assert SEConfig.from_plain({"a": "none", "b": None, "c": {"hidden": 16}}) == SEConfig({"c": R16})


def test_a_plain_site_may_be_a_number():
    assert SEConfig.from_plain(yaml.safe_load("0: {hidden: 16}")) == SEConfig({"0": R16})


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        (["layer1.0"], ["maps sites to SE blocks", "['layer1.0']"]),
        ("none", ["maps sites to SE blocks", '"none"']),
        ({"layer1.0": 16}, ["layer1.0", "hidden", "placement", "none", '"16"']),
        ({"layer1.0": {"width": 16}}, ["layer1.0", '"width"', "activation, bias, gate, hidden, placement, squeeze"]),
        ({"layer1.0": {}}, ["layer1.0", "hidden", "whole number"]),
        ({"layer1.0": {"hidden": "16"}}, ["layer1.0", "hidden", "whole number", '"16"']),
        ({"layer1.0": {"hidden": 16.0}}, ["layer1.0", "hidden", "whole number", '"16.0"']),
        ({"layer1.0": {"hidden": True}}, ["layer1.0", "hidden", "whole number", '"True"']),
        ({"layer1.0": {"hidden": 0}}, ["layer1.0", "hidden", "at least 1"]),
        ({"layer1.0": {"hidden": 4, "bias": "no"}}, ["layer1.0", "bias", "true or false", '"no"']),
        ({"layer1.0": {"hidden": 4, "placement": "side"}}, ["layer1.0: placement", '"side"', "pre, inner_before_relu"]),
        ({"layer1.0": {"hidden": 4, "squeeze": "mean"}}, ["layer1.0: squeeze", '"mean"', "avg, max"]),
        ({"layer1.0": {"hidden": 4, "gate": "tanh"}}, ["layer1.0: gate", '"tanh"', "sigmoid, hard_sigmoid, 2sigmoid"]),
        ({"layer1.0": {"hidden": 4, "activation": 3}}, ["layer1.0: activation", '"3"', "relu, silu"]),
    ],
)
def test_a_wrong_plain_form_is_refused_with_site_key_value_and_way_out(refused, plain, words):
    with refused(SpaceError, *words):
        SEConfig.from_plain(plain)


# Hu et al., arXiv:1709.01507: the totals of torchvision's resnet50 with SE everywhere, without biases, less its own
# 25,557,032 parameters; they are (2/r) x sum over stages of N_s x C_s^2.
@pytest.mark.parametrize(
    ("reduction", "total"), [(2, 45_676_584), (4, 35_616_808), (8, 30_586_920), (16, 28_071_976), (32, 26_814_504)]
)
def test_parameters_match_the_paper_for_se_resnet50_without_biases(resnet50, reduction, total):
    config = SEConfig(
        {site.name: SEBlock(hidden=width(site.output.channels, reduction), bias=False) for site in resnet50}
    )
    closed = sum(n * c**2 for n, c in zip((3, 4, 6, 3), (256, 512, 1024, 2048), strict=True))
    assert closed == 20_119_552
    assert config.params(resnet50) == total - 25_557_032 == 2 * closed // reduction


def test_parameters_match_timm_for_se_resnet50_with_biases(resnet50):
    assert SEConfig.everywhere(resnet50, 16).params(resnet50) == 28_088_024 - 25_557_032


def test_the_stages_of_se_resnet50_share_the_cost_as_the_paper_says(resnet50):
    blocks = {site.name: SEBlock(hidden=width(site.output.channels, 16), bias=False) for site in resnet50}
    shares = [
        SEConfig({site.name: blocks[site.name] for site in stage}).params(resnet50) / SEConfig(blocks).params(resnet50)
        for stage in stages(resnet50)
    ]
    assert [round(100 * share, 1) for share in shares] == [1.0, 5.2, 31.3, 62.5]


def test_macs_of_se_resnet50_at_r_16_are_its_weights(resnet50):
    assert SEConfig.everywhere(resnet50, 16).macs(resnet50) == 2_514_944


def test_the_cost_is_that_of_the_channels_at_the_placement(resnet50):
    config = SEConfig({"layer2.0": SEBlock(hidden=16, placement=Placement.PRE, bias=False)})
    assert config.params(resnet50) == config.macs(resnet50) == 2 * 256 * 16


def test_a_placement_that_the_site_lacks_has_no_cost(refused, resnet50):
    with refused(SpaceError, "layer1.0", "inner", "standard"):
        SEConfig({"layer1.0": SEBlock(hidden=4, placement=Placement.INNER)}).params(resnet50)


def test_blocks_come_beside_their_sites_in_network_order(resnet50):
    backwards = resnet50[::-1]
    found = SEConfig({"layer1.0": R16, "layer4.2": SEBlock(hidden=8)}).on(backwards)
    assert found == [(resnet50[-1], SEBlock(hidden=8)), (resnet50[0], R16)]


def test_a_site_that_the_network_lacks_is_named_with_those_it_has(refused, resnet50):
    with refused(SpaceError, "no site layer5.0, layer6.0", *(site.name for site in resnet50)):
        SEConfig({"layer6.0": R16, "layer1.0": R16, "layer5.0": R16}).on(resnet50)


def test_se_everywhere_is_a_standard_block_of_that_ratio_at_every_site(resnet50):
    config = SEConfig.everywhere(resnet50)
    assert list(config) == [site.name for site in resnet50]
    assert [block.hidden for block in config.values()] == [16] * 3 + [32] * 4 + [64] * 6 + [128] * 3
    assert {block.traits for block in config.values()} == {"standard"}


def test_se_everywhere_is_standard_else_inner_else_post():
    place = Place(16, 8, 8)
    offered = {
        "a": [Placement.POST],
        "b": [Placement.PRE, Placement.INNER, Placement.STANDARD, Placement.POST],
        "c": [Placement.PRE, Placement.INNER, Placement.POST],
        "d": [Placement.PRE],
    }
    sites = [Site(name, dict.fromkeys(places, place), place) for name, places in offered.items()]
    expected = {"a": Placement.POST, "b": Placement.STANDARD, "c": Placement.INNER}
    assert SEConfig.everywhere(sites, 4) == SEConfig({n: SEBlock(hidden=4, placement=p) for n, p in expected.items()})


def test_words_say_all_where_every_site_has_the_same_block(resnet50):
    assert SEConfig.everywhere(resnet50, 16).words(resnet50) == "r16 standard: all"


def test_words_group_the_sites_that_share_a_block(resnet50):
    pre = {f"layer1.{n}": SEBlock(hidden=16, placement=Placement.PRE) for n in (1, 2)}
    config = SEConfig({"layer3.0": SEBlock(hidden=128), **pre})
    assert config.words(resnet50) == "r16 pre: layer1.1, layer1.2 | r8 standard: layer3.0"


def test_words_do_not_say_all_for_some_sites_nor_for_a_single_one(resnet50):
    config = SEConfig({"layer1.0": R16})
    assert config.words(resnet50) == "r16 standard: layer1.0"
    assert config.words(resnet50[:1]) == "r16 standard: layer1.0"


def test_words_do_not_say_all_where_all_sites_have_blocks_that_differ(resnet50):
    config = SEConfig({"layer1.0": R16, "layer1.1": SEBlock(hidden=8)})
    assert config.words(resnet50[:2]) == "r16 standard: layer1.0 | r32 standard: layer1.1"


def test_words_for_no_se_are_none(resnet50):
    assert SEConfig().words(resnet50) == "none"


@pytest.mark.parametrize(
    ("hidden", "placement", "words"),
    [
        (1, Placement.STANDARD, "r16 standard"),  # r = 32 and r = 64 give the width 1 too
        (4, Placement.STANDARD, "r4 standard"),
        (5, Placement.STANDARD, "h5 standard"),
        (16, Placement.STANDARD, "h16 standard"),
        (4, Placement.PRE, "r2 pre"),  # before the branch there are 8 channels
        (3, Placement.POST, "r8 post"),
        (1, Placement.POST, "r16 post"),  # 24 channels: r = 16 does not divide them
    ],
)
def test_a_width_is_spoken_as_the_smallest_usual_ratio_that_gives_it(hidden, placement, words):
    channels = {Placement.STANDARD: 16, Placement.PRE: 8, Placement.POST: 24}
    site = Site("a", {placement: Place(c, 8, 8) for placement, c in channels.items()}, Place(16, 8, 8))
    assert spoken_block(SEBlock(hidden=hidden, placement=placement), site) == words


@pytest.fixture
def stripped():
    place = Place(16, 8, 8)
    places = dict.fromkeys([Placement.INNER, Placement.POST], place)
    ours = Former(Placement.INNER, SEBlock(hidden=5, placement=Placement.INNER), params=181, macs=160)
    theirs = Former(Placement.POST, None, params=272, macs=256)
    return [Site("a", places, place, ours), Site("b", places, place, theirs), Site("c", places, place)]


def test_blocks_that_the_backbone_came_with_are_called_former(stripped):
    former = SEConfig.former(stripped)
    assert former.words(stripped) == "former: all"
    assert SEConfig({"a": former["a"]}).words(stripped) == "former: a"
    assert SEConfig({**former, "c": former["a"]}).words(stripped) == "former: a, b | h5 inner: c"


def test_a_block_that_cannot_be_written_as_one_of_ours_is_the_original(stripped):
    former = SEConfig.former(stripped)
    assert str(former) == "a: h5 inner; b: original"
    assert SEConfig.parse(str(former)) == former == SEConfig.from_plain(former.plain())
    assert (former.params(stripped), former.macs(stripped)) == (181 + 272, 160 + 256)


@pytest.mark.parametrize("site", ["a", "c"])
def test_an_original_where_there_is_none_is_refused(stripped, site):
    with pytest.raises(SpaceError, match=f"site {site} has no block of the backbone's own that is kept as it is"):
        SEConfig({site: Original()}).params(stripped)


def test_se_everywhere_is_where_the_backbone_had_its_blocks(stripped):
    places = [block.placement for block in SEConfig.everywhere(stripped).values()]
    assert places == [Placement.INNER, Placement.POST, Placement.INNER]
