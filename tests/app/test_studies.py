"""Studies from the command line: launched, looked at, resumed, exported."""

import csv
import json
import re
import signal
import sys
import time

import pytest
import yaml

from senas.app.main import INTERRUPTED
from senas.core.config import SEConfig
from senas.exported.network import load
from senas.exported.package import read

SHORT = ["trainer.epochs=1", "tracking=none", "progress=false"]
TRIAL = re.compile(r"^trial +(\d+)", re.MULTILINE)


def proposed(root, study):
    """(number, configuration, values, scores) of each finished trial, as the study remembers them."""
    from senas.app.wiring import set_up_again
    from senas.study.optuna import read_trials

    setup = set_up_again(str(root), study)
    trials = read_trials(study, setup.storage, setup.space)
    return [(trial.number, str(trial.config), trial.values, dict(trial.scores)) for trial in trials]


def test_a_search_says_each_trial_the_front_and_what_can_be_done_next(searched):
    said = searched("study.name=pilot")
    assert (said.code, said.err) == (0, "")
    assert TRIAL.findall(said.out) == ["0", "1", "2"]
    assert "study pilot in runs/pilot" in said.out
    assert "\n3 trials in " in said.out
    assert re.search(r"^(\* recommended|leads): trial \d, ", said.out, re.MULTILINE)
    assert "Behind these figures stand 3 trainings of 3 configurations, with the seeds " in said.out
    assert "senas export study.name=pilot to=exported/pilot" in said.out


def test_a_search_writes_into_its_folder_only(searched, folder):
    searched("study.name=pilot", "root=here")
    assert [path.name for path in folder.iterdir()] == ["here"]
    assert [path.name for path in (folder / "here").iterdir()] == ["pilot"]
    held = {path.name for path in (folder / "here" / "pilot").iterdir()}
    assert held == {
        "config.yaml",
        "front.csv",
        "front.html",
        "front.png",
        "journal.log",
        "lock",
        "log.txt",
        "report.html",
        "weights",
    }


def test_what_a_search_writes_agrees_with_what_it_remembers(copied):
    trials = {number: (config, scores) for number, config, _, scores in proposed("runs", "pilot")}
    rows = list(csv.DictReader((copied / "pilot" / "front.csv").open()))
    assert rows
    for row in rows:
        config, scores = trials[int(row["trial"])]
        assert str(SEConfig.parse(row["blocks"])) == config
        assert float(row["val_loss"]) == scores["val_loss"]
    config = yaml.safe_load((copied / "pilot" / "config.yaml").read_text())
    assert (config["study"]["name"], config["study"]["trials"], config["trainer"]["epochs"]) == ("pilot", 6, 1)


def test_the_same_command_again_trains_nothing_and_says_so(searched, copied):
    before = proposed("runs", "pilot")
    again = searched("study.name=pilot", "study.trials=6")
    assert again.code == 0
    assert (
        "the study has its 6 trials already; this goes on: senas resume study.name=pilot study.trials=12" in again.out
    )
    assert TRIAL.findall(again.out) == []
    assert proposed("runs", "pilot") == before


def test_more_trials_go_on_where_the_study_stands(searched, copied):
    before = proposed("runs", "pilot")
    more = searched("study.name=pilot", "study.trials=8")
    assert "6 of 8 trials are there already" in more.out
    assert TRIAL.findall(more.out) == ["6", "7"]
    assert proposed("runs", "pilot")[:6] == before


def test_a_small_space_ends_when_it_is_exhausted(searched):
    said = searched("space.sites=[layer1.0]", "space.placement=[standard]", "study.trials=100", "study.seeds=1")
    assert said.code == 0
    assert "all 3 configurations of the space were tried: the study is over" in said.out


def test_a_starting_point_outside_the_space_is_left_out_and_said_so(searched):
    said = searched("space.reduction=[4]", "study.trials=1")
    assert "starting point all16 is not in the space, and left out" in said.out


@pytest.mark.slow
def test_several_objectives_have_a_knee_to_be_recommended(searched):
    command = ("objective=pareto", "objective.metrics=[val_error,macs]", "objective.pick=knee", "study.start=[none]")
    said = searched(*command)
    assert said.code == 0
    assert "the knee of the front over val_error and macs" in said.out


@pytest.mark.slow
def test_a_pruner_prunes(searched):
    pruner = ["pruner=median", "pruner.n_startup_trials=1", "pruner.n_warmup_steps=0"]
    said = searched("study.trials=5", "trainer.epochs=2", *pruner)
    assert said.code == 0
    assert re.search(r"^trial +\d  pruned after epoch 1: val loss", said.out, re.MULTILINE)


@pytest.mark.slow
def test_several_jobs_are_a_study_each(senas, folder):
    said = senas("search", "--multirun", *SHORT, "objective.penalty=0.02,0.1", "study.trials=1")
    assert (said.code, said.err) == (0, "")
    configs = [yaml.safe_load(path.read_text()) for path in (folder / "runs").glob("*/config.yaml")]
    assert sorted(config["objective"]["penalty"] for config in configs) == [0.02, 0.1]


def test_an_experiment_of_ones_own_is_found_in_ones_own_folder(senas, folder):
    (folder / "mine" / "experiment").mkdir(parents=True)
    (folder / "mine" / "experiment" / "tiny.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /sampler: random\nstudy:\n  name: tiny\n  seed: 5\n"
    )
    said = senas("search", "--config-dir", "mine", *SHORT, "+experiment=tiny", "study.trials=1")
    assert (said.code, said.err) == (0, "")
    config = yaml.safe_load((folder / "runs" / "tiny" / "config.yaml").read_text())
    assert (config["study"]["seed"], config["sampler"]["_target_"]) == (5, "optuna.samplers.RandomSampler")


def test_cfg_prints_the_configuration_and_writes_nothing(senas, folder):
    said = senas("search", "trainer.epochs=7", "--cfg", "job")
    assert said.code == 0
    assert yaml.safe_load(said.out)["trainer"]["epochs"] == 7
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_database_holds_a_study_as_a_file_does(searched, copied, folder):
    searched("study.name=pilot", "root=other", "storage.url=sqlite:///study.db")
    assert proposed("other", "pilot") == proposed("runs", "pilot")[:3]
    assert not (folder / "other" / "pilot" / "journal.log").exists()


# Looking


def test_another_penalty_recommends_another_and_changes_nothing(senas, copied, folder, tree):
    before = tree(folder)
    free, dear = (senas("front", "study.name=pilot", f"objective.penalty={penalty}") for penalty in (0, 1000))
    assert (free.code, dear.code, free.err, dear.err) == (0, 0, "", "")
    assert "* picked: trial 0, none" in dear.out
    assert "plus a penalty of 1000" in dear.out
    assert "study pilot: 6 trials, 6 trained to the end; hypervolume " in free.out
    assert tree(folder) == before


@pytest.mark.parametrize("pick", ["smallest", "trial:1"])
def test_every_pick_is_shown_in_the_table(senas, copied, pick):
    said = senas("front", "study.name=pilot", f"pick={pick}", "study.margin=1")
    assert said.code == 0
    (number,) = re.findall(r"^\* picked: trial (\d+)", said.out, re.MULTILINE)
    assert re.search(rf"^ *{number} \* ", said.out, re.MULTILINE)


def test_sites_says_where_blocks_can_go_and_what_they_cost(senas, folder):
    said = senas("sites")
    assert (said.code, said.err) == (0, "")
    assert "resnet8 on images of 1 x 8 x 8, 10 classes: 3 sites" in said.out
    assert "75,002 parameters, 747.1 k MACs for one image" in said.out
    assert re.findall(r"^ *(layer\d\.0) ", said.out, re.MULTILINE) == ["layer1.0", "layer2.0", "layer3.0"]
    assert "SE everywhere at r = 16  75,793 parameters (+791, 1.05%)" in said.out
    assert list(folder.iterdir()) == []


# Taking away


def test_an_export_holds_the_recommended_configuration_with_its_weights(senas, copied, folder):
    said = senas("export", "study.name=pilot", "to=out")
    assert (said.code, said.err) == (0, "")
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["README.md", "se.yaml", "weights.safetensors"]
    exported = read(folder / "out")
    trials = {number: (config, scores) for number, config, _, scores in proposed("runs", "pilot")}
    config, scores = trials[exported.provenance["trial"]]
    assert (str(exported.config), exported.scores) == (config, scores)
    measured = re.search(r"validation loss ([\d.]+), .* \(the study measured ([\d.]+),", said.out)
    assert measured[1] == measured[2] == f"{scores['val_loss']:.4f}"


def test_an_export_lies_under_exported_unless_told_otherwise_and_can_be_written_again(senas, copied, folder):
    assert [senas("export", "study.name=pilot").code for _ in range(2)] == [0, 0]
    assert load(folder / "exported" / "pilot").training is False


def test_a_trial_whose_weights_are_gone_is_trained_again_to_what_was_measured(senas, copied):
    min((copied / "pilot" / "weights").iterdir()).unlink()  # of trial 0
    said = senas("export", "study.name=pilot", "pick=trial:0", "to=out")
    assert said.code == 0
    assert "its weights were not kept" in said.out
    measured = re.search(r"validation loss ([\d.]+), .* \(the study measured ([\d.]+),", said.out)
    assert measured[1] == measured[2]


# Whole stories, each command a process


def lines_until(process, wanted):
    """Reads what the program says up to a line that starts with `wanted`."""
    for line in process.stdout:
        if line.startswith(wanted):
            return
    pytest.fail(f"it ended with {process.wait()} before it said {wanted}: {process.stderr.read()}")


LONGER = [
    "trainer.epochs=4",
    "sampler.startup=4",
    "study.name=pilot",
    "study.trials=12",
    "study.confirm=0",
    "progress=false",
]


class Tracked:
    """What MLflow has of a study, read with a client of its own."""

    def __init__(self, folder):
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{folder / 'runs' / 'mlflow.db'}")
        (experiment,) = [e for e in client.search_experiments() if e.name == "senas"]
        runs = client.search_runs([experiment.experiment_id], max_results=1000)
        self.parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        self.children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
        self.artifacts = {file.path for file in client.list_artifacts(self.parents[0].info.run_id)}

    @property
    def numbers(self):
        return sorted(int(run.data.tags["senas.trial"]) for run in self.children)

    @property
    def states(self):
        return {run.info.status for run in [*self.parents, *self.children]}


@pytest.mark.slow
def test_a_study_is_searched_resumed_looked_at_exported_and_used(program, folder, script):
    search = ["search", "study.name=pilot", "trainer.epochs=1", "study.confirm=0", "progress=false"]
    first = program(*search, "study.trials=3", command=(str(script),))
    assert (first.returncode, first.stderr) == (0, "")
    again = program(*search, "study.trials=3")
    assert (again.returncode, TRIAL.findall(again.stdout)) == (0, [])
    assert "the study has its 3 trials already" in again.stdout
    more = program(*search, "study.trials=5")
    assert (more.returncode, TRIAL.findall(more.stdout)) == (0, ["3", "4"])
    tracked = Tracked(folder)
    assert len(tracked.parents) == 1
    assert tracked.numbers == [0, 1, 2, 3, 4]
    assert tracked.states == {"FINISHED"}
    assert tracked.artifacts >= {"front.csv", "front.png", "se.yaml", "config.yaml"}
    front = program("front", "study.name=pilot", "objective.penalty=1000")
    assert (front.returncode, front.stderr) == (0, "")
    assert "* picked: trial 0, none" in front.stdout
    export = program("export", "study.name=pilot", "to=out")
    assert (export.returncode, export.stderr) == (0, "")
    use = "import senas, torch; print(list(senas.load('out')(torch.zeros(2, 1, 8, 8)).shape))"
    used = program(command=(sys.executable, "-c", use))
    assert (used.stdout, used.stderr) == ("[2, 10]\n", "")
    assert {path.name for path in folder.iterdir()} == {"runs", "out"}


@pytest.mark.slow
def test_an_interrupted_study_is_resumed_to_its_total(program, started, folder):
    process = started("search", *LONGER)
    lines_until(process, "trial   2")
    process.send_signal(signal.SIGINT)
    since = time.monotonic()
    out, err = process.communicate(timeout=60)
    print(f"it ended {time.monotonic() - since:.1f} s after Ctrl-C")
    assert (process.returncode, err) == (INTERRUPTED, "")
    assert re.search(r"stopped with \d+ of 12 trials; these are kept", out)
    tracked = Tracked(folder)
    assert "RUNNING" not in tracked.states
    assert tracked.numbers == list(range(len(tracked.numbers)))
    done = program("search", *LONGER)
    assert (done.returncode, done.stderr) == (0, "")
    tracked = Tracked(folder)
    assert tracked.numbers == list(range(12))
    assert tracked.states == {"FINISHED"}


@pytest.mark.slow
def test_a_study_killed_in_its_eighth_trial_ends_as_an_uninterrupted_one(program, started, folder):
    process = started("search", *LONGER, "tracking=none")
    lines_until(process, "trial   6")
    time.sleep(0.05)
    process.kill()
    process.communicate()
    killed = proposed("runs", "pilot")
    assert [number for number, *_ in killed] == list(range(7))
    resumed = program("search", *LONGER, "tracking=none")
    assert (resumed.returncode, resumed.stderr) == (0, "")
    whole = program("search", *LONGER, "tracking=none", "root=whole")
    assert (whole.returncode, whole.stderr) == (0, "")
    assert proposed("runs", "pilot") == proposed("whole", "pilot")
    assert proposed("runs", "pilot")[:7] == killed


@pytest.mark.slow
def test_a_study_killed_amid_a_replicate_ends_as_an_uninterrupted_one(program, started):
    confirmed = [*LONGER, "tracking=none", "study.trials=3", "study.confirm=3"]
    process = started("search", *confirmed)
    lines_until(process, "trial   3")
    time.sleep(0.05)
    process.kill()
    process.communicate()
    assert len(proposed("runs", "pilot")) == 4
    resumed = program("search", *confirmed)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert "3 trials (and 1 trained to confirm) are there already" in resumed.stdout
    assert "3 trials (and 3 trained to confirm) in" in resumed.stdout
    whole = program("search", *confirmed, "root=whole")
    assert (whole.returncode, whole.stderr) == (0, "")
    assert proposed("runs", "pilot") == proposed("whole", "pilot")


@pytest.mark.slow
def test_a_second_search_of_a_running_study_is_refused_and_disturbs_nothing(program, started, folder):
    process = started("search", *LONGER, "tracking=none", "study.trials=40")
    lines_until(process, "trial   0")
    second = program("search", *LONGER, "tracking=none")
    assert (second.returncode, second.stdout) == (2, "")
    assert re.fullmatch(r'senas: study "pilot" is being searched by another process; [^\n]*\n', second.stderr)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    journal = (folder / "runs" / "pilot" / "journal.log").read_text()
    assert all(json.loads(line) for line in journal.splitlines())


@pytest.mark.slow
def test_looking_at_a_running_study_disturbs_nothing(program, started, folder):
    process = started("search", *LONGER, "tracking=none")
    lines_until(process, "trial   0")
    front = program("front", "study.name=pilot")
    assert (front.returncode, front.stderr) == (0, "")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "\n12 trials in " in out
