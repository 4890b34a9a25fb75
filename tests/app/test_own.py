"""Data and a metric of the user's own, from the command line."""

import csv
import sys

import numpy as np
import pytest
from PIL import Image

from senas.app.fingerprint import fingerprint_of

METRICS = """
def f1(logits, labels):
    return (logits.argmax(1) == labels).float().mean()
def late(logits, labels):
    if len(labels) < 20: raise ValueError("too few")
    return 1.0
"""
FOLDER = ("data=image_folder", "data.root=images", "trainer.batch_size=8", "backbone.width=4")


@pytest.fixture
def own(folder, monkeypatch):
    """Images in two classes, bright and dark, and a module with metrics, in the working directory."""
    rng = np.random.default_rng(0)
    for name, level in (("bright", 150), ("dark", 0)):
        (folder / "images" / name).mkdir(parents=True)
        for i in range(20):
            pixels = (level + rng.integers(100, size=(8, 8))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / f"{i}.png")
    (folder / "mymetrics.py").write_text(METRICS)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield folder
    sys.modules.pop("mymetrics", None)


@pytest.mark.slow
def test_a_folder_of_images_is_searched_by_a_metric_of_ones_own_and_exported(own, senas, searched):
    said = searched(*FOLDER, "objective.metric=mymetrics:f1", "objective.pick=best", "study.name=mine")
    assert (said.code, said.err) == (0, "")
    assert "24 training and 8 validation images of 1 x 8 x 8" in said.out
    assert "highest f1 minus a penalty of 0.1: " in said.out
    (row, *_) = csv.DictReader((own / "runs" / "mine" / "front.csv").open())
    assert row["f1"] == row["val_accuracy"]
    assert 0 < float(row["expected_low"]) <= float(row["expected_f1"]) <= float(row["expected_high"])
    assert "highest f1" in senas("front", "study.name=mine", "objective.penalty=0.2", "trust=mymetrics").out
    assert senas("export", "study.name=mine", "trust=mymetrics").code == 0
    assert "[bright, dark]" in (own / "exported" / "mine" / "se.yaml").read_text()


def test_what_a_block_adds_is_told_of_minus_a_metric_that_is_to_be_high(own, senas, searched):
    searched(*FOLDER, "objective.metric=mymetrics:f1", "study.name=mine", "study.trials=1", "study.confirm=0")
    said = senas("effects", "study.name=mine", "trust=mymetrics")
    assert (said.code, said.err) == (0, "")
    assert "intervals of what a block adds to the minus f1" in " ".join(said.out.split())


def test_a_metric_can_be_one_of_several_objectives(own, searched):
    said = searched(*FOLDER, "objective=pareto", "objective.metrics=[mymetrics:f1,se_params]", "objective.pick=knee")
    assert "the knee of the front over f1 and se_params" in said.out


def test_a_study_whose_images_changed_is_another_one(own, searched):
    searched(*FOLDER, "study.name=mine", "study.trials=1")
    (own / "images" / "dark" / "0.png").unlink()
    said = searched(*FOLDER, "study.name=mine", "study.trials=2")
    assert said.code == 2
    assert "data.contents is" in said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("data=image_folder",), "data.root must be given: data.root=..."),
        (("data=image_folder", "data.root=nothing"), "data.root: nothing does not exist; name a folder"),
        (("data=custom",), "data.target must be given: data.target=..."),
        (("data=custom", "data.target=nowhere:Data"), "data.target: there is no module nowhere, neither in "),
        (("data=custom", "data.target=mymetrics:f1"), "data.target: mymetrics:f1() raised TypeError"),
        (("data=cifar10",), "data.root: no CIFAR10 in data, data/cifar-10-batches-py, "),
        (("objective.metric=f1",), "objective.metric must be val_loss, val_error, or a function of yours as "),
        (("objective.metric=mymetrics:lat",), 'mymetrics.py) has no lat; did you mean "late"?'),
        (("objective.metric=mymetrics:f1", "objective.mode=most"), "objective.mode must be max, min or null, got"),
        (("objective.mode=max",), "objective.mode is for a metric of your own; those of senas are minimised"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(own, searched, arguments, words):
    said = searched(*arguments)
    assert (said.code, said.out) == (2, "")
    assert len(said.err.splitlines()) == 1, said.err
    assert words in said.err
    assert not (own / "runs").exists()


def test_what_a_metric_raises_amid_a_study_is_one_line(own, searched):
    said = searched(*FOLDER, "objective.metric=mymetrics:late")
    assert said.code == 2
    assert "objective.metric: mymetrics:late raised ValueError: too few" in said.err


@pytest.mark.slow
def test_the_fingerprint_of_a_study_by_the_validation_loss_has_no_metric(searched, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "senas.app.wiring.fingerprint_of", lambda *given: seen.append(fingerprint_of(*given)) or seen[-1]
    )
    searched("study.trials=1")
    searched("study.trials=1", "objective.metric=val_error")
    assert [{key for key in print_ if key.startswith("objective")} for print_ in seen] == [
        {"objective.name", "objective.penalty"},
        {"objective.name", "objective.penalty", "objective.metric"},
    ]
