"""The time left: from measured trials, and humble while there are few."""

import pytest

from senas.report.time_left import TimeLeft, duration, rough


@pytest.fixture
def clock():
    def now():
        return now.seconds

    now.seconds = 100.0
    return now


def run(left, clock, *seconds, counts=True):
    for each in seconds:
        left.started()
        clock.seconds += each
        left.ended(counts=counts)


def test_nothing_is_said_before_anything_is_known(clock):
    left = TimeLeft(10, 0, [], clock)
    left.started()
    clock.seconds += 7
    assert left.words(0.0) == ""


def test_the_first_trial_tells_by_its_share_how_long_all_will_take(clock):
    left = TimeLeft(3, 0, [], clock)
    left.started()
    clock.seconds += 60
    likely, _ = left.left(0.5)
    assert likely == pytest.approx(60 + 2 * 120)
    assert left.words(0.5) == "about 5 min left"


def test_trials_of_earlier_runs_stand_in_until_this_one_has_measured(clock):
    left = TimeLeft(5, 2, [10.0, 30.0], clock)
    left.started()
    assert left.left(0.0)[0] == pytest.approx(3 * 20)
    clock.seconds += 100
    left.ended(counts=True)
    left.started()
    assert left.left(0.0)[0] == pytest.approx(2 * 100)


def test_the_running_trial_goes_by_its_own_pace(clock):
    left = TimeLeft(10, 0, [], clock)
    run(left, clock, 10, 10, 10)
    left.started()
    clock.seconds += 40
    assert left.left(0.5)[0] == pytest.approx(40 + 6 * 10)


def test_repeated_trials_are_paid_for_by_those_that_count(clock):
    left = TimeLeft(4, 0, [], clock)
    run(left, clock, 10)
    run(left, clock, 5, 5, counts=False)
    run(left, clock, 10)
    left.started()
    assert left.done == 2
    assert left.left(0.0)[0] == pytest.approx(2 * (10 + 20) / 2)


def test_pruned_trials_make_the_time_left_shorter(clock):
    whole, pruned = TimeLeft(10, 0, [], clock), TimeLeft(10, 0, [], clock)
    run(whole, clock, 10, 10)
    pruned.mark = clock.seconds
    run(pruned, clock, 10, 2)
    assert pruned.left(0.0)[0] < whole.left(0.0)[0]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [([60, 60], "about 18 min left"), ([60] * 4, "16 min 00 s left"), ([10, 120, 20, 90], "8 to 24 min left")],
    ids=["few", "equal", "unequal"],
)
def test_few_trials_are_about_equal_ones_exact_and_unequal_ones_a_range(clock, seconds, words):
    left = TimeLeft(20, 0, [], clock)
    run(left, clock, *seconds)
    left.started()
    assert left.words(0.0) == words


def test_the_last_trial_leaves_nothing_beyond_itself(clock):
    left = TimeLeft(1, 0, [], clock)
    left.started()
    clock.seconds += 30
    assert left.left(0.75) == (pytest.approx(10), 0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (45, "45 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "2 s"), (13, "15 s"), (54, "55 s"), (80, "1 min"), (3600, "60 min"), (9000, "2.5 h"), (90_000, "25 h")],
)
def test_a_rough_time_is_said_in_one_unit(seconds, words):
    assert rough(seconds) == words


def in_pairs(left, clock, *seconds):
    """Two at a time: both end after so many seconds, and the next two begin."""
    for each in seconds:
        left.started()
        left.started()
        clock.seconds += each
        left.ended(counts=True)
        left.ended(counts=True)


def test_of_several_at_a_time_the_rest_takes_what_lies_between_two_ends(clock):
    left = TimeLeft(10, 0, [], clock)
    in_pairs(left, clock, 20, 20)
    left.started()
    left.started()
    clock.seconds += 8
    likely, _ = left.left(0.5, 0.3)
    assert likely == pytest.approx((2 - 0.8) * 10 + 4 * 10)


def test_when_the_first_of_several_ended_what_the_others_have_done_counts_too(clock):
    left = TimeLeft(10, 0, [], clock)
    left.started()
    left.started()
    clock.seconds += 20
    left.ended(counts=True)
    left.started()
    assert left.left(0.95, 0.0)[0] == pytest.approx(20 / 1.95 * (10 - 1.95))


def test_of_earlier_trials_several_at_a_time_end_that_much_sooner(clock):
    left = TimeLeft(10, 0, [18.0, 22.0], clock)
    left.started()
    left.started()
    assert left.left(0.0, 0.0)[0] == pytest.approx(10 * 10)


def test_several_that_end_at_the_same_time_are_no_uncertainty(clock):
    left = TimeLeft(24, 0, [], clock)
    in_pairs(left, clock, 120, 120, 120, 120)
    left.started()
    left.started()
    assert left.words(0.0, 0.0) == "16 min 00 s left"
