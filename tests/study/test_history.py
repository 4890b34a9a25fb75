"""What a search asks of its trials that ended, beside the same read off all of them anew."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from senas.core.constraint import Constraints
from senas.core.seeds import Seeds
from senas.core.trial import AUDIT, CONFIRM, SAMPLER, Failure, Status, Trial
from senas.study.history import History

SEEDS, BOUNDS = Seeds(3, 2), Constraints(se_params=200, latency_ms=10)
STATUSES = (Status.COMPLETE, Status.COMPLETE, Status.PRUNED, Status.FAILED, Status.REJECTED)


@pytest.fixture
def trials(space, sites):
    """Many of few configurations: trained or not, repeated, audited, too large, too slow."""
    rng, configs = np.random.default_rng(0), list(islice(space, 0, 60, 7))
    made = []
    for number in range(120):
        config, status = configs[rng.integers(len(configs))], STATUSES[rng.integers(len(STATUSES))]
        size = float(config.params(sites))
        slow = {"latency_ms": 12.0} if status is Status.REJECTED and size <= 200 else {}
        made.append(
            Trial(
                number=number,
                status=status,
                config=config,
                seed=int(rng.integers(2, 6)),
                scores={} if status is Status.FAILED else {"se_params": size, **slow},
                failure=Failure.DIVERGED if status is Status.FAILED else None,
                repeats=0 if rng.random() < 0.2 else None,
                origin=(SAMPLER, SAMPLER, AUDIT, CONFIRM)[rng.integers(4)],
            )
        )
    return made


def histories(trials):
    """After each trial, with those up to it."""
    history = History(SEEDS, BOUNDS)
    for number, trial in enumerate(trials, 1):
        history.add(trial)
        yield history, trials[:number]


def test_those_that_count_are_counted(trials):
    for history, there in histories(trials):
        assert history.counted == sum(trial.counts for trial in there)


def test_the_earlier_trial_of_the_same_training_answers_or_a_rejected_one_of_any_seed(trials):
    answered = 0
    for history, there in histories(trials):
        asked = trials[len(there) % len(trials)]
        same = [trial for trial in there if trial.repeats is None and trial.config == asked.config]
        if not asked.proposed:  # whoever asks by name wants it trained
            same = [trial for trial in same if not trial.screened_out]
        expected = next((t for t in same if t.seed == asked.seed or t.status is Status.REJECTED), None)
        assert history.earlier(asked) is expected
        answered += expected is not None
    assert 20 < answered < 120


def exhausted(there, size):
    inside = [trial for trial in there if not BOUNDS.rules_out(trial.scores)]
    too_slow = {trial.config for trial in inside if trial.status is Status.REJECTED}
    tried = {(t.config, t.seed) for t in inside if t.config not in too_slow and t.seed in SEEDS}
    return len(tried) + len(too_slow) * SEEDS.rotated >= size * SEEDS.rotated


def test_all_were_tried_where_each_seed_was_or_one_was_too_slow(trials):
    found = set()
    for history, there in histories(trials):
        running = [replace(t, status=Status.RUNNING, scores={}) for t in trials[len(there) : len(there) + 2]]
        for size in range(1, 10):
            expected = exhausted([*there, *running], size)
            assert history.exhausts(size, running) is expected
            found.add((size, expected))
    assert {(1, True), (9, False), (5, True), (5, False)} <= found
