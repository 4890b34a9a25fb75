"""senas effects: what SE is worth at each site of a study."""

import csv
from types import SimpleNamespace

import pytest

from senas.app.effects import in_words
from senas.core.certainty import Estimate
from senas.core.worth import ANY, Worth


def test_every_place_is_told_with_its_interval(copied, senas):
    said = senas("effects", "study.name=pilot")
    assert said.code == 0
    assert "trainings of" in said.out
    assert "the noise of one training: sd " in said.out
    assert all(place in said.out for place in ("layer1.0", "layer2.0", "layer3.0", "any block", "90 % interval"))
    rows = list(csv.DictReader((copied / "pilot" / "effects.csv").open()))
    assert all(float(row["low"]) <= float(row["mean"]) <= float(row["high"]) for row in rows)
    assert (copied / "pilot" / "effects.png").read_bytes().startswith(b"\x89PNG")


def test_few_short_trainings_show_no_effect_and_say_so(copied, senas):
    said = " ".join(senas("effects", "study.name=pilot").out.split())
    known = [row for row in csv.DictReader((copied / "pilot" / "effects.csv").open()) if known_sign(row)]
    assert ("can be told from none" in said) == (not known)


def known_sign(row):
    return float(row["low"]) > 0 or float(row["high"]) < 0


def test_the_same_study_gives_the_same_effects(copied, senas):
    first = senas("effects", "study.name=pilot").out
    assert senas("effects", "study.name=pilot").out == first


def test_a_study_that_is_not_there_is_one_line(copied, senas):
    said = senas("effects", "study.name=none")
    assert said.code == 2
    assert "there are pilot" in said.err
    assert said.err.count("\n") == 1


def row(kind, name, low, high):
    return Worth(kind, name, ANY if kind == "place" else "", Estimate((low + high) / 2, low, high), 0.5, 3)


@pytest.mark.parametrize(
    ("metric", "said"),
    [("val_loss", "SE lowers the validation loss: layer1.0"), ("minus_f1", "SE raises the f1: layer1.0")],
)
def test_what_helps_is_said_of_the_score_that_counts(metric, said):
    assert said in in_words([row("place", "layer1.0", -0.2, -0.1)], SimpleNamespace(metric=metric))


def test_pairs_that_work_together_are_not_said_to_have_intervals_around_zero():
    alone, pair = row("place", "layer1.0", -0.1, 0.1), row("pair", "layer1.0, layer1.1", 0.1, 0.2)
    verdict = SimpleNamespace(metric="val_loss")
    assert in_words([alone], verdict).endswith("all intervals include 0.")
    assert in_words([alone, pair], verdict).endswith("all intervals but those of pairs include 0 (layer1.0, layer1.1).")
