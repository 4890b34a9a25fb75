"""What a search registers in MLflow, and what it does where its pick cannot be registered."""

import pytest
from mlflow import MlflowClient

from senas.errors import ExportError

COMMAND = ("search", "data=digits", "backbone=resnet8", "backbone.width=4", "study.name=pilot", "study.trials=1")
COMMAND = (*COMMAND, "trainer.epochs=1", "progress=false", "objective.pick=best")


@pytest.fixture
def torn(senas, folder):
    """A study of which nothing is registered, and whose weights cannot be read."""
    assert senas(*COMMAND, "tracking.register=false").code == 0
    (weights,) = (folder / "runs" / "pilot" / "weights").glob("*.safetensors")
    weights.write_bytes(b"torn")


def parents(client):
    experiments = [each.experiment_id for each in client.search_experiments()]
    return client.search_runs(experiments, "tags.mlflow.runName = 'pilot'")


@pytest.mark.slow
def test_a_pick_whose_weights_are_lost_is_trained_again_and_registered(senas, torn):
    said = senas(*COMMAND)
    assert said.code == 0, said.err
    assert "runs/pilot/weights/trial-0.safetensors cannot be read" in said.out
    assert "its weights were not kept: training it again" in said.out
    assert "registered in MLflow: models:/senas-pilot@recommended" in said.out
    found = MlflowClient("sqlite:///runs/mlflow.db").get_model_version_by_alias("senas-pilot", "recommended")
    assert "Behind these figures stands 1 training of 1 configuration" in found.description


@pytest.mark.slow
def test_a_pick_that_cannot_be_trained_again_leaves_the_record_concluded(senas, torn, monkeypatch):
    def diverged(*_):
        raise ExportError("trial 0 could not be trained again: it diverged")

    monkeypatch.setattr("senas.app.weights._train_again", diverged)
    said = senas(*COMMAND)
    assert said.code == 0, said.err
    assert "trial 0 is not registered in MLflow: trial 0 could not be trained again: it diverged" in said.out
    assert [run.info.status for run in parents(MlflowClient("sqlite:///runs/mlflow.db"))] == ["FINISHED"]
