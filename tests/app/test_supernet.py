"""Studies that are screened by shared weights: where these step aside, where they rank, and after a kill."""

import re
import subprocess
import sys

import pytest

SEARCH = [
    "search",
    "evaluator=supernet",
    "trainer.epochs=1",
    "sampler=random",
    "study.seeds=1",
    "study.start=[]",
    "study.name=pilot",
    "study.confirm=0",
    "tracking=none",
    "progress=false",
]
RANKED = [*SEARCH, "trainer.epochs=2", "study.trials=38", "evaluator.workers=2"]


def supernet(said):
    return [line for line in said.splitlines() if line.startswith("supernet: ")]


def taus(line):
    """Tau, that of counting, and their difference: each with its interval."""
    number = r"([+-]\d\.\d\d)"
    return [tuple(map(float, each)) for each in re.findall(rf"{number} \({number} to {number}\)", line)]


def proposed(root):
    """(number, configuration, seed, status, scores) of each finished trial, as the study remembers them."""
    from senas.app.wiring import set_up_again
    from senas.study.optuna import read_trials

    setup = set_up_again(str(root), "pilot")
    trials = read_trials("pilot", setup.storage, setup.space)
    return [(trial.number, str(trial.config), trial.seed, trial.status, dict(trial.scores)) for trial in trials]


def until(process, wanted):
    for line in process.stdout:
        if line.startswith(wanted):
            return
    pytest.fail(f"it ended with {process.wait()} before it said {wanted}: {process.stderr.read()}")


@pytest.mark.slow
def test_a_study_goes_on_with_another_evaluator_and_back(searched):
    assert searched("study.name=pilot", "study.trials=1").code == 0
    said = searched("study.name=pilot", "study.trials=1", "evaluator=supernet")
    assert "1 trials are there already" in said.out
    assert (
        "supernet: 30 configurations are trained by themselves first, so with study.trials=1 nothing is screened; "
        "study.trials=120\n"
    ) in said.out
    assert searched("study.name=pilot", "study.trials=2", "evaluator=fused").code == 0
    assert "2 of 3 trials are there already" in searched("study.name=pilot", "study.trials=3").out


def test_weights_are_not_shared_with_loaders_of_ones_own(senas, folder, monkeypatch):
    from senas.training import screener

    monkeypatch.setattr(screener, "ImageData", type(None))
    said = senas("search", "evaluator=supernet", "study.trials=40", "tracking=none")
    assert (said.code, said.out) == (2, "")
    assert said.err == ("senas: evaluator=supernet: weights are not shared with data=custom; evaluator=standalone\n")
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_where_they_rank_worse_than_counting_they_step_aside_and_all_is_trained(program, folder):
    coarse = ["trainer.lr=0.03", "trainer.batch_size=256"]  # three steps: what a block costs then is all that counts
    said = program(*SEARCH, *coarse, "study.trials=33")
    assert (said.returncode, said.stderr) == (0, "")
    *_, line = supernet(said.stdout)
    assert line.endswith("shared weights step aside, and every proposal is trained")
    tau, blocks, over = taus(line)
    assert over[1] <= 0
    assert over[0] == pytest.approx(tau[0] - blocks[0], abs=0.011)
    assert "no contender" not in said.stdout
    assert (folder / "runs" / "pilot" / "front.csv").exists()


@pytest.fixture(scope="module")
def ranked(tmp_path_factory, environment):
    """The folder of a study that was screened, and what it said."""
    root = tmp_path_factory.mktemp("ranked")
    command = [sys.executable, "-m", "senas", *RANKED, f"root={root}"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return root, said.stdout


@pytest.mark.slow
def test_where_they_rank_most_proposals_are_not_trained(ranked):
    _, said = ranked
    *_, line = supernet(said)
    assert line.endswith("shared weights rank the proposals")
    assert taus(line)[2][1] > 0
    screened_out = said.count("not trained, no contender: shared_val_loss")
    assert 4 <= screened_out <= 7  # of the 8 after the first 30
    assert "38 trials in" in said
    assert f"{screened_out} of the trials were no contenders by shared weights, and were not trained" in said


@pytest.mark.slow
def test_killed_while_weights_are_trained_a_study_loses_nothing_and_ends_as_one_that_was_not(
    ranked, program, started, folder
):
    process = started(*RANKED)
    until(process, "supernet: training weights")
    process.kill()
    process.communicate()
    killed = proposed("runs")
    assert len({config for _, config, *_ in killed}) == 30
    resumed = program(*RANKED)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    whole, said = ranked
    assert proposed("runs")[: len(killed)] == killed
    assert proposed("runs") == proposed(whole)
    assert supernet(resumed.stdout)[-1] == supernet(said)[-1]
    front = [root / "pilot" / "front.csv" for root in (folder / "runs", whole)]
    assert front[0].read_text() == front[1].read_text()
    further = program("resume", "study.name=pilot", "study.trials=40", "progress=false")
    earlier = r"supernet: shared weights of an earlier run, runs/pilot/shared-[0-9a-f]{6}-sandwich-2-epochs\..*"
    assert re.fullmatch(earlier, supernet(further.stdout)[0])
    assert supernet(further.stdout)[-1] == supernet(said)[-1]
