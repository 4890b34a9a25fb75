"""Whatever stands on a command line ends in a checked configuration or in one line."""

import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from senas.app import compose
from senas.app.lines import groups, known_keys
from senas.app.schema import SCHEMAS
from senas.errors import SenasError

KEYS = [*known_keys("search"), *groups()]

keys = st.one_of(
    st.sampled_from(KEYS),
    st.sampled_from(KEYS).map(lambda key: key[:-1]),
    st.sampled_from(KEYS).map(lambda key: f"{key}.x"),
    st.sampled_from(KEYS).map(lambda key: f"{key}.0"),
    st.sampled_from(["hydra.job.name", "hydra/launcher", "--trials", "-x", "", "a b", "[", "@", "ü", "é.ö"]),
    st.text(max_size=8),
)
plain = st.one_of(
    st.integers().map(str),
    st.integers(-(10**40), 10**40).map(str),
    st.floats().map(str),
    st.sampled_from(["null", "true", "''", '"', "'", "[]", "{}", "[[1]]", "{a:{b:[1,2]}}", "1,2", "${x}", "~"]),
    st.sampled_from(["${oc.env:NOWHERE}", "range(1,3)", "choice(a)", "1e999", "nan", "-inf", "a=b", "\\", "a\nb", "☃"]),
    st.text(max_size=12),
)
values = st.one_of(
    plain, st.lists(plain, max_size=3).map(lambda each: f"[{','.join(each)}]"), plain.map(lambda v: f'"{v}"')
)
overrides = st.builds(
    lambda sign, key, equals, value: f"{sign}{key}{equals}{value}",
    st.sampled_from(["", "", "", "+", "++", "~"]),
    keys,
    st.sampled_from(["=", "=", "=", "=", ""]),
    values,
)


@pytest.fixture(autouse=True)
def _nothing_runs_and_nothing_is_asked(monkeypatch, folder):
    """A configuration that was checked is enough; no server is looked for, and flags of Hydra's are not wanted here."""
    monkeypatch.setattr(compose, "check_surroundings", lambda command, config: None)
    monkeypatch.setattr(sys, "argv", ["senas"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(overrides, min_size=1, max_size=3))
def test_random_overrides_end_in_a_checked_configuration_or_in_one_line(folder, capsys, words):
    checked = []
    try:
        compose.run_with_hydra("search", words, checked.append)
    except SenasError as error:
        line = " ".join(str(error).split())
        assert line
        assert checked == []
    else:
        assert [type(config) for config in checked] == [SCHEMAS["search"]]
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
    assert list(folder.iterdir()) == []
