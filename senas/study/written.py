"""A trial as Optuna keeps it, and back: what is written down is all of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from senas.core.config import SEConfig
from senas.core.space import SearchSpace
from senas.core.trial import SAMPLER, Failure, Status, Trial
from senas.errors import StudyError

STATES = {
    Status.COMPLETE: TrialState.COMPLETE,
    Status.PRUNED: TrialState.PRUNED,
    Status.FAILED: TrialState.FAIL,
    Status.REJECTED: TrialState.PRUNED,  # with the constraint it breaks; a failed one would teach the sampler nothing
}
STATUSES = {
    TrialState.COMPLETE: Status.COMPLETE,
    TrialState.PRUNED: Status.PRUNED,  # or rejected: its record says so
    TrialState.FAIL: Status.FAILED,
}
RECORD = "senas"
"""The user attribute of a trial that holds all of senas's record of it, and of a study that holds its fingerprint."""
ORIGIN, SEED = "origin", "seed"
"""User attributes of a trial that say who proposed it and its seed, where that is not the sampler and its number's."""


def record_of(trial: Trial) -> dict[str, Any]:
    record: dict[str, Any] = {
        "config": str(trial.config),
        "seed": trial.seed,
        "scores": dict(trial.scores),
        "curve": [dict(scores) for scores in trial.curve],
        "seconds": trial.seconds,
    }
    if trial.failure is not None:
        record["failure"] = str(trial.failure)
    if trial.status is Status.REJECTED:
        record["rejected"] = True
    if trial.reason:
        record["reason"] = trial.reason
    if trial.repeats is not None:
        record["repeats"] = trial.repeats
    if trial.sampler:
        record["sampler"] = trial.sampler
    return record


def config_of(frozen: FrozenTrial, space: SearchSpace) -> SEConfig | None:
    """What a trial proposes; None while that is being asked for."""
    if any(choice.name not in frozen.params for choice in space.choices):
        return None
    return space.draw(lambda name, _: str(frozen.params[name]))


def trial_of(frozen: FrozenTrial, space: SearchSpace) -> Trial:
    record = frozen.user_attrs.get(RECORD)
    if record is None:
        # Ended by another program (optuna-dashboard, an upgrade of the storage): there is nothing to read off it.
        raise StudyError(f"trial {frozen.number} was not recorded by senas; this is not a study of senas")
    return Trial(
        number=frozen.number,
        status=Status.REJECTED if record.get("rejected") else STATUSES[frozen.state],
        config=space.draw(lambda name, _: str(frozen.params[name])),
        seed=record["seed"],
        scores=record["scores"],
        values=tuple(frozen.values) if frozen.state is TrialState.COMPLETE else (),
        curve=tuple(record["curve"]),
        seconds=record["seconds"],
        started=frozen.datetime_start.timestamp() if frozen.datetime_start else 0.0,
        failure=Failure(record["failure"]) if "failure" in record else None,
        reason=record.get("reason", ""),
        repeats=record.get("repeats"),
        origin=frozen.user_attrs.get(ORIGIN, SAMPLER),
        sampler=record.get("sampler", ""),
    )


@dataclass(slots=True)
class Ended:
    """The trials of a study that ended, each read once: they do not change any more."""

    space: SearchSpace
    known: dict[int, Trial] = field(default_factory=dict)

    def read(self, frozen: Iterable[FrozenTrial]) -> list[Trial]:
        """Those that ended of these, as senas has them."""
        return [self._read(trial) for trial in frozen if trial.state in STATUSES]

    def _read(self, frozen: FrozenTrial) -> Trial:
        if frozen.number not in self.known:
            self.known[frozen.number] = trial_of(frozen, self.space)
        return self.known[frozen.number]
