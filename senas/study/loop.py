"""Propose, evaluate, tell, record: the loop that joins the ports. It imports no framework."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from typing import Protocol

from senas.core.constraint import MEASURED, Constraints
from senas.core.objective import Objective, Scores
from senas.core.ports import Evaluator, Proposer, Pulse, Recorder
from senas.core.standing import Standing
from senas.core.trial import Job, Result, Status, Trial
from senas.errors import EvaluationError
from senas.study.interrupt import Interrupt

UNTRAINED_IN_A_ROW = 5
"""Proposals that are repeated or rejected, until an untried one is drawn that closed forms do not rule out."""
SLOW_IN_A_ROW = 100
"""Configurations that were measured and found too slow, until the search gives up."""
FAILURES_IN_A_ROW = 3


class Ending(StrEnum):
    """Why a search ended by itself."""

    BUDGET = "budget"
    EXHAUSTED = "exhausted"


class Listener(Protocol):
    """Told what happens, as it happens: progress bars and lines of text."""

    def started(self, trial: Trial, standing: Standing) -> None:
        """A trial is about to be trained."""

    def epoch(self, trial: Trial, epoch: float, epochs: int) -> None:
        """A running trial has done so many of its epochs; a fraction is an epoch that is being trained."""

    def finished(self, trial: Trial, standing: Standing) -> None:
        """A trial ended; `standing` has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a search is to do.

    trials:       how many in all, those of earlier runs of the study included.
    size:         configurations in the space; None where that is not known.
    weights:      folder for the weights of the trials that `Standing.kept` names.
    checkpoints:  folder for what a training that is broken off goes on from; None saves nothing.
    test:         whether the test part is measured at the end of each training.
    constraints:  what a network may cost; one that costs more is rejected, and counts as no trial.
    """

    trials: int
    epochs: int
    size: int | None
    weights: Path
    objective: Objective
    standing: Callable[[list[Trial]], Standing]
    checkpoints: Path | None = None
    test: bool = False
    constraints: Constraints = field(default_factory=Constraints)


@dataclass(slots=True)
class Search:
    """One run of a study's loop, from where its proposer's storage stands until the plan is fulfilled."""

    plan: Plan
    proposer: Proposer
    evaluator: Evaluator
    recorder: Recorder
    listener: Listener
    trials: list[Trial] = field(default_factory=list)

    def run(self, interrupt: Interrupt) -> Ending:
        """Raises EvaluationError where three trials in a row fail alike, KeyboardInterrupt when interrupted."""
        self.trials = [trial for trial in self.proposer.trials() if trial.status is not Status.RUNNING]
        self._clear_weights()
        while sum(trial.counts for trial in self.trials) < self.plan.trials:
            if self._exhausted():
                return Ending.EXHAUSTED
            with interrupt.shield():
                trial = self._propose()
            earlier = self._earlier(trial)
            finished = self._evaluated(trial, interrupt) if earlier is None else _answered(trial, earlier)
            with interrupt.shield():
                self._remember(finished)
            self._stop_when_hopeless()
        return Ending.BUDGET

    def _exhausted(self) -> bool:
        """Whether everything that closed forms do not rule out was tried."""
        ruled_out = self.plan.constraints.rules_out
        return len({t.config for t in self.trials if not ruled_out(t.scores)}) >= (self.plan.size or math.inf)

    def _propose(self) -> Trial:
        untrained = len(list(takewhile(lambda trial: not trial.counts, reversed(self.trials))))
        return self.proposer.ask_untried() if untrained >= UNTRAINED_IN_A_ROW else self.proposer.ask()

    def _earlier(self, trial: Trial) -> Trial | None:
        """The trial that already answers this one: same configuration, same seed. The setting is the study's."""
        key = (trial.config, trial.seed)
        return next((t for t in self.trials if t.repeats is None and (t.config, t.seed) == key), None)

    def _evaluated(self, trial: Trial, interrupt: Interrupt) -> Trial:
        """Trained, unless it costs too much: what closed forms rule out is not even measured."""
        plan, weights = self.plan, self._weights_of(trial.number)
        job = Job(trial.config, trial.seed, plan.epochs, weights, self._checkpoint_of(trial), plan.test)
        costs = self.evaluator.costs(job)
        if not plan.constraints.broken(costs):
            costs = {**costs, **self.evaluator.measure(job)}
        if reason := plan.constraints.broken(costs):
            return replace(trial, status=Status.REJECTED, scores=costs, reason=reason)
        return self._train(trial, replace(job, costs=costs), interrupt)

    def _train(self, trial: Trial, job: Job, interrupt: Interrupt) -> Trial:
        self.listener.started(trial, self.plan.standing(self.trials))
        with interrupt.shield():
            self.recorder.begin(trial)

        def report(job: Job, epoch: int, scores: Scores) -> bool:
            self.listener.epoch(trial, epoch, job.epochs)
            stop = self.proposer.report(trial, epoch, scores)
            with interrupt.shield():
                self.recorder.epoch(trial, epoch, scores)
            return stop

        def listen(job: Job, pulse: Pulse) -> None:
            self.listener.epoch(trial, pulse.epochs, job.epochs)
            with interrupt.shield():
                self.recorder.pulse(trial, pulse)

        (result,) = self.evaluator.evaluate([job], report, listen)
        return _ended(trial, result, self.plan.objective)

    def _remember(self, trial: Trial) -> None:
        """The truth first, then what can be rebuilt from it."""
        self.proposer.tell(trial)
        if checkpoint := self._checkpoint_of(trial):
            checkpoint.unlink(missing_ok=True)
        self.trials.append(trial)
        standing = self.plan.standing(self.trials)
        self._clear_weights(standing)
        if trial.status is not Status.REJECTED:
            self.recorder.record(trial, [t.number for t in standing.front()], standing.hypervolume())
        self.listener.finished(trial, standing)

    def _clear_weights(self, standing: Standing | None = None) -> None:
        """Only weights that a pick can name are kept; the others can be had again from the seed."""
        kept = {self._weights_of(n) for n in (standing or self.plan.standing(self.trials)).kept()}
        for path in self.plan.weights.glob("trial-*"):
            if path not in kept:
                path.unlink()

    def _weights_of(self, number: int) -> Path:
        return weights_path(self.plan.weights, number)

    def _checkpoint_of(self, trial: Trial) -> Path | None:
        """Named by what is trained: after a kill the same number may be another training's, whose list has changed."""
        identity = hashlib.sha256(f"{trial.config} {trial.seed}".encode()).hexdigest()[:16]
        return self.plan.checkpoints / f"{identity}.ckpt" if self.plan.checkpoints else None

    def _stop_when_hopeless(self) -> None:
        last = [trial for trial in self.trials if trial.counts][-FAILURES_IN_A_ROW:]
        if len(last) == FAILURES_IN_A_ROW and last[0].failure and len({trial.failure for trial in last}) == 1:
            raise EvaluationError(
                f"the last {FAILURES_IN_A_ROW} trials failed in the same way, {last[-1].failure}: {last[-1].reason}; "
                "lower trainer.lr or trainer.batch_size, or choose a smaller backbone"
            )
        slow = list(takewhile(lambda trial: not trial.counts, reversed(self.trials)))
        if len([t for t in slow if MEASURED in t.scores and t.repeats is None]) >= SLOW_IN_A_ROW:
            raise EvaluationError(
                f"the last {SLOW_IN_A_ROW} configurations that were measured were all too slow, such as "
                f"{slow[0].reason}; raise space.constraints.{MEASURED}"
            )


def weights_path(folder: Path, number: int) -> Path:
    """Where the weights of a trial lie."""
    return folder / f"trial-{number}.safetensors"


def _answered(trial: Trial, earlier: Trial) -> Trial:
    return replace(
        trial,
        status=earlier.status,
        scores=earlier.scores,
        values=earlier.values,
        curve=earlier.curve,
        failure=earlier.failure,
        reason=earlier.reason,
        repeats=earlier.number,
    )


def _ended(trial: Trial, result: Result, objective: Objective) -> Trial:
    return replace(
        trial,
        status=result.status,
        scores=result.scores,
        values=objective.values(result.scores) if result.status is Status.COMPLETE else (),
        curve=result.curve,
        seconds=result.seconds,
        failure=result.failure,
        reason=result.reason,
    )
