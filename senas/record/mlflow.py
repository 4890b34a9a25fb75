"""The recorder for MLflow: one parent run a study, one child run a trial, a saved view of the front.

MLflow is for people. The truth of a study lies with the proposer, so an MLflow that goes down stops nothing: what
could not be written waits, and is written once MLflow answers again.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric

from senas.core.config import SEConfig
from senas.core.objective import Scores
from senas.core.ports import Claims, Pulse
from senas.core.site import Site
from senas.core.trial import Status, Trial
from senas.record.address import DOWN, connect, hidden, reach, reason, refused
from senas.record.charts import LOADED, comparison_state, front_state
from senas.record.children import Child, children
from senas.record.compared_run import ComparedRuns
from senas.record.dataset import PartUsed, inputs
from senas.record.files import upload
from senas.record.limits import cut_lines, key, run_tags
from senas.record.registry import Recommended, model_name, register
from senas.record.study_run import NOTE, begin, experiment_called
from senas.record.trial_run import ENDS, PARETO, STANDING, TrialRuns, claimed, front_tags, times
from senas.record.view import link, save_view

HYPERVOLUME = "hypervolume"
EPOCH_SECONDS, PULSE_SECONDS, VOLUME_SECONDS = 2.0, 10.0, 2.0
"""Between what is written of a running trial (an epoch's scores, how far it is amid an epoch) and of its study."""
SHORT_SECONDS = 5.0  # after a trial that was over sooner, the next one is written when it says something, or ends
SHARE = 0.05  # of a trial's time that writing may take on a slow server ...
LONGEST_SECONDS = 25.0  # ... but for this long it is never silent
DOWN_SECONDS = 60.0  # until a store that went down is tried again while a trial runs


class MlflowRecorder:
    """Implements `senas.core.ports.Recorder`. Not for use by several threads at once."""

    def __init__(
        self,
        client: MlflowClient,
        uri: str,
        experiment: Experiment,
        runs: TrialRuns,
        warn: Callable[[str], None],
        data: Sequence[PartUsed] = (),
    ) -> None:
        self.run_id = runs.parent
        self._client, self._uri, self._experiment, self._runs = client, uri, experiment, runs
        self._warn = warn
        self._data = inputs(data)
        self._waiting: deque[tuple[Trial, float]] = deque()
        self._front: Collection[int] = ()
        self._down = False
        self._unsaid: dict[int, tuple[Trial, list[Metric]]] = {}  # of the trials that are running, by number
        self._short = False
        self._said = self._pause = 0.0
        self._volumes: dict[int, Metric] = {}
        self._measured = 0.0
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
        data: Sequence[PartUsed] = (),
        baselines: Mapping[str, SEConfig] | None = None,
        contenders: Mapping[str, SEConfig] | None = None,
        judged: str = "val_loss",
    ) -> "MlflowRecorder":
        """Opens the study's parent run, or begins one.

        artifacts:       folder for a new experiment's artifacts; None leaves the choice to the MLflow server.
        params:          the resolved configuration by dotted key, and `config_yaml` the same as text.
        largest_params:  SE parameters of the space's largest configuration: what `se_share` is a share of.
        objective:       what each of a trial's values is called.
        data:            what is trained on.
        baselines:       configurations that every study is measured against, by name.
        contenders:      those that are compared, by name, where it is no search but a comparison.
        judged:          the score of which `conclude` is told what is expected.

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
                kind, named = (TrialRuns, baselines or {}) if contenders is None else (ComparedRuns, contenders)
                runs = kind(
                    parent=run_id,
                    study=study,
                    sites=sites,
                    largest_params=largest_params,
                    objective=objective,
                    named=named,
                    judged=judged,
                )
                recorder = cls(client, uri, found, runs, warn, data)
                client.log_inputs(run_id, recorder._data)
            except BaseException:  # Ctrl-C too: no run is left running
                with contextlib.suppress(*DOWN):
                    client.set_terminated(run_id, "KILLED")
                raise
        recorder._try(recorder._save_view)
        return recorder

    def missing(self, trials: Sequence[Trial]) -> list[Trial]:
        """Those of the finished trials that MLflow does not have, or has only in part."""
        ended = {n for n, child in self._children.items() if child.ended}
        if self._runs.with_front:
            ended &= self._followed
        return [trial for trial in trials if trial.status is not Status.RUNNING and trial.number not in ended]

    def begin(self, trial: Trial) -> None:
        """A trial is about to be trained: its run is there, running. One that was broken off is gone on with.

        Where the last one was over at once, the run waits until there is something to say, or until the trial ended:
        it takes fewer writes when all is known.
        """
        self._unsaid[trial.number] = trial, []
        self._said, self._pause = time.monotonic(), 0.0
        if not self._down and not self._short:
            self._try(lambda: self._child(trial))

    def epoch(self, trial: Trial, epoch: int, scores: Scores) -> None:
        """Scores after an epoch; those of short epochs are written together. Never raises because of MLflow."""
        self._keep(trial, self._runs.epoch_metrics(epoch, scores))
        self._say(EPOCH_SECONDS)

    def pulse(self, trial: Trial, pulse: Pulse) -> None:
        """How far a trial is amid a long epoch. Never raises because of MLflow."""
        if self._may_speak(PULSE_SECONDS):
            self._keep(trial, self._runs.pulse_metrics(pulse))
            self._say(PULSE_SECONDS)

    def record(self, trial: Trial, front: Sequence[int], hypervolume: float) -> None:
        """A finished trial, the numbers of the trials that are on the front with it, and the front's hypervolume.

        One that was recorded before is left as it is. Never raises because of MLflow.
        """
        self._unsaid.pop(trial.number, None)
        if trial.trained:
            self._short = trial.seconds < SHORT_SECONDS
        self._waiting.append((trial, hypervolume))
        self._front = frozenset(front)
        self._try(self._catch_up)

    def conclude(
        self,
        *,
        finished: bool,
        front: Sequence[int],
        description: str,
        files: Mapping[str, bytes],
        claims: Claims | None = None,
    ) -> None:
        """The search ended: by itself (`finished`) or stopped. Never raises because of MLflow."""
        self._front = frozenset(front)
        self._try(self._catch_up)
        self._try(self._write_volumes)
        if claims:
            self._try(lambda: self._write_claims(claims))
        self._try(lambda: self._client.set_tag(self.run_id, NOTE, cut_lines(description)))
        self._try(lambda: upload(self._client, self.run_id, files))
        self._try(self._save_view)
        self._try(self._drop_unfinished)
        self._try(lambda: self._client.set_terminated(self.run_id, "FINISHED" if finished else "KILLED"))

    def register(self, recommended: Recommended) -> str | None:
        """The recommended network in the model registry: its address where it is new there, None where it is not.

        Never raises because of MLflow, nor because of a network that cannot be written.
        """
        if self._down:
            return None
        try:
            return register(self._client, self.run_id, self._runs.study, recommended)
        except (*DOWN, RuntimeError, ImportError, ValueError, TypeError) as error:  # torch's exporter: RuntimeErrors
            self._warn(
                f"the recommended network could not be registered as {model_name(self._runs.study)} in MLflow "
                f"({reason(error, self._uri)}); nothing else is lost, `senas export` writes it"
            )
            return None

    def link(self, base_url: str) -> str:
        """Where a browser finds the study's saved view on the MLflow server at `base_url`."""
        return link(self._experiment, self.run_id, base_url)

    def _may_speak(self, seconds: float) -> bool:
        return time.monotonic() - self._said >= (DOWN_SECONDS if self._down else max(seconds, self._pause))

    def _keep(self, trial: Trial, metrics: Sequence[Metric]) -> None:
        _, unsaid = self._unsaid.setdefault(trial.number, (trial, []))
        unsaid += metrics

    def _say(self, seconds: float) -> None:
        """Writes what the running trials have to say, where so many seconds have passed since the last time."""
        if not self._may_speak(seconds):
            return
        begin = time.monotonic()
        self._try(self._write_live)
        self._said = time.monotonic()
        self._pause = min((self._said - begin) / SHARE, LONGEST_SECONDS)

    def _write_live(self) -> None:
        for trial, unsaid in self._unsaid.values():
            if unsaid:
                self._log(self._child(trial), trial, unsaid)
                unsaid.clear()

    def _child(self, trial: Trial) -> Child:
        """The trial's run: that which it has, or a new one."""
        child = self._children.get(trial.number)
        if child and not child.ended and not self._runs.is_of(child.tags, trial):
            # Left running by a kill; since then another list of trainings gave its number to another one.
            self._client.delete_run(child.run_id)
            child = None
        if child is None:
            start, _ = times(trial)
            tags = self._runs.tags(trial, on_front=trial.number in self._front)
            run = self._client.create_run(self._experiment.experiment_id, start_time=start or None, tags=tags)
            child = self._children[trial.number] = Child(run.info.run_id, False, tags)
        return child

    def _log(
        self, child: Child, trial: Trial, metrics: Sequence[Metric], tags: Mapping[str, str] | None = None
    ) -> None:
        """Adds what the run does not have yet."""
        new = child.new(metrics)
        changed = {name: value for name, value in (tags or {}).items() if child.tags.get(name) != value}
        params = [] if child.params else self._runs.params(trial)
        self._client.log_batch(child.run_id, new, params, run_tags(changed))
        if not child.params and self._data:
            self._client.log_inputs(child.run_id, self._data)
        child.points |= {(metric.key, metric.step): metric.value for metric in new}
        child.tags |= changed
        child.params = True

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

    def _read(self) -> dict[int, Child]:
        self._followed = {point.step for point in self._client.get_metric_history(self.run_id, HYPERVOLUME)}
        return children(self._client, self._experiment.experiment_id, self.run_id)

    def _catch_up(self) -> None:
        while self._waiting:
            self._write(*self._waiting[0])
            self._waiting.popleft()
        if time.monotonic() - self._measured >= VOLUME_SECONDS:
            self._write_volumes()
        for number, child in self._children.items():
            on_front = number in self._front
            if (child.tags.get(PARETO) == "true") != on_front:
                tags = front_tags(on_front, child.tags.get(STANDING, ""))
                self._client.log_batch(child.run_id, tags=run_tags(tags))
                child.tags |= tags

    def _write(self, trial: Trial, hypervolume: float) -> None:
        """A child run, ended last: one that was broken off is known by running still, and is written over."""
        child = self._children.get(trial.number)
        start, end = times(trial)
        if self._runs.with_front and trial.number not in self._followed:
            self._volumes[trial.number] = Metric(HYPERVOLUME, hypervolume, end, trial.number)
        if child and child.ended:
            return
        child = self._child(trial)
        tags = self._runs.tags(trial, on_front=trial.number in self._front)
        self._log(child, trial, self._runs.metrics(trial), tags)
        self._client.set_terminated(child.run_id, ENDS[trial.status], (end if start else None))
        child.ended = True
        child.points.clear()

    def _write_volumes(self) -> None:
        """The study's hypervolume after each trial: together, where trials are short."""
        if self._volumes:
            self._client.log_batch(self.run_id, list(self._volumes.values()))
            self._followed |= set(self._volumes)
            self._volumes = {}
            self._measured = time.monotonic()

    def _write_claims(self, claims: Claims) -> None:
        """What is known of the study and of each configuration, with the first trial of it: a step for each time that
        it was found out, and nothing where it has not changed."""
        now, step = round(time.time() * 1000), len(self._children)
        tags = {f"senas.{name}": value for name, value in claims.facts.items()}
        told = self._client.get_run(self.run_id).data.metrics
        self._client.log_batch(self.run_id, claimed(claims.scores, told, now, step), tags=run_tags(tags))
        for number, estimate in claims.estimates.items():
            if child := self._children.get(number):
                if new := claimed(estimate, child.claimed, now, step):
                    self._client.log_batch(child.run_id, new)
                child.claimed |= {key(name): value for name, value in estimate.items()}

    def _save_view(self) -> None:
        experiment, study = self._experiment.experiment_id, self._runs.study
        if self._runs.with_front:
            state = front_state(self.run_id, [key(site.name) for site in self._runs.sites], key(self._runs.judged))
            more = len(self._children) > LOADED
            name = f"Front of {study}" + f" (first {LOADED} runs; all in front.html)" * more
        else:
            state, name = comparison_state(self.run_id, self._runs.objective), f"Comparison {study}"
        save_view(self._client, experiment, name, self.run_id, state)
        self._experiment = self._client.get_experiment(experiment)

    def _drop_unfinished(self) -> None:
        """Half a record is none: it would be taken for whole when the study is resumed, which writes it anew."""
        for number, child in list(self._children.items()):
            if not child.ended:
                self._client.set_terminated(child.run_id, "KILLED")
                self._client.delete_run(child.run_id)
                del self._children[number]
