"""Which seeds the trainings of a study take, and how many were asked for by name, in words."""

from collections.abc import Sequence

from senas.app.schema import SearchConfig
from senas.core.seeds import Seeds
from senas.core.trial import REPLICATES, Trial

ROTATING = {"optuna.samplers.RandomSampler", "senas.study.thompson.EffectsSampler"}
"""Samplers that no seed misleads: the one reads no results, the other tells the seed's share of them from the rest."""
USUAL = 4
"""Seeds that they take in turn, where study.seeds does not say."""


def seeds_of(config: SearchConfig) -> Seeds:
    """Of a study. Raises ConfigError for study.seeds below 1."""
    usual = USUAL if config.sampler.get("_target_") in ROTATING else 1
    return Seeds(config.study.seed, usual if config.study.seeds is None else config.study.seeds)


def replicates_of(config: SearchConfig, trials: Sequence[Trial]) -> int:
    """How many replicates a study has at most: where study.confirm does not say, half as many as trials that were not
    screened out."""
    if config.study.confirm is not None:
        return config.study.confirm
    return max(0, config.study.trials - sum(trial.screened_out for trial in trials)) // 2


def beside(trials: Sequence[Trial]) -> str:
    """What was trained beside the trials that count, to be put behind their number; nothing where there is nothing."""
    words = {"audit": "for the audit", "confirm": "to confirm"}
    counts = {origin: sum(trial.trained and trial.origin == origin for trial in trials) for origin in REPLICATES}
    told = [f"{count} trained {words[origin]}" for origin, count in counts.items() if count]
    return f" (and {', '.join(told)})" if told else ""
