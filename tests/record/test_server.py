"""A server of one's own: it answers, and nothing of it is left."""

import socket
import urllib.request
from pathlib import Path

import pytest

from senas.errors import ConfigError, StudyError
from senas.record.server import serve


def group(number):
    """The living processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of, *_ = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(of) == number and state != "Z":
            found.append(stat.parent.name)
    return found


def with_in_environment(text):
    """The living processes whose environment holds the text."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            if text.encode() in file.read_bytes():
                found.append(file.parent.name)
        except OSError:
            continue
    return found


def test_a_store_that_is_not_there_is_refused_and_not_made(tmp_path):
    with pytest.raises(StudyError, match="there is no file"), serve(f"sqlite:///{tmp_path / 'mlflow.db'}"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_refused_with_the_way_out():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} .* port 0 takes a free one"), serve("sqlite://", port=port):
            pass


@pytest.mark.slow
def test_a_server_answers_and_leaves_no_process_behind(uri):
    with serve(uri) as server:
        with urllib.request.urlopen(f"{server.url}/health") as answer:
            assert answer.status == 200
        assert len(group(server.process.pid)) >= 2
        assert len(with_in_environment(uri)) >= 2
    assert with_in_environment(uri) == []
    assert group(server.process.pid) == []


@pytest.mark.slow
def test_an_error_inside_ends_the_server_too(uri):
    with pytest.raises(KeyboardInterrupt), serve(uri) as server:
        raise KeyboardInterrupt
    assert group(server.process.pid) == []


@pytest.mark.slow
def test_a_server_that_dies_says_why(uri, monkeypatch):
    with socket.socket() as taken:  # by somebody who was faster
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr("senas.record.server._free", lambda host, port: taken.getsockname()[1])
        with pytest.raises(StudyError, match=r"ended as it started: .*address already in use$"), serve(uri):
            pass


@pytest.mark.slow
def test_a_server_that_is_too_slow_is_given_up_and_ended(uri):
    with pytest.raises(StudyError, match="did not answer within 0 s"), serve(uri, seconds=0.2):
        pass
    assert with_in_environment(uri) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Query string argument")  # SQLite knows no passwords
def test_the_password_of_a_store_is_no_argument_of_a_process(uri):
    with serve(f"{uri}?password=s3cret") as server:
        arguments = [Path("/proc", each, "cmdline").read_text() for each in group(server.process.pid)]
    assert any("server" in each for each in arguments)
    assert not any("s3cret" in each for each in arguments)
