"""Jobs, results and trials: what was asked for, what came out, and what a study remembers of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from senas.core.config import SEConfig
from senas.core.objective import Scores

SAMPLER, UNTRIED, AUDIT, CONFIRM = "sampler", "untried", "audit", "confirm"
THEORY = "theory"
REPLICATES = (AUDIT, CONFIRM)
"""Origins of trainings that are asked for by name: of the noise audit, and of contenders trained again."""

SCREENED = (SAMPLER, UNTRIED)
"""Origins of proposals that a screener is asked about: starting points are always trained."""


class Status(StrEnum):
    """What became of a trial, in Optuna's words; `rejected` was not trained, because it breaks a constraint."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    REJECTED = "rejected"


class Failure(StrEnum):
    """Why training can fail without anybody being wrong."""

    DIVERGED = "diverged"
    MEMORY = "out of memory"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work for an evaluator: train this configuration with this seed for so many epochs.

    weights:     where to leave the trained weights; None keeps none.
    checkpoint:  where the training is saved after every epoch, and goes on from where it was; None saves nothing.
    test:        whether to measure the trained network on the test part too, which no search may see.
    costs:       of its network, where they were found before; the evaluator need not find them again.
    """

    config: SEConfig
    seed: int
    epochs: int
    weights: Path | None = None
    checkpoint: Path | None = None
    test: bool = False
    costs: Scores = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A training that is asked for by name, not by the sampler. origin: one of REPLICATES."""

    config: SEConfig
    seed: int
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a job.

    scores:   of the last epoch trained; empty when training failed.
    curve:    scores of every epoch, in order.
    failure:  what went wrong, and `reason` in words; None when it went well.
    """

    job: Job
    status: Status
    scores: Scores = field(default_factory=dict)
    curve: Sequence[Scores] = ()
    seconds: float = 0.0
    failure: Failure | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One proposal and what came of it.

    values:   what the objective made of the scores; empty unless complete.
    repeats:  number of the earlier trial whose result answered this one; None where it was trained.
    origin:   who proposed it: `sampler`, `start` (a starting point), `theory` (the one that earlier results give), or
              `untried` (drawn at random because the sampler kept repeating itself); `audit` and `confirm` were asked
              for by name, and proposed by nobody.
    sampler:  which one, with its options, where `origin` says `sampler`; "" where that was not recorded.
    started:  seconds since 1970.
    """

    number: int
    status: Status
    config: SEConfig
    seed: int
    scores: Scores = field(default_factory=dict)
    values: tuple[float, ...] = ()
    curve: Sequence[Mapping[str, float]] = ()
    seconds: float = 0.0
    started: float = 0.0
    failure: Failure | None = None
    reason: str = ""
    repeats: int | None = None
    origin: str = SAMPLER
    sampler: str = ""

    @property
    def trained(self) -> bool:
        """Whether its own training ended, well or not: not rejected, and not answered from an earlier one."""
        untrained = self.status in (Status.RUNNING, Status.REJECTED) or self.screened_out
        return self.repeats is None and not untrained

    @property
    def screened_out(self) -> bool:
        """Whether a screener found it not worth a training: pruned before its first epoch."""
        return self.status is Status.PRUNED and not self.curve and self.repeats is None

    @property
    def proposed(self) -> bool:
        """Whether it is part of the search; audits and replicates are beside it."""
        return self.origin not in REPLICATES

    @property
    def counts(self) -> bool:
        """Whether it counts towards `study.trials`: proposed, and trained or screened out."""
        return self.proposed and (self.trained or self.screened_out)
