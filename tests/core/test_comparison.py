"""Comparison: contenders against each other, paired by seed."""

import math

import pytest
from scipy import stats

from senas.core.block import SEBlock
from senas.core.comparison import Comparison, LossOnTest
from senas.core.config import SEConfig
from senas.core.trial import Status, Trial
from senas.errors import ScoreError

NONE, SOME = SEConfig(), SEConfig({"layer1.0": SEBlock(hidden=2)})


def training(number, config, seed, loss, status=Status.COMPLETE):
    scores = {"test_loss": loss, "se_params": 0.0, "val_loss": 9.0}
    return Trial(number=number, status=status, config=config, seed=seed, scores=scores)


def comparison(*trials, contenders=None):
    return Comparison(
        trials=trials,
        objective=LossOnTest(),
        classes=10,
        largest_params=1,
        contenders=contenders or {"none": NONE, "some": SOME},
    )


LOSSES = {NONE: [0.50, 0.41, 0.62, 0.55], SOME: [0.47, 0.40, 0.57, 0.53]}
FULL = [
    training(4 * i + seed, config, seed, loss)
    for i, (config, losses) in enumerate(LOSSES.items())
    for seed, loss in enumerate(losses)
]


def test_the_difference_is_that_of_a_paired_t_test():
    found = comparison(*FULL).difference("some", "none", "test_loss")
    test = stats.ttest_rel(LOSSES[SOME], LOSSES[NONE])
    low, high = test.confidence_interval(0.95)
    assert (found.low, found.high, found.count) == pytest.approx((low, high, 4))
    assert found.excludes_zero == (test.pvalue < 0.05)


def test_what_a_seed_does_to_both_cancels():
    assert comparison(*FULL).difference("some", "none", "test_loss").sd < 0.02
    assert comparison(*FULL).interval("some", "test_loss").sd > 0.07


def test_only_seeds_that_both_have_are_paired():
    found = comparison(*FULL[:4], FULL[5], FULL[7]).difference("some", "none", "test_loss")
    assert found.count == 2
    assert found.mean == pytest.approx(-0.015)


def test_pairs_do_not_depend_on_the_order_of_the_trainings():
    assert comparison(*reversed(FULL)).difference("some", "none", "test_loss") == comparison(*FULL).difference(
        "some", "none", "test_loss"
    )


def test_without_a_common_seed_there_is_no_difference():
    assert comparison(FULL[0], FULL[5]).difference("some", "none", "test_loss") is None


def test_a_contender_without_trainings_has_no_mean():
    assert comparison(*FULL[:4]).interval("some", "test_loss") is None


def test_trainings_that_failed_are_counted_and_left_out():
    broken = training(8, SOME, 9, math.nan, Status.FAILED)
    found = comparison(*FULL, broken)
    assert found.failed("some") == 1
    assert found.failed("none") == 0
    assert found.interval("some", "test_loss").count == 4


def test_every_pair_is_named_once_the_later_against_the_earlier():
    three = {"none": NONE, "all16": SEConfig({"a": SEBlock(hidden=1)}), "pick": SOME}
    assert comparison(contenders=three).pairs() == [("all16", "none"), ("pick", "none"), ("pick", "all16")]


def test_a_comparison_has_no_front_and_keeps_everything():
    found = comparison(*FULL)
    assert found.front() == []
    assert math.isnan(found.hypervolume())
    assert found.kept() == set(range(8))


def test_a_training_that_was_not_tested_has_no_rank():
    with pytest.raises(ScoreError, match="test_loss must be a finite number"):
        LossOnTest().values({"val_loss": 0.3})
