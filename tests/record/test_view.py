"""The saved view of a study, and the link that opens it."""

import base64
import json
import re
import socket
import sqlite3
import time
import zlib

import pytest

from senas.core.block import Placement
from senas.core.site import Place, Site
from senas.errors import ConfigError, StudyError
from senas.record.server import serve
from senas.record.view import view_link


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
    expected, scatter, parallel, *lines = state["compareRunCharts"]
    assert (parallel["type"], parallel["selectedParams"]) == ("PARALLEL", ["layer1.0", "layer1.1"])
    assert parallel["selectedMetrics"] == ["val_loss"]
    assert [line["metricKey"] for line in lines] == ["val_loss", "running_train_loss"]
    assert (view["name"], header) == ("Front of pilot", "deflate")
    assert recorder.run_id in state["searchFilter"]
    assert (state["orderByKey"], state["orderByAsc"]) == ("tags.`standing`", False)
    assert [scatter[key] for key in ("type", "xaxis", "yaxis")] == [
        "SCATTER",
        {"key": "se_params", "type": "METRIC"},
        {"key": "val_loss", "type": "METRIC"},
    ]
    assert expected["yaxis"]["key"] == "expected_val_loss"


def test_the_page_shows_what_is_expected_of_each_configuration_and_how_sure_that_is(opened, store):
    opened(judged="f1")
    state = json.loads(zlib.decompress(base64.b64decode(json.loads(view_of(store)[1])["state"][8:])))
    columns = [f"metrics.`{name}`" for name in ("expected_f1", "expected_low", "expected_high", "probability_on_front")]
    assert set(columns) < set(state["selectedColumns"])
    drawn = [chart["yaxis"]["key"] for chart in state["compareRunCharts"] if chart["type"] == "SCATTER"]
    assert drawn == ["expected_f1", "val_loss"]


def test_a_view_that_somebody_edited_is_kept(opened, store):
    opened()
    (key,) = [key for key in store.experiment.tags if key.startswith("mlflow.sharedViewState.")]
    store.client.set_experiment_tag(store.experiment.experiment_id, key, "edited")
    opened().conclude(front=(), finished=True, description="", files={})
    assert store.experiment.tags[key] == "edited"


def view_of(store):
    (found,) = [(key, value) for key, value in store.experiment.tags.items() if "sharedViewState" in key]
    return found


def test_a_view_that_senas_wrote_in_an_older_form_is_brought_up_to_date(opened, store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("senas.record.mlflow.front_state", lambda *_: {"searchFilter": "old"})
        opened()
    _, old = view_of(store)
    opened()
    assert view_of(store)[1] != old


def test_a_view_from_before_there_were_digests_is_brought_up_to_date(opened, store):
    opened()
    key, value = view_of(store)
    view = json.loads(value)
    view["state"] = "deflate;" + base64.b64encode(zlib.compress(b"{}")).decode()
    store.client.set_experiment_tag(store.experiment.experiment_id, key, json.dumps(view))
    store.client.delete_experiment_tag(
        store.experiment.experiment_id, key.replace("mlflow.sharedViewState", "senas.view")
    )
    opened()
    assert json.loads(view_of(store)[1])["state"] != view["state"]


def test_a_view_that_the_page_overrode_is_kept(opened, store):
    opened()
    key, value = view_of(store)
    edited = json.dumps({**json.loads(value), "updatedAt": 1, "state": "deflate;mine"})
    store.client.set_experiment_tag(store.experiment.experiment_id, key, edited)
    opened().conclude(front=(), finished=True, description="", files={})
    assert view_of(store) == (key, edited)


def test_a_view_that_is_up_to_date_is_not_written_again(opened, store):
    opened()
    before = view_of(store)
    time.sleep(0.01)
    opened()
    assert view_of(store) == before


@pytest.mark.parametrize(("count", "section"), [(4, "front"), (5, "choices")])
def test_what_each_site_got_is_beside_the_front_where_the_sites_are_few(opened, store, count, section):
    place = Place(16, 8, 8)
    recorder = opened(sites=[Site(f"layer{n}", {Placement.STANDARD: place}, place) for n in range(count)])
    state = json.loads(zlib.decompress(base64.b64decode(json.loads(view_of(store)[1])["state"][8:])))
    assert state["compareRunCharts"][2]["metricSectionId"] == f"{recorder.run_id}-{section}"
    shown = [section["uuid"] for section in state["compareRunSections"]]
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} < set(shown)


def test_a_network_with_many_sites_has_few_axes(opened, store):
    place = Place(16, 8, 8)
    opened(sites=[Site(f"layer{n}", {Placement.STANDARD: place}, place) for n in range(54)])
    state = json.loads(zlib.decompress(base64.b64decode(json.loads(view_of(store)[1])["state"][8:])))
    assert len(state["compareRunCharts"][2]["selectedParams"]) == 9


def test_a_view_of_which_the_page_loads_only_a_part_says_so(opened, store, trial, monkeypatch):
    recorder = opened()
    monkeypatch.setattr("senas.record.mlflow.LOADED", 1)
    for number in range(2):
        recorder.record(trial(number), [], 0.1)
    recorder.conclude(front=(), finished=True, description="", files={})
    assert json.loads(view_of(store)[1])["name"] == "Front of pilot (first 1 runs; all in front.html)"


def test_a_comparison_has_a_view_of_what_each_training_came_to(opened, store, uri):
    recorder = opened("compared", contenders={}, objective=("test_loss",))
    view = json.loads(view_of(store)[1])
    state = json.loads(zlib.decompress(base64.b64decode(view["state"][8:])))
    assert view["name"] == "Comparison compared"
    assert [chart["type"] for chart in state["compareRunCharts"]] == ["SCATTER", "LINE", "BAR", "SCATTER"]
    assert state["compareRunCharts"][0]["yaxis"]["key"] == "test_loss"
    assert view_link(uri, "senas", "compared", "http://host:1") == recorder.link("http://host:1")


def test_a_name_with_both_kinds_of_quotes_is_found(opened, store, uri):
    names = ['it\'s "odd"', 'itxs "odd"']
    first, other = (opened(name).run_id for name in names)
    assert opened(names[0]).run_id == first != other
    assert first in view_link(uri, "senas", names[0], "http://host:1")


def test_without_a_study_the_link_is_to_the_newest(opened, uri):
    opened("old")
    time.sleep(0.01)
    newest = opened("new")
    assert view_link(uri, "senas", None, "http://host:1") == newest.link("http://host:1")


@pytest.mark.slow
def test_the_link_is_the_same_whether_a_store_is_looked_at_or_its_server(opened, uri):
    recorder = opened()
    with serve(uri) as server:
        assert view_link(server.url, "senas", "pilot", "http://host:1") == recorder.link("http://host:1")


def test_without_a_view_the_link_is_to_the_page_of_the_experiment(opened, store, uri):
    opened()
    page = f"http://host:1/#/experiments/{store.experiment.experiment_id}/runs?workflowType=machine_learning"
    store.client.create_run(
        store.experiment.experiment_id, tags={"senas.study": "without a view", "senas.role": "study"}
    )
    assert view_link(uri, "senas", "without a view", "http://host:1") == page
    assert view_link(uri, "no such experiment", None, "http://host:1/") == "http://host:1/"


def test_a_study_that_is_not_there_is_refused_with_those_that_are(opened, uri):
    opened("pilot")
    opened("it's another")
    opened("elsewhere", experiment="other")
    with pytest.raises(StudyError) as caught:
        view_link(uri, "senas", "pilto", "http://host:1")
    assert str(caught.value) == (
        'study.name: there is no study "pilto" in MLflow\'s experiment "senas"; there are it\'s another, pilot'
    )


@pytest.mark.parametrize("experiment", ["Default", "no such experiment"])
def test_a_study_is_refused_where_there_are_none_yet(uri, experiment):
    with pytest.raises(
        StudyError, match=f'^study.name: .* "{experiment}"; there are none yet, `senas search` makes one$'
    ):
        view_link(uri, experiment, "pilot", "http://host:1")


# Looking, where nothing is to be seen


def test_a_store_that_is_not_there_is_not_made_by_looking(tmp_path):
    with pytest.raises(StudyError, match=r"^tracking\.uri: there is no file .*new/mlflow\.db"):
        view_link(f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}", "senas", None, "http://host:1")
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_a_record_is_left_as_it_is(tmp_path):
    file = tmp_path / "other.db"
    with sqlite3.connect(file) as other:
        other.execute("create table something (number)")
    before = file.read_bytes()
    with pytest.raises(StudyError, match=r"^tracking\.uri: .*other\.db holds no record of MLflow's"):
        view_link(f"sqlite:///{file}", "senas", None, "http://host:1")
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_a_store_that_is_down_is_refused_in_one_line_without_its_password(scheme):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            view_link(f"{scheme}://ann:s3cret@127.0.0.1:{port}/x", "senas", None, "http://host:1")
    line = re.sub(r"Errno \d+", "Errno", str(caught.value))
    assert line == (
        f"tracking.uri: MLflow cannot be used at {scheme}://ann:***@127.0.0.1:{port}/x "
        "([Errno] Connection refused); start its server, or name another store"
    )


@pytest.mark.slow
def test_a_server_that_never_answers_is_given_up_within_ten_seconds():
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(ConfigError, match=r"^tracking\.uri: .*timed out"):
            view_link(f"http://127.0.0.1:{mute.getsockname()[1]}", "senas", None, "http://host:1")


def test_a_file_that_is_no_database_is_refused(folder, uri):
    (folder / "mlflow.db").write_text("not a database, but long enough to be looked at " * 20)
    with pytest.raises(ConfigError, match=r"^tracking\.uri: .*file is not a database"):
        view_link(uri, "senas", None, "http://host:1")


@pytest.mark.parametrize(
    "uri", ["http://ann:s3cret@host:port", "http://[::1", "sqlite://[x", "nonsense://here", "a folder"]
)
def test_an_address_that_is_none_is_refused_in_one_line_and_nothing_is_made(uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^tracking\.uri: [^\n]*$") as caught:
        view_link(uri, "senas", None, "http://host:1")
    assert "s3cret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
