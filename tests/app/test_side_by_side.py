"""Searches with several trainings at a time: what a kill and Ctrl-C leave behind, and what goes on from there."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="trainings beside each other need Linux")
SEARCH = [
    "search",
    "evaluator.workers=2",
    "trainer.epochs=4",
    "sampler.startup=4",
    "study.name=pilot",
    "study.trials=8",
    "study.confirm=2",
    "progress=false",
    "tracking=none",
]


def proposed(root):
    """(number, configuration, seed, values, scores) of each finished trial, as the study remembers them."""
    from senas.app.wiring import set_up_again
    from senas.study.optuna import read_trials

    setup = set_up_again(str(root), "pilot")
    trials = read_trials("pilot", setup.storage, setup.space)
    return [(trial.number, str(trial.config), trial.seed, trial.values, dict(trial.scores)) for trial in trials]


def until(process, wanted):
    for line in process.stdout:
        if line.startswith(wanted):
            return
    pytest.fail(f"it ended with {process.wait()} before it said {wanted}: {process.stderr.read()}")


def children(process):
    return [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def gone(processes):
    """Whether they end within seconds."""
    for _ in range(100):
        if not any(Path(f"/proc/{each}").exists() for each in processes):
            return True
        time.sleep(0.05)
    return False


def test_fewer_than_one_at_a_time_is_refused_in_one_line(searched, folder):
    said = searched("evaluator.workers=0")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("senas: evaluator.workers must be at least 1, or null to have senas choose, got 0")
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_the_greeting_says_how_many_there_are_at_a_time(searched):
    said = searched("evaluator.workers=2")
    assert said.code == 0
    assert "2 trainings at a time (evaluator.workers)" in said.out
    assert "at a time" not in searched("evaluator.workers=1", "root=other").out


@pytest.mark.slow
def test_how_many_there_are_at_a_time_does_not_make_it_another_study(searched):
    assert searched("evaluator.workers=2").code == 0
    assert "3 of 4 trials are there already" in searched("evaluator.workers=1", "study.trials=4").out


@pytest.mark.parametrize(("workers", "pruned", "expected"), [(None, False, 2), (None, True, 1), (2, True, 2)])
def test_beside_a_pruner_there_is_one_at_a_time_unless_more_are_asked_for(monkeypatch, workers, pruned, expected):
    from senas.app import evaluators
    from senas.app.schema import EvaluatorConfig

    monkeypatch.setattr(evaluators, "side_by_side", lambda standalone, workers, trainings: workers or 2)
    config = EvaluatorConfig("standalone", workers)
    assert evaluators.evaluator_of(None, config, 24, print, pruned=pruned) == expected


@pytest.mark.slow
def test_a_search_killed_with_several_running_ends_as_an_uninterrupted_one(program, started, folder):
    process = started(*SEARCH)
    until(process, "trial   5")
    time.sleep(0.05)
    trainings = children(process)
    process.kill()
    process.communicate()
    assert len(trainings) == 2
    assert gone(trainings)
    killed = proposed("runs")
    resumed = program(*SEARCH)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    whole = program(*SEARCH, "root=whole")
    assert (whole.returncode, whole.stderr) == (0, "")
    assert proposed("runs") == proposed("whole")
    assert proposed("runs")[: len(killed)] == killed


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_ends_them_all_and_keeps_each_that_was_told_of(folder, environment):
    # A terminal sends it to every process of the group.
    command = [sys.executable, "-u", "-m", "senas", *SEARCH, "study.trials=40"]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        until(process, "trial   2")
        trainings = children(process)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    log = (folder / "runs" / "pilot" / "log.txt").read_text()
    told = re.findall(r"  trial +\d+ ", log, re.MULTILINE)
    said = re.search(r"stopped with (\d+) of 40 trials; these are kept, and what was under way is trained again", out)
    assert int(said[1]) == len(told) == len(proposed("runs"))
    assert gone(trainings)
