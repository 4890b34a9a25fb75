"""senas report: a study as one page, from its folder; and what a search leaves of it."""

import math
import re
from html import unescape

import pytest
from mlflow import MlflowClient

from senas.app import concluded, show
from senas.app.paths import MlflowStore
from senas.app.wiring import set_up_again
from senas.record.study_run import study_runs
from senas.study.optuna import read_trials


def test_a_search_that_ends_leaves_the_page_without_the_gates(pilot):
    page = (pilot / "pilot" / "report.html").read_text()
    assert "<h1>pilot</h1>" in page
    assert "<img" not in page


def test_the_report_tells_what_was_asked_and_how_to_ask_it_again(copied, senas):
    said = senas("report", "study.name=pilot", "gates=false")
    assert said.code == 0
    assert "wrote runs/pilot/report.html" in said.out
    page = unescape((copied / "pilot" / "report.html").read_text())
    assert "343 configurations" in page
    (again,) = re.findall("<code>senas search ([^<]*)</code>", page)
    words = {"study.name=pilot-again", "trainer.epochs=1", "tracking=none", "study.trials=6", "study.confirm=0"}
    assert set(again.split()) >= {*words, "progress=false"}
    assert "torch 2." in page


def test_of_networks_that_all_but_guess_it_is_said_that_they_do(pilot, monkeypatch):
    setup = set_up_again(str(pilot), "pilot")
    trials = read_trials("pilot", setup.storage, setup.space)
    lowest = min(trial.scores["val_loss"] for trial in trials)
    monkeypatch.setattr(show, "LEARNED", 1.2 * lowest / math.log(10))
    assert show.find(setup, trials).unlearned == ""
    monkeypatch.setattr(show, "LEARNED", 0.5 * lowest / math.log(10))
    assert "and guessing has 2.303" in (said := show.find(setup, trials).unlearned)
    assert "trainer.epochs=5" in said


@pytest.mark.slow
def test_it_looks_into_the_gates_of_what_is_picked(copied, senas):
    assert senas("report", "study.name=pilot", "pick=trial:1", "latency_within=1e4", "latency.repeats=9").code == 0
    page = (copied / "pilot" / "report.html").read_text()
    assert page.count('<img alt="The mean gate of each channel by class') == 1
    assert "Picked (trial:1)" in page
    assert "senas export study.name=pilot pick=trial:1" in page
    assert "Write what is picked, with its weights" in page
    assert "<code>senas report study.name=pilot pick=trial:1</code>" in page
    assert ">ms longer</th>" in page


@pytest.mark.slow
def test_where_the_device_of_the_study_is_not_at_hand_the_rest_is_reported(copied, senas):
    config = copied / "pilot" / "config.yaml"
    config.write_text(re.sub(r"accelerator: \w+", "accelerator: tpu", config.read_text()))
    said = senas("report", "study.name=pilot", "pick=trial:1")
    assert said.code == 0
    assert "the report is without its gates: accelerator=tpu" in said.out
    assert "Picked (trial:1)" in (copied / "pilot" / "report.html").read_text()


@pytest.mark.slow
def test_the_same_study_gives_the_same_page(copied, senas):
    pages = []
    for _ in range(2):
        senas("report", "study.name=pilot", "gates=false")
        pages.append((copied / "pilot" / "report.html").read_bytes())
    assert pages[0] == pages[1]


@pytest.mark.slow
def test_a_margin_is_one_of_this_report_and_not_of_the_study(copied, senas):
    config = (copied / "pilot" / "config.yaml").read_bytes()
    assert senas("report", "study.name=pilot", "gates=false", "study.margin=9").code == 0
    page = (copied / "pilot" / "report.html").read_text()
    assert "senas export study.name=pilot study.margin=9" in page
    assert (copied / "pilot" / "config.yaml").read_bytes() == config


@pytest.mark.slow
def test_a_study_of_which_nothing_was_trained_is_one_line_and_no_page(searched, senas, folder):
    searched("study.name=lost", "study.trials=1", "trainer.lr=1e30")
    said = senas("report", "study.name=lost")
    assert said.code == 2
    assert "no trial of this study was trained to the end yet" in said.err
    assert said.err.count("\n") == 1
    assert not (folder / "runs" / "lost" / "report.html").exists()


def test_a_study_that_is_not_there_is_one_line(copied, senas):
    said = senas("report", "study.name=none")
    assert said.code == 2
    assert "there are pilot" in said.err


@pytest.mark.slow
def test_mlflows_run_of_the_study_has_the_page_and_its_figures(senas, folder):
    words = ("trainer.epochs=1", "study.trials=2", "study.confirm=0", "progress=false", "tracking.register=false")
    assert senas("search", "study.name=seen", *words).code == 0
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'runs' / 'mlflow.db'}")
    (run,) = client.search_runs(["1"], "tags.`senas.role` = 'study'")
    assert "report.html" in {item.path for item in client.list_artifacts(run.info.run_id)}
    said = senas("report", "study.name=seen", "pick=trial:1")
    assert "among the artifacts of the study's run in MLflow" in said.out
    figures = {item.path for item in client.list_artifacts(run.info.run_id, "figures")}
    assert {"figures/front.svg", "figures/network.svg", "figures/gates.png"} <= figures
    assert client.get_run(run.info.run_id).info.status == run.info.status == "FINISHED"


@pytest.mark.slow
def test_without_its_mlflow_store_the_page_is_written_and_that_is_said(senas, folder):
    words = ("trainer.epochs=1", "study.trials=2", "study.confirm=0", "progress=false", "tracking.register=false")
    senas("search", "study.name=seen", *words)
    (folder / "runs" / "mlflow.db").unlink()
    said = senas("report", "study.name=seen", "gates=false")
    assert said.code == 0
    assert "it is not among MLflow's artifacts" in said.out
    assert not (folder / "runs" / "mlflow.db").exists()


@pytest.mark.slow
def test_where_the_page_cannot_be_drawn_the_run_in_mlflow_is_concluded_all_the_same(folder, senas, monkeypatch):
    def fails(*given):
        raise ZeroDivisionError("a figure")

    monkeypatch.setattr(concluded, "report_files", fails)
    few = ("trainer.epochs=1", "progress=false", "study.trials=2", "study.confirm=0", "study.name=undrawn")
    with pytest.raises(ZeroDivisionError, match="a figure"):
        senas("search", *few)
    assert (folder / "runs" / "undrawn" / "front.csv").exists()
    client = MlflowClient(MlflowStore(folder / "runs").uri)
    (run,) = study_runs(client, client.get_experiment_by_name("senas").experiment_id, "undrawn", 1)
    assert run.info.status == "FINISHED"
    assert "trained" in run.data.tags["mlflow.note.content"]
