"""senas explain: what the gates of a study's pick, or of an export, do, and which of its blocks can go."""

import csv
import shutil

import pytest

from senas.app.calls import called
from senas.app.explicable import of_export
from senas.exported.package import read
from senas.report.console import Terminal

FILES = {"explain.csv", "gates.csv", "gates.png"}


@pytest.fixture
def explained(senas):
    """`senas explain` without timing, which is tested by itself."""
    return lambda *arguments: senas("explain", "latency_within=0", *arguments)


def test_every_gate_is_told_and_the_files_are_there(copied, explained):
    said = explained("study.name=pilot", "pick=trial:1")
    assert (said.code, said.err) == (0, "")
    assert "trial 1 of pilot: r16 standard: all (named by you)" in said.out
    assert "varies most with the image" in said.out
    assert "layer1.0: constant costs " in said.out
    assert "all 3 at once: constant costs " in said.out
    assert "wrote runs/pilot/explain.csv, gates.csv, gates.png" in said.out
    rows = list(csv.DictReader((copied / "pilot" / "explain.csv").open()))
    assert [row["site"] for row in rows] == ["layer1.0", "layer2.0", "layer3.0", "all at once"]
    assert all(float(row["constant_low"]) <= float(row["constant"]) <= float(row["constant_high"]) for row in rows)
    assert [row["latency_ms"] for row in rows] == [""] * 4
    assert sum(int(row["params"]) for row in rows[:3]) == int(rows[3]["params"]) == 791
    channels = list(csv.DictReader((copied / "pilot" / "gates.csv").open()))
    assert len(channels) == 16 + 32 + 64
    assert (copied / "pilot" / "gates.png").read_bytes().startswith(b"\x89PNG")


def test_a_network_without_se_has_nothing_to_explain(copied, explained):
    said = explained("study.name=pilot", "pick=trial:0")
    assert (said.code, said.err) == (0, "")
    assert "it has no SE block" in said.out
    assert FILES.isdisjoint(path.name for path in (copied / "pilot").iterdir())


@pytest.mark.slow
def test_an_export_is_explained_as_its_trial_is_and_keeps_it_until_it_is_exported_again(
    package, explained, folder, senas
):
    of_study = explained("study.name=pilot", "pick=trial:1").out.splitlines()
    of_export = explained(f"se={package}").out.splitlines()
    assert of_export[0] == "exported/pilot: r16 standard: all"
    assert of_export[1:-2] == of_study[1:-2]
    assert of_export[-2].endswith("senas export study.name=pilot pick=trial:1 fold=0.001 to=exported/pilot-folded")
    scores = read(folder / package).scores
    assert f"loss {scores['val_loss']:.4f}, accuracy {scores['val_accuracy']:.2%}" in of_export[1]
    assert {path.name for path in (folder / package).iterdir()} > FILES
    assert senas("export", "study.name=pilot", "pick=trial:1").code == 0
    assert FILES.isdisjoint(path.name for path in (folder / package).iterdir())


@pytest.mark.slow
def test_an_export_is_folded_beside_itself_where_its_study_is(package, folder):
    def offered():
        words = [f"se={package}", "root=runs/../runs", "trust=mypkg"]
        return of_export(called("explain", words, {}), Terminal()).fold

    what = "study.name=pilot pick=trial:1 fold=0.001 to=exported/pilot-folded"
    assert offered() == f"senas export {what} root=runs/../runs 'trust=[mypkg]'"
    shutil.rmtree(folder / "runs")
    assert offered() == ""


@pytest.mark.slow
def test_an_export_is_explained_where_its_study_is_gone_but_not_on_other_data(package, explained, folder):
    shutil.rmtree(folder / "runs")
    assert explained(f"se={package}/se.yaml").code == 0
    said = explained(f"se={package}", "data=cued_digits", "data.train=64", "data.val=64", "data.test=64")
    assert said.code == 2
    assert said.err.startswith("senas: data: ")
    assert said.err.count("\n") == 1


@pytest.mark.slow
def test_other_images_of_the_same_kind_are_said_to_be_others(package, explained):
    said = explained(f"se={package}", "data=digits", "data.split_seed=5")
    assert said.code == 0
    assert "normalised by other means" in said.out


@pytest.mark.slow
def test_blocks_are_timed_where_that_does_not_take_long(copied, senas):
    said = senas("explain", "study.name=pilot", "pick=trial:1", "latency_within=1e4", "latency.repeats=9")
    assert "blocks are timed eager on " in said.out
    rows = list(csv.DictReader((copied / "pilot" / "explain.csv").open()))
    assert all(
        float(row["latency_ms_low"]) <= float(row["latency_ms"]) <= float(row["latency_ms_high"]) for row in rows
    )


@pytest.mark.slow
def test_blocks_are_not_timed_where_that_takes_too_long_and_the_way_out_is_said(copied, senas):
    said = senas("explain", "study.name=pilot", "pick=trial:1", "latency_within=0.001")
    assert said.code == 0
    assert "blocks are not timed: it would take some" in said.out
    assert "milliseconds" not in said.out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "study.name or se says what to explain, and neither was given"),
        (["study.name=pilot", "se=exported/pilot"], "study.name or se says what to explain, and both were given"),
        (["study.name=nowhere"], 'study.name: there is no study "nowhere" in runs; there are pilot'),
        (["se=nowhere"], 'se: there is no "nowhere"; name a folder that `senas export` wrote'),
        (["se="], "se is empty; name a folder"),
        (["se=exported/pilot", "pick=trial:1"], "pick picks a trial of a study, and se=exported/pilot is one already"),
        (["study.name=pilot", "data=digits"], "data goes with se=DIR; a study is explained on its own data"),
        (["study.name=pilot", "latency_within=-1"], "latency_within must be at least 0 seconds, got -1"),
        (["study.name=pilot", "pick=trial:77"], "trial:77"),
        (["study.name=pilot", "pick=trial:1", "accelerator=abacus"], "accelerator=abacus: "),
        (["study.name=pilot", "latency.repeats=0"], "latency.repeats must be at least 1, got 0"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(copied, explained, arguments, line):
    said = explained(*arguments)
    assert said.code == 2
    assert line in said.err
    assert said.err.count("\n") == 1
    assert FILES.isdisjoint(path.name for path in (copied / "pilot").iterdir())


def test_a_device_to_time_on_that_is_not_there_ends_it_before_anything_is_measured(copied, senas, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said = senas("explain", "study.name=pilot", "pick=trial:1", "latency=gpu")
    assert (said.code, said.out) == (2, "")
    assert "latency.device=cuda: PyTorch finds no CUDA device here" in said.err


@pytest.mark.slow
def test_a_damaged_export_is_one_line(package, explained, folder):
    (folder / package / "weights.safetensors").unlink()
    said = explained(f"se={package}")
    assert said.code == 2
    assert "weights.safetensors cannot be read" in said.err
