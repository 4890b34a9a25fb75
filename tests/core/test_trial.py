"""Trials: which of them count."""

import pytest

from senas.core.config import SEConfig
from senas.core.trial import REPLICATES, Job, Status, Trial


@pytest.mark.parametrize(
    ("status", "counts"),
    [(Status.COMPLETE, True), (Status.PRUNED, True), (Status.FAILED, True), (Status.RUNNING, False)],
)
def test_every_trial_that_ended_counts(status, counts):
    assert Trial(number=0, status=status, config=SEConfig(), seed=0).counts is counts


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.PRUNED, Status.FAILED])
def test_a_trial_answered_from_an_earlier_one_does_not_count(status):
    assert not Trial(number=1, status=status, config=SEConfig(), seed=0, repeats=0).counts


@pytest.mark.parametrize("origin", REPLICATES)
def test_what_was_asked_for_by_name_is_trained_and_does_not_count(origin):
    trial = Trial(number=1, status=Status.COMPLETE, config=SEConfig(), seed=0, origin=origin)
    assert trial.trained
    assert not trial.proposed
    assert not trial.counts


@pytest.mark.parametrize("origin", ["sampler", "start", "untried", "schedule"])
def test_every_proposal_counts_whoever_made_it(origin):
    assert Trial(number=1, status=Status.COMPLETE, config=SEConfig(), seed=0, origin=origin).counts


def test_jobs_of_equal_contents_are_equal():
    assert Job(SEConfig(), 1, 3) == Job(SEConfig({"layer1.0": None}), 1, 3) != Job(SEConfig(), 2, 3)
