"""By which samplers a study's trials were proposed, as exports tell it."""

import pytest

from senas.app.proposed import samplers
from senas.core.config import SEConfig
from senas.core.trial import CONFIRM, Status, Trial
from senas.exported.package import read

ASKED = {"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 10}


def trials(*names, **facts):
    made = {"status": Status.COMPLETE, "config": SEConfig(), "seed": 0, **facts}
    return [Trial(number=number, sampler=name, **made) for number, name in enumerate(names)]


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (trials("A", "A"), "A"),
        (trials("A", "B", "A", "A"), "A (3 trials), then B (1 trial)"),
        (trials("", ""), "TPESampler, n_startup_trials 10"),
        (trials("", "B"), "one that was not recorded (1 trial), then B (1 trial)"),
        ([*trials("A"), *trials("", origin="start"), *trials("", origin=CONFIRM)], "A"),
        ([*trials("A"), *trials("B", status=Status.REJECTED), *trials("B", repeats=0)], "A"),
        ([], "TPESampler, n_startup_trials 10"),
    ],
)
def test_what_proposed_the_trials_that_count_is_named_in_order(there, words):
    assert samplers(there, ASKED) == words


@pytest.mark.slow
def test_an_export_names_each_sampler_that_a_study_was_resumed_with(senas, searched, copied, folder):
    said = searched("study.name=pilot", "study.trials=8", "sampler=random")
    assert said.code == 0, said.err
    assert senas("export", "study.name=pilot", "pick=trial:0", "to=out").code == 0
    words = "EffectsSampler, startup 10 (4 trials), then RandomSampler (2 trials)"
    assert read(folder / "out").provenance["sampler"] == words
    assert f"| proposals by | {words} |" in (folder / "out" / "README.md").read_text()
