"""Tracking URIs that cannot be used are refused soon, in one line, without their passwords."""

import socket
import time

import pytest

from senas.errors import ConfigError
from senas.record.address import hidden


def test_an_address_where_nothing_listens_is_refused_in_one_line_without_its_password(opened):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        begin = time.monotonic()
        with pytest.raises(ConfigError, match=r"^tracking\.uri: .*; start its server, or") as caught:
            opened(uri=f"http://ann:s3cret@127.0.0.1:{port}", artifacts=None)
    assert time.monotonic() - begin < 10
    assert f"http://ann:***@127.0.0.1:{port}" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_server_that_accepts_and_never_answers_is_given_up_within_ten_seconds(opened):
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        begin = time.monotonic()
        with pytest.raises(ConfigError, match="timed out"):
            opened(uri=f"http://127.0.0.1:{mute.getsockname()[1]}", artifacts=None)
    assert time.monotonic() - begin < 10


def test_a_file_that_is_no_store_is_refused_at_once(opened, folder):
    (folder / "mlflow.db").write_text("not a database, but long enough to be looked at " * 20)
    begin = time.monotonic()
    with pytest.raises(ConfigError, match="file is not a database"):
        opened()
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://ann:pa@ss@host:1/x", "http://ann:***@host:1/x"),
        ("postgresql+psycopg://ann:pass@host/db", "postgresql+psycopg://ann:***@host/db"),
        ("postgresql://host/db?user=ann&password=pass&x=1", "postgresql://host/db?user=ann&password=***&x=1"),
        ("sqlite:////a/b@c.db", "sqlite:////a/b@c.db"),
        ("http://host:5000", "http://host:5000"),
    ],
)
def test_an_address_is_shown_without_its_password(uri, shown):
    assert hidden(uri) == shown
