"""A study in MLflow: one run at the top level of an experiment, which explains itself to whoever opens it."""

from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException

from senas.errors import ConfigError
from senas.record.limits import run_params, run_tags

STUDY, ROLE, NOTE = "senas.study", "senas.role", "mlflow.note.content"
ABOUT = """\
Searches by **senas** for where a convolutional network should get Squeeze-and-Excitation (SE) blocks, how narrow each
should be, and where in its unit the gate should sit.

- A run at the top level is one **study**. Its description has the result, its artifacts the figures.
- Each run inside is one **trial**: a network with one choice of SE blocks (tag `sites`; one parameter a site), trained
  for some epochs. `val_loss` is its validation loss, `se_params` what its SE blocks cost.
- `pareto = true`: no other trial of the study has both a lower validation loss and fewer SE parameters.
- Under **Views** there is a picture of each study's front.
"""


def experiment_called(client: MlflowClient, name: str, artifacts: Path | None) -> Experiment:
    """The experiment, made where there is none. Raises ConfigError for one that was deleted."""
    found = client.get_experiment_by_name(name)
    if found is None:
        tags = {
            NOTE: ABOUT,
            # Without a kind the page asks for one, and opens in its mode for language models.
            "mlflow.experimentKind": "custom_model_development",
            "mlflow.experiment.primaryMetric.name": "val_loss",
        }
        try:
            return client.get_experiment(
                client.create_experiment(name, artifacts.resolve().as_uri() if artifacts else None, tags)
            )
        except MlflowException:  # another search may have been a moment faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise ConfigError(
            f'tracking.experiment: "{name}" was deleted in MLflow; choose another name, or restore it with '
            f"mlflow experiments restore -x {found.experiment_id}"
        )
    return found


def study_runs(client: MlflowClient, experiment_id: str, study: str | None, newest: int) -> list[Run]:
    """Runs of studies, the newest first: of the study of that name, or of all."""
    wanted = f"tags.`{ROLE}` = 'study'"
    if study is not None:
        quote = '"' if "'" in study else "'"
        wanted += f" and tags.`{STUDY}` = {quote}{study}{quote}"
    return list(
        client.search_runs([experiment_id], wanted, max_results=newest, order_by=["attributes.start_time DESC"])
    )


def begin(
    client: MlflowClient,
    experiment_id: str,
    study: str,
    *,
    largest_params: int,
    versions: Mapping[str, str],
    params: Mapping[str, object],
) -> str:
    """The id of the study's run, running: begun, or gone on with.

    Parameters cannot change in MLflow: one that did becomes a tag `resumed.<key>`.
    """
    runs = study_runs(client, experiment_id, study, newest=1)
    if runs:
        run = runs[0]
        client.update_run(run.info.run_id, status="RUNNING")
    else:
        tags = {STUDY: study, ROLE: "study", "senas.largest_se_params": str(largest_params)}
        run = client.create_run(experiment_id, tags=tags, run_name=study)
    run_id: str = run.info.run_id
    given, kept, old = run_params(params), run.data.params, run.data.tags
    changed = {
        f"resumed.{param.key}": param.value
        for param in given
        if param.key in kept and old.get(f"resumed.{param.key}", kept[param.key]) != param.value
    }
    tags = {**{f"version.{name}": version for name, version in versions.items()}, **changed}
    client.log_batch(run_id, params=[param for param in given if param.key not in kept], tags=run_tags(tags))
    return run_id
