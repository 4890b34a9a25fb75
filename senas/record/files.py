"""Files among the artifacts of a study's run: also of one whose search ended long ago."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient

from senas.errors import StudyError
from senas.record.address import looking
from senas.record.study_run import study_runs


def upload(client: MlflowClient, run_id: str, files: Mapping[str, bytes]) -> None:
    """By name, which may have folders in it."""
    if not files:
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        client.log_artifacts(run_id, folder)


def add(uri: str, experiment: str, study: str, files: Mapping[str, bytes]) -> None:
    """To the run that a study has. It is not begun again, nor ended: a search may be at it.

    Raises StudyError where nothing is recorded of it there, ConfigError where MLflow does not answer.
    """
    with looking(uri) as client:
        found = client.get_experiment_by_name(experiment)
        runs = study_runs(client, found.experiment_id, study, newest=1) if found else []
        if not runs:
            raise StudyError(f'tracking.experiment: MLflow has no run of the study "{study}" in "{experiment}"')
        upload(client, runs[0].info.run_id, files)
