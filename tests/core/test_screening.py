"""Whether a ranking by shared weights is believed, and which proposals it rules out: synthetic rankings."""

import math

import numpy as np
import pytest

from senas.core.block import SEBlock
from senas.core.config import SEConfig
from senas.core.objective import MINUS, Pareto, Penalized
from senas.core.rungs import kendall
from senas.core.screening import FEWEST, OFTEN, Compared, Contenders, ranked_by, taus, trained_first, worth
from senas.core.trial import Status, Trial
from senas.errors import ConfigError

NONE = SEConfig()


def config(number):
    """Another one for each number."""
    return SEConfig({"layer1.0": SEBlock(hidden=1 + number)})


def compared(rng, count=FEWEST, *, shared=0.0, blocks=0.0, backward=False):
    """Trainings by themselves, and two rankings: each has so much of what they came to, the rest is noise."""
    truth = rng.normal(size=count)

    def ranking(part):
        return part * truth + math.sqrt(1 - part**2) * rng.normal(size=count)

    screened = ranking(shared)
    return Compared(-screened if backward else screened, truth, np.round(2 * ranking(blocks)))


def test_a_strong_ranking_is_believed():
    found = worth(compared(np.random.default_rng(0), shared=0.9, blocks=0.3))
    assert found.ranks
    assert found.count == FEWEST
    assert found.words.endswith("shared weights rank the proposals")


@pytest.mark.parametrize("blocks", [0.0, 0.5, -0.5])
def test_noise_is_not(blocks):
    found = worth(compared(np.random.default_rng(1), blocks=blocks))
    assert not found.ranks
    assert "step aside" in found.words


@pytest.mark.parametrize("blocks", [0.0, 0.5, -0.9])
def test_nor_is_a_backward_one_however_badly_counting_does(blocks):
    found = worth(compared(np.random.default_rng(2), shared=0.9, blocks=blocks, backward=True))
    assert found.tau.high < 0
    assert not found.ranks


@pytest.mark.parametrize("direction", [1, -1])
def test_counting_blocks_in_either_direction_is_not_better_than_itself(direction):
    known = compared(np.random.default_rng(3), blocks=0.8)
    blocks = direction * known.blocks
    found = worth(known._replace(shared=known.blocks, blocks=blocks))
    assert (found.over.mean, found.over.low, found.over.high) == (0, 0, 0)
    assert found.fewer == (direction > 0)
    assert not found.ranks


def test_a_ranking_of_equal_numbers_of_blocks_has_tau_0():
    known = compared(np.random.default_rng(4), shared=0.9)
    found = worth(known._replace(blocks=np.full(FEWEST, 3.0)))
    assert (found.blocks.mean, found.blocks.low, found.blocks.high) == (0, 0, 0)
    assert found.over == found.tau
    assert "-0.00" not in found.words


@pytest.mark.slow
@pytest.mark.parametrize(("shared", "blocks"), [(0.0, 0.0), (0.5, 0.5)])
def test_what_is_no_better_than_counting_is_believed_about_as_seldom_as_the_level_says(shared, blocks):
    rng = np.random.default_rng(5)
    believed = np.mean([worth(compared(rng, shared=shared, blocks=blocks)).ranks for _ in range(300)])
    assert believed <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


@pytest.mark.slow
def test_intervals_hold_the_tau_of_all_configurations_there_are():
    rng = np.random.default_rng(6)
    everything = compared(rng, 2000, shared=0.6)
    true = kendall(everything.shared, everything.alone)
    held = []
    for _ in range(200):
        some = rng.integers(2000, size=FEWEST)
        tau = worth(Compared(*(ranking[some] for ranking in everything))).tau
        held.append(tau.low <= true <= tau.high)
    assert 0.82 <= np.mean(held) <= 0.97


def test_several_studies_are_compared_each_within_itself():
    rng = np.random.default_rng(7)
    one, other = compared(rng, shared=0.9), compared(rng, shared=0.9)
    worse = other._replace(alone=other.alone + 100)  # another data set: its losses are no worse for that
    assert worth(one, worse).tau == worth(one, other).tau
    mean = (kendall(one.shared, one.alone) + kendall(other.shared, other.alone)) / 2
    assert worth(one, other).tau.mean == pytest.approx(mean)


def test_an_item_that_is_drawn_twice_is_tied_with_itself():
    rng = np.random.default_rng(8)
    one, other = rng.integers(5, size=12).astype(float), rng.normal(size=12)
    times = rng.multinomial(12, np.full(12, 1 / 12), 20)
    drawn = [kendall(np.repeat(one, n), np.repeat(other, n)) for n in times]
    assert taus(one, other, times.astype(float)) == pytest.approx(drawn)


# What was trained


def trial(number, which, loss=1.0, **fields):
    fields = {"status": Status.COMPLETE, "seed": 0, **fields}
    return Trial(number=number, config=which, scores={"val_loss": loss}, **fields)


def test_those_trained_first_are_taken_whatever_comes_later():
    first = [trial(n, config(n), n) for n in range(3)]
    later = [trial(3, config(3), 7.0), trial(4, config(0), 9.0), trial(5, config(1), 9.0, seed=1)]
    found = trained_first(first, 3, "val_loss")
    assert found == {config(n): n for n in range(3)}
    assert trained_first([*later[:1], *first[::-1]], 3, "val_loss") == found
    assert trained_first([*first, later[0]], 3, "val_loss") == found


def test_a_second_seed_of_one_of_them_before_the_last_is_averaged():
    trials = [trial(0, NONE, 1.0), trial(1, NONE, 2.0, seed=1), trial(2, config(0), 5.0)]
    assert trained_first(trials, 2, "val_loss") == {NONE: 1.5, config(0): 5.0}


@pytest.mark.parametrize(
    "fields",
    [{"status": Status.FAILED}, {"status": Status.PRUNED}, {"status": Status.REJECTED}, {"repeats": 0}],
    ids=str,
)
def test_what_was_not_trained_to_its_end_is_left_out(fields):
    assert trained_first([trial(0, NONE), trial(1, config(0), **fields)], 2, "val_loss") == {NONE: 1.0}


def test_what_a_seed_adds_to_all_is_taken_off():
    count = 2 * OFTEN
    losses = np.random.default_rng(9).normal(size=count)
    shifted = [trial(n, config(n), losses[n] + 10 * (n % 2), seed=n % 2) for n in range(count)]
    found = list(trained_first(shifted, count, "val_loss").values())
    parts = [losses[0::2].mean(), losses[1::2].mean()]
    expected = [loss - parts[n % 2] + losses.mean() + 5 for n, loss in enumerate(losses)]
    assert found == pytest.approx(expected)


def test_what_few_trainings_say_of_a_seed_is_not():
    trials = [trial(n, config(n), float(n), seed=n % 2) for n in range(2 * OFTEN - 2)]
    assert list(trained_first(trials, 99, "val_loss").values()) == [float(n) for n in range(2 * OFTEN - 2)]


# Contenders


def seen(*pairs, name="shared_val_loss"):
    """Configurations with these (loss, SE parameters)."""
    return {config(n): {name: loss, "se_params": params} for n, (loss, params) in enumerate(pairs)}


def ruled_out(own, others, keep=0.25, objective=None):
    contenders = Contenders.by(objective or Penalized(0.1, 1000), keep)
    scores = {contenders.shared: own[0], "se_params": own[1]}
    return contenders.reason(NONE, scores, seen(*others, name=contenders.shared))


def test_the_best_quarter_is_trained_and_the_rest_is_told_its_rank():
    others = [(0.1 * n, 10) for n in range(1, 8)]
    assert ruled_out((0.15, 10), others) == ""
    assert ruled_out((0.25, 10), others) == "no contender: shared_val_loss 0.2500 is number 3 of 8 that cost no more"


def test_a_larger_share_keeps_more():
    others = [(0.1 * n, 10) for n in range(1, 8)]
    assert ruled_out((0.45, 10), others, keep=0.5)
    assert ruled_out((0.35, 10), others, keep=0.5) == ""


@pytest.mark.parametrize("objective", [Penalized(0.1, 1000), Pareto(("val_loss", "se_params"))], ids=["one", "two"])
def test_a_small_network_is_not_ruled_out_by_larger_ones(objective):
    others = [(0.1, 100)] * 7
    assert ruled_out((0.9, 99), others, objective=objective) == ""
    assert ruled_out((0.9, 100), others, objective=objective)


def test_what_no_other_beats_is_always_trained():
    rng = np.random.default_rng(10)
    points = [(rng.normal(), int(rng.integers(100))) for _ in range(60)]
    for n, (loss, params) in enumerate(points):
        others = points[:n] + points[n + 1 :]
        if not any(a < loss and b <= params for a, b in others):
            assert ruled_out((loss, params), others, keep=0.01) == ""


def test_where_size_says_nothing_about_a_quarter_is_trained():
    rng = np.random.default_rng(11)
    points = [(rng.normal(), int(rng.integers(100))) for _ in range(160)]
    kept = [ruled_out(points[n], points[:n]) == "" for n in range(30, 160)]
    assert 0.18 <= np.mean(kept) <= 0.32


def test_another_cost_that_is_an_objective_protects_too():
    contenders = Contenders.by(Pareto(("val_loss", "latency_ms")), 0.25)
    assert contenders.costs == ("se_params", "latency_ms")
    others = {key: {**scores, "latency_ms": 2.0} for key, scores in seen(*[(0.1, 10)] * 7).items()}
    own = {"shared_val_loss": 0.9, "se_params": 10}
    assert contenders.reason(NONE, {**own, "latency_ms": 1.0}, others) == ""
    assert contenders.reason(NONE, {**own, "latency_ms": 2.0}, others)


def test_of_a_metric_of_which_more_is_better_the_highest_are_trained():
    objective = Penalized(0.1, 1000, f"{MINUS}f1")
    others = [(0.1 * n, 10) for n in range(1, 8)]
    assert ruled_out((0.75, 10), others, objective=objective) == ""
    assert "shared_f1 0.1500 is number 7 of 8" in ruled_out((0.15, 10), others, objective=objective)


def test_a_configuration_is_no_rival_of_itself():
    contenders = Contenders.by(Penalized(0.1, 1000), 0.25)
    scores = {"shared_val_loss": 0.5, "se_params": 10}
    assert contenders.reason(config(0), scores, {config(0): {**scores, "shared_val_loss": 0.1}}) == ""


def test_a_study_between_two_scores_of_training_is_refused():
    with pytest.raises(ConfigError, match=r"evaluator=supernet ranks by one score .* 2: val_loss, f1; name one"):
        ranked_by(Pareto(("val_loss", "f1"), own=("f1",)))


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (Penalized(0.1, 10), "val_loss"),
        (Penalized(0.1, 10, "val_error"), "val_error"),
        (Pareto(("se_params", "val_error")), "val_error"),
        (Pareto(("se_params", "macs")), "val_loss"),
    ],
    ids=lambda each: each if isinstance(each, str) else each.words,
)
def test_the_score_that_ranks_is_the_one_that_networks_are_trained_for(objective, expected):
    assert ranked_by(objective) == expected
