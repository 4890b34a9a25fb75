"""The recorder, on real MLflow stores: what a study leaves behind."""

import math
from pathlib import Path

import pytest

from senas.core.block import Placement, SEBlock
from senas.core.config import SEConfig
from senas.core.site import Place, Site
from senas.core.trial import Failure, Status
from senas.errors import ConfigError
from senas.record.dataset import PartUsed
from senas.record.mlflow import MlflowRecorder

PLACE = Place(16, 8, 8)
SITES = [Site(name, {Placement.STANDARD: PLACE}, PLACE) for name in ("layer1.0", "layer1.1")]
R4 = SEConfig({"layer1.0": SEBlock(hidden=4)})


def test_a_trial_becomes_one_run_inside_the_run_of_its_study(opened, store, trial):
    opened().record(trial(7), [7], 0.25)
    (run,) = store.trials
    assert run.data.tags["mlflow.parentRunId"] == store.parent.info.run_id
    assert run.info.run_name == "trial 7: r4 standard: layer1.0"
    assert run.data.params == {"layer1.0": "r4 standard", "layer1.1": "none", "seed": "3"}
    assert run.data.tags["senas.config"] == str(trial(0).config)


@pytest.mark.parametrize("origin", ["audit", "confirm"])
def test_a_replicate_is_told_from_the_trial_that_it_replicates(opened, store, trial, origin):
    opened().record(trial(7, origin=origin, seed=8), [7], 0.25)
    (run,) = store.trials
    assert run.info.run_name == f"trial 7, {origin} with seed 8: r4 standard: layer1.0"
    assert (run.data.tags["senas.origin"], run.data.tags["senas.seed"], run.data.params["seed"]) == (origin, "8", "8")


def test_scores_values_and_seconds_are_metrics(opened, store, trial):
    opened().record(trial(0), [0], 0.25)
    metrics = store.trials[0].data.metrics
    assert metrics == {
        "val_loss": 0.5,
        "train_loss": 0.1,
        "se_params": 148,
        "se_share": 0.25,
        "macs": 1000,
        "seconds": 12.5,
        "penalized_loss": 0.51,
    }


def test_the_curve_has_one_point_an_epoch_counted_from_one(opened, store, trial):
    opened().record(trial(0), [0], 0.25)
    assert store.history(store.trials[0], "val_loss") == [(1, 0.7), (2, 0.6), (3, 0.5)]


def test_a_run_begins_and_ends_when_its_trial_did(opened, store, trial):
    opened().record(trial(2), [2], 0.25)
    info = store.trials[0].info
    assert (info.start_time, info.end_time) == (1_700_000_120_000, 1_700_000_132_500)


@pytest.mark.parametrize(
    ("status", "end"), [(Status.COMPLETE, "FINISHED"), (Status.PRUNED, "KILLED"), (Status.FAILED, "FAILED")]
)
def test_a_trial_ends_in_mlflow_as_it_ended(opened, store, status, end, trial):
    opened().record(trial(0, status), [], 0.0)
    assert (store.trials[0].info.status, store.trials[0].data.tags["senas.status"]) == (end, status)


def test_a_failed_trial_says_why(opened, store, trial):
    curve = [{"val_loss": math.nan, "train_loss": math.inf}]
    failed = trial(
        0,
        Status.FAILED,
        scores={},
        values=(),
        curve=curve,
        failure=Failure.DIVERGED,
        reason="the loss became NaN in epoch 1",
    )
    opened().record(failed, [], 0.0)
    (run,) = store.trials
    assert run.data.tags["senas.failure"] == "diverged"
    assert run.data.tags["senas.reason"] == "the loss became NaN in epoch 1"
    assert math.isnan(run.data.metrics["val_loss"])
    assert math.isnan(run.data.metrics["train_loss"])


def test_a_repeat_names_the_trial_that_it_repeats(opened, store, trial):
    recorder = opened()
    recorder.record(trial(0), [0], 0.1)
    recorder.record(trial(1, repeats=0), [0], 0.1)
    assert [run.data.tags.get("senas.repeats") for run in store.trials] == [None, "0"]


def test_a_trial_says_which_sampler_proposed_it(opened, store, trial):
    recorder = opened()
    recorder.record(trial(0, sampler="TPESampler, n_startup_trials 10"), [0], 1.0)
    recorder.record(trial(1, origin="start"), [0], 1.0)
    names = [run.data.tags.get("senas.sampler") for run in store.trials]
    assert names == ["TPESampler, n_startup_trials 10", None]


def test_recording_a_trial_twice_leaves_one_run(opened, store, trial):
    recorder = opened()
    for _ in range(2):
        recorder.record(trial(0), [0], 0.1)
    opened().record(trial(0), [0], 0.1)
    assert len(store.trials) == 1
    assert store.history(store.trials[0], "val_loss") == [(1, 0.7), (2, 0.6), (3, 0.5)]


def test_pareto_marks_the_latest_front_and_nothing_else(opened, store, trial):
    recorder = opened()
    recorder.record(trial(0), [0], 0.1)
    recorder.record(trial(1), [0, 1], 0.2)
    assert store.pareto() == {0, 1}
    recorder.record(trial(2), [1, 2], 0.3)
    assert store.pareto() == {1, 2}
    opened().record(trial(3), [3], 0.4)
    assert store.pareto() == {3}


def test_hypervolume_is_followed_by_trial(opened, store, trial, monkeypatch):
    monkeypatch.setattr("senas.record.mlflow.VOLUME_SECONDS", 0.0)
    recorder = opened()
    recorder.record(trial(0), [0], 0.1)
    recorder.record(trial(1), [0, 1], 0.2)
    assert store.history(store.parent, "hypervolume") == [(0, 0.1), (1, 0.2)]


def test_a_resumed_study_goes_on_in_its_run(opened, store):
    first = opened()
    first.conclude(front=(), finished=False, description="", files={})
    assert store.parent.info.status == "KILLED"
    again = opened()
    assert again.run_id == first.run_id
    assert store.parent.info.status == "RUNNING"


def test_two_studies_have_two_runs(opened, store):
    assert opened("pilot").run_id != opened("it's another").run_id
    assert opened("it's another").run_id in {run.info.run_id for run in store.runs("study")}
    assert len(store.runs("study")) == 2


def test_missing_names_the_finished_trials_that_are_not_recorded(opened, trial):
    opened().record(trial(0), [0], 0.1)
    trials = [trial(0), trial(1, Status.PRUNED), trial(2, Status.RUNNING)]
    assert [each.number for each in opened().missing(trials)] == [1]


@pytest.mark.parametrize(("finished", "end"), [(True, "FINISHED"), (False, "KILLED")])
def test_a_concluded_study_has_its_description_its_files_and_its_end(opened, store, finished, end):
    files = {"front.svg": b"<svg/>", "tables/front.csv": b"a\n1\n"}
    opened().conclude(front=(), finished=finished, description="# Front", files=files)
    parent = store.parent
    assert parent.info.status == end
    assert parent.data.tags["mlflow.note.content"] == "# Front"
    paths = {item.path for item in store.client.list_artifacts(parent.info.run_id)}
    assert paths == {"config.yaml", "front.svg", "tables"}
    file = store.client.download_artifacts(parent.info.run_id, "tables/front.csv")
    assert Path(file).read_bytes() == b"a\n1\n"


def test_no_run_is_left_running_by_a_search_that_ended(opened, store, trial):
    recorder = opened()
    left = store.client.create_run(
        store.experiment.experiment_id,
        tags={"mlflow.parentRunId": recorder.run_id, "senas.role": "trial", "senas.trial": "0"},
    )
    again = opened()
    assert [each.number for each in again.missing([trial(0)])] == [0]
    again.conclude(front=(), finished=True, description="", files={})
    assert store.client.get_run(left.info.run_id).info.status == "KILLED"


def test_half_a_record_is_written_anew_when_the_study_is_resumed(opened, store, trial):
    recorder = opened()
    left = store.client.create_run(
        store.experiment.experiment_id,
        tags={"mlflow.parentRunId": recorder.run_id, "senas.role": "trial", "senas.trial": "0"},
    )
    opened().conclude(front=(), finished=True, description="", files={})
    assert store.client.get_run(left.info.run_id).info.lifecycle_stage == "deleted"
    assert [each.number for each in opened().missing([trial(0)])] == [0]


def test_the_front_that_a_search_ends_with_is_what_the_tags_say(opened, store, trial):
    recorder = opened()
    for number in range(2):
        recorder.record(trial(number), [number], 1.0)
    opened().conclude(front=[0], finished=True, description="", files={})
    runs = store.client.search_runs([store.experiment.experiment_id], "tags.`senas.role` = 'trial'")
    assert {run.data.tags["senas.trial"]: run.data.tags["pareto"] for run in runs} == {"0": "true", "1": "false"}


def test_ctrl_c_while_the_recorder_opens_leaves_no_run_running(opened, store, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(MlflowRecorder, "_read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        opened()
    runs = store.client.search_runs([store.experiment.experiment_id])
    assert [run.info.status for run in runs] == ["KILLED"]


def test_a_run_that_a_crash_broke_off_is_completed_not_repeated(opened, store, trial):
    recorder = opened()
    store.client.create_run(
        store.experiment.experiment_id,
        tags={"mlflow.parentRunId": recorder.run_id, "senas.role": "trial", "senas.trial": "0", "pareto": "false"},
    )
    opened().record(trial(0), [0], 0.1)
    (run,) = store.trials
    assert (run.info.status, run.data.metrics["val_loss"]) == ("FINISHED", 0.5)
    assert store.pareto() == {0}


def test_more_runs_than_the_store_gives_at_once_are_all_known(opened, store, monkeypatch, trial):
    monkeypatch.setattr("senas.record.children.PAGE", 2)
    monkeypatch.setattr("senas.record.mlflow.VOLUME_SECONDS", 0.0)
    recorder = opened()
    for number in range(5):
        recorder.record(trial(number), [], 0.1)
    assert opened().missing([trial(number) for number in range(5)]) == []


def test_a_deleted_experiment_is_refused_with_the_way_out(opened, store):
    opened()
    store.client.delete_experiment(store.experiment.experiment_id)
    with pytest.raises(ConfigError, match="mlflow experiments restore -x"):
        opened()


def test_the_experiment_explains_itself(opened, store):
    opened()
    tags = store.experiment.tags
    assert "Squeeze-and-Excitation" in tags["mlflow.note.content"]
    assert tags["mlflow.experimentKind"] == "custom_model_development"


def test_what_was_trained_on_is_an_input_of_the_study_and_of_each_trial(opened, store, trial):
    facts = {"source": "somewhere", "shape": (1, 8, 8), "classes": ["0", "1"]}
    parts = [
        PartUsed(name="digits-train", context="training", digest="abc", images=900, **facts),
        PartUsed(name="digits-val", context="validation", digest="def", images=500, **facts),
    ]
    opened(data=parts).record(trial(0), [0], 0.1)
    for run in (store.parent, *store.trials):
        found = {
            (each.dataset.name, each.dataset.digest, each.tags[0].value, each.dataset.profile)
            for each in run.inputs.dataset_inputs
        }
        assert found == {
            ("digits-train", "abc", "training", '{"images": 900, "classes": 2}'),
            ("digits-val", "def", "validation", '{"images": 500, "classes": 2}'),
        }


def test_hypervolumes_that_a_crash_lost_are_missing(opened, store, trial):
    recorder = opened()
    for number in range(3):
        recorder.record(trial(number), [0], 0.1)
    again = opened()
    assert [each.number for each in again.missing([trial(number) for number in range(3)])] == [1, 2]
    for number in (1, 2):
        again.record(trial(number), [0], 0.1)
    again.conclude(finished=True, front=[0], description="", files={})
    assert store.history(store.parent, "hypervolume") == [(0, 0.1), (1, 0.1), (2, 0.1)]
    assert len(store.trials) == 3


def ordered(store):
    """The trials as the saved view asks for them."""
    runs = store.client.search_runs(
        [store.experiment.experiment_id], "tags.`senas.role` = 'trial'", order_by=["tags.`standing` DESC"]
    )
    return [int(run.data.tags["senas.trial"]) for run in runs]


def test_the_front_comes_first_then_the_baselines_then_the_latest(opened, store, trial):
    r16 = SEConfig.everywhere(SITES, 16)
    recorder = opened(baselines={"none": SEConfig(), "all16": r16})
    configs = {0: SEConfig(), 1: r16, 2: R4, 3: R4, 4: R4}
    for number, config in configs.items():
        recorder.record(trial(number, config=config), [number], 0.1)
    recorder.record(trial(5, config=SEConfig(), repeats=0), [0, 3], 0.1)
    assert ordered(store) == [0, 3, 1, 5, 4, 2]
    standings = [run.data.tags["standing"] for run in store.trials]
    assert standings == ["front, baseline none", "baseline all16", "", "front", "", ""]


# A comparison, of what senas train trains


@pytest.fixture
def compared(opened):
    """Opens the recorder of a comparison."""

    def open_():
        return opened("compared", contenders={"none": SEConfig(), "mine": R4}, objective=("test_loss",))

    return open_


@pytest.fixture
def tested(trial):
    """Makes a training with a score on the test part."""

    def make(number, config, seed):
        scores = {"val_loss": 0.5, "test_loss": 0.6, "se_params": 0.0}
        return trial(number, config=config, seed=seed, scores=scores, values=(0.6,))

    return make


def test_a_training_is_called_after_whose_it_is_and_its_seed(compared, store, tested):
    recorder = compared()
    for number, (config, seed) in enumerate([(SEConfig(), 1), (R4, 1), (SEConfig(), 2)]):
        recorder.record(tested(number, config, seed), (), math.nan)
    assert [run.info.run_name for run in store.trials] == ["none, seed 1", "mine, seed 1", "none, seed 2"]
    assert [run.data.tags["contender"] for run in store.trials] == ["none", "mine", "none"]
    colors = [run.data.tags["mlflow.runColor"] for run in store.trials]
    assert colors[0] == colors[2] != colors[1]
    assert store.trials[0].data.metrics["test_loss"] == 0.6


def test_a_comparison_has_no_front_and_no_hypervolume(compared, store, tested):
    recorder = compared()
    recorder.record(tested(0, R4, 1), (), math.nan)
    recorder.conclude(finished=True, front=(), description="", files={})
    assert store.parent.data.metrics == {}
    assert not {"pareto", "standing"} & set(store.trials[0].data.tags)


def test_what_a_comparison_has_is_not_missing(compared, tested):
    compared().record(tested(0, R4, 1), (), math.nan)
    trials = [tested(0, R4, 1), tested(1, R4, 2)]
    assert [each.number for each in compared().missing(trials)] == [1]
