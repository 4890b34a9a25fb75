"""The three ports that the search loop joins: proposers choose, evaluators measure, recorders remember."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from senas.core.objective import Scores
from senas.core.trial import Job, Result, Trial, Wanted

Report = Callable[[Job, int, Scores], bool]
"""Told of a job's scores after each epoch (1, 2, ...); answers whether training should stop there."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """How far a job is amid an epoch.

    epochs:  done so far: 1.25 is a quarter into the second, its validation included.
    steps:   of the optimizer, done so far.
    scores:  running ones, over the part of the epoch that is done.
    """

    epochs: float
    steps: int
    scores: Scores = field(default_factory=dict)


Listen = Callable[[Job, Pulse], None]
"""Told every few seconds how far a job is. Short epochs have no pulse."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a study can claim, for a recorder.

    facts:   of the study, in words, by name.
    scores:  of what it recommends, or of what leads, and `estimates` of configurations, by the first trial of each.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    scores: Scores = field(default_factory=dict)
    estimates: Mapping[int, Scores] = field(default_factory=dict)


class Proposer(Protocol):
    """Chooses what to try next. Its storage is the truth of a study: what it was told survives a crash."""

    def trials(self) -> list[Trial]:
        """All trials so far, by number."""

    def ask(self) -> Trial:
        """The next trial, running. One that was asked for and never told is given again first."""

    def ask_untried(self) -> Trial:
        """A trial of a configuration that no trial had before; where all were tried, one of a configuration with a seed
        of the search's that it has no trial with. Raises SpaceError when there is none left."""

    def ask_for(self, wanted: Wanted) -> Trial:
        """A running trial of this configuration and seed, whatever else waits; if this very training was asked for and
        never told, its trial. Raises SpaceError for a configuration that no proposal could have."""

    def unfinished(self) -> list[Wanted]:
        """Replicates that an earlier process asked for and never told of, in that order."""

    def report(self, trial: Trial, epoch: int, scores: Scores) -> bool:
        """Told of a running trial's scores after an epoch; answers whether to prune it. A replicate never is."""

    def tell(self, trial: Trial) -> None:
        """What came of a trial. Once this returns, it is not lost."""


class Evaluator(Protocol):
    """Turns jobs into results."""

    def costs(self, job: Job) -> Scores:
        """What closed forms say of a job's network: SE parameters, parameters, MACs."""

    def measure(self, job: Job) -> Scores:
        """What is measured of a job's network before it is trained, such as its latency; empty where nothing is."""

    def evaluate(
        self, jobs: Iterable[Job | None], report: Report, listen: Listen | None = None
    ) -> Generator[Result, None, None]:
        """One result a job, in the order of the jobs, whatever the order in which they finish.

        jobs:  pulled when there is room for one more, so that what is asked for next can hang on the results so far.
               How many are pulled before a result is yielded hangs on nothing but how many were, so that a search with
               the same seeds proposes the same. None: there is no job before another result was yielded.
        """


class Recorder(Protocol):
    """Remembers for people. What it holds can be rebuilt from the proposer's storage: its failures stop nothing."""

    def missing(self, trials: Sequence[Trial]) -> list[Trial]:
        """Those of the finished trials that it does not have, or has only in part."""

    def begin(self, trial: Trial) -> None:
        """A trial is about to be trained."""

    def epoch(self, trial: Trial, epoch: int, scores: Scores) -> None:
        """A running trial's scores after an epoch (1, 2, ...)."""

    def pulse(self, trial: Trial, pulse: Pulse) -> None:
        """How far a running trial is amid an epoch."""

    def record(self, trial: Trial, front: Sequence[int], hypervolume: float) -> None:
        """A finished trial, the numbers of the trials that are on the front with it, and the front's hypervolume."""

    def register(self, recommended: Any) -> str | None:
        """The network that the study recommends, kept for use: its address where it is new, else None."""

    def conclude(
        self,
        *,
        finished: bool,
        front: Sequence[int],
        description: str,
        files: Mapping[str, bytes],
        claims: Claims | None = None,
    ) -> None:
        """The search ended: by itself (`finished`) or stopped. `description` is Markdown; `files` by name.

        claims:  what it can claim by now; None where nothing can be claimed, or nobody asked.
        """
