"""An MLflow that goes away during a search: nothing stops, and nothing is missing in the end."""

import math
import shutil

import pytest

from senas.core.trial import Status
from senas.record.server import serve


def test_a_store_that_goes_away_stops_nothing_warns_once_and_is_completed(
    opened, store, folder, warnings, trial, monkeypatch
):
    monkeypatch.setattr("senas.record.mlflow.VOLUME_SECONDS", 0.0)
    recorder = opened()
    recorder.record(trial(0), [0], 0.1)
    away = folder.rename(folder.with_name("away"))
    recorder.record(trial(1), [0, 1], 0.2)
    recorder.record(trial(2), [2], 0.3)
    assert len(warnings) == 1
    assert "\n" not in warnings[0]
    assert not folder.exists()
    away.rename(folder)
    assert len(store.trials) == 1
    recorder.record(trial(3), [2, 3], 0.4)
    assert [run.info.status for run in store.trials] == ["FINISHED"] * 4
    assert store.pareto() == {2, 3}
    assert store.history(store.parent, "hypervolume") == [(0, 0.1), (1, 0.2), (2, 0.3), (3, 0.4)]
    assert len(warnings) == 1


def test_what_waited_is_written_when_the_search_concludes(opened, store, folder, warnings, trial):
    recorder = opened()
    away = (folder / "mlflow.db").rename(folder / "away.db")
    recorder.record(trial(0), [0], 0.1)
    recorder.record(trial(1), [0], 0.1)
    assert not (folder / "mlflow.db").exists()
    away.rename(folder / "mlflow.db")
    recorder.conclude(front=(), finished=True, description="done", files={})
    assert (len(store.trials), store.parent.info.status, len(warnings)) == (2, "FINISHED", 1)


def test_a_store_that_stays_away_lets_the_search_conclude(opened, folder, warnings, trial):
    recorder = opened()
    folder.rename(folder.with_name("away"))
    recorder.record(trial(0), [0], 0.1)
    recorder.conclude(front=(), finished=True, description="done", files={"front.svg": b""})
    assert len(warnings) == 1


def test_artifacts_that_cannot_be_written_leave_no_run_running(opened, store, folder, warnings):
    recorder = opened()
    shutil.rmtree(folder / "artifacts")
    (folder / "artifacts").write_text("in the way")
    recorder.conclude(front=(), finished=True, description="done", files={"front.svg": b""})
    assert (store.parent.info.status, len(warnings)) == ("FINISHED", 1)


@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back_has_the_whole_record(opened, uri, store, warnings, trial):
    with serve(uri) as server:
        port = int(server.url.rpartition(":")[2])
        recorder = opened(uri=server.url)
        recorder.record(trial(0), [0], 0.1)
    recorder.record(trial(1), [0, 1], 0.2)
    recorder.record(trial(2), [2], 0.3)
    assert (len(warnings), len(store.trials)) == (1, 1)
    with serve(uri, port=port):
        diverged = trial(3, Status.FAILED, scores={}, values=(), curve=[{"val_loss": math.nan}])
        recorder.record(diverged, [2], 0.3)
        recorder.conclude(front=[2], finished=True, description="done", files={"front.svg": b"<svg/>"})
    assert [run.info.status for run in store.trials] == ["FINISHED"] * 3 + ["FAILED"]
    assert (store.pareto(), store.parent.info.status, len(warnings)) == ({2}, "FINISHED", 1)
