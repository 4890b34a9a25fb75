"""Closed forms of SE, each against its own minimisation problem solved by numbers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from senas.core.block import Placement, SEBlock, Squeeze
from senas.core.certainty import Estimate
from senas.core.config import SEConfig
from senas.core.objective import Penalized
from senas.core.site import Former, Place, Site
from senas.core.space import Axes, search_space
from senas.core.theory import (
    RatioTheory,
    best_blocks,
    best_gate,
    best_ratio,
    gate_macs,
    kappa_of,
    price,
    rectified,
    shrunken,
    signal_to_noise,
)

few = settings(max_examples=25)
GOLDEN = (math.sqrt(5) - 1) / 2
P = (Placement.STANDARD, Placement.PRE)


def least(f, low, high):
    """Where a function with one minimum is least: golden-section search."""
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    while high - low > 1e-10 * max(1.0, abs(high)):
        if f(a) < f(b):
            high, b = b, a
            a = high - GOLDEN * (high - low)
        else:
            low, a = a, b
            b = low + GOLDEN * (high - low)
    return (low + high) / 2


def positive(low, high):
    return st.floats(math.log(low), math.log(high)).map(math.exp)


@few
@given(positive(1e-12, 1e-2), st.integers(8, 2048), positive(1e-8, 1e-1))
def test_the_best_ratio_is_where_loss_and_price_together_are_least(lam, channels, kappa):
    def total(log_r):
        r = math.exp(log_r)
        return kappa / 2 * r**2 + lam * channels**2 / r

    found = math.exp(least(total, math.log(1e-4), math.log(1e7)))
    assert best_ratio(lam, channels, kappa) == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize("wrong", [(0.0, 16, 1.0), (1.0, 16, 0.0), (1.0, 16, -1.0)])
def test_without_a_price_or_a_kappa_there_is_no_best_ratio(wrong):
    with pytest.raises(ValueError, match="above 0"):
        best_ratio(*wrong)


@few
@given(st.integers(16, 256), positive(1e-3, 1.0), positive(1e-6, 1e-2), st.integers(10**5, 10**8))
def test_the_studys_own_objective_is_least_at_the_widths_beside_the_best_ratio(channels, penalty, kappa, largest):
    objective = Penalized(penalty, largest)

    def value(hidden):
        params = SEBlock(hidden=hidden, bias=False).params(channels)
        return objective.values({"val_loss": kappa / 2 * (channels / hidden) ** 2, "se_params": params})[0]

    best = min(range(1, 2 * channels), key=value)  # as a number: a block may well be wider than what it gates
    width = min(channels / best_ratio(price(penalty, largest), channels, kappa), 2 * channels - 1)
    assert best in {max(1, math.floor(width)), max(1, math.ceil(width))}


@pytest.mark.parametrize("channels", [16, 64, 512])
def test_biases_move_the_best_ratio_by_as_much_as_is_said(channels):
    kappa, penalty, largest = 1e-3, 0.1, 100_000

    def total(r):
        return kappa / 2 * r**2 + penalty / largest * (2 * channels**2 / r + channels / r)

    with_biases = least(total, 0.01, 1e3)
    moved = with_biases / best_ratio(price(penalty, largest), channels, kappa)
    assert moved == pytest.approx((1 + 1 / (2 * channels)) ** (1 / 3), rel=1e-5)


def test_two_sites_with_one_ratio_have_the_root_mean_square_of_their_channels():
    lam, kappa = 1e-6, 1e-3

    def total(r):
        return sum(kappa / 2 * r**2 + lam * channels**2 / r for channels in (16, 64))

    root = math.sqrt((16**2 + 64**2) / 2)
    assert best_ratio(lam, root, kappa) == pytest.approx(least(total, 0.01, 1e3), rel=1e-5)


RATIOS = [2, 4, 8, 16, 32]
TOP1 = [22.29, 22.25, 22.26, 22.28, 22.72]  # Hu et al., ratios of SE-ResNet-50: top-1 error in percent


def test_the_papers_own_table_is_flat_from_2_to_16():
    kappa = kappa_of(RATIOS[:4], TOP1[:4])
    assert kappa.low < 0 < kappa.high
    assert not RatioTheory(kappa, 1e-6, tuple(RATIOS[:4]), 20).identified


def test_a_known_kappa_is_found_in_a_table():
    kappa = kappa_of(RATIOS, [22.0 + 0.003 / 2 * r**2 for r in RATIOS])
    assert (kappa.mean, kappa.low, kappa.high) == pytest.approx([0.003] * 3)


def test_the_interval_of_a_tables_kappa_holds_it_nine_times_in_ten():
    rng = np.random.default_rng(0)
    tables = [[2e-3 / 2 * r**2 + rng.normal(0.0, 0.1) for r in RATIOS] for _ in range(1000)]
    held = [(found := kappa_of(RATIOS, table)).low <= 2e-3 <= found.high for table in tables]
    assert 0.87 < np.mean(held) < 0.93


def test_two_ratios_leave_a_table_no_noise_to_see():
    with pytest.raises(ValueError, match="three different ratios"):
        kappa_of([4, 16, 16], [1.0, 2.0, 2.1])


def test_the_ends_of_the_best_ratio_are_those_of_kappa():
    theory = RatioTheory(Estimate(2e-4, 1e-4, 4e-4), 1e-6, (4.0, 16.0), 20)
    best = theory.best(64)
    assert theory.identified
    assert (best.mean, best.low, best.high) == tuple(best_ratio(1e-6, 64, kappa) for kappa in (2e-4, 4e-4, 1e-4))


@pytest.mark.parametrize(
    "theory",
    [
        RatioTheory(Estimate(1e-4, -1e-5, 2e-4), 1e-6, (4.0, 16.0), 20),
        RatioTheory(Estimate(-1e-4, -2e-4, -1e-5), 1e-6, (4.0, 16.0), 20),
        RatioTheory(Estimate(1e-4, 1e-5, 2e-4), 1e-6, (4.0, 16.0), 7),
        RatioTheory(None, 1e-6, (4.0,), 20),
        RatioTheory(Estimate(1e-4, 1e-5, 2e-4), None, (4.0, 16.0), 20),
    ],
)
def test_without_a_kappa_above_zero_enough_to_see_it_by_and_a_penalty_the_theory_has_no_best_ratio(theory):
    assert theory.best(64) is None


SITES = tuple(Site(f"layer{n}.0", dict.fromkeys(P, Place(c, 8, 8)), Place(c, 8, 8)) for n, c in ((1, 16), (2, 64)))
SPACE = search_space(SITES, Axes(reduction=(2, 4, 8, 16), placement=P))


@pytest.mark.parametrize("kappa", [1e-6, 3e-5, 1e-4, 1e-3, 1e-2])
def test_the_best_blocks_are_the_best_of_all_with_se_everywhere(kappa):
    def total(config):
        squares = sum((site.seen(block).channels / block.hidden) ** 2 for site, block in config.on(SITES))
        return kappa / 2 * squares + 0.1 * config.params(SITES) / SPACE.largest_params

    everywhere = [
        config
        for config in SPACE
        if len(config) == 2 and all(block.placement is Placement.STANDARD for block in config.values())
    ]
    assert best_blocks(SPACE, kappa, 0.1) == min(everywhere, key=total)


def test_wide_sites_get_higher_ratios():
    blocks = best_blocks(SPACE, 1e-3, 0.1)
    assert 16 / blocks["layer1.0"].hidden < 64 / blocks["layer2.0"].hidden


def test_the_usual_placement_is_the_theorys_whatever_comes_first():
    turned = search_space(SITES, Axes(reduction=(2, 16), placement=P[::-1]))
    assert {block.placement for block in best_blocks(turned, 1e-4, 0.1).values()} == {Placement.STANDARD}


def test_a_placement_that_is_not_offered_is_not_the_theorys_to_choose():
    pre = search_space(SITES, Axes(reduction=(2, 16), placement=(Placement.PRE,)))
    assert {block.placement for block in best_blocks(pre, 1e-4, 0.1).values()} == {Placement.PRE}


def test_sites_that_share_a_ratio_get_the_one_that_is_best_for_both():
    tied = search_space(SITES, Axes(per="network", reduction=(2, 4, 8, 16), placement=P))
    blocks = best_blocks(tied, 1e-4, 0.1)
    assert len({site.seen(blocks[site.name]).channels / blocks[site.name].hidden for site in SITES}) == 1


def test_where_no_option_is_a_block_of_ours_there_is_none():
    former = Former(Placement.STANDARD, None, 144, 128)
    kept = Site("layer1.0", {Placement.STANDARD: Place(16, 8, 8)}, Place(16, 8, 8), former)
    assert best_blocks(search_space((kept,), Axes(reduction=())), 1e-4, 0.1) == SEConfig()


channels = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(-3, 3), min_size=n, max_size=n),
        st.lists(st.floats(0.05, 4), min_size=n, max_size=n),
        st.lists(st.floats(0.2, 3), min_size=n, max_size=n),
    )
)


@few
@given(channels, st.floats(-2, 2))
def test_the_best_gate_solves_the_normal_equations_of_its_problem(parts, target):
    means, variances, readout = map(np.array, parts)
    seen = readout * means
    solved = np.linalg.solve(np.outer(seen, seen) + np.diag(readout**2 * variances), target * seen)
    assert best_gate(means, variances, target=target, readout=readout) == pytest.approx(solved, abs=1e-9)


def test_the_best_gate_is_what_least_squares_finds_in_samples():
    rng = np.random.default_rng(0)
    means, variances = np.array([1.0, 0.5, 0.0, -1.0, 2.0]), np.array([0.5, 1.0, 1.0, 2.0, 4.0])
    samples = means + rng.normal(size=(400_000, 5)) * np.sqrt(variances)
    found = np.linalg.lstsq(samples, np.full(len(samples), 1.5), rcond=None)[0]
    assert best_gate(means, variances, target=1.5) == pytest.approx(found, abs=0.005)


def test_the_best_gates_are_proportional_to_mean_over_variance():
    means, variances = np.array([1.0, 2.0, 0.1]), np.array([0.5, 3.0, 0.2])
    ratios = best_gate(means, variances) / (means / variances)
    assert ratios == pytest.approx(ratios[0])


@few
@given(st.floats(-5, 5), positive(1e-3, 1e3), positive(1e-3, 1e3))
def test_the_shrunken_gate_is_where_error_and_penalty_together_are_least(b, variance, penalty):
    found = least(lambda g: variance * (b - g) ** 2 + penalty * g**2, -6.0, 6.0)
    assert shrunken(b, variance, penalty) == pytest.approx(found, abs=1e-5)


def test_the_shrunken_gate_is_what_ridge_regression_finds_in_samples():
    rng = np.random.default_rng(0)
    x, penalty = rng.normal(0.0, 2.0, 200_000), 3.0
    extended = np.append(x, math.sqrt(penalty * len(x)))
    found = np.linalg.lstsq(extended[:, None], np.append(0.7 * x, 0.0), rcond=None)[0][0]
    assert shrunken(0.7, 4.0, penalty) == pytest.approx(found, abs=0.002)


@pytest.mark.parametrize(("squeeze", "locations"), [(Squeeze.AVG, 1), (Squeeze.LOCAL, 7 * 5)])
@pytest.mark.parametrize(("channels", "ratio"), [(16, 4), (512, 16)])
def test_a_gate_costs_what_its_block_counts(squeeze, locations, channels, ratio):
    block = SEBlock(hidden=channels // ratio, squeeze=squeeze)
    assert gate_macs(channels, ratio, locations) == block.macs(channels, 7, 5)


@few
@given(st.floats(-2, 2), st.floats(0.3, 3))
def test_the_moments_of_a_rectified_normal_are_its_integrals(mean, sd):
    x = np.linspace(0.0, mean + 12 * sd, 20_001) if mean + 12 * sd > 0 else np.zeros(2)
    density = np.exp(-(((x - mean) / sd) ** 2) / 2) / (sd * math.sqrt(2 * math.pi))
    first, second = (float((x**n * density).sum() * (x[1] - x[0])) for n in (1, 2))
    assert rectified(mean, sd) == pytest.approx((first, second - first**2), abs=1e-5)


@few
@given(st.floats(-2, 2), st.floats(0.3, 3), st.floats(0.01, 10))
def test_a_positive_gate_gives_the_same_signal_to_noise_before_a_relu_as_behind_it(mean, sd, gate):
    before = signal_to_noise(*rectified(gate * mean, gate * sd))
    first, variance = rectified(mean, sd)
    assert before == pytest.approx(signal_to_noise(gate * first, gate**2 * variance), rel=1e-6)


def test_a_negative_gate_does_not():
    before = signal_to_noise(*rectified(-1.0, 1.0))
    first, variance = rectified(1.0, 1.0)
    assert before < 0.5 * signal_to_noise(-first, variance)
