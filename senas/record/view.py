"""The saved view of a study in MLflow's web page: what `charts` draws, without a click.

MLflow has no interface for saved views: its page keeps each as a tag of the experiment. The form was read off
MLflow 3.17; where another version does not know it, the page opens as if there were none.
"""

import base64
import hashlib
import json
import time
import zlib
from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.entities import Experiment

from senas.errors import StudyError
from senas.record.address import looking
from senas.record.study_run import STUDY, study_runs

TAG, SEAL, HEADER = "mlflow.sharedViewState.", "senas.view.", "deflate;"
LONGEST = 20_000  # characters of a tag of an experiment
LISTED = 100  # names of studies in an error, the newest


def save_view(client: MlflowClient, experiment_id: str, name: str, run_id: str, state: Mapping[str, object]) -> None:
    """Adds the view of the study whose parent run is `run_id`, or brings one that senas wrote up to date.

    state:  what the page is to show, as `senas.record.charts` makes it.

    One that people edited stays as it is: beside each view that senas writes lies its digest.
    """
    key, seal = TAG + _key(run_id), SEAL + _key(run_id)
    tags = client.get_experiment(experiment_id).tags
    text = json.dumps(state)
    if key in tags and not _ours(tags[key], tags.get(seal)):
        return
    if key in tags and _content(tags[key]) == (name, text):
        return
    now = round(time.time() * 1000)
    view = {"name": name, "createdAt": now, "updatedAt": now}
    view["state"] = HEADER + base64.b64encode(zlib.compress(text.encode())).decode()
    value = json.dumps(view)
    if len(value) <= LONGEST:
        client.set_experiment_tag(experiment_id, key, value)
        client.set_experiment_tag(experiment_id, seal, _digest(value))


def _ours(value: str, seal: str | None) -> bool:
    """Whether senas wrote this view, and nobody changed it since."""
    if seal is not None:
        return seal == _digest(value)
    try:  # before there were digests
        view = json.loads(value)
        return bool(view["createdAt"] == view["updatedAt"] and view["name"].startswith("Front of "))
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def _content(value: str) -> tuple[str, str]:
    """Name and state; empty where they cannot be read."""
    try:
        view = json.loads(value)
        return view["name"], zlib.decompress(base64.b64decode(view["state"].removeprefix(HEADER))).decode()
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error):
        return "", ""


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


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
