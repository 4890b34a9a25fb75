"""Propose, evaluate, tell, record: the loop that joins the ports. It imports no framework."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Protocol

from senas.core.constraint import Constraints
from senas.core.objective import Objective, Scores
from senas.core.ports import Evaluator, Proposer, Pulse, Recorder
from senas.core.screening import Screen, Screened
from senas.core.seeds import Seeds
from senas.core.standing import Standing
from senas.core.trial import SCREENED, Job, Result, Status, Trial, Wanted
from senas.study.history import History
from senas.study.hopeless import stop_when_hopeless, untrained
from senas.study.interrupt import Interrupt

UNTRAINED_IN_A_ROW = 5
"""Proposals that are repeated or rejected, until an untried one is drawn that closed forms do not rule out."""


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
    seeds:        that proposals take.
    before:       trainings to do first; one whose result the study has is passed over.
    after:        asked for one more training once the trials are there, again and again until it answers None. It is
                  handed all trials that ended or are running, and must not answer with a training that is among them.
                  While trials are running, None is no last word: it is asked again when one ended.
    weights:      folder for the weights of the trials that `kept` names.
    kept:         told all trials that ended, the numbers of those whose weights stay; None: what `Standing.kept` says.
    checkpoints:  folder for what a training that is broken off goes on from; None saves nothing.
    test:         whether the test part is measured at the end of each training.
    constraints:  what a network may cost; one that costs more is rejected, and counts as no trial.
    screen:       asked of each configuration that a sampler proposed whether it is worth a training; one that is not
                  counts as a trial, pruned before its first epoch. None trains all.
    beside:       trainings at most that are running when a job is pulled. A screener is told of no result that could
                  have been one of them: after a kill it is asked again of what was running, and must answer the same.
    """

    trials: int
    epochs: int
    size: int | None
    seeds: Seeds
    weights: Path
    objective: Objective
    standing: Callable[[list[Trial]], Standing]
    kept: Callable[[list[Trial]], Collection[int]] | None = None
    checkpoints: Path | None = None
    test: bool = False
    constraints: Constraints = field(default_factory=Constraints)
    before: Sequence[Wanted] = ()
    after: Callable[[Sequence[Trial]], Wanted | None] | None = None
    screen: Screen | None = None
    beside: int = 0


@dataclass(slots=True)
class Search:
    """One run of a study's loop, from where its proposer's storage stands until the plan is fulfilled.

    trials:   those that ended.
    running:  those that the evaluator has, in the order in which it was given them.
    held:     proposed while the very training was running; answered when it ends.
    history:  what is asked of `trials` again and again.
    standing: with them.
    """

    plan: Plan
    proposer: Proposer
    evaluator: Evaluator
    recorder: Recorder
    listener: Listener
    trials: list[Trial] = field(default_factory=list)
    running: list[Trial] = field(default_factory=list)
    held: list[Trial] = field(default_factory=list)
    history: History = field(init=False)
    standing: Standing = field(init=False)

    def run(self, interrupt: Interrupt) -> Ending:
        """Raises EvaluationError where three trials in a row fail alike, KeyboardInterrupt when interrupted."""
        self.trials = [trial for trial in self.proposer.trials() if trial.status is not Status.RUNNING]
        screens = self.plan.screen is not None
        self.running, self.held = [], []
        self.history = History(self.plan.seeds, self.plan.constraints, screens)
        for trial in self.trials:
            self.history.add(trial)
        self.standing = self.plan.standing(self.trials)
        self._clear_weights()

        def report(job: Job, epoch: int, scores: Scores) -> bool:
            trial = self._trained_by(job)
            self.listener.epoch(trial, epoch, job.epochs)
            stop = self.proposer.report(trial, epoch, scores)
            with interrupt.shield():
                self.recorder.epoch(trial, epoch, scores)
            return stop

        def listen(job: Job, pulse: Pulse) -> None:
            trial = self._trained_by(job)
            self.listener.epoch(trial, pulse.epochs, job.epochs)
            with interrupt.shield():
                self.recorder.pulse(trial, pulse)

        with closing(self.evaluator.evaluate(self._jobs(interrupt), report, listen)) as results:
            for result in results:
                trial = self._trained_by(result.job)
                self.running.remove(trial)
                self._end(_ended(trial, result, self.plan.objective), interrupt)
                for trial, earlier in [(trial, self.history.earlier(trial)) for trial in self.held]:
                    if earlier is not None:
                        self.held.remove(trial)
                        self._end(_answered(trial, earlier), interrupt)
        return Ending.EXHAUSTED if self.history.counted < self.plan.trials else Ending.BUDGET

    def _jobs(self, interrupt: Interrupt) -> Iterator[Job | None]:
        """A job for each trial that has to be trained; the others end here. None: first a result is needed."""
        for ask in self._asks():
            if ask is None:
                yield None
                continue
            with interrupt.shield():
                trial = ask()
            if any(_same(trial, other) for other in self.running):
                self.held.append(trial)
                yield None
            elif (earlier := self.history.earlier(trial)) is not None:
                self._end(_answered(trial, earlier), interrupt)
            else:
                job, broken = self._job(trial)
                if broken:
                    self._end(replace(trial, status=Status.REJECTED, scores=job.costs, reason=broken), interrupt)
                    continue
                found = self._screened(trial, job)
                job = replace(job, costs={**job.costs, **found.scores})
                if found.reason:
                    self._end(replace(trial, status=Status.PRUNED, scores=job.costs, reason=found.reason), interrupt)
                else:
                    self._begin(trial, interrupt)
                    yield job

    def _asks(self) -> Iterator[Callable[[], Trial] | None]:
        """What to ask the proposer, one after the other; None where that hangs on a trial that is running."""
        plan = self.plan
        for wanted in plan.before:
            if self.history.earlier(wanted) is None:
                yield partial(self.proposer.ask_for, wanted)
        while self._counted_by_then < plan.trials and not self._exhausted():
            yield self._propose
        if plan.after:  # what was chosen beside others that ran then is not chosen anew
            for wanted in self.proposer.unfinished():
                yield partial(self.proposer.ask_for, wanted)
        while plan.after:
            there = [*self.trials, *self.running]
            more = plan.after(there)
            if more is None and not self.running:
                return
            if more is not None and (same := [trial.number for trial in there if _same(trial, more)]):
                raise ValueError(f"{more} was asked for, and is trial {same[0]} already")
            yield partial(self.proposer.ask_for, more) if more else None

    @property
    def _counted_by_then(self) -> int:
        """How many trials will count when those that are running ended."""
        return self.history.counted + sum(trial.proposed for trial in self.running)

    def _trained_by(self, job: Job) -> Trial:
        return next(trial for trial in self.running if _same(trial, job))

    def _begin(self, trial: Trial, interrupt: Interrupt) -> None:
        self.running.append(trial)
        self.listener.started(trial, self.standing)
        with interrupt.shield():
            self.recorder.begin(trial)

    def _end(self, trial: Trial, interrupt: Interrupt) -> None:
        with interrupt.shield():
            self._remember(trial)
        stop_when_hopeless(self.trials)

    def _exhausted(self) -> bool:
        """Whether everything that closed forms do not rule out was tried, with every seed that proposals take."""
        return self.plan.size is not None and self.history.exhausts(self.plan.size, self.running)

    def _propose(self) -> Trial:
        stuck = len(untrained(self.trials)) >= UNTRAINED_IN_A_ROW
        return self.proposer.ask_untried() if stuck else self.proposer.ask()

    def _job(self, trial: Trial) -> tuple[Job, str]:
        """What to train, and which constraint that breaks: what closed forms rule out is not even measured."""
        plan, weights = self.plan, self._weights_of(trial.number)
        job = Job(trial.config, trial.seed, plan.epochs, weights, self._checkpoint_of(trial), plan.test)
        costs = self.evaluator.costs(job)
        if not plan.constraints.broken(costs):
            costs = {**costs, **self.evaluator.measure(job)}
        return replace(job, costs=costs), plan.constraints.broken(costs)

    def _screened(self, trial: Trial, job: Job) -> Screened:
        """What a screener finds out of what a sampler proposed; nothing of what somebody else wants to see trained."""
        if self.plan.screen is None or trial.origin not in SCREENED:
            return Screened({})
        before = [t for t in (*self.trials, *self.running) if t.number < trial.number and t.repeats is None]
        begun = sorted(t.number for t in before if t.trained or t.status is Status.RUNNING)
        late = begun[max(0, len(begun) - self.plan.beside) :]
        told = [t for t in before if t.status is not Status.RUNNING and t.number not in late]
        return self.plan.screen(job, told)

    def _remember(self, trial: Trial) -> None:
        """The truth first, then what can be rebuilt from it."""
        self.proposer.tell(trial)
        if checkpoint := self._checkpoint_of(trial):
            checkpoint.unlink(missing_ok=True)
        self.trials.append(trial)
        self.history.add(trial)
        standing = self.standing = self.plan.standing(self.trials)
        self._clear_weights()
        if trial.status is not Status.REJECTED:
            self.recorder.record(trial, [t.number for t in standing.front()], standing.hypervolume())
        self.listener.finished(trial, standing)

    def _clear_weights(self) -> None:
        """Only weights that a pick may name are kept; the others can be had again from the seed."""
        plan = self.plan
        numbers = plan.kept(self.trials) if plan.kept else self.standing.kept()
        running = [trial.number for trial in self.running]
        kept = {self._weights_of(number).stem for number in (*numbers, *running)}  # also what is being written
        for path in plan.weights.glob("trial-*"):
            if path.stem not in kept:
                path.unlink()

    def _weights_of(self, number: int) -> Path:
        return weights_path(self.plan.weights, number)

    def _checkpoint_of(self, trial: Trial) -> Path | None:
        """Named by what is trained: after a kill the same number may be another training's, whose list has changed."""
        identity = hashlib.sha256(f"{trial.config} {trial.seed}".encode()).hexdigest()[:16]
        return self.plan.checkpoints / f"{identity}.ckpt" if self.plan.checkpoints else None


def weights_path(folder: Path, number: int) -> Path:
    """Where the weights of a trial lie."""
    return folder / f"trial-{number}.safetensors"


def _same(trial: Trial, other: Trial | Job | Wanted) -> bool:
    """Whether it is the very training."""
    return (trial.config, trial.seed) == (other.config, other.seed)


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
