"""Which samplers proposed a study's trials, in words: a study may be resumed with another one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from senas.core.trial import SAMPLER, Trial


def words_of(made: Mapping[str, Any]) -> str:
    """A sampler or a pruner with its options: `TPESampler, n_startup_trials 10`."""
    target = str(made.get("_target_") or "none").rpartition(".")[2]
    return ", ".join([target, *(f"{key} {value}" for key, value in made.items() if key != "_target_")])


def samplers(trials: Sequence[Trial], asked: Mapping[str, Any]) -> str:
    """Which proposed the trials that count, in order, and how many where there were several.

    asked:  the one that is configured now, for studies whose trials do not say by which they were proposed.
    """
    counts = Counter(trial.sampler for trial in trials if trial.counts and trial.origin == SAMPLER)
    if set(counts) <= {""}:
        return words_of(asked)
    if len(counts) == 1:
        return next(iter(counts))
    return ", then ".join(
        f"{name or 'one that was not recorded'} ({count} trial{'s' * (count > 1)})" for name, count in counts.items()
    )
