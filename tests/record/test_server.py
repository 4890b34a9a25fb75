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


def test_a_port_that_is_taken_is_refused_with_the_way_out(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} .* port 0 takes a free one"), serve("sqlite://", port=port):
            pass


@pytest.mark.slow
def test_a_server_answers_and_leaves_no_process_behind(tmp_path):
    with serve(f"sqlite:///{tmp_path / 'mlflow.db'}") as server:
        with urllib.request.urlopen(f"{server.url}/health") as answer:
            assert answer.status == 200
        assert len(group(server.process.pid)) >= 2
        assert len(with_in_environment(str(tmp_path))) >= 2
    assert with_in_environment(str(tmp_path)) == []
    assert group(server.process.pid) == []


@pytest.mark.slow
def test_an_error_inside_ends_the_server_too(tmp_path):
    with pytest.raises(KeyboardInterrupt), serve(f"sqlite:///{tmp_path / 'mlflow.db'}") as server:
        raise KeyboardInterrupt
    assert group(server.process.pid) == []


@pytest.mark.slow
def test_a_server_that_dies_says_its_last_line(tmp_path):
    with pytest.raises(StudyError, match=r"^the MLflow server ended as it started: \S.*$"), serve("nonsense://here"):
        pass


@pytest.mark.slow
def test_a_server_that_is_too_slow_is_given_up_and_ended(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with pytest.raises(StudyError, match="did not answer within 0 s"), serve(uri, seconds=0.2):
        pass
    assert with_in_environment(uri) == []


@pytest.mark.slow
def test_the_password_of_a_store_is_no_argument_of_a_process(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}?password=s3cret"
    with serve(uri) as server:
        arguments = [Path("/proc", each, "cmdline").read_text() for each in group(server.process.pid)]
    assert any("server" in each for each in arguments)
    assert not any("s3cret" in each for each in arguments)
