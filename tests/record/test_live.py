"""A trial that is still training, as MLflow shows it, and what is left of it where training was broken off."""

from dataclasses import replace

import pytest

from senas.core.ports import Pulse
from senas.core.trial import Status

CURVE = [
    {"val_loss": 0.7, "train_loss": 0.1},
    {"val_loss": 0.6, "train_loss": 0.1},
    {"val_loss": 0.5, "train_loss": 0.1},
]


@pytest.fixture
def running(trial):
    """The trial as it is told of before its training."""
    return replace(trial(0), status=Status.RUNNING, scores={}, values=(), curve=(), seconds=0.0)


@pytest.fixture
def at_once(monkeypatch):
    """As if each epoch took minutes: nothing waits to be written."""
    monkeypatch.setattr("senas.record.mlflow.EPOCH_SECONDS", 0.0)
    monkeypatch.setattr("senas.record.mlflow.PULSE_SECONDS", 0.0)
    monkeypatch.setattr("senas.record.mlflow.SHARE", 1e9)


def test_a_trial_has_a_run_that_is_running_from_its_beginning(opened, store, running):
    opened().begin(running)
    (run,) = store.trials
    assert (run.info.status, run.info.run_name) == ("RUNNING", "trial 0: r4 standard: layer1.0")
    assert run.data.tags["senas.status"] == "running"
    assert run.info.start_time == 1_700_000_000_000


@pytest.mark.parametrize(("seconds", "expected"), [(4.0, 0), (6.0, 1)])
def test_after_one_that_was_over_at_once_a_run_waits_for_what_there_is_to_say(
    opened, store, running, trial, monkeypatch, seconds, expected
):
    recorder = opened()
    recorder.record(trial(1, seconds=seconds), [1], 0.1)
    recorder.begin(running)
    assert [run.info.status for run in store.trials].count("RUNNING") == expected
    monkeypatch.setattr("senas.record.mlflow.EPOCH_SECONDS", 0.0)
    recorder.epoch(running, 1, CURVE[0])
    assert [run.info.status for run in store.trials].count("RUNNING") == 1


def test_a_run_that_waited_to_its_end_is_as_one_that_did_not(opened, store, running, trial):
    recorder = opened()
    for number in (1, 2):
        recorder.begin(replace(running, number=number, started=trial(number).started))
        recorder.record(trial(number, seconds=1.0), [], 0.1)
    one, other = (run for run in sorted(store.trials, key=lambda run: int(run.data.tags["senas.trial"])))
    of_its_own = {"senas.trial", "mlflow.runName"}
    tags = [{k: v for k, v in run.data.tags.items() if k not in of_its_own} for run in (one, other)]
    assert tags[0] == tags[1]
    assert (one.data.metrics, one.data.params) == (other.data.metrics, other.data.params)
    assert (one.info.status, other.info.status) == ("FINISHED", "FINISHED")
    assert [run.info.end_time - run.info.start_time for run in (one, other)] == [1000, 1000]


def test_of_several_at_a_time_each_run_has_its_own_epochs(opened, store, running, monkeypatch):
    recorder, other = opened(), replace(running, number=1)
    recorder.begin(running)
    recorder.begin(other)
    recorder.epoch(running, 1, CURVE[0])  # so soon that it waits
    monkeypatch.setattr("senas.record.mlflow.EPOCH_SECONDS", 0.0)
    recorder.epoch(other, 1, CURVE[1])
    told = {run.data.tags["senas.trial"]: store.history(run, "val_loss") for run in store.trials}
    assert told == {"0": [(1, 0.7)], "1": [(1, 0.6)]}


@pytest.mark.usefixtures("at_once")
def test_each_epoch_is_there_when_it_ends_with_the_configuration(opened, store, running):
    recorder = opened()
    recorder.begin(running)
    for epoch, scores in enumerate(CURVE[:2], 1):
        recorder.epoch(running, epoch, {**scores, "se_params": 148.0, "shared_val_loss": 0.5})
        assert store.history(store.trials[0], "val_loss")[-1] == (epoch, scores["val_loss"])
    assert store.trials[0].data.params == {"layer1.0": "r4 standard", "layer1.1": "none", "seed": "3"}
    assert not {"se_params", "shared_val_loss"} & set(store.trials[0].data.metrics)  # known before the first epoch


@pytest.mark.usefixtures("at_once")
def test_amid_a_long_epoch_there_is_the_loss_so_far_by_step(opened, store, running):
    recorder = opened()
    recorder.begin(running)
    recorder.pulse(running, Pulse(0.25, 100, {"train_loss": 2.0}))
    recorder.pulse(running, Pulse(0.5, 200, {"train_loss": 1.5}))
    (run,) = store.trials
    assert store.history(run, "running_train_loss") == [(100, 2.0), (200, 1.5)]
    assert store.history(run, "epochs_done") == [(100, 0.25), (200, 0.5)]


@pytest.mark.usefixtures("at_once")
def test_a_trial_that_was_followed_is_recorded_as_one_that_was_not(opened, store, running, trial):
    recorder = opened()
    recorder.begin(running)
    for epoch, scores in enumerate(CURVE, 1):
        recorder.epoch(running, epoch, scores)
    recorder.record(trial(0), [0], 0.1)
    recorder.record(trial(1), [0, 1], 0.1)
    followed, other = store.trials
    for name in other.data.metrics:
        assert store.history(followed, name) == store.history(other, name), name
    tags = [
        {k: v for k, v in run.data.tags.items() if k not in ("senas.trial", "mlflow.runName")}
        for run in (followed, other)
    ]
    assert tags[0] == tags[1]
    assert followed.data.params == other.data.params
    assert (followed.info.status, followed.info.end_time) == ("FINISHED", 1_700_000_012_500)


@pytest.mark.parametrize("fields", [{"status": Status.PRUNED, "curve": ()}, {"repeats": 1}], ids=["screened", "again"])
def test_one_that_was_not_trained_says_nothing_of_how_long_the_next_one_takes(opened, store, running, trial, fields):
    recorder = opened()
    recorder.record(trial(1, seconds=60.0), [1], 0.1)
    recorder.record(trial(2, seconds=0.0, **fields), [1], 0.1)
    recorder.begin(running)
    assert [run.info.status for run in store.trials].count("RUNNING") == 1


def test_short_epochs_are_written_with_their_trial(opened, store, running, trial, monkeypatch):
    recorder = opened()
    recorder.begin(running)
    calls = []
    real = recorder._client.log_batch
    monkeypatch.setattr(recorder._client, "log_batch", lambda *args, **kw: (calls.append(args[0]), real(*args, **kw)))
    for epoch, scores in enumerate(CURVE, 1):
        recorder.epoch(running, epoch, scores)
        recorder.pulse(running, Pulse(epoch + 0.5, 10 * epoch, {"train_loss": 1.0}))
    recorder.record(trial(0), [0], 0.1)
    assert calls == [store.trials[0].info.run_id, recorder.run_id]
    assert store.history(store.trials[0], "val_loss") == [(1, 0.7), (2, 0.6), (3, 0.5)]


@pytest.mark.usefixtures("at_once")
def test_a_trial_that_a_crash_broke_off_goes_on_in_its_run_without_a_point_twice(opened, store, running, trial):
    killed = opened()
    killed.begin(running)
    for epoch, scores in enumerate(CURVE[:2], 1):
        killed.epoch(running, epoch, scores)
        killed.pulse(running, Pulse(epoch + 0.5, 10 * epoch, {"train_loss": 1.0}))
    again = opened()
    later = replace(running, started=running.started + 500)  # taken up again under its number
    again.begin(later)
    for epoch, scores in enumerate(CURVE, 1):
        again.epoch(later, epoch, scores)
        again.pulse(later, Pulse(epoch + 0.5, 10 * epoch, {"train_loss": 1.0}))
    again.record(trial(0, started=later.started), [0], 0.1)
    (run,) = store.trials
    assert run.info.status == "FINISHED"
    assert sorted(store.history(run, "val_loss"), key=lambda point: point[0]) == [(1, 0.7), (2, 0.6), (3, 0.5)]
    assert store.history(run, "running_train_loss") == [(10, 1.0), (20, 1.0), (30, 1.0)]


@pytest.mark.usefixtures("at_once")
def test_a_trial_that_was_interrupted_leaves_no_run(opened, store, running):
    recorder = opened()
    recorder.begin(running)
    recorder.epoch(running, 1, CURVE[0])
    (run,) = store.trials
    recorder.conclude(finished=False, front=(), description="", files={})
    assert store.trials == []
    assert store.client.get_run(run.info.run_id).info.status == "KILLED"


@pytest.mark.usefixtures("at_once")
def test_a_store_that_goes_away_while_a_trial_trains_stops_nothing(opened, store, folder, warnings, running, trial):
    recorder = opened()
    recorder.begin(running)
    recorder.epoch(running, 1, CURVE[0])
    away = folder.rename(folder.with_name("away"))
    recorder.epoch(running, 2, CURVE[1])
    recorder.pulse(running, Pulse(2.5, 100, {"train_loss": 2.0}))
    assert (len(warnings), folder.exists()) == (1, False)
    away.rename(folder)
    recorder.record(trial(0), [0], 0.1)
    (run,) = store.trials
    assert (run.info.status, len(warnings)) == ("FINISHED", 1)
    assert sorted(store.history(run, "val_loss"), key=lambda point: point[0]) == [(1, 0.7), (2, 0.6), (3, 0.5)]


@pytest.mark.usefixtures("at_once")
def test_a_store_that_is_down_is_not_asked_at_each_epoch(opened, folder, running, monkeypatch):
    recorder = opened()
    folder.rename(folder.with_name("away"))
    recorder.begin(running)
    asked = []
    monkeypatch.setattr("senas.record.mlflow.reach", asked.append)
    for epoch in range(1, 50):
        recorder.epoch(running, epoch, CURVE[0])
    assert asked == []


@pytest.mark.usefixtures("at_once")
def test_a_run_that_a_kill_left_is_not_taken_for_that_of_another_training(opened, store, running, trial):
    recorder = opened()
    recorder.begin(running)
    recorder.epoch(running, 1, CURVE[0])
    other = replace(running, seed=running.seed + 1)
    again = opened()
    again.begin(other)
    again.record(replace(trial(0), seed=other.seed), [], 0.1)
    (run,) = store.trials
    assert run.data.params["seed"] == str(other.seed)
    assert store.history(run, "val_loss")[0][1] == trial(0).curve[0]["val_loss"]
