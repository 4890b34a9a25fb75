"""Costs from the command line: constraints, latency, and sites of images to come."""

import contextlib
import csv
import io
import re
import shutil
import sys

import pytest
import yaml

from senas.app.calls import called
from senas.app.fingerprint import digest
from senas.app.main import run
from senas.app.wiring import set_up, set_up_again
from senas.core.config import SEConfig
from senas.core.trial import Job, Status
from senas.exported.package import read
from senas.study.optuna import read_trials

SHORT = ("trainer.epochs=1", "tracking=none", "progress=false", "study.trials=3")
BOUND = "space.constraints.params=75500"  # resnet8 has 75,002 on the digits
LATENCY = ("objective=pareto", "objective.metrics=[val_loss,latency_ms]", "latency.repeats=3")


def trials_of(name):
    setup = set_up_again("runs", name)
    return setup, read_trials(name, setup.storage, setup.space)


# Constraints


@pytest.fixture(scope="module")
def bounded_runs(tmp_path_factory):
    """The folder `runs` after three trials within a bound on the parameters, and what the search said."""
    root = tmp_path_factory.mktemp("bounded") / "runs"
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setattr(sys, "argv", ["senas"])
        patch.setenv("HYDRA_FULL_ERROR", "1")
        # Effects draws within the bounds; samplers of Optuna's learn from what is rejected.
        assert run(["search", *SHORT, "study.name=pilot", BOUND, "sampler=random", f"root={root}"]) == 0
    return root, out.getvalue()


@pytest.fixture
def bounded(bounded_runs, folder):
    """That study, in ./runs of the folder which the program is started in; gives what the search said."""
    root, said = bounded_runs
    shutil.copytree(root, folder / "runs")
    return said


def test_a_search_trains_nothing_that_breaks_a_constraint(bounded):
    _, trials = trials_of("pilot")
    trained = [trial for trial in trials if trial.counts]
    assert len(trained) == 3
    assert all(trial.scores["params"] <= 75_500 for trial in trained)
    assert {trial.status for trial in trials} == {Status.COMPLETE, Status.REJECTED}


def test_a_search_says_what_is_left_of_the_space_and_how_much_was_rejected(bounded):
    _, trials = trials_of("pilot")
    rejected = sum(trial.status is Status.REJECTED for trial in trials)
    assert "3 sites; 70 of 343 configurations" in bounded
    assert "constraints: params at most 75,500; what breaks one is not trained, and counts as no trial" in bounded
    assert "starting point all16 is not in the space, and left out" in bounded
    assert f"{rejected} proposals broke a constraint, and were not trained" in bounded


@pytest.mark.slow
def test_a_bounded_study_is_looked_at_exported_and_resumed(bounded, senas, searched, folder):
    assert senas("front", "study.name=pilot").code == 0
    assert senas("export", "study.name=pilot", "to=out").code == 0
    provenance = read(folder / "out").provenance
    assert provenance["space"]["constraints"] == {"params": 75500.0}
    assert provenance["space"]["configurations"] == 70
    assert provenance["trials"]["rejected by a constraint, and not trained"] > 0
    assert searched("study.name=pilot", "space.constraints.params=75.5e3", "study.trials=4").code == 0


def test_another_bound_is_another_study(bounded, searched):
    said = searched("study.name=pilot", "space.constraints.params=75600")
    assert said.code == 2
    assert "space.constraints.params is 75500.0, you ask for 75600.0" in said.err


@pytest.mark.slow
def test_a_bounded_space_ends_when_all_within_it_was_tried(searched):
    said = searched("space.constraints.se_params=0", "study.trials=5", "study.seeds=1")
    assert said.code == 0
    assert "all 1 configurations of the space that are within the constraints were tried: the study is over" in said.out


@pytest.mark.slow
def test_a_starting_point_that_is_too_slow_is_rejected_and_named(senas, folder, monkeypatch):
    from senas.training.standalone import Standalone

    slow = lambda self, job: {"latency_ms": 1.0 + len(job.config), "latency_spread_ms": 0.1}  # noqa: E731
    monkeypatch.setattr(Standalone, "measure", slow)
    said = senas("search", "trainer.epochs=1", "tracking=none", "study.trials=2", "space.constraints.latency_ms=2.5")
    assert re.search(r"^trial +1  rejected, latency_ms 4 over 2.5: r16 standard: all$", said.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((BOUND + "k",), "space.constraints.params must be a number of at least 0, got 75500k; null sets no bound"),
        (("space.constraints={flops:3}",), "space.constraints: one of the keys that you give it is not among params, "),
        (("space.constraints=5",), "space.constraints must have keys below it, as in space.constraints.params=12e6"),
        (("space.constraints.params=70000",), "no configuration has at most 70,000; the smallest has 75,002"),
        (
            ("space.constraints.latency_ms=1e-6",),
            "space.constraints.latency_ms: the smallest configuration, none, takes",
        ),
        (("objective=pareto", "objective.metrics=[val_loss,latency]"), '"latency" is not among val_loss, '),
    ],
)
def test_a_mistake_about_costs_is_one_line_and_writes_nothing(searched, folder, words, line):
    said = searched(*words)
    assert said.code == 2
    assert line in said.err
    assert said.err.count("\n") == 1
    assert list(folder.iterdir()) == []


# Fingerprints


def fingerprint(*words):
    return set_up(called("search", words, {})).fingerprint


def test_what_is_not_asked_for_is_in_no_fingerprint():
    plain = fingerprint()
    assert not [key for key in plain if "constraints" in key or "latency" in key]
    assert fingerprint("latency.repeats=7", "space.constraints.params=null") == plain
    # results are told apart by their seeds: a study may be resumed with others
    assert fingerprint("study.seeds=3", "study.confirm=5", "study.audit=true", "study.trials=9") == plain
    # that of the studies from before there were constraints and latencies
    assert digest(plain) == "00a7ec8808f515acd2dee7b07cc5321869c78326290c4c02d6ab35a623b7a7c6"


def test_what_is_asked_for_is_in_the_fingerprint():
    bounded = fingerprint("space.constraints.params='12e6'")
    assert {key: value for key, value in bounded.items() if "constraints" in key} == {"space.constraints.params": 12e6}
    measured = fingerprint(*LATENCY, "latency.hardware=my board")
    assert measured["latency.hardware"] == "my board"
    assert measured["latency.repeats"] == 3


def test_a_study_from_before_there_were_constraints_and_latencies_is_read(bounded, senas, folder):
    file = folder / "runs" / "pilot" / "config.yaml"
    plain = yaml.safe_load(file.read_text())
    del plain["latency"], plain["space"]["constraints"]
    file.write_text(yaml.safe_dump(plain))
    assert senas("front", "study.name=pilot").code == 0


# Latency


@pytest.mark.slow
def test_latency_is_an_objective(searched, senas, folder):
    said = searched("study.name=pilot", *LATENCY)
    assert (said.code, said.err) == (0, "")
    setup, trials = trials_of("pilot")
    assert [trial.values[1] for trial in trials] == [trial.scores["latency_ms"] for trial in trials]
    assert all(trial.scores["latency_ms"] > 0 <= trial.scores["latency_spread_ms"] for trial in trials)
    assert f"latency is measured before training: eager on {setup.timing.hardware}, batch of 1, 1 thread" in said.out
    assert re.search(r"^trial +0 . val loss .* latency_ms [\d.]+  SE params", said.out, re.MULTILINE)
    assert "Smaller differences are noise." in said.out
    rows = list(csv.DictReader((folder / "runs" / "pilot" / "front.csv").open()))
    assert all(float(row["latency_ms"]) > 0 for row in rows)
    assert senas("export", "study.name=pilot", "to=out").code == 0
    exported = read(folder / "out")
    assert exported.scores["latency_ms"] > 0
    assert exported.provenance["latency"]["hardware"] == setup.timing.hardware
    assert exported.provenance["latency"]["repeats"] == 3
    assert "| latency_ms | runtime eager, device cpu" in (folder / "out" / "README.md").read_text()


def test_latency_is_not_measured_where_nothing_reads_it():
    setup = set_up(called("search", ["latency.repeats=7"], {}))
    assert setup.timing is None
    assert setup.evaluator.measure(Job(SEConfig(), 0, 1)) == {}


@pytest.mark.slow
def test_a_study_measured_elsewhere_can_be_looked_at_and_not_gone_on_with(searched, senas, folder):
    words = ("study.name=pilot", "study.trials=1", *LATENCY)
    assert searched(*words, "latency.hardware=my board").code == 0
    config = yaml.safe_load((folder / "runs" / "pilot" / "config.yaml").read_text())
    assert config["latency"]["hardware"] == "my board"
    assert "eager on my board" in senas("front", "study.name=pilot").out
    said = searched(*words)
    assert said.code == 2
    assert "latency.hardware is my board, you ask for " in said.err


# Sites


def test_sites_of_images_to_come_need_no_data(senas, folder):
    said = senas("sites", "backbone=torchvision", "backbone.name=resnet18", "shape=[1,64,48]", "data=fashion_mnist")
    assert (said.code, said.err) == (0, "")
    assert "resnet18 on images of 3 x 64 x 48, 1,000 classes: 8 sites" in said.out
    assert "11,689,512 parameters" in said.out
    assert "it takes 3 channels: grey images are repeated" in said.out


def test_classes_of_images_to_come_can_be_told(senas, folder):
    said = senas("sites", "backbone=resnet8", "shape=[3,32,32]", "classes=7")
    assert "resnet8 on images of 3 x 32 x 32, 7 classes: 3 sites" in said.out


def test_sites_says_what_constraints_leave_of_the_space(senas, folder):
    said = senas("sites", BOUND).out
    assert "search space: 70 of 343 configurations from 3 choices, at most 2,828 SE parameters, 2.688 k MACs" in said


def test_sites_measures_se_everywhere_beside_none(senas, folder):
    said = senas("sites", "latency=eager", "latency.repeats=3")
    assert (said.code, said.err) == (0, "")
    assert re.search(
        r"^latency: without SE [\d.]+ ms \([\d.]+ to [\d.]+\), with SE everywhere [\d.]+ ms .*\n  [\d.]+ times as long",
        said.out,
        re.MULTILINE,
    )
    assert "3 repeats" in said.out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("shape=3",), "shape must be [channels,height,width], whole numbers of at least 1"),
        (("shape=[3,0,5]",), "shape must be [channels,height,width]"),
        (("classes=10",), "classes goes with shape"),
        (("shape=[3,32,32]", "classes=0"), "classes must be at least 1, got 0"),
        (
            ("shape=[1,32,32]", "backbone=torchvision", "backbone.name=resnet18", "backbone.size=64"),
            "shape says how large images are, and backbone.size too",
        ),
        (("latency=true",), 'latency: there is no "true"; there are compile, eager, gpu, onnx'),
    ],
)
def test_a_mistake_about_sites_is_one_line(senas, folder, words, line):
    said = senas("sites", *words)
    assert said.code == 2
    assert line in said.err
    assert said.err.count("\n") == 1
