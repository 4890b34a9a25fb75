"""senas audit: in the study that senas search would open, without a training too many."""

import csv
import signal
import time

import pytest

import senas as library
from senas.app.auditing import contenders
from senas.app.calls import called
from senas.app.wiring import set_up
from senas.core.config import SEConfig

TINY = ("audit.configs=2", "audit.seeds=2", "trainer.epochs=1", "tracking=none", "progress=false", "study.name=a")
"""Four trainings of half a second."""


def audited(*overrides):
    return contenders(set_up(called("audit", overrides, {})))


@pytest.fixture(scope="module")
def six():
    return audited()


def test_the_baselines_come_first_and_others_are_drawn(six):
    assert list(six) == ["none", "all16", "random1", "random2", "random3", "random4"]
    assert six["none"] == SEConfig()
    assert len(set(six.values())) == 6


def test_a_larger_audit_trains_the_same_and_further_ones(six):
    assert list(audited("audit.configs=9").items())[:6] == list(six.items())


def test_a_baseline_that_is_not_in_the_space_is_not_trained():
    assert "all16" not in audited("space.reduction=[4]")


def test_what_is_drawn_is_within_the_constraints():
    setup = set_up(called("audit", ("space.constraints.se_params=500",), {}))
    found = contenders(setup)
    assert len(found) == 6
    assert max(config.params(setup.sites) for config in found.values()) <= 500


def test_a_small_space_is_audited_whole():
    found = audited("space.per=network", "space.reduction=[16]", "space.placement=[standard]")
    assert list(found) == ["none", "all16"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("audit.configs=1", "audit.configs must be at least 2, got 1"),
        ("audit.seeds=1", "audit.seeds must be at least 2, got 1"),
        ("audit.seeds=x", 'audit.seeds must be a whole number, got "x"'),
        ("audit.sed=3", "audit.sed: there is no such key"),
        ("space.reduction=[]", "space.reduction is empty"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(senas, folder, override, said):
    done = senas("audit", override)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert said in done.err
    assert list(folder.iterdir()) == []


def test_a_search_refuses_an_audit_that_cannot_be(senas):
    assert senas("search", "audit.seeds=1").code == 2


def test_full_length_needs_a_search_that_is_shorter(senas):
    done = senas("audit", "audit.full=true", "trainer.epochs=30")
    assert done.code == 2
    assert "audit.full compares trainer.epochs with the 30 of trainer=full, got 30" in done.err


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """An audit in Python, in a folder of its own. Not to be written to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("audit"))
        return library.audit(*TINY, root=str(tmp_path_factory.mktemp("audit") / "runs"))


def test_an_audit_is_of_trials_that_count_for_no_search(found):
    trials = found.study.trials
    assert trials["origin"].tolist() == ["audit"] * 4
    assert sorted(trials["seed"]) == [0, 0, 1, 1]


def test_an_audit_leaves_its_figures_in_the_folder_of_the_study(found):
    folder = found.study.folder
    assert (folder / "audit.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "audit.md").read_text().startswith(f"- {found.advice[0]}")
    rows = list(csv.DictReader((folder / "audit.csv").open()))
    assert [row["name"] for row in rows] == ["none", "none", "all16", "all16"]


def test_the_figures_are_attributes(found):
    assert found.figures.noise.freedom == 1
    assert found.figures.noise.detectable(4) == pytest.approx(found.figures.noise.detectable(1) / 2)
    assert len(found.runs) == 4
    assert found.advice[0] in repr(found)


@pytest.mark.slow
def test_what_is_there_is_not_trained_again(senas, found, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a training too many")

    monkeypatch.setattr("senas.training.standalone.Standalone.train", refuse)
    done = senas("audit", *TINY, f"root={found.study.folder.parent}")
    assert done.code == 0
    assert "2 configurations x 2 seeds, 4 audit runs, 4 of them there already" in done.out


def test_an_audit_of_a_study_that_is_there_leaves_the_settings_of_its_launch(senas, found):
    config = found.study.folder / "config.yaml"
    launched = config.read_bytes()
    done = senas("audit", *TINY, "study.trials=77", "study.margin=0.5", f"root={found.study.folder.parent}")
    assert done.code == 0
    assert config.read_bytes() == launched


@pytest.mark.slow
def test_an_audit_screens_nothing_and_takes_a_space_too_small_for_it(senas, folder):
    said = senas("audit", *TINY, "evaluator=supernet", "space.per=network")
    assert (said.code, said.err) == (0, "")
    assert "supernet" not in said.out


@pytest.mark.slow
def test_a_search_goes_on_after_its_audit_and_says_what_it_found(senas, folder):
    arguments = ("study.audit=true", "study.trials=2", "trainer.epochs=1", "progress=false", "study.name=a")
    arguments += ("study.confirm=0", "audit.configs=2", "audit.seeds=2")
    done = senas("search", *arguments)
    assert done.code == 0
    assert "2 trials (and 4 trained for the audit)" in done.out
    again = senas("search", *arguments)
    assert "4 of them there already" in again.out
    assert "the study has its 2 trials already" in again.out
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/runs/mlflow.db")
    (experiment,) = [e for e in client.search_experiments() if e.name == "senas"]
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert {"audit.csv", "audit.md", "audit.png"} <= {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert "The noise audit: " in parent.data.tags["mlflow.note.content"]
    assert len(runs) == 7  # the study, four of the audit, two trials


@pytest.mark.slow
def test_an_audit_that_was_killed_goes_on_where_it_was(program, started, folder):
    process = started("audit", *TINY, "trainer.epochs=4")
    for line in process.stdout:
        if line.startswith("trial   1"):
            break
    process.kill()
    process.wait()
    done = program("audit", *TINY, "trainer.epochs=4")
    assert done.returncode == 0
    assert "2 of them there already" in done.stdout or "1 of them there already" in done.stdout
    whole = program("audit", *TINY, "trainer.epochs=4", "root=other")
    assert whole.returncode == 0
    kept, fresh = ((folder / root / "a" / "audit.md").read_text() for root in ("runs", "other"))
    assert kept == fresh


@pytest.mark.slow
def test_full_length_that_was_interrupted_goes_on_where_it_was(program, started, folder):
    arguments = (*TINY, "audit.full=true")
    process = started("audit", *arguments)
    results = folder / "runs/a/audit_full/results.jsonl"
    while not results.exists() and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.wait()
    there = len(results.read_text().splitlines()) - 1
    done = program("audit", *arguments)
    assert done.returncode == 0
    assert there >= 1
    assert f"audit at full length, 30 epochs: 4 full runs, {there} of them there already" in done.stdout
    assert "The ranking after 1 epochs agrees with that after 30 by Kendall's tau" in done.stdout
    assert len(results.read_text().splitlines()) == 5
