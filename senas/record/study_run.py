"""A study in MLflow: one run at the top level of an experiment, which explains itself to whoever opens it."""

from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run
from mlflow.exceptions import MlflowException

from senas.errors import ConfigError
from senas.record.limits import run_params, run_tags

STUDY, ROLE, NOTE = "senas.study", "senas.role", "mlflow.note.content"
ALIKE = 1000  # studies read where a filter can only say what a name is like
ABOUT = """\
Searches by **senas** for where a convolutional network should get Squeeze-and-Excitation (SE) blocks, how narrow each
should be, and where in its unit the gate should sit.

- A run at the top level is one **study**: one search. Its description has the result, its artifacts the figures; open
  `report.html` for the whole study on one page, and `front.html` for the front with every configuration drawn.
- Each run inside is one **trial**: a network with one choice of SE blocks (tag `sites`; one parameter a site, such as
  `r16 standard`: a 16th as many hidden units as channels, the gate at the standard place), trained for some epochs.
- Where `senas train` made it, a run at the top level is a **comparison**: SE configurations trained at full length with
  several seeds each, and measured on test images. The runs inside are called after whose and which seed they are.
- Under **Views** there is a picture of each study's front. Under **Models**, `senas-<study>` with the alias
  `recommended` is the network that the study recommends; where that is undecided, `leading` is the one that leads.

| metric | what it is |
| --- | --- |
| `test_loss`, `test_accuracy` | of a comparison: on the test images |
| `val_loss`, `val_accuracy`, `val_error` | on the validation images; the loss is the mean cross-entropy in nats |
| `val_loss_even` | `val_loss` over every other validation image, at the end: with it one sees what their number does |
| `train_loss` | mean over the epoch's training images |
| `running_train_loss`, `epochs_done` | amid a long epoch of a trial that is training, by step of the optimizer |
| `se_params`, `params`, `macs` | weights of the SE blocks, of the whole network; multiply-accumulates an image |
| `latency_ms`, `latency_spread_ms` | milliseconds a forward pass, where measured: median, and quartile to quartile |
| `se_share` | `se_params` as a share of those of the largest configuration in the space |
| `penalized_loss` | what the search minimises: `val_loss` plus a penalty on `se_share` |
| `expected_val_loss` | over seeds, by all trainings of the study; with the first trial of each configuration |
| `expected_low`, `expected_high` | the 90 % interval of that |
| `probability_on_front` | that no other that was trained has a loss as low and as few SE parameters |
| `trainings` | of this configuration, each with another seed |
| `minus_none` (of a study) | the expected loss of what it recommends, or of what leads, minus that without SE |
| `hypervolume` (of a study) | area that its front covers, in nats x parameters: it grows as the front improves |

`pareto = true`: the first trial of a configuration that no other beats in both expected loss and SE parameters; while a
search runs, in what single trials came to. `standing` says so too, and names the baselines. MLflow's page loads 100
runs at first: in a view the whole front, the baselines and the latest trials. `Load more` below the list loads others,
and `front.html` has all.
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
    odd = study is not None and "'" in study and '"' in study
    if study is not None:
        # MLflow's filters know no way to write a quote inside quotes: there, any character matches it.
        quote = '"' if "'" in study else "'"
        pattern = f"LIKE {quote}{study.replace(quote, '_')}{quote}" if odd else f"= {quote}{study}{quote}"
        wanted += f" and tags.`{STUDY}` {pattern}"
    found = client.search_runs(
        [experiment_id], wanted, max_results=ALIKE if odd else newest, order_by=["attributes.start_time DESC"]
    )
    return [run for run in found if study is None or run.data.tags[STUDY] == study][:newest]


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
