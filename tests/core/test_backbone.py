"""A backbone as a value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senas.core.backbone import Backbone
from senas.errors import ConfigError


def test_its_plain_form_gives_it_again():
    backbone = Backbone(
        name="seresnet18", library="timm", args={"drop_rate": 0.1, "layers": [1, 2]}, size=(32, 48), leaves=("layer1",)
    )
    assert Backbone.from_plain(backbone.plain()) == backbone


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            {"path": "/etc/passwd"},
            "backbone.args.path must be a word of letters, digits and _ [+] -, no path, got /etc/",
        ),
        ({"path": "..\\x"}, "backbone.args.path must be a word"),
        ({"path": "http://x.y/z"}, "backbone.args.path must be a word"),
        ({"path": "weights.pt"}, "backbone.args.path must be a word"),
        ({"deep": {"path": "a/b"}}, "backbone.args.deep.path must be a word"),
        ({"pretrained": True}, "backbone.args.pretrained: initial weights are named by backbone.weights; leave it out"),
        ({"deep": {"checkpoint_path": "x"}}, "backbone.args.deep.checkpoint_path: initial weights are"),
        ({"weights": "DEFAULT"}, "backbone.args.weights: initial weights are named by backbone.weights"),
        ({"num_classes": 3}, "backbone.args.num_classes: the images tell it; leave it out"),
        ({"cache_dir": "x"}, "backbone.args.cache_dir: it is of no use here"),
        ({"width_mult": 1e9}, "backbone.args.width_mult must be a number of at most 1,000,000, got 1000000000.0"),
        ({"width_mult": float("nan")}, "backbone.args.width_mult must be a number of at most 1,000,000, got nan"),
        ({"depth": 10**400}, "backbone.args.depth must be a number of at most 1,000,000, got 1000"),
        (
            {"depth": 10**9000},
            "backbone.args.depth must be a number of at most 1,000,000, got a number that is too long",
        ),
        ({"layers": [1] * 65}, "backbone.args.layers has more than 64 entries"),
        ({"layers": [[[[1]]]]}, "backbone.args.layers has more than 64 entries, or more than 3 levels"),
        ({"a b": 1}, "backbone.args: a b is no name of an argument"),
        ({"layer": print}, "backbone.args.layer must be a number, a word, a list or a mapping, got <built-in"),
        (["a"], "backbone.args must have keys below it"),
    ],
)
def test_arguments_are_numbers_and_words(args, words):
    with pytest.raises(ConfigError, match=rf"\A{words}[^\n]*\Z"):
        Backbone(name="resnet18", library="torchvision", args=args)


def test_a_custom_backbone_may_have_arguments_of_any_name_but_those_of_weights():
    assert Backbone(name="mine", library="custom", target="a:b", args={"classes": 3}).args == {"classes": 3}
    with pytest.raises(ConfigError, match="initial weights are named by"):
        Backbone(name="mine", library="custom", target="a:b", args={"pretrained": False})


@pytest.mark.parametrize("name", ["", "a/b", "hf-hub:timm/resnet18", "local-dir:x", "a b", "..\\x", "x" * 65])
def test_a_name_is_plain(name):
    with pytest.raises(ConfigError, match=r"\Abackbone.name must be a plain name"):
        Backbone(name=name, library="timm")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=9,
)


@given(plain)
def test_whatever_the_arguments_are_it_is_a_value_or_one_line(args):
    said = ""
    try:
        Backbone(name="x", args=args)
    except ConfigError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 600
