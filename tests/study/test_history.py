"""What a search asks of its trials that ended, beside the same read off all of them anew."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from senas.core.config import SEConfig
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


def histories(trials, screens=True):
    """After each trial, with those up to it."""
    history = History(SEEDS, BOUNDS, screens)
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
        same = [trial for trial in same if trial.seed == asked.seed or trial.status is Status.REJECTED]
        trained = [trial for trial in same if not trial.screened_out]
        if not asked.proposed:  # whoever asks by name wants it trained
            same = trained
        expected = next(iter([*trained, *same]), None)
        assert history.earlier(asked) is expected
        answered += expected is not None
    assert 20 < answered < 120


def exhausted(there, size):
    inside = [trial for trial in there if trial.repeats is None and not BOUNDS.rules_out(trial.scores)]
    too_slow = {trial.config for trial in inside if trial.status is Status.REJECTED}
    tried = {(t.config, t.seed) for t in inside if t.config not in too_slow and t.seed in SEEDS}
    return len(tried) + len(too_slow) * SEEDS.rotated >= size * SEEDS.rotated


def test_all_were_tried_where_each_seed_was_or_one_was_too_slow(trials):
    found = set()
    for history, there in histories(trials):
        begun = {(trial.config, trial.seed): trial for trial in trials[len(there) : len(there) + 2]}.values()
        running = [replace(trial, status=Status.RUNNING, scores={}, repeats=None) for trial in begun]
        for size in range(1, 10):
            expected = exhausted([*there, *running], size)
            assert history.exhausts(size, running) is expected
            found.add((size, expected))
    assert {(1, True), (9, False), (5, True), (5, False)} <= found


def of(number, status, **fields):
    curve = ({},) if status is Status.COMPLETE else ()
    return Trial(number=number, status=status, config=SEConfig(), seed=3, curve=curve, **fields)


def test_the_training_of_what_was_screened_out_answers_and_not_that_it_was():
    history = History(SEEDS, BOUNDS, screens=True)
    out, trained = of(0, Status.PRUNED), of(1, Status.COMPLETE, origin=AUDIT)
    history.add(out)
    assert history.earlier(of(9, Status.RUNNING)) is out
    history.add(trained)
    assert history.earlier(of(9, Status.RUNNING)) is trained


def test_where_nothing_is_screened_any_more_what_was_screened_out_is_still_to_be_tried():
    for screens in (True, False):
        history = History(Seeds(3, 1), BOUNDS, screens)
        history.add(of(0, Status.PRUNED))
        history.add(of(1, Status.PRUNED, repeats=0))
        assert (history.earlier(of(9, Status.RUNNING)) is not None) is screens
        assert history.exhausts(1, ()) is screens
        assert history.counted == 1
