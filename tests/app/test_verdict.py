"""What a study says of its front on the command line, in its files and in an export: how sure it is."""

import csv
import re
import shlex
from dataclasses import replace

import pytest
import yaml

from senas.app import wiring
from senas.app.show import _ranges, find
from senas.app.wiring import set_up_again
from senas.core import certainty
from senas.core.certainty import Certainty
from senas.core.trial import CONFIRM, Status
from senas.exported.package import read
from senas.study.optuna import read_trials

ANYTHING_WILL_DO = "study.margin=100"


@pytest.fixture
def unsure(monkeypatch):
    """Where no configuration is sure enough."""
    monkeypatch.setattr(Certainty, "recommended", lambda self, margin: None)


@pytest.fixture
def once_is_enough(monkeypatch):
    """One training of its own lets a configuration be recommended: this study has no more."""
    monkeypatch.setattr(certainty, "OWN", 1)


@pytest.fixture
def setup(copied):
    return set_up_again(str(copied), "pilot")


def trials_of(setup):
    return read_trials("pilot", setup.storage, setup.space)


@pytest.mark.usefixtures("unsure")
def test_what_is_undecided_recommends_nothing_and_names_what_leads(senas, copied):
    said = senas("front", "study.name=pilot")
    assert (said.code, said.err) == (0, "")
    assert "undecided at this budget: what leads was trained once, and nothing is recommended" in said.out
    assert re.search(r"^  senas resume study.name=pilot study.confirm=\d+$", said.out, re.MULTILINE)
    assert re.search(r"^leads: trial \d, ", said.out, re.MULTILINE)
    assert "recommended:" not in said.out
    assert "*" not in said.out


@pytest.mark.usefixtures("once_is_enough")
def test_the_margin_that_is_printed_decides_it_as_it_is_printed(senas, copied):
    said = senas("front", "study.name=pilot", "study.margin=0")
    assert re.search(r"^  senas resume study.name=pilot study.confirm=\d+ study.margin=0.0$", said.out, re.MULTILINE)
    (printed,) = re.findall(r"^  senas front .*$", said.out, re.MULTILINE)
    decided = senas(*shlex.split(printed)[1:])
    assert (decided.code, decided.err) == (0, "")
    assert "* recommended: trial " in decided.out


@pytest.mark.usefixtures("unsure", "copied")
def test_a_table_says_what_its_columns_are(senas):
    lines = senas("front", "study.name=pilot").out.splitlines()
    (legend,) = [number for number, line in enumerate(lines) if line.startswith("  expected: the mean over seeds")]
    assert lines[legend + 1].startswith("  on front: the probability that ")


@pytest.mark.usefixtures("once_is_enough")
def test_what_is_decided_has_its_probability_and_stands_beside_the_baselines(senas, copied):
    said = senas("front", "study.name=pilot", ANYTHING_WILL_DO)
    assert "* recommended: trial 0, none" in said.out
    assert "fewest SE parameters within 100 of the lowest validation loss, with a probability of 0.99" in said.out
    assert re.search(r"val loss minus that of SE everywhere at r = 16: [+-]\d\.\d{4} \(", said.out)
    assert "it is no SE" in said.out


def test_blocks_are_compared_with_as_many_at_random_places(senas, copied):
    said = senas("front", "study.name=pilot", "pick=trial:2")
    assert "val loss minus that of as many SE blocks at random places: " in said.out


def test_the_command_says_how_much_stands_behind_its_figures(senas, setup):
    said = senas("front", "study.name=pilot")
    seeds = ", ".join(map(str, sorted({trial.seed for trial in trials_of(setup)})))
    assert f"Behind these figures stand 6 trainings of 6 configurations, with the seeds {seeds}, read" in said.out
    assert "study.confirm=" in said.out  # none was trained with a second seed


def test_many_seeds_in_a_row_are_told_as_a_range():
    assert _ranges([0, 1, 2, 7]) == "0, 1, 2, 7"
    assert _ranges([*range(45), 100]) == "0 to 44, 100"


def test_replicates_count_as_trainings_of_their_configuration(searched, copied):
    said = searched("study.name=pilot", "study.trials=6", "study.confirm=2")
    assert said.code == 0, said.err
    rows = list(csv.DictReader((copied / "pilot" / "front.csv").open()))
    assert max(int(row["trainings"]) for row in rows) > 1
    assert "8 trainings of" in said.out
    assert "None was trained with a second seed" not in said.out


def test_another_penalty_is_asked_of_the_pick_that_reads_it(senas, copied):
    said = senas("front", "study.name=pilot", "objective.penalty=1000")
    assert "* picked: trial 0, none\n  lowest validation loss plus a penalty of 1000: " in said.out


@pytest.mark.usefixtures("unsure")
def test_an_export_of_what_is_undecided_says_so_everywhere(senas, copied, folder):
    said = senas("export", "study.name=pilot", "to=out")
    assert said.code == 0, said.err
    assert re.search(r"trial \d only leads: what the study recommends is undecided at this budget", said.out)
    told = read(folder / "out").provenance
    assert told["certainty"]["verdict"] == "undecided"
    assert told["pick"].startswith("undecided at this budget")
    assert "**Undecided.**" in (folder / "out" / "README.md").read_text()


def test_an_export_tells_the_expected_loss_with_its_interval_and_the_seeds_behind_it(senas, copied, folder):
    assert senas("export", "study.name=pilot", "pick=trial:2", "to=out").code == 0
    told = read(folder / "out").provenance
    sure = told["certainty"]
    assert sure["verdict"] == "picked: trial:2"
    assert sure["expected_val_loss"]["low"] < sure["expected_val_loss"]["mean"]
    assert sure["minus_none"]["low"] < sure["minus_none"]["high"]
    assert told["seed"] in told["seeds"]
    assert (told["seeds_of_this_configuration"], sure["trainings"]) == ([told["seed"]], 1)
    assert 0 <= sure["probability_on_front"] <= 1


def test_a_study_from_before_there_were_seeds_and_verdicts_is_read_and_picks_as_it_did(senas, copied):
    file = copied / "pilot" / "config.yaml"
    plain = yaml.safe_load(file.read_text())
    for group, key in (("study", "seeds"), ("study", "confirm"), ("study", "audit"), ("trainer", "average")):
        del plain[group][key]
    plain["objective"]["pick"] = "best"
    file.write_text(yaml.safe_dump(plain))
    said = senas("front", "study.name=pilot")
    assert (said.code, said.err) == (0, "")
    assert "* picked: trial " in said.out
    assert "  lowest validation loss plus a penalty of 0.1: " in said.out


def test_of_many_trainings_the_newest_are_read_and_all_baselines_and_replicates(setup, monkeypatch):
    monkeypatch.setattr(wiring, "FITTED", 4)
    trials = trials_of(setup)
    trials.append(replace(trials[2], number=6, seed=1, origin=CONFIRM))
    read_ones = setup.verdict(trials).standing.measured
    assert [trial.number for trial in read_ones] == [0, 1, 2, 6]
    monkeypatch.setattr(wiring, "FITTED", 5)
    assert [trial.number for trial in setup.verdict(trials).standing.measured] == [0, 1, 2, 5, 6]


def test_what_failed_enters_no_figure_and_is_counted(setup):
    trials = trials_of(setup)
    failed = [
        replace(trials[0], number=number, seed=9, status=Status.FAILED, scores={}, values=()) for number in (6, 7)
    ]
    found = find(setup, [*trials, *failed])
    assert found.failed == {trials[0].config: 2}
    assert "Behind these figures stand 6 trainings of 6" in found.behind
    assert "2 trainings failed, and are not among them." in found.behind
    assert "failed" not in find(setup, trials).behind


def test_which_trainings_are_read_does_not_depend_on_how_well_they_did(setup, monkeypatch):
    monkeypatch.setattr(wiring, "FITTED", 3)
    trials = trials_of(setup)
    lucky = replace(trials[2], scores={**trials[2].scores, "val_loss": 0.001})
    numbers = [
        [trial.number for trial in setup.verdict(each).standing.measured]
        for each in (trials, [lucky if trial.number == 2 else trial for trial in trials])
    ]
    assert numbers[0] == numbers[1] == [0, 1, 5]


def test_a_trial_that_is_not_read_can_still_be_named(senas, copied, monkeypatch):
    monkeypatch.setattr(wiring, "FITTED", 3)
    said = senas("front", "study.name=pilot", "pick=trial:2")
    assert (said.code, said.err) == (0, "")
    assert "* picked: trial 2," in said.out
    assert "(of 6; baselines and what was trained more than once first, and the newest)" in said.out
