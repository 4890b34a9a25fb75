"""Optuna's pages on a study: they answer, and mistakes end in a line."""

import json
import socket
import sys
import urllib.request

import pytest

from senas.errors import ConfigError, StudyError
from senas.study.dashboard import serve_optuna


@pytest.fixture
def studied(open_study, go_on, journal):
    go_on(open_study(journal), 2)
    return journal


def test_the_pages_answer_at_the_link_with_the_trials(studied):
    pytest.importorskip("optuna_dashboard")
    with serve_optuna(studied, "pilot") as server:
        base = server.url.partition("/dashboard")[0]
        with urllib.request.urlopen(server.url) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"{base}/api/studies/{server.url.rpartition('/')[2]}") as answer:
            assert len(json.load(answer)["trials"]) == 2
    assert not server.thread.is_alive()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(base.rpartition(":")[2]))) != 0


def test_without_the_extra_the_way_out_is_told(studied, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with (
        pytest.raises(ConfigError, match=r'not installed: pip install "senas\[dashboard\]"'),
        serve_optuna(studied, "pilot"),
    ):
        pass


def test_a_study_that_is_not_there_is_refused_and_not_made(studied, tmp_path):
    pytest.importorskip("optuna_dashboard")
    before = {path: path.stat().st_size for path in tmp_path.iterdir()}
    for storage, name in ((studied, "other"), (tmp_path / "none.log", "pilot")):
        with pytest.raises(StudyError, match="there is no study"), serve_optuna(storage, name):
            pass
    assert {path: path.stat().st_size for path in tmp_path.iterdir()} == before


def test_a_port_that_is_taken_is_refused_with_the_way_out(studied):
    pytest.importorskip("optuna_dashboard")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=f"port {port} .*port=0 takes a free one"),
            serve_optuna(studied, "pilot", port=port),
        ):
            pass
