"""Commands to copy: the shell and Hydra read what was meant."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from senas.app.commands import override


@pytest.mark.parametrize(
    "value",
    [
        "pilot",
        "a/b-c_1.2",
        "../x",
        "a b",
        "[1] (2)",
        "it's",
        'say "so"',
        "a,b",
        "1e3",
        "007",
        "null",
        "True",
        "ü",
        "a~b",
        "a\\b",
        "a\\",
        'a\\"b',
    ],
)
def test_an_override_is_read_as_the_text_it_is_of(value):
    (word,) = shlex.split(override("root", value))
    (read,) = OverridesParser.create().parse_overrides([word])
    assert str(read.value()) == value
    assert isinstance(read.value(), str)


@pytest.mark.parametrize("value", ["pilot", "digits-resnet8-00a7ec", "runs/a", "/tmp/b"])
def test_a_plain_word_stands_without_quotes(value):
    assert override("root", value) == f"root={value}"
