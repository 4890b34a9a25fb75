"""What a study can claim, in MLflow: of the study, and of each configuration with its first trial."""

import pytest

from senas.core.ports import Claims

FACTS = {"verdict": "undecided", "leads": "r4 standard: layer1.0"}


@pytest.fixture
def concluded(opened, trial):
    """A study of two trials, concluded with these claims."""

    def conclude(claims, recorder=None):
        recorder = recorder or opened()
        recorder.record(trial(0), [0], 0.1)
        recorder.record(trial(1), [0], 0.1)
        recorder.conclude(finished=True, front=[1], description="", files={}, claims=claims)

    return conclude


def estimate(loss, trainings=1.0):
    return {"expected_val_loss": loss, "expected_low": loss - 0.1, "expected_high": loss + 0.1, "trainings": trainings}


def test_a_study_has_its_verdict_as_tags_and_its_pick_as_metrics(concluded, store):
    concluded(Claims(FACTS, {"minus_none": -0.02}))
    assert store.parent.data.tags.items() >= {("senas.verdict", "undecided"), ("senas.leads", FACTS["leads"])}
    assert store.parent.data.metrics["minus_none"] == -0.02


def test_what_is_known_of_a_configuration_is_with_its_first_trial(concluded, store):
    concluded(Claims(estimates={1: estimate(0.5, trainings=3.0)}))
    first, second = store.trials
    assert "expected_val_loss" not in first.data.metrics
    assert second.data.metrics.items() >= estimate(0.5, trainings=3.0).items()
    assert second.info.status == "FINISHED"


def test_what_is_known_better_later_is_what_is_shown(concluded, opened, store, trial):
    concluded(Claims({"verdict": "undecided"}, {}, {1: estimate(0.5)}))
    recorder = opened()
    recorder.record(trial(2), [0], 0.1)
    concluded(Claims({"verdict": "recommended"}, {}, {1: estimate(0.4, trainings=2.0)}), recorder)
    assert store.trials[1].data.metrics.items() >= estimate(0.4, trainings=2.0).items()
    assert store.parent.data.tags["senas.verdict"] == "recommended"


def test_what_has_not_changed_is_not_written_again(concluded, store):
    for _ in range(2):
        concluded(Claims(FACTS, {"minus_none": -0.02}, {1: estimate(0.5)}))
    assert len(store.history(store.trials[1], "expected_val_loss")) == 1
    assert len(store.history(store.parent, "minus_none")) == 1


def test_the_front_that_is_marked_in_the_end_is_the_one_that_is_claimed(concluded, store):
    concluded(Claims())
    assert store.pareto() == {1}


def test_a_store_that_is_away_stops_no_claim_and_warns_once(concluded, opened, folder, warnings):
    recorder = opened()
    (folder / "mlflow.db").write_bytes(b"gone")
    concluded(Claims(FACTS, {}, {1: estimate(0.5)}), recorder)
    assert len(warnings) == 1
