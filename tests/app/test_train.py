"""`senas train`: what it trains, what it says, what it leaves, and what it does after a kill."""

import json
import shutil
import signal
import time

import pytest
import yaml
from mlflow import MlflowClient

from senas.app import checks
from senas.app.recording import NoRecord
from senas.exported.network import load
from senas.exported.package import read
from senas.record.mlflow import MlflowRecorder
from senas.training.watch import Saved

TRAIN = ("trainer.epochs=1", "tracking=none", "progress=false", "seeds=2")
DATA = ("data=digits", "backbone=resnet8", "backbone.width=4")
WHERE = "runs/compared"


@pytest.fixture
def trained(senas):
    def call(*arguments):
        return senas("train", *TRAIN, "name=compared", *arguments)

    return call


def results(folder):
    return [json.loads(line) for line in (folder / WHERE / "results.jsonl").read_text().splitlines()[1:]]


def pairs(folder):
    return [(line["config"] == "none", line["seed"]) for line in results(folder)]


# What is trained


def test_baselines_are_trained_with_the_same_seeds_seed_by_seed(trained, folder):
    said = trained(*DATA, "se=none", "against=[all16]")
    assert said.code == 0, said.err
    assert pairs(folder) == [(True, 100), (False, 100), (True, 101), (False, 101)]


def test_an_exported_configuration_brings_its_data_and_its_backbone(trained, package, folder):
    said = trained(f"se={package}/se.yaml", "against=[none]", "seeds=1")
    assert said.code == 0, said.err
    plain = yaml.safe_load((folder / WHERE / "train.yaml").read_text())
    assert plain["backbone"] == {"name": "resnet8", "width": 16}
    assert results(folder)[1]["config"] == str(read(package).config)


def test_the_data_come_from_the_export_where_the_study_is_gone(trained, package, folder):
    shutil.rmtree(folder / "runs" / "pilot")
    said = trained(f"se={package}", "against=[]", "seeds=1")
    assert said.code == 0, said.err
    assert "901 training images" in said.out


@pytest.mark.slow
def test_an_export_brings_the_split_so_that_no_test_image_was_seen_before(trained, senas, searched, folder):
    assert searched(*DATA, "study.name=split", "study.trials=1", "data.split_seed=3", "data.val=0.4").code == 0
    assert senas("export", "study.name=split", "to=exported/split").code == 0
    shutil.rmtree(folder / "runs" / "split")
    said = trained("se=exported/split", "against=[]", "seeds=1")
    assert said.code == 0, said.err
    data = yaml.safe_load((folder / WHERE / "train.yaml").read_text())["data"]
    assert (data["split_seed"], data["val"]) == (3, 0.4)


@pytest.mark.parametrize("split", [{"root": "/elsewhere", "download": True, "name": "custom"}, "all", [1]])
def test_an_export_says_neither_where_data_lie_nor_what_they_are_made_by(trained, package, folder, split):
    shutil.rmtree(folder / "runs" / "pilot")
    plain = yaml.safe_load((folder / package / "se.yaml").read_text())
    plain["provenance"] |= {"split": split}
    (folder / package / "se.yaml").write_text(yaml.safe_dump(plain))
    assert trained(f"se={package}", "against=[]", "seeds=1").code == 0
    data = yaml.safe_load((folder / WHERE / "train.yaml").read_text())["data"]
    assert data == {"name": "digits", "val": 0.3, "test": 0.2, "split_seed": 0}


@pytest.mark.slow
def test_two_exports_of_one_name_leave_a_network_each(trained, package, folder):
    for number, place in enumerate(("a/same", "b/same", "c/none"), 1):
        shutil.copytree(folder / package, folder / place)
        plain = yaml.safe_load((folder / place / "se.yaml").read_text())
        plain["se"] = {"layer1.0": {"hidden": number, "placement": "standard"}}
        (folder / place / "se.yaml").write_text(yaml.safe_dump(plain))
    said = trained("se=[a/same,b/same/se.yaml,c/none]", "against=[]", "seeds=1")
    assert said.code == 0, said.err
    assert "same-2 is b/same/se.yaml" in said.out
    left = {path.name: read(path).config["layer1.0"].hidden for path in (folder / WHERE / "trained").iterdir()}
    assert left == {"same": 1, "same-2": 2, "none-2": 3}


def test_the_password_of_mlflow_is_written_nowhere(trained, folder, monkeypatch):
    def opened(uri, **told):
        assert "hunter2" in uri
        assert "hunter2" not in repr(told)
        return NoRecord()

    monkeypatch.setattr(MlflowRecorder, "open", opened)
    monkeypatch.setattr(checks, "silence", lambda address, seconds: None)
    uri = "tracking.uri='http://me:hunter2@tracker:5000'"
    said = trained(*DATA, "se=none", "against=[]", "seeds=1", "tracking=mlflow", uri)
    assert said.code == 0, said.err
    assert "***" in (folder / WHERE / "train.yaml").read_text()
    assert not [path for path in folder.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]


def test_equal_configurations_are_trained_once(trained, folder):
    said = trained(*DATA, "se=all16", "against=[none,all16]", "seeds=1")
    assert said.code == 0, said.err
    assert len(results(folder)) == 2


@pytest.mark.slow
def test_a_pick_that_is_a_baseline_is_said_to_be_one(trained, package, senas, folder):
    assert senas("export", "study.name=pilot", "pick=trial:0", "to=exported/first").code == 0
    said = trained("se=exported/first", "seeds=1")
    assert "first is the same configuration as none: trained once, shown as none" in said.out
    assert len(results(folder)) == 2


@pytest.mark.slow
def test_a_seed_that_chose_the_configuration_is_warned_of(trained, package):
    said = trained(f"se={package}", "against=[]", "seeds=1", "first_seed=0")
    assert "pilot was chosen with seeds that are among these (0): " in said.out
    assert "was chosen with seed" not in trained(f"se={package}", "against=[]", "seeds=1").out


@pytest.mark.parametrize(
    ("seeds", "first", "told"),
    [
        ([0, 1, 2, 3], 2, "(2, 3)"),
        ([0, 1, 2, 3], 4, None),
        ([0, 7], 7, "(7)"),
        ("many", 0, "(0)"),
        ([[0], "0", None, 1.0], 1, None),
    ],
)
def test_every_seed_of_the_search_behind_a_configuration_is_warned_of(
    trained, package, folder, seeds, first, told, monkeypatch
):
    file = folder / package / "se.yaml"
    plain = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**plain, "provenance": {**plain["provenance"], "seed": 0, "seeds": seeds}}))
    monkeypatch.setattr("senas.app.train.Search.run", lambda *_: None)
    said = trained(f"se={package}", "against=[]", f"first_seed={first}").out
    assert f"chosen with seeds that are among these {told}: " in said if told else "chosen with seeds" not in said


@pytest.mark.slow
def test_test_images_are_called_unseen_only_where_that_is_known(trained, package):
    seen = "measured at the end on 357 test images that no search saw"
    assert seen in trained(f"se={package}", "against=[]", "seeds=1").out
    other = trained(f"se={package}", "against=[]", "seeds=1", "data=digits", "data.split_seed=3", "name=other").out
    assert "measured at the end on 357 test images\n" in other
    assert "measured at the end on 357 test images\n" in trained(*DATA, "se=none", "against=[]", "name=third").out


def test_where_images_lie_is_asked_for_when_the_study_is_gone(trained, package, folder):
    file = folder / package / "se.yaml"
    plain = yaml.safe_load(file.read_text())
    plain["provenance"] |= {"data": "image_folder", "study": "gone", "split": {"val": 0.2}}
    file.write_text(yaml.safe_dump(plain))
    said = trained(f"se={package}")
    assert said.code == 2
    assert "data.root must be given: +data.root=...; the study of this export is not in runs" in said.err


# What it says and leaves


def test_the_comparison_is_said_and_left_as_table_picture_and_networks(trained, folder):
    said = trained(*DATA, "se=all16", "against=[none]")
    assert "all16 - none" in said.out
    assert any(words in said.out for words in ("cannot be told apart", "test loss than none: by"))
    left = folder / WHERE
    assert (left / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert len((left / "comparison.csv").read_text().splitlines()) == 5
    assert "| all16 - none |" in (left / "comparison.md").read_text()
    net = load(left / "trained" / "all16")
    assert not net.training
    assert list((left / "checkpoints").glob("*")) == []


def test_scores_are_those_of_the_test_part_of_the_first_seeds_network(trained, folder):
    trained(*DATA, "se=all16", "against=[]")
    first = results(folder)[0]
    exported = read(folder / WHERE / "trained" / "all16")
    assert exported.scores["test_loss"] == first["scores"]["test_loss"]
    assert exported.provenance["seed"] == 100


def test_what_was_trained_can_be_trained_again_on_the_same_split(trained, folder, senas):
    assert trained(*DATA, "data.split_seed=5", "se=all16", "against=[]", "seeds=1").code == 0
    said = senas("train", *TRAIN, "seeds=1", "name=again", f"se={WHERE}/trained/all16", "against=[]")
    assert said.code == 0, said.err
    assert yaml.safe_load((folder / "runs/again/train.yaml").read_text())["data"]["split_seed"] == 5


@pytest.mark.slow
def test_more_seeds_go_on_with_those_that_are_missing(trained, folder):
    trained(*DATA, "se=none", "against=[all16]", "seeds=1")
    before = results(folder)
    said = trained(*DATA, "se=none", "against=[all16]", "seeds=2")
    assert "2 of 4 trainings are there already" in said.out
    assert results(folder)[:2] == before
    assert pairs(folder) == [(True, 100), (False, 100), (True, 101), (False, 101)]


@pytest.mark.slow
def test_a_shorter_list_takes_no_weights_from_a_longer_one(trained, folder):
    longer = (*DATA, "se=none", "against=[all16]", "seeds=1")
    trained(*longer)
    assert trained(*DATA, "se=none", "against=[]", "seeds=1").code == 0
    shutil.rmtree(folder / WHERE / "trained")
    said = trained(*longer)
    assert said.code == 0, said.err
    assert not load(folder / WHERE / "trained" / "all16").training


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "se must be given: se=..."),
        (("se=none",), "backbone must be given where no exported configuration names one"),
        (("se=none", "backbone=resnet8"), "data must be given where no exported configuration names them"),
        (("se=nothing", *DATA), 'se: there is no "nothing"; it takes former, none, all16, and what was exported'),
        (("se=none", "against=[best]", *DATA), 'against: there is no "best"'),
        (("se=[]", *DATA), "se must be an exported folder, none, all16, or a list of these"),
        (("se=3", *DATA), "se must be an exported folder"),
        (("se=none", "seeds=0", *DATA), "seeds must be at least 1, got 0"),
        (("se=none", "first_seed=-1", *DATA), "first_seed must be at least 0"),
        (("se=none", "name=a/b", *DATA), "must be a plain name, not a path"),
        (("se=none", "trainer.epochs=0", *DATA), "trainer.epochs must be at least 1"),
        (("se=none", "+backbone.colour=red", *DATA), "backbone.colour"),
        (
            ("se=none", "evaluator=supernet", *DATA),
            "evaluator=supernet: everything here is to be trained, and ",
        ),
        (("se=.", *DATA), "se.yaml cannot be read"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(trained, folder, arguments, words):
    said = trained(*arguments)
    assert (said.code, said.out) == (2, "")
    assert len(said.err.splitlines()) == 1, said.err
    assert words in said.err
    assert list(folder.iterdir()) == []


def test_another_setting_under_the_same_name_is_refused(trained, folder):
    trained(*DATA, "se=none", "against=[]", "seeds=1")
    said = trained(*DATA, "se=none", "against=[]", "seeds=1", "trainer.lr=0.1")
    assert said.code == 2
    assert "trainer.lr is 0.003, you ask for 0.1; give another name" in said.err


def test_a_search_and_a_comparison_never_share_a_folder(trained, searched, copied, folder, tree):
    before = tree(copied)
    said = trained(*DATA, "se=none", "against=[]", "name=pilot")
    assert (said.code, said.err) == (
        2,
        "senas: name: runs/pilot holds a study of senas search; give another name\n",
    )
    assert tree(copied) == before
    assert trained(*DATA, "se=none", "against=[]", "seeds=1").code == 0
    before = tree(copied)
    said = searched(*DATA, "study.name=compared")
    assert said.code == 2
    assert "study.name: runs/compared holds trainings of senas train; give another name" in said.err
    assert tree(copied) == before


def test_a_configuration_for_another_backbone_is_refused(trained, package, folder):
    file = folder / package / "se.yaml"
    file.write_text(file.read_text().replace("  layer1.0:", "  layer1.7:"))
    said = trained(f"se={package}", "backbone=resnet14")
    assert said.code == 2
    assert "the network has no site layer1.7; its sites are layer1.0, layer1.1, layer2.0" in said.err
    assert not (folder / WHERE).exists()


@pytest.mark.parametrize("study", ["gone", "../planted"])
def test_an_export_never_makes_senas_import_code(trained, package, folder, study):
    (folder / "planted.py").write_text("raise SystemExit('imported')")
    (folder / "planted").mkdir()
    (folder / "planted" / "config.yaml").write_text("data: {name: custom, target: 'planted:Data', options: {}}")
    plain = yaml.safe_load((folder / package / "se.yaml").read_text())
    plain["provenance"] |= {"study": study, "data": "custom", "data_options": {"target": "planted:Data"}}
    (folder / package / "se.yaml").write_text(yaml.safe_dump(plain))
    said = trained(f"se={package}")
    assert said.code == 2
    assert "data must be given: the export was found on data of your own" in said.err


# What MLflow has of it


@pytest.mark.slow
def test_what_was_compared_and_on_which_images_is_in_mlflow(trained, folder):
    said = trained(*DATA, "se=none", "against=[all16]", "seeds=1", "tracking=mlflow")
    assert said.code == 0, said.err
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'runs' / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("senas").experiment_id])
    (parent,) = [run for run in runs if run.info.run_name == "compared"]
    children = [run for run in runs if run is not parent]
    assert {run.info.run_name for run in children} == {"none, seed 100", "all16, seed 100"}
    assert all("test_loss" in run.data.metrics for run in children)
    assert parent.data.metrics == {}
    assert "357 test images" in parent.data.tags["mlflow.note.content"]
    assert parent.data.params["data.name"] == "digits"
    used = {each.dataset.name: each.tags[0].value for each in parent.inputs.dataset_inputs}
    assert used == {"digits-train": "training", "digits-val": "validation", "digits-test": "test"}


# A kill in the middle


@pytest.mark.slow
def test_a_training_goes_on_from_no_other_trainings_checkpoint(trained, folder, monkeypatch):
    def cut_off(self, trainer, task):
        save(self, trainer, task)
        raise RuntimeError("the power went")

    save = Saved.on_train_epoch_end
    command = (*DATA, "se=none", "against=[]", "seeds=1", "trainer.epochs=2")
    with monkeypatch.context() as patch:
        patch.setattr(Saved, "on_train_epoch_end", cut_off)
        with pytest.raises(RuntimeError, match="the power went"):
            trained(*command, "first_seed=1")
    assert trained(*command, "first_seed=7").code == 0
    assert trained(*command, "first_seed=7", "name=whole").code == 0
    (theirs,) = [json.loads(x) for x in (folder / "runs/whole/results.jsonl").read_text().splitlines()[1:]]
    assert results(folder)[0]["curve"] == theirs["curve"]


@pytest.mark.slow
def test_a_killed_training_goes_on_within_the_training(started, program, folder):
    command = ("train", *DATA, "se=none", "against=[]", "seeds=1", "trainer.epochs=12", "tracking=none")
    assert program(*command, "name=whole").returncode == 0
    process = started(*command, "name=compared")
    end = time.monotonic() + 60
    while not list((folder / WHERE / "checkpoints").glob("*.ckpt")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / WHERE / "results.jsonl").exists()
    said = program(*command, "name=compared")
    assert said.returncode == 0, said.stderr
    mine = results(folder)[0]
    (theirs,) = [json.loads(x) for x in (folder / "runs/whole/results.jsonl").read_text().splitlines()[1:]]
    assert mine["curve"] == theirs["curve"]
    assert mine["scores"] == theirs["scores"]
    assert len(mine["curve"]) == 12
