"""When a search gives up: what it does next would end as the last trials did."""

from collections.abc import Sequence
from itertools import islice, takewhile

from senas.core.constraint import MEASURED
from senas.core.trial import Failure, Trial
from senas.errors import EvaluationError

FAILURES_IN_A_ROW = 3
SLOW_IN_A_ROW = 100
"""Configurations that were measured and found too slow, until the search gives up."""


def untrained(trials: Sequence[Trial]) -> list[Trial]:
    """The last proposals, up to one that was trained or screened out. Audits and replicates are no proposals."""
    proposed = (trial for trial in reversed(trials) if trial.proposed)
    return list(takewhile(lambda trial: not trial.counts, proposed))


def stop_when_hopeless(trials: Sequence[Trial]) -> None:
    """Raises EvaluationError, naming the key to change, where trials fail alike in a row or are all too slow."""
    last = list(islice((trial for trial in reversed(trials) if trial.trained), FAILURES_IN_A_ROW))
    if len(last) == FAILURES_IN_A_ROW and last[0].failure and len({trial.failure for trial in last}) == 1:
        key = "evaluator.workers" if last[0].failure is Failure.KILLED else "trainer.lr"
        raise EvaluationError(
            f"the last {FAILURES_IN_A_ROW} trials failed in the same way, {last[0].failure}: {last[0].reason}; "
            f"lower {key} or trainer.batch_size, or choose a smaller backbone"
        )
    slow = untrained(trials)
    if len([t for t in slow if MEASURED in t.scores and t.repeats is None]) >= SLOW_IN_A_ROW:
        raise EvaluationError(
            f"the last {SLOW_IN_A_ROW} configurations that were measured were all too slow, such as "
            f"{slow[0].reason}; raise space.constraints.{MEASURED}"
        )
