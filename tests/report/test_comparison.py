"""A comparison as tables, CSV, picture and words."""

import csv
import io

import pytest
from PIL import Image

from senas.core.comparison import Comparison, LossOnTest
from senas.core.config import SEConfig
from senas.core.trial import Status
from senas.report.comparison import comparison_png, csv_text, markdown, verdicts


@pytest.fixture
def compared(make, sites):
    """`compared({"none": [0.5, 0.4], ...})`: test losses by seed; None for a training that failed."""
    configs = {"none": SEConfig(), "all4": SEConfig.everywhere(sites, 4), "all16": SEConfig.everywhere(sites, 16)}

    def build(losses):
        trials = []
        for name, values in losses.items():
            for seed, loss in enumerate(values):
                trial = make(len(trials), configs[name], 0.3, seed=seed)
                if loss is None:
                    trials.append(make(len(trials), configs[name], 0.3, seed=seed, status=Status.FAILED, scores={}))
                    continue
                trial.scores.update({"test_loss": loss, "test_accuracy": 1 - loss / 4})
                trials.append(trial)
        contenders = {name: configs[name] for name in losses}
        return Comparison(trials=trials, objective=LossOnTest(), classes=10, largest_params=1, contenders=contenders)

    return build


def test_a_difference_beyond_chance_is_said_with_its_interval(compared):
    (line,) = verdicts(compared({"none": [0.50, 0.40, 0.60], "all4": [0.41, 0.29, 0.50]}))
    assert line == "all4 has a lower test loss than none: by 0.1000, 95 % interval 0.0752 to 0.1248, 3 pairs"


def test_a_worse_one_is_called_higher(compared):
    (line,) = verdicts(compared({"none": [0.41, 0.29, 0.50], "all4": [0.50, 0.40, 0.60]}))
    assert line.startswith("all4 has a higher test loss than none: by 0.1000")


def test_a_difference_within_chance_is_called_that(compared):
    (line,) = verdicts(compared({"none": [0.50, 0.40], "all4": [0.40, 0.50]}))
    assert line.startswith("all4 and none cannot be told apart by 2 pairs: a difference of test loss below 1.27")


def test_one_seed_says_nothing(compared):
    (line,) = verdicts(compared({"none": [0.9], "all4": [0.1]}))
    assert line == "all4 and none have one seed in common: nothing can be said"


def test_without_a_common_seed_that_is_said(compared):
    (line,) = verdicts(compared({"none": [0.9, None], "all4": [None, 0.1]}))
    assert line == "all4 and none have no seed in common yet"


def test_several_intervals_come_with_a_warning(compared):
    lines = verdicts(compared({"none": [0.5, 0.4], "all4": [0.4, 0.5], "all16": [0.3, 0.2]}))
    assert len(lines) == 4
    assert "one in twenty misses by chance" in lines[-1]


def test_without_intervals_there_is_no_such_warning(compared):
    lines = verdicts(compared({"none": [0.5], "all4": [0.4], "all16": [0.3]}))
    assert len(lines) == 3
    assert all("nothing can be said" in line for line in lines)


def test_the_tables_have_a_row_a_contender_and_one_a_pair(compared, sites):
    text = markdown(compared({"none": [0.5, 0.4, None], "all4": [0.4, 0.38, 0.3]}), sites)
    assert "| none | 2 (1 failed) | 0.4500 | 0.0707 | 88.75% | 1.77% | 0 | none |" in text
    assert "| all4 - none | -0.0600 | -0.5682 to +0.4482 | +1.50% | -11.21% to +14.21% | 2 |" in text


def test_the_csv_has_every_training_in_full(compared, sites):
    rows = list(csv.DictReader(io.StringIO(csv_text(compared({"none": [0.1234567, None]}), sites))))
    assert [(row["name"], row["seed"], row["status"], row["test_loss"]) for row in rows] == [
        ("none", "0", "complete", "0.1234567"),
        ("none", "1", "failed", ""),
    ]


@pytest.mark.parametrize("losses", [{"none": [0.5]}, {"none": [0.5, 0.4], "all4": [0.4, 0.38]}])
def test_the_picture_is_a_picture(compared, losses):
    png = Image.open(io.BytesIO(comparison_png(compared(losses), title="a comparison")))
    assert png.format == "PNG"
    assert len(png.convert("RGB").getcolors(1 << 24)) > 50
