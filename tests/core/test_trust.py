"""Whose code a file may name."""

import pytest

from senas.core.trust import is_trusted, packages, suggested
from senas.errors import ConfigError


@pytest.mark.parametrize(
    ("target", "trust", "trusted"),
    [
        ("mypkg.net:build", ["mypkg"], True),
        ("mypkg.net:build", ["mypkg.net"], True),
        ("mypkg:build", ["other", "mypkg"], True),
        ("mypkg2.net:build", ["mypkg"], False),
        ("mypkg.network:build", ["mypkg.net"], False),
        ("mypkg:build", ["mypkg.net"], False),
        ("os:system", [], False),
        (":mypkg", ["mypkg"], False),
    ],
)
def test_a_package_is_trusted_whole_and_no_other_of_a_similar_name(target, trust, trusted):
    assert is_trusted(target, trust) == trusted


def test_one_name_or_several_are_given():
    assert packages("mypkg") == ("mypkg",)
    assert packages(["mypkg", "other.net"]) == ("mypkg", "other.net")


@pytest.mark.parametrize("given", ["", "my pkg", "mypkg:build", [""], [3], 3, None, {"mypkg": True}, "../mypkg"])
def test_what_names_no_package_is_refused(given):
    with pytest.raises(ConfigError, match=r"\Atrust must "):
        packages(given)


def test_what_is_suggested_is_trusted():
    assert suggested("mypkg.net:build") == "mypkg"
    assert is_trusted("mypkg.net:build", [suggested("mypkg.net:build")])
