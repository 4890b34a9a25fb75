"""trainer.average from the command line."""

import pytest
import yaml

from senas.app.calls import called
from senas.app.wiring import set_up, set_up_again
from senas.exported.package import read

SHORT = ("trainer.epochs=2", "tracking=none", "progress=false", "study.trials=2", "study.name=averaged")


def fingerprint(*words):
    return set_up(called("search", words, {})).fingerprint


def test_an_average_is_in_the_fingerprint_and_none_is_not():
    plain = fingerprint("trainer.average=none")
    assert not [key for key in plain if "average" in key]
    assert fingerprint("trainer.average=ema") == {**plain, "trainer.average": "ema"}


@pytest.mark.slow
def test_a_study_of_averages_is_exported_as_it_was_measured_and_says_so(senas, folder):
    assert senas("search", *SHORT, "trainer.average=ema").code == 0
    said = senas("export", "study.name=averaged", "to=out")
    assert (said.code, said.err) == (0, "")  # parity with what the study measured is checked there
    assert read(folder / "out").provenance["trainer"]["average"] == "ema"
    assert "val_loss_even" not in (folder / "out" / "README.md").read_text()
    assert senas("search", *SHORT).code == 2  # another setting


@pytest.mark.slow
def test_a_study_from_before_there_were_averages_goes_on(senas, folder):
    assert senas("search", *SHORT).code == 0
    file = folder / "runs" / "averaged" / "config.yaml"
    plain = yaml.safe_load(file.read_text())
    del plain["trainer"]["average"]
    file.write_text(yaml.safe_dump(plain))
    assert set_up_again("runs", "averaged").config.trainer.average == "none"
    assert senas("search", *SHORT, "study.trials=3").code == 0


@pytest.mark.parametrize("command", [("search",), ("train", "se=[none]", "data=digits", "backbone=resnet8")])
def test_another_word_is_refused_in_one_line(senas, folder, command):
    said = senas(*command, "trainer.average=mean")
    assert (said.code, said.err) == (2, 'senas: trainer.average must be one of none, ema, swa, got "mean"\n')
    assert list(folder.iterdir()) == []
