"""senas resume: what a study was launched with need not be said again."""

import yaml

from senas.app import search
from senas.app.wiring import set_up_again
from senas.study.optuna import read_trials


def edit(file, part, **changes):
    plain = yaml.safe_load(file.read_text())
    plain[part] |= changes
    file.write_text(yaml.safe_dump(plain))


def test_a_study_goes_on_with_the_settings_of_its_launch(senas, copied):
    said = senas("resume", "study.name=pilot", "study.confirm=1", "progress=false")
    assert (said.code, said.err) == (0, "")
    setup = set_up_again(str(copied), "pilot")
    trials = read_trials("pilot", setup.storage, setup.space)
    assert [trial.origin for trial in trials[6:]] == ["confirm"]
    assert {len(trial.curve) for trial in trials} == {1}
    assert (setup.config.study.trials, setup.config.study.confirm) == (6, 1)


def test_a_study_that_is_not_there_is_one_line_and_leaves_nothing(senas, folder):
    said = senas("resume", "study.name=pilto")
    assert (said.code, said.err) == (
        2,
        'senas: study.name: there is no study "pilto" in runs; there are none yet, `senas search` makes one\n',
    )
    assert list(folder.iterdir()) == []


def test_a_number_that_no_study_can_have_changes_nothing(senas, copied, tree):
    before = tree(copied)
    said = senas("resume", "study.name=pilot", "study.confirm=-1")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "study.confirm must be at least 0, got -1" in said.err
    assert tree(copied) == before


def test_another_setting_is_no_resumption(senas, copied):
    said = senas("resume", "study.name=pilot", "trainer.epochs=2")
    assert said.code == 2
    assert "trainer" in said.err


def test_code_that_the_folder_names_is_not_imported_untrusted(senas, copied):
    edit(copied / "pilot" / "config.yaml", "objective", metric="mine.metrics:f1")
    said = senas("resume", "study.name=pilot")
    assert said.code == 2
    assert "say trust=mine" in said.err


def test_the_hardware_of_a_latency_is_asked_of_the_machine_at_hand(senas, copied, monkeypatch):
    edit(copied / "pilot" / "config.yaml", "latency", hardware="of another machine")
    taken = []
    monkeypatch.setattr(search, "main", taken.append)
    assert senas("resume", "study.name=pilot", "study.trials=9").code == 0
    assert (taken[0].latency.hardware, taken[0].study.trials) == (None, 9)
