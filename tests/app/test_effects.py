"""senas effects: what SE is worth at each site of a study."""

import csv


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
    last = senas("effects", "study.name=pilot").out.strip().splitlines()[-1]
    known = [row for row in csv.DictReader((copied / "pilot" / "effects.csv").open()) if known_sign(row)]
    assert ("can be told from none" in " ".join(last.split())) == (not known)


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
