"""Files that a study's run is given after its search."""

from pathlib import Path

import pytest

from senas.errors import ConfigError, StudyError
from senas.record.files import add


@pytest.mark.parametrize(("finished", "end"), [(True, "FINISHED"), (False, "KILLED")])
def test_a_run_that_ended_has_the_files_and_is_as_it_ended(opened, uri, store, finished, end):
    opened().conclude(front=(), finished=finished, description="", files={})
    add(uri, "senas", "pilot", {"report.html": b"<p>", "figures/front.svg": b"<svg/>"})
    assert store.parent.info.status == end
    file = store.client.download_artifacts(store.parent.info.run_id, "figures/front.svg")
    assert Path(file).read_bytes() == b"<svg/>"


def test_the_newer_of_two_files_of_one_name_is_kept(opened, uri, store):
    opened()
    for content in (b"old", b"new"):
        add(uri, "senas", "pilot", {"report.html": content})
    file = store.client.download_artifacts(store.parent.info.run_id, "report.html")
    assert Path(file).read_bytes() == b"new"


@pytest.mark.parametrize(("experiment", "study"), [("senas", "other"), ("another", "pilot")])
def test_a_study_that_was_never_recorded_is_refused_and_not_begun(opened, uri, store, experiment, study):
    opened()
    with pytest.raises(StudyError, match="no run of the study"):
        add(uri, experiment, study, {"report.html": b"<p>"})
    assert len(store.runs("study")) == 1
    assert store.client.get_experiment_by_name("another") is None


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises((StudyError, ConfigError), match="there is no file"):
        add(f"sqlite:///{tmp_path / 'mlflow.db'}", "senas", "pilot", {"report.html": b"<p>"})
    assert list(tmp_path.iterdir()) == []
