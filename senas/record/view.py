"""The saved view of a study in MLflow's web page: its front as a picture, without a click.

MLflow has no interface for saved views: its page keeps each as a tag of the experiment. The form was read off
MLflow 3.17; where another version does not know it, the page opens as if there were none.
"""

import base64
import json
import time
import zlib

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run

TAG = "mlflow.sharedViewState."
STUDY, ROLE, PARENT = "senas.study", "senas.role", "mlflow.parentRunId"


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

    The page of the experiment where the study has no view, and the server's first page where there is no experiment.
    """
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return base_url.rstrip("/") + "/"
    runs = study_runs(client, found.experiment_id, study, newest=1)
    return link(found, runs[0].info.run_id if runs else None, base_url)


def link(experiment: Experiment, run_id: str | None, base_url: str) -> str:
    """As `view_link`, for an experiment and a parent run that are known."""
    page = f"{base_url.rstrip('/')}/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning"
    if run_id is None or TAG + _key(run_id) not in experiment.tags:
        return page
    return f"{page}&viewStateShareKey={_key(run_id)}&compareRunsMode=CHART"


def study_runs(client: MlflowClient, experiment_id: str, study: str | None, newest: int) -> list[Run]:
    """Parent runs, the newest first: of the study, or of all studies."""
    wanted = f"tags.`{ROLE}` = 'study'"
    if study is not None:
        quote = '"' if "'" in study else "'"
        wanted += f" and tags.`{STUDY}` = {quote}{study}{quote}"
    return list(
        client.search_runs([experiment_id], wanted, max_results=newest, order_by=["attributes.start_time DESC"])
    )


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
