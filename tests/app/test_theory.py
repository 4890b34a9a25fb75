"""study.start=[theory]: the starting point that a study's results give, and what senas effects says of it."""

from dataclasses import replace

import pytest

import senas.app.theory
from senas.app.theory import start_by_theory
from senas.app.wiring import set_up_again
from senas.core.certainty import Estimate
from senas.core.objective import Pareto
from senas.core.theory import RatioTheory, best_blocks
from senas.core.trial import THEORY
from senas.study.optuna import read_trials

KAPPA = Estimate(5e-4, 4e-4, 6e-4)
MORE = ("tracking=none", "progress=false", "study.confirm=0", "trainer.epochs=1", "study.name=pilot")


@pytest.fixture
def known(monkeypatch):
    """Makes the study's results say what is told."""

    def say(kappa):
        told = RatioTheory(kappa, 1e-5, (4.0, 16.0), 20)
        monkeypatch.setattr(senas.app.theory, "ratio_theory", lambda *args, **options: told)

    return say


@pytest.fixture(scope="module")
def studied(pilot):
    """The study `pilot`, and its trials."""
    setup = set_up_again(str(pilot), "pilot")
    return setup, read_trials("pilot", setup.storage, setup.space)


def trials_of(root):
    setup = set_up_again(str(root), "pilot")
    return read_trials("pilot", setup.storage, setup.space)


@pytest.mark.slow
def test_effects_says_whether_kappa_is_identified(copied, senas):
    said = " ".join(senas("effects", "study.name=pilot").out.split())
    assert "theory (loss = L0 + kappa/2 r^2), of the ratios 4, 16 that were trained: kappa not identified" in said


@pytest.mark.slow
def test_effects_tells_the_best_ratio_beside_the_picks(copied, senas, known):
    known(KAPPA)
    said = " ".join(senas("effects", "study.name=pilot").out.split())
    assert "layer3.0, C = 64: r* = 4.3 (4.1 to 4.7); the pick has" in said


def test_an_identified_kappa_starts_with_the_ratios_that_follow(studied, known):
    known(KAPPA)
    setup, trials = studied
    config, line = start_by_theory(setup, trials, waits=False)
    assert config == best_blocks(setup.space, KAPPA.mean, setup.objective.penalty)
    assert line.endswith(f"starts with {config.words(setup.sites)}")


def test_a_kappa_that_may_be_zero_starts_nothing_and_says_so(studied, known):
    known(Estimate(1e-5, -1e-5, 3e-5))
    config, line = start_by_theory(*studied, waits=False)
    assert config is None
    assert "-1e-05 to +3e-05: it includes 0" in line
    assert line.endswith("nothing is started")
    assert "\n" not in line


def test_a_study_without_trainings_starts_nothing_and_says_so(studied):
    config, line = start_by_theory(studied[0], [], waits=False)
    assert config is None
    assert "nothing was trained yet" in line


def test_what_was_trained_already_is_not_started(studied, known):
    known(KAPPA)
    setup, trials = studied
    config, _ = start_by_theory(setup, trials, waits=False)
    there = [*trials[:-1], replace(trials[-1], config=config)]
    again, line = start_by_theory(setup, there, waits=False)
    assert again is None
    assert line.endswith(f"is trial {trials[-1].number} already")


def test_a_study_starts_by_theory_once(studied, known):
    known(KAPPA)
    setup, trials = studied
    config, line = start_by_theory(setup, [*trials[:-1], replace(trials[-1], origin=THEORY)], waits=False)
    assert (config, line) == (None, f"theory: its starting point is trial {trials[-1].number}")


def test_a_starting_point_that_a_killed_run_had_queued_is_said_to_go_on_and_not_looked_for_again(studied, known):
    known(Estimate(5e-3, 4e-3, 6e-3))
    config, line = start_by_theory(*studied, waits=True)
    assert (config, line) == (None, "theory: its starting point was not trained to its end, and is taken up again")


def test_without_a_penalty_nothing_is_started(studied, known):
    known(KAPPA)
    setup, trials = studied
    config, line = start_by_theory(replace(setup, objective=Pareto(("val_loss", "se_params"))), trials, waits=False)
    assert config is None
    assert "without a penalty" in line


@pytest.mark.slow
def test_a_study_that_goes_on_trains_the_theorys_point_first_and_never_again(senas, copied, known):
    known(KAPPA)
    said = senas("search", *MORE, "study.trials=7", "study.start=[none,all16,theory]")
    assert (said.code, said.err) == (0, "")
    known(Estimate(5e-3, 4e-3, 6e-3))  # other ratios would follow by now
    assert senas("resume", "study.name=pilot", "study.trials=8", "progress=false").code == 0
    assert [trial.origin for trial in trials_of(copied)[6:]] == [THEORY, "sampler"]


@pytest.mark.slow
def test_a_study_that_is_done_asks_no_theory(senas, copied, known):
    known(KAPPA)
    said = senas("search", *MORE, "study.trials=6", "study.start=[theory]")
    assert said.code == 0
    assert "theory" not in said.out


@pytest.mark.slow
def test_the_audit_of_a_new_study_is_what_theory_reads(senas, folder, known):
    known(KAPPA)
    few = ("study.audit=true", "audit.configs=2", "audit.seeds=2", "study.trials=2", "study.start=[none,theory]")
    said = senas("search", "tracking=none", "progress=false", "study.confirm=0", "trainer.epochs=1", *few)
    assert (said.code, said.err) == (0, "")
    assert "starts with" in said.out
