"""The recorder for MLflow: one parent run a study, one child run a finished trial, a saved view of the front.

MLflow is for people. The truth of a study lies with the proposer, so an MLflow that goes down stops nothing: what
could not be written waits, and is written once MLflow answers again.
"""

import contextlib
import tempfile
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric

from senas.core.site import Site
from senas.core.trial import Status, Trial
from senas.record.address import DOWN, connect, hidden, reach, reason, refused
from senas.record.limits import cut_lines, run_tags
from senas.record.study_run import NOTE, ROLE, begin, experiment_called
from senas.record.trial_run import ENDS, PARENT, PARETO, TRIAL, TrialRuns, front_tags, times
from senas.record.view import link, save_view

PAGE = 200  # runs read at once: few enough for a slow server to answer in time


@dataclass(slots=True)
class _Child:
    """What the store has of a trial: its run, whether that was written to its end, and its tag `pareto`."""

    run_id: str
    ended: bool
    front: bool


class MlflowRecorder:
    """Implements `senas.core.ports.Recorder`. Not for use by several threads at once."""

    def __init__(
        self, client: MlflowClient, uri: str, experiment: Experiment, runs: TrialRuns, warn: Callable[[str], None]
    ) -> None:
        self.run_id = runs.parent
        self._client, self._uri, self._experiment, self._runs = client, uri, experiment, runs
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
        with refused(uri, "start its server, or keep the record in a file: tracking.uri=sqlite:///mlflow.db"):
            reach(uri, new=True)
            client = connect(uri)
            found = experiment_called(client, experiment, artifacts)
            run_id = begin(
                client, found.experiment_id, study, largest_params=largest_params, versions=versions, params=params
            )
            try:
                client.log_text(run_id, config_yaml, "config.yaml")
                runs = TrialRuns(
                    parent=run_id, study=study, sites=sites, largest_params=largest_params, objective=objective
                )
                recorder = cls(client, uri, found, runs, warn)
            except BaseException:  # Ctrl-C too: no run is left running
                with contextlib.suppress(*DOWN):
                    client.set_terminated(run_id, "KILLED")
                raise
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

    def conclude(self, *, finished: bool, front: Sequence[int], description: str, files: Mapping[str, bytes]) -> None:
        """The search ended: by itself (`finished`) or stopped. Never raises because of MLflow."""
        self._front = frozenset(front)
        self._try(self._catch_up)
        self._try(lambda: self._client.set_tag(self.run_id, NOTE, cut_lines(description)))
        self._try(lambda: self._upload(files))
        self._try(self._save_view)
        self._try(self._drop_unfinished)
        self._try(lambda: self._client.set_terminated(self.run_id, "FINISHED" if finished else "KILLED"))

    def link(self, base_url: str) -> str:
        """Where a browser finds the study's saved view on the MLflow server at `base_url`."""
        return link(self._experiment, self.run_id, base_url)

    def _try(self, step: Callable[[], object]) -> None:
        """Takes a step that may wait: where MLflow is down, says so once and goes on."""
        try:
            if self._down:  # what arrived before the line went dead is not known: read it again
                reach(self._uri)
                self._children = self._read()
            step()
            self._down = False
        except DOWN as error:
            if not self._down:
                self._warn(
                    f"MLflow at {hidden(self._uri)} failed ({reason(error, self._uri)}); the search goes on, and what "
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
                child = _Child(run.info.run_id, run.info.status != "RUNNING", tags.get(PARETO) == "true")
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
            on_front = number in self._front
            if child.front != on_front:
                self._client.log_batch(child.run_id, tags=run_tags(front_tags(on_front)))
                child.front = on_front

    def _write(self, trial: Trial, hypervolume: float) -> None:
        """A child run, ended last: one that was broken off is known by running still, and is written over."""
        child = self._children.get(trial.number)
        if child and child.ended:
            return
        start, end = times(trial)
        if child is None:
            on_front = trial.number in self._front
            tags = self._runs.tags(trial, on_front=on_front)
            run = self._client.create_run(self._experiment.experiment_id, start_time=start or None, tags=tags)
            child = self._children[trial.number] = _Child(run.info.run_id, False, on_front)
        self._client.log_batch(child.run_id, self._runs.metrics(trial), self._runs.params(trial))
        self._client.log_batch(self.run_id, [Metric("hypervolume", hypervolume, end, trial.number)])
        self._client.set_terminated(child.run_id, ENDS[trial.status], (end if start else None))
        child.ended = True

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
        save_view(self._client, experiment, self._runs.study, self.run_id)
        self._experiment = self._client.get_experiment(experiment)

    def _drop_unfinished(self) -> None:
        """Half a record is none: it would be taken for whole when the study is resumed, which writes it anew."""
        for number, child in list(self._children.items()):
            if not child.ended:
                self._client.set_terminated(child.run_id, "KILLED")
                self._client.delete_run(child.run_id)
                del self._children[number]
