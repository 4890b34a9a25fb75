"""The recorder, on real MLflow stores: what a study leaves behind, and what an outage does not take away."""

import base64
import json
import math
import shutil
import socket
import time
import zlib
from pathlib import Path

import pytest
from mlflow import MlflowClient

from senas.core.block import Placement, SEBlock
from senas.core.config import SEConfig
from senas.core.site import Place, Site
from senas.core.trial import Failure, Status, Trial
from senas.errors import ConfigError
from senas.record.mlflow import MlflowRecorder, hidden
from senas.record.server import serve
from senas.record.view import view_link

PLACE = Place(16, 8, 8)
SITES = [Site(name, {Placement.STANDARD: PLACE}, PLACE) for name in ("layer1.0", "layer1.1")]
R4 = SEConfig({"layer1.0": SEBlock(hidden=4)})
EPOCHS = 3


def trial(number, status=Status.COMPLETE, *, config=R4, loss=0.5, **more):
    curve = [{"val_loss": loss + (EPOCHS - epoch) / 10, "train_loss": 0.1} for epoch in range(1, EPOCHS + 1)]
    facts = {
        "seed": 3,
        "scores": {"val_loss": loss, "se_params": 148.0, "macs": 1000.0},
        "values": (loss + 0.01,),
        "curve": curve,
        "seconds": 12.5,
        "started": 1_700_000_000.0 + 60 * number,
    }
    return Trial(number=number, status=status, config=config, **{**facts, **more})


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """An empty store: making one costs seconds, copying it nothing."""
    file = tmp_path_factory.mktemp("template") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def folder(tmp_path, template):
    (tmp_path / "store").mkdir()
    shutil.copy(template, tmp_path / "store" / "mlflow.db")
    return tmp_path / "store"


@pytest.fixture
def uri(folder):
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def opened(uri, folder, warnings):
    """Opens the study's recorder, as often as wanted."""

    def open_(study="pilot", uri=uri, artifacts=folder / "artifacts", **more):
        facts = {
            "experiment": "senas",
            "params": {"trainer.epochs": EPOCHS, "space.sites": ["layer1.*"], "data.name": "digits"},
            "config_yaml": "trainer:\n  epochs: 3\n",
            "versions": {"torch": "2.13.0"},
            "sites": SITES,
            "largest_params": 592,
            "objective": ("penalized_loss",),
            "warn": warnings.append,
        }
        return MlflowRecorder.open(uri, artifacts=artifacts, study=study, **{**facts, **more})

    return open_


@pytest.fixture
def store(uri):
    return Store(uri)


class Store:
    """What is in a store, read with a client of its own."""

    def __init__(self, uri):
        self.client = MlflowClient(tracking_uri=uri)

    @property
    def experiment(self):
        return self.client.get_experiment_by_name("senas")

    def runs(self, role):
        found = self.client.search_runs([self.experiment.experiment_id], f"tags.`senas.role` = '{role}'")
        return sorted(found, key=lambda run: int(run.data.tags.get("senas.trial", 0)))

    @property
    def parent(self):
        (run,) = self.runs("study")
        return run

    @property
    def trials(self):
        return self.runs("trial")

    def history(self, run, metric):
        return [
            (point.step, pytest.approx(point.value))
            for point in self.client.get_metric_history(run.info.run_id, metric)
        ]

    def pareto(self):
        return {int(run.data.tags["senas.trial"]) for run in self.trials if run.data.tags["pareto"] == "true"}


# What any recorder should do


def test_a_trial_becomes_one_run_inside_the_run_of_its_study(opened, store):
    opened().record(trial(7), [7], 0.25)
    (run,) = store.trials
    assert run.data.tags["mlflow.parentRunId"] == store.parent.info.run_id
    assert run.info.run_name == "trial 7: r4 standard: layer1.0"
    assert run.data.params == {"layer1.0": "r4 standard", "layer1.1": "none", "seed": "3"}
    assert run.data.tags["senas.config"] == str(R4)


def test_scores_values_and_seconds_are_metrics(opened, store):
    opened().record(trial(0), [0], 0.25)
    metrics = store.trials[0].data.metrics
    assert metrics == {
        "val_loss": 0.5,
        "train_loss": 0.1,
        "se_params": 148,
        "se_share": 0.25,
        "macs": 1000,
        "seconds": 12.5,
        "penalized_loss": 0.51,
    }


def test_the_curve_has_one_point_an_epoch_counted_from_one(opened, store):
    opened().record(trial(0), [0], 0.25)
    assert store.history(store.trials[0], "val_loss") == [(1, 0.7), (2, 0.6), (3, 0.5)]


def test_a_run_begins_and_ends_when_its_trial_did(opened, store):
    opened().record(trial(2), [2], 0.25)
    info = store.trials[0].info
    assert (info.start_time, info.end_time) == (1_700_000_120_000, 1_700_000_132_500)


@pytest.mark.parametrize(
    ("status", "end"), [(Status.COMPLETE, "FINISHED"), (Status.PRUNED, "KILLED"), (Status.FAILED, "FAILED")]
)
def test_a_trial_ends_in_mlflow_as_it_ended(opened, store, status, end):
    opened().record(trial(0, status), [], 0.0)
    assert (store.trials[0].info.status, store.trials[0].data.tags["senas.status"]) == (end, status)


def test_a_failed_trial_says_why(opened, store):
    curve = [{"val_loss": math.nan, "train_loss": math.inf}]
    failed = trial(
        0,
        Status.FAILED,
        scores={},
        values=(),
        curve=curve,
        failure=Failure.DIVERGED,
        reason="the loss became NaN in epoch 1",
    )
    opened().record(failed, [], 0.0)
    (run,) = store.trials
    assert run.data.tags["senas.failure"] == "diverged"
    assert run.data.tags["senas.reason"] == "the loss became NaN in epoch 1"
    assert math.isnan(run.data.metrics["val_loss"])
    assert math.isnan(run.data.metrics["train_loss"])


def test_a_repeat_names_the_trial_that_it_repeats(opened, store):
    recorder = opened()
    recorder.record(trial(0), [0], 0.1)
    recorder.record(trial(1, repeats=0), [0], 0.1)
    assert [run.data.tags.get("senas.repeats") for run in store.trials] == [None, "0"]


def test_recording_a_trial_twice_leaves_one_run(opened, store):
    recorder = opened()
    for _ in range(2):
        recorder.record(trial(0), [0], 0.1)
    opened().record(trial(0), [0], 0.1)
    assert len(store.trials) == 1
    assert store.history(store.trials[0], "val_loss") == [(1, 0.7), (2, 0.6), (3, 0.5)]


def test_pareto_marks_the_latest_front_and_nothing_else(opened, store):
    recorder = opened()
    recorder.record(trial(0), [0], 0.1)
    recorder.record(trial(1), [0, 1], 0.2)
    assert store.pareto() == {0, 1}
    recorder.record(trial(2), [1, 2], 0.3)
    assert store.pareto() == {1, 2}
    opened().record(trial(3), [3], 0.4)
    assert store.pareto() == {3}


def test_hypervolume_is_followed_by_trial(opened, store):
    recorder = opened()
    recorder.record(trial(0), [0], 0.1)
    recorder.record(trial(1), [0, 1], 0.2)
    assert store.history(store.parent, "hypervolume") == [(0, 0.1), (1, 0.2)]


def test_a_resumed_study_goes_on_in_its_run(opened, store):
    first = opened()
    first.conclude(finished=False, description="", files={})
    assert store.parent.info.status == "KILLED"
    again = opened()
    assert again.run_id == first.run_id
    assert store.parent.info.status == "RUNNING"


def test_two_studies_have_two_runs(opened, store):
    assert opened("pilot").run_id != opened("it's another").run_id
    assert opened("it's another").run_id in {run.info.run_id for run in store.runs("study")}
    assert len(store.runs("study")) == 2


def test_missing_names_the_finished_trials_that_are_not_recorded(opened):
    opened().record(trial(0), [0], 0.1)
    trials = [trial(0), trial(1, Status.PRUNED), trial(2, Status.RUNNING)]
    assert [each.number for each in opened().missing(trials)] == [1]


@pytest.mark.parametrize(("finished", "end"), [(True, "FINISHED"), (False, "KILLED")])
def test_a_concluded_study_has_its_description_its_files_and_its_end(opened, store, finished, end):
    files = {"front.svg": b"<svg/>", "tables/front.csv": b"a\n1\n"}
    opened().conclude(finished=finished, description="# Front", files=files)
    parent = store.parent
    assert parent.info.status == end
    assert parent.data.tags["mlflow.note.content"] == "# Front"
    paths = {item.path for item in store.client.list_artifacts(parent.info.run_id)}
    assert paths == {"config.yaml", "front.svg", "tables"}
    file = store.client.download_artifacts(parent.info.run_id, "tables/front.csv")
    assert Path(file).read_bytes() == b"a\n1\n"


def test_no_run_is_left_running_by_a_search_that_ended(opened, store):
    recorder = opened()
    left = store.client.create_run(
        store.experiment.experiment_id,
        tags={"mlflow.parentRunId": recorder.run_id, "senas.role": "trial", "senas.trial": "0"},
    )
    again = opened()
    assert [each.number for each in again.missing([trial(0)])] == [0]
    again.conclude(finished=True, description="", files={})
    assert store.client.get_run(left.info.run_id).info.status == "KILLED"


def test_a_run_that_a_crash_broke_off_is_completed_not_repeated(opened, store):
    recorder = opened()
    store.client.create_run(
        store.experiment.experiment_id,
        tags={"mlflow.parentRunId": recorder.run_id, "senas.role": "trial", "senas.trial": "0", "pareto": "false"},
    )
    opened().record(trial(0), [0], 0.1)
    (run,) = store.trials
    assert (run.info.status, run.data.metrics["val_loss"]) == ("FINISHED", 0.5)
    assert store.pareto() == {0}


# Limits of MLflow


def test_150_parameters_and_2000_points_are_kept_whole(opened, store):
    recorder = opened(params={f"key{number}": number for number in range(150)})
    recorder.record(trial(0, curve=[{"val_loss": 0.5, "train_loss": 0.5}] * 1000), [0], 0.1)
    assert len(store.parent.data.params) == 150
    assert [step for step, _ in store.history(store.trials[0], "val_loss")] == list(range(1, 1001))


def test_long_values_are_cut_and_odd_names_are_made_to_fit(opened, store):
    recorder = opened(params={"long": "x" * 7000, "odd(name)": None, "list": [1, "a"], "empty": ""})
    recorder.record(trial(0, Status.FAILED, reason="y" * 9000), [], 0.0)
    params = store.parent.data.params
    assert (params["long"], params["odd_name_"], params["list"]) == ("x" * 5999 + "…", "null", '[1, "a"]')
    assert store.trials[0].data.tags["senas.reason"] == "y" * 7999 + "…"


def test_a_long_description_is_cut_after_a_whole_line_and_says_so(opened, store):
    opened().conclude(finished=True, description="| a row |\n" * 1000, files={})
    *rows, empty, note = store.parent.data.tags["mlflow.note.content"].split("\n")
    assert set(rows) == {"| a row |"}
    assert len(rows) > 780
    assert (empty, note) == ("", "*Cut here: MLflow keeps 8,000 characters of 10,000.*")


def test_a_long_name_is_cut_between_words(opened, store):
    sites = [Site(f"layer{n}", {Placement.STANDARD: PLACE}, PLACE) for n in range(40)]
    config = SEConfig({site.name: SEBlock(hidden=4) for site in sites[1:]})
    opened(sites=sites).record(trial(0, config=config), [0], 0.1)
    (run,) = store.trials
    assert run.info.run_name.startswith("trial 0: r4 standard: layer1, layer2")
    assert run.info.run_name.endswith(", …")
    assert len(run.info.run_name) <= 80


def test_a_parameter_that_changed_on_resuming_is_a_tag(opened, store):
    opened(params={"study.trials": 10, "trainer.epochs": 3})
    opened(params={"study.trials": 20, "trainer.epochs": 3, "new": 1})
    parent = store.parent
    assert parent.data.params == {"study.trials": "10", "trainer.epochs": "3", "new": "1"}
    assert {key: value for key, value in parent.data.tags.items() if key.startswith("resumed.")} == {
        "resumed.study.trials": "20"
    }


# Outages


def test_a_store_that_goes_away_stops_nothing_warns_once_and_is_completed(opened, store, folder, warnings):
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


def test_what_waited_is_written_when_the_search_concludes(opened, store, folder, warnings):
    recorder = opened()
    away = (folder / "mlflow.db").rename(folder / "away.db")
    recorder.record(trial(0), [0], 0.1)
    recorder.record(trial(1), [0], 0.1)
    assert not (folder / "mlflow.db").exists()
    away.rename(folder / "mlflow.db")
    recorder.conclude(finished=True, description="done", files={})
    assert (len(store.trials), store.parent.info.status, len(warnings)) == (2, "FINISHED", 1)


def test_a_store_that_stays_away_lets_the_search_conclude(opened, folder, warnings):
    recorder = opened()
    folder.rename(folder.with_name("away"))
    recorder.record(trial(0), [0], 0.1)
    recorder.conclude(finished=True, description="done", files={"front.svg": b""})
    assert len(warnings) == 1


def test_artifacts_that_cannot_be_written_leave_no_run_running(opened, store, folder, warnings):
    recorder = opened()
    shutil.rmtree(folder / "artifacts")
    (folder / "artifacts").write_text("in the way")
    recorder.conclude(finished=True, description="done", files={"front.svg": b""})
    assert (store.parent.info.status, len(warnings)) == ("FINISHED", 1)


@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back_has_the_whole_record(opened, uri, store, warnings):
    with serve(uri) as server:
        port = int(server.url.rpartition(":")[2])
        recorder = opened(uri=server.url)
        recorder.record(trial(0), [0], 0.1)
    begin = time.monotonic()
    recorder.record(trial(1), [0, 1], 0.2)
    recorder.record(trial(2), [2], 0.3)
    assert time.monotonic() - begin < 2
    assert (len(warnings), len(store.trials)) == (1, 1)
    with serve(uri, port=port):
        diverged = trial(3, Status.FAILED, scores={}, values=(), curve=[{"val_loss": math.nan}])
        recorder.record(diverged, [2], 0.3)
        recorder.conclude(finished=True, description="done", files={"front.svg": b"<svg/>"})
    assert [run.info.status for run in store.trials] == ["FINISHED"] * 3 + ["FAILED"]
    assert (store.pareto(), store.parent.info.status, len(warnings)) == ({2}, "FINISHED", 1)


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


def test_more_runs_than_the_store_gives_at_once_are_all_known(opened, store, monkeypatch):
    monkeypatch.setattr("senas.record.mlflow.PAGE", 2)
    recorder = opened()
    for number in range(5):
        recorder.record(trial(number), [], 0.1)
    assert opened().missing([trial(number) for number in range(5)]) == []


def test_a_file_that_is_no_store_is_refused_at_once(opened, folder):
    (folder / "mlflow.db").write_text("not a database, but long enough to be looked at " * 20)
    begin = time.monotonic()
    with pytest.raises(ConfigError, match="file is not a database"):
        opened()
    assert time.monotonic() - begin < 5


def test_a_deleted_experiment_is_refused_with_the_way_out(opened, store):
    opened()
    store.client.delete_experiment(store.experiment.experiment_id)
    with pytest.raises(ConfigError, match="mlflow experiments restore -x"):
        opened()


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


# The saved view


def test_a_study_has_a_view_from_its_beginning_and_the_link_opens_it(opened, store, uri):
    recorder = opened()
    (key,) = [key for key in store.experiment.tags if key.startswith("mlflow.sharedViewState.")]
    share = key.removeprefix("mlflow.sharedViewState.")
    link = recorder.link("http://host:1/")
    assert link.startswith(f"http://host:1/#/experiments/{store.experiment.experiment_id}/runs?")
    assert f"viewStateShareKey={share}&compareRunsMode=CHART" in link
    assert view_link(uri, "senas", "pilot", "http://host:1") == link


def test_the_view_draws_loss_against_parameters_with_the_whole_front_among_its_runs(opened, store):
    recorder = opened()
    (view,) = [json.loads(value) for key, value in store.experiment.tags.items() if "sharedViewState" in key]
    header, _, body = view["state"].partition(";")
    state = json.loads(zlib.decompress(base64.b64decode(body)))
    scatter = state["compareRunCharts"][0]
    assert (view["name"], header) == ("Front of pilot", "deflate")
    assert recorder.run_id in state["searchFilter"]
    assert (state["orderByKey"], state["orderByAsc"]) == ("tags.`pareto`", False)
    assert [scatter[key] for key in ("type", "xaxis", "yaxis")] == [
        "SCATTER",
        {"key": "se_params", "type": "METRIC"},
        {"key": "val_loss", "type": "METRIC"},
    ]


def test_a_view_that_somebody_edited_is_kept(opened, store):
    opened()
    (key,) = [key for key in store.experiment.tags if key.startswith("mlflow.sharedViewState.")]
    store.client.set_experiment_tag(store.experiment.experiment_id, key, "edited")
    opened().conclude(finished=True, description="", files={})
    assert store.experiment.tags[key] == "edited"


def test_without_a_study_the_link_is_to_the_newest(opened, uri):
    opened("old")
    time.sleep(0.01)
    newest = opened("new")
    assert view_link(uri, "senas", None, "http://host:1") == newest.link("http://host:1")


def test_without_a_view_the_link_is_to_the_page_of_the_experiment(opened, store, uri):
    opened()
    page = f"http://host:1/#/experiments/{store.experiment.experiment_id}/runs?workflowType=machine_learning"
    assert view_link(uri, "senas", "nobody's", "http://host:1") == page
    store.client.create_run(
        store.experiment.experiment_id, tags={"senas.study": "without a view", "senas.role": "study"}
    )
    assert view_link(uri, "senas", "without a view", "http://host:1") == page
    assert view_link(uri, "no such experiment", None, "http://host:1") == "http://host:1/"


def test_the_experiment_explains_itself(opened, store):
    opened()
    tags = store.experiment.tags
    assert "Squeeze-and-Excitation" in tags["mlflow.note.content"]
    assert tags["mlflow.experimentKind"] == "custom_model_development"
