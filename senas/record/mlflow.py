"""The recorder for MLflow: one parent run a study, one child run a finished trial, a saved view of the front.

MLflow is for people. The truth of a study lies with the proposer, so an MLflow that goes down stops nothing: what
could not be written waits, and is written once MLflow answers again.
"""

import json
import logging
import math
import os
import re
import socket
import tempfile
import textwrap
import urllib.request
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import sqlalchemy
from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from senas.core.config import spoken_block
from senas.core.site import Site
from senas.core.trial import Status, Trial
from senas.errors import ConfigError
from senas.record.view import PARENT, ROLE, STUDY, link, save_view, study_runs

TRIAL = "senas.trial"
NOTE = "mlflow.note.content"
PARAM_LENGTH, TAG_LENGTH, KEY_LENGTH = 6000, 8000, 250
NAME_LENGTH = 80
REACH_SECONDS = 5.0
PAGE = 200  # runs read at once: few enough for a slow server to answer in time
ENDS = {Status.COMPLETE: "FINISHED", Status.PRUNED: "KILLED", Status.FAILED: "FAILED", Status.RUNNING: "RUNNING"}
FRONT_COLOR, OTHER_COLOR = "#D1242F", "#A8B4C0"
DOWN = (MlflowException, SQLAlchemyError, OSError)
"""What an MLflow that is down, full or locked raises; the errors of requests are OSErrors."""

# By default MLflow's client tries for four minutes, and prints an address for each run that ends.
CLIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
CHATTY = ("mlflow.store.db.utils", "alembic", "urllib3.connectionpool")
ABOUT = """\
Searches by **senas** for where a convolutional network should get Squeeze-and-Excitation (SE) blocks, how narrow each
should be, and where in its unit the gate should sit.

- A run at the top level is one **study**. Its description has the result, its artifacts the figures.
- Each run inside is one **trial**: a network with one choice of SE blocks (tag `sites`; one parameter a site), trained
  for some epochs. `val_loss` is its validation loss, `se_params` what its SE blocks cost.
- `pareto = true`: no other trial of the study has both a lower validation loss and fewer SE parameters.
- Under **Views** there is a picture of each study's front.
"""


@dataclass(slots=True)
class _Child:
    """What the store has of a trial: its run, whether that was written to its end, and its tag `pareto`."""

    run_id: str
    ended: bool
    front: bool


class MlflowRecorder:
    """Implements `senas.core.ports.Recorder`. Not for use by several threads at once."""

    def __init__(
        self,
        client: MlflowClient,
        uri: str,
        experiment: Experiment,
        run_id: str,
        *,
        study: str,
        sites: Sequence[Site],
        largest_params: int,
        objective: Sequence[str],
        warn: Callable[[str], None],
    ) -> None:
        self.run_id = run_id
        self._client, self._uri, self._experiment = client, uri, experiment
        self._study, self._sites, self._largest, self._objective = study, sites, largest_params, objective
        self._warn = warn
        self._waiting: deque[tuple[Trial, float]] = deque()
        self._front: Collection[int] = ()
        self._down = False
        self._children = self._read()

    @classmethod
    def open(
        cls,
        uri: str,
        *,
        artifacts: Path | None,
        experiment: str,
        study: str,
        params: Mapping[str, object],
        config_yaml: str,
        versions: Mapping[str, str],
        sites: Sequence[Site],
        largest_params: int,
        warn: Callable[[str], None],
        objective: Sequence[str] = (),
    ) -> "MlflowRecorder":
        """Opens the study's parent run, or begins one.

        artifacts:       folder for a new experiment's artifacts; None leaves the choice to the MLflow server.
        params:          the resolved configuration by dotted key, and `config_yaml` the same as text.
        largest_params:  SE parameters of the space's largest configuration: what `se_share` is a share of.
        objective:       what each of a trial's values is called.

        Raises ConfigError, after ten seconds at most, where MLflow cannot be reached or does not accept the study.
        """
        for name, value in CLIENT.items():
            os.environ.setdefault(name, value)
        for name in CHATTY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            _reach(uri, new=True)
            client = MlflowClient(tracking_uri=uri)
            found = _experiment(client, experiment, artifacts)
            run_id = _parent(client, found.experiment_id, study, largest_params, versions, params)
            client.log_text(run_id, config_yaml, "config.yaml")
            recorder = cls(
                client,
                uri,
                found,
                run_id,
                study=study,
                sites=sites,
                largest_params=largest_params,
                objective=objective,
                warn=warn,
            )
        except (*DOWN, ImportError) as error:
            raise ConfigError(
                f"tracking.uri: MLflow cannot be used at {hidden(uri)} ({_reason(error, uri)}); "
                "start its server, or keep the record in a file: tracking.uri=sqlite:///mlflow.db"
            ) from error
        recorder._try(recorder._save_view)
        return recorder

    def missing(self, trials: Sequence[Trial]) -> list[Trial]:
        """Those of the finished trials that MLflow does not have, or has only in part."""
        ended = {number for number, child in self._children.items() if child.ended}
        return [trial for trial in trials if trial.status is not Status.RUNNING and trial.number not in ended]

    def record(self, trial: Trial, front: Sequence[int], hypervolume: float) -> None:
        """A finished trial, the numbers of the trials that are on the front with it, and the front's hypervolume.

        One that was recorded before is left as it is. Never raises because of MLflow.
        """
        self._waiting.append((trial, hypervolume))
        self._front = frozenset(front)
        self._try(self._catch_up)

    def conclude(self, *, finished: bool, description: str, files: Mapping[str, bytes]) -> None:
        """The search ended: by itself (`finished`) or stopped. Never raises because of MLflow."""
        self._try(self._catch_up)
        self._try(lambda: self._client.set_tag(self.run_id, NOTE, _cut_lines(description)))
        self._try(lambda: self._upload(files))
        self._try(self._save_view)
        self._try(self._end_children)
        self._try(lambda: self._client.set_terminated(self.run_id, "FINISHED" if finished else "KILLED"))

    def link(self, base_url: str) -> str:
        """Where a browser finds the study's saved view on the MLflow server at `base_url`."""
        return link(self._experiment, self.run_id, base_url)

    def _try(self, step: Callable[[], object]) -> None:
        """Takes a step that may wait: where MLflow is down, says so once and goes on."""
        try:
            if self._down:  # what arrived before the line went dead is not known: read it again
                _reach(self._uri)
                self._children = self._read()
            step()
            self._down = False
        except DOWN as error:
            if not self._down:
                self._warn(
                    f"MLflow at {hidden(self._uri)} failed ({_reason(error, self._uri)}); the search goes on, and what "
                    "could not be recorded will be when MLflow answers again, or when the study is resumed"
                )
            self._down = True

    def _read(self) -> dict[int, _Child]:
        children: dict[int, _Child] = {}
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment.experiment_id],
                f"tags.`{PARENT}` = '{self.run_id}' and tags.`{ROLE}` = 'trial'",
                max_results=PAGE,
                page_token=token,
            )
            for run in page:
                number, tags = int(run.data.tags[TRIAL]), run.data.tags
                child = _Child(run.info.run_id, run.info.status != "RUNNING", tags.get("pareto") == "true")
                if number not in children or child.ended:
                    children[number] = child
            token = page.token
            if not token:
                return children

    def _catch_up(self) -> None:
        while self._waiting:
            self._write(*self._waiting[0])
            self._waiting.popleft()
        for number, child in self._children.items():
            if child.front != (number in self._front):
                self._client.log_batch(child.run_id, tags=_run_tags(self._front_tags(number)))
                child.front = not child.front

    def _write(self, trial: Trial, hypervolume: float) -> None:
        """A child run, ended last: one that was broken off is known by running still, and is written over."""
        child = self._children.get(trial.number)
        if child and child.ended:
            return
        start = round(trial.started * 1000)
        end = start + round(trial.seconds * 1000)
        if child is None:
            run = self._client.create_run(
                self._experiment.experiment_id, start_time=start or None, tags=self._tags(trial)
            )
            child = self._children[trial.number] = _Child(run.info.run_id, False, trial.number in self._front)
        spoken = {
            site.name: spoken_block(trial.config[site.name], site) if site.name in trial.config else "none"
            for site in self._sites
        }
        params = _params({"seed": trial.seed, **spoken})
        self._client.log_batch(child.run_id, self._metrics(trial, start, end), params)
        self._client.log_batch(self.run_id, [Metric("hypervolume", hypervolume, end, trial.number)])
        self._client.set_terminated(child.run_id, ENDS[trial.status], (end if start else None))
        child.ended = True

    def _tags(self, trial: Trial) -> dict[str, str]:
        words = trial.config.words(self._sites)
        name = textwrap.shorten(f"trial {trial.number}: {words}", NAME_LENGTH, placeholder=" …")
        tags = {
            PARENT: self.run_id,
            "mlflow.runName": name,
            STUDY: self._study,
            ROLE: "trial",
            TRIAL: str(trial.number),
            "senas.status": str(trial.status),
            "senas.origin": trial.origin,
            "senas.config": str(trial.config),
            "sites": words,
            **self._front_tags(trial.number),
        }
        if trial.failure is not None:
            tags["senas.failure"] = str(trial.failure)
        if trial.reason:
            tags["senas.reason"] = trial.reason
        if trial.repeats is not None:
            tags["senas.repeats"] = str(trial.repeats)
        return {key: _cut(value, TAG_LENGTH) for key, value in tags.items()}

    def _front_tags(self, number: int) -> dict[str, str]:
        on_front = number in self._front
        return {
            "pareto": "true" if on_front else "false",
            "mlflow.runColor": FRONT_COLOR if on_front else OTHER_COLOR,
        }

    def _metrics(self, trial: Trial, start: int, end: int) -> list[Metric]:
        """Times are made from the trial alone, so that writing a trial again adds nothing."""
        epochs = len(trial.curve)
        values = {(name, epoch): value for epoch, scores in enumerate(trial.curve, 1) for name, value in scores.items()}
        in_curve = {name for name, _ in values}
        last = {"seconds": trial.seconds, **trial.scores}
        if self._largest and "se_params" in trial.scores:
            last["se_share"] = trial.scores["se_params"] / self._largest
        last = {**dict(zip(self._objective, trial.values, strict=False)), **last}
        values |= {(name, epochs if name in in_curve else 0): value for name, value in last.items()}
        return [
            # An infinity would be stored as the largest number there is, and flatten every chart.
            Metric(
                _key(name),
                float(value) if math.isfinite(value) else math.nan,
                start + (end - start) * epoch // epochs if epochs else end,
                epoch,
            )
            for (name, epoch), value in values.items()
        ]

    def _upload(self, files: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            if files:
                self._client.log_artifacts(self.run_id, folder)

    def _save_view(self) -> None:
        experiment = self._experiment.experiment_id
        save_view(self._client, experiment, self._study, self.run_id)
        self._experiment = self._client.get_experiment(experiment)

    def _end_children(self) -> None:
        for child in self._children.values():
            if not child.ended:
                self._client.set_terminated(child.run_id, "KILLED")
                child.ended = True


def hidden(uri: str) -> str:
    """The address without its password."""
    text = re.sub(r"(://[^:/@\s]*):[^/\s]*@", r"\1:***@", uri)
    return re.sub(r"(password=)[^&\s]*", r"\1***", text)


def _reach(uri: str, *, new: bool = False) -> None:
    """Raises one of DOWN, soon, where nothing is there. MLflow itself tries a database for a hundred seconds.

    new:  whether a SQLite file may be made; one that went away during a search must not be replaced by an empty one.
    """
    parts = urlsplit(uri)
    web = parts.scheme in ("http", "https")
    proxied = web and parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.netloc)
    usual = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306}.get(parts.scheme.partition("+")[0])
    port = parts.port or usual
    if parts.hostname and port and not proxied:
        socket.create_connection((parts.hostname, port), timeout=REACH_SECONDS).close()
    if not web and "://" in uri:
        url = sqlalchemy.make_url(uri)
        if url.get_backend_name() == "sqlite" and url.database:
            if new:
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            elif not Path(url.database).exists():
                raise FileNotFoundError(f"there is no file {url.database}")
        engine = sqlalchemy.create_engine(url)
        try:
            sqlalchemy.inspect(engine).get_table_names()
        finally:
            engine.dispose()


def _experiment(client: MlflowClient, name: str, artifacts: Path | None) -> Experiment:
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


def _parent(
    client: MlflowClient,
    experiment_id: str,
    study: str,
    largest_params: int,
    versions: Mapping[str, str],
    params: Mapping[str, object],
) -> str:
    """The study's parent run, running. Parameters cannot change in MLflow: one that did is a tag `resumed.<key>`."""
    runs = study_runs(client, experiment_id, study, newest=1)
    if runs:
        run = runs[0]
        client.update_run(run.info.run_id, status="RUNNING")
    else:
        tags = {STUDY: study, ROLE: "study", "senas.largest_se_params": str(largest_params)}
        run = client.create_run(experiment_id, tags=tags, run_name=study)
    run_id: str = run.info.run_id
    given, kept, old = _params(params), run.data.params, run.data.tags
    changed = {
        f"resumed.{param.key}": param.value
        for param in given
        if param.key in kept and old.get(f"resumed.{param.key}", kept[param.key]) != param.value
    }
    tags = {**{f"version.{name}": version for name, version in versions.items()}, **changed}
    client.log_batch(run_id, params=[param for param in given if param.key not in kept], tags=_run_tags(tags))
    return run_id


def _params(values: Mapping[str, object]) -> list[Param]:
    return [
        Param(_key(name), _cut(value if isinstance(value, str) else json.dumps(value, default=str), PARAM_LENGTH))
        for name, value in values.items()
    ]


def _run_tags(values: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(_key(name), _cut(value, TAG_LENGTH)) for name, value in values.items()]


def _key(name: str) -> str:
    """A name as MLflow accepts it."""
    return re.sub(r"[^\w.:/ -]", "_", name)[:KEY_LENGTH]


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _cut_lines(text: str) -> str:
    """The description, cut after a whole line where it is too long for MLflow."""
    if len(text) <= TAG_LENGTH:
        return text
    note = f"\n\n*Cut here: MLflow keeps {TAG_LENGTH:,} characters of {len(text):,}.*"
    room = text[: TAG_LENGTH - len(note)]
    return (room.rpartition("\n")[0] or room) + note


def _reason(error: BaseException, uri: str) -> str:
    """The first line of what went wrong, without the password."""
    text = hidden((str(error).strip().splitlines() or [type(error).__name__])[0])
    text = text.rpartition("(Caused by ")[2]  # the client's retries wrap what matters
    password = urlsplit(uri).password
    return _cut(text.replace(password, "***") if password else text, 200)
