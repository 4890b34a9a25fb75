"""What a search does where its pick cannot be registered."""

from mlflow import MlflowClient


def test_weights_that_cannot_be_read_leave_the_record_concluded(senas, folder):
    command = ("search", "data=digits", "backbone=resnet8", "backbone.width=4", "study.name=pilot", "study.trials=1")
    command = (*command, "trainer.epochs=1", "progress=false")
    assert senas(*command, "tracking.register=false").code == 0
    (weights,) = (folder / "runs" / "pilot" / "weights").glob("*.safetensors")
    weights.write_bytes(b"torn")
    said = senas(*command)
    assert said.code == 0, said.err
    assert "is not registered in MLflow: runs/pilot/weights/trial-0.safetensors cannot be read" in said.out
    client = MlflowClient("sqlite:///runs/mlflow.db")
    experiments = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.mlflow.runName = 'pilot'")
    assert [run.info.status for run in runs] == ["FINISHED"]
