"""The saved view of a study in MLflow's web page: its front as a picture, without a click.

MLflow has no interface for saved views: its page keeps each as a tag of the experiment. The form was read off
MLflow 3.17; where another version does not know it, the page opens as if there were none.
"""

import base64
import json
import time
import zlib

from mlflow import MlflowClient
from mlflow.entities import Experiment

from senas.errors import StudyError
from senas.record.address import looking
from senas.record.study_run import STUDY, study_runs
from senas.record.trial_run import PARENT

TAG = "mlflow.sharedViewState."
LISTED = 100  # names of studies in an error, the newest


def save_view(client: MlflowClient, experiment_id: str, study: str, run_id: str) -> None:
    """Adds the view of the study whose parent run is `run_id`. One that is there stays as it is: people edit them."""
    key = TAG + _key(run_id)
    if key not in client.get_experiment(experiment_id).tags:
        state = zlib.compress(json.dumps(_state(run_id)).encode())
        now = round(time.time() * 1000)
        view = {"name": f"Front of {study}", "createdAt": now, "updatedAt": now}
        view["state"] = "deflate;" + base64.b64encode(state).decode()
        client.set_experiment_tag(experiment_id, key, json.dumps(view))


def view_link(uri: str, experiment: str, study: str | None, base_url: str) -> str:
    """Where a browser finds the view of the study (None: the newest) on the MLflow server at `base_url`.

    The page of the experiment where the study has no view, and the server's first page where no study was asked for
    and there is no experiment. Makes nothing in the store.

    Raises StudyError where there is no store, or not this study in it, and ConfigError, after ten seconds at most,
    where the store does not answer.
    """
    with looking(uri) as client:
        found = client.get_experiment_by_name(experiment)
        runs = study_runs(client, found.experiment_id, study, newest=1) if found else []
        if study is not None and not runs:
            known = study_runs(client, found.experiment_id, None, newest=LISTED) if found else []
            names = sorted({run.data.tags[STUDY] for run in known})
            there = f"there are {', '.join(names)}" if names else "there are none yet, `senas search` makes one"
            raise StudyError(f'study.name: there is no study "{study}" in MLflow\'s experiment "{experiment}"; {there}')
    if found is None:
        return base_url.rstrip("/") + "/"
    return link(found, runs[0].info.run_id if runs else None, base_url)


def link(experiment: Experiment, run_id: str | None, base_url: str) -> str:
    """As `view_link`, for an experiment and a parent run that are known."""
    page = f"{base_url.rstrip('/')}/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning"
    if run_id is None or TAG + _key(run_id) not in experiment.tags:
        return page
    return f"{page}&viewStateShareKey={_key(run_id)}&compareRunsMode=CHART"


def _key(run_id: str) -> str:
    return f"senas-{run_id}"


def _state(run_id: str) -> dict[str, object]:
    def chart(kind: str, section: str, **fields: object) -> dict[str, object]:
        name = f"{run_id}-{kind.lower()}"
        return {
            "uuid": name,
            "type": kind,
            "metricSectionId": section,
            "deleted": False,
            "isGenerated": False,
            **fields,
        }

    def section(name: str, title: str, *, shown: bool) -> dict[str, object]:
        # A section that counts as generated is filled by the page with a chart of each metric.
        kept = {"display": shown, "isReordered": False, "deleted": False, "isGenerated": not shown}
        return {"uuid": name, "name": title, "columns": 2, "cardHeight": 440, **kept}

    def axis(metric: str) -> dict[str, object]:
        return {"key": metric, "type": "METRIC"}

    front, rest, system = f"{run_id}-front", f"{run_id}-rest", f"{run_id}-system"
    metrics = ("val_loss", "val_error", "se_params", "macs", "seconds")
    return {
        # Pruned trials are left out: their losses are those of fewer epochs, and belong in no comparison.
        "searchFilter": f"tags.{PARENT} = '{run_id}' and attributes.status = 'FINISHED'",
        # The page draws the first hundred runs: the whole front, then the latest trials.
        "orderByKey": "tags.`pareto`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*(f"metrics.`{name}`" for name in metrics), "tags.`pareto`", "tags.`sites`"],
        "runsHiddenMode": "SHOW_ALL",
        "viewMaximized": True,
        "hideEmptyCharts": True,
        "autoRefreshEnabled": True,
        "compareRunSections": [
            section(front, "Front", shown=True),
            section(rest, "Model metrics", shown=False),
            section(system, "System metrics", shown=False),
        ],
        "compareRunCharts": [
            chart(
                "SCATTER",
                front,
                xaxis=axis("se_params"),
                yaxis=axis("val_loss"),
                runsCountToCompare=100,
            ),
            chart(
                "LINE",
                front,
                metricKey="val_loss",
                selectedMetricKeys=["val_loss"],
                runsCountToCompare=100,
                xAxisKey="step",
                lineSmoothness=0,
                scaleType="linear",
                xAxisScaleType="linear",
                useGlobalXaxisKey=False,
                useGlobalLineSmoothing=False,
            ),
        ],
    }
