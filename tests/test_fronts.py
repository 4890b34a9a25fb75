"""What claimed fronts come to, of studies/benchmarks/fronts.py, and the plain script's front."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from senas.core.block import Placement
from senas.core.space import Axes, search_space
from senas.model.backbones import named
from senas.model.sites import trace

BENCHMARKS = Path(__file__).parents[1] / "studies" / "benchmarks"


@pytest.fixture(scope="module")
def script():
    """Gives a script of the benchmarks, which import each other by name, as a module."""

    def loaded(name):
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        return sys.modules[name]

    yield loaded
    for name in ("fronts", "front_told", "plain", "plain_front"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def fronts(script):
    return script("fronts")


@pytest.fixture(scope="module")
def told(script, fronts):
    return script("front_told")


@pytest.fixture
def truth(fronts):
    loss = {"none": 1.0, "small": 0.8, "large": 0.5, "bad": 1.2}
    return fronts.Truth(loss, {"none": 0.0, "small": 10.0, "large": 50.0, "bad": 20.0}, 100.0, "none")


def points(fronts, truth, **claimed):
    return [fronts.Point(config, loss, truth.params[config]) for config, loss in claimed.items()]


def test_a_set_s_area_is_what_it_is_below_no_se(truth):
    assert truth.area(["none", "small", "large", "bad"]) == pytest.approx(0.2 * 40 + 0.5 * 50)


def test_what_is_not_better_than_no_se_has_no_area(truth):
    assert truth.area(["none", "bad"]) == 0


def test_claims_that_are_true_are_worth_their_hypervolume(fronts, truth):
    claim = points(fronts, truth, none=1.0, small=0.8, large=0.5)
    assert truth.followed(claim) == pytest.approx(truth.area(["none", "small", "large"]))


def test_a_point_that_is_claimed_too_low_stands_in_the_way_of_a_better_one(fronts, truth):
    claim = points(fronts, truth, bad=0.1, large=0.5)
    assert truth.followed(claim) == pytest.approx(-0.2 * 80)
    assert truth.area(["bad", "large"]) > 0


def test_claiming_more_that_is_not_taken_changes_nothing(fronts, truth):
    few = points(fronts, truth, small=0.4)
    assert truth.followed([*few, *points(fronts, truth, large=0.6)]) == truth.followed(few)


@pytest.fixture
def anew(fronts):
    """Gives what was trained with 8 seeds each: true losses of configurations whose SE parameters are 10, 20, ..."""

    def made(losses, noise, seed=0):
        true = {"none": 1.0} | {f"c{n}": loss for n, loss in enumerate(losses)}
        rng = np.random.default_rng(seed)
        fresh = {config: loss + noise * rng.normal(size=8) for config, loss in true.items()}
        params = {config: 10.0 * n for n, config in enumerate(true)}
        return fronts.Anew(fresh, params, 10.0 * (len(losses) + 2), "none")

    return made


def areas(anew, losses, configs, times=300):
    """Mean area over `times` drawings of the fresh seeds, its standard error, and the mean area by the seeds' means."""
    drawn = [anew(losses, 0.1, seed) for seed in range(times)]
    each = [one.hypervolume(configs).mean() for one in drawn]
    return np.mean(each), np.std(each) / times**0.5, np.mean([one.means.area(configs) for one in drawn])


@pytest.mark.parametrize("claimed", [2, 6])
def test_claiming_what_is_as_good_as_no_se_adds_nothing_however_much_of_it(anew, claimed):
    mean, error, of_means = areas(anew, [1.0] * 12, [f"c{n}" for n in range(claimed)])
    assert abs(mean) < 3 * error
    assert of_means > 10 * error  # what the maximum over noisy means would have made of it


def test_what_is_truly_better_has_about_its_true_area(anew, fronts):
    losses = [0.9, 0.8, 0.75, 1.0, 1.1]
    one, claim = anew(losses, 0.0), [f"c{n}" for n in range(5)]
    true = fronts.Truth({"none": 1.0} | dict(zip(claim, losses, strict=True)), one.params, one.largest, "none")
    assert one.hypervolume(claim) == pytest.approx([true.area(claim)] * 8)
    mean, error, _ = areas(anew, losses, claim)
    assert 0.9 * true.area(claim) < mean < true.area(claim) + 2 * error


def test_no_seed_values_what_it_chose(anew):
    one = anew([1.0], 0.1)
    one.fresh["c0"][:] = one.fresh["none"] + 0.001
    one.fresh["c0"][3] -= 100.0
    areas = one.hypervolume(["c0"])
    assert areas[3] == 0  # by none of the other seeds it is better than no SE
    assert (np.delete(areas, 3) < 0).all()  # which those have to pay for that are valued by what this seed chose


def test_a_single_fresh_seed_cannot_be_split(fronts):
    with pytest.raises(ValueError, match="at least 2, got 1"):
        fronts.halves(1)


def test_what_is_followed_is_valued_by_each_seed(fronts, anew):
    one = anew([0.8, 0.6], 0.1)
    claim = [fronts.Point("c0", 0.9, 10.0), fronts.Point("c1", 0.5, 20.0)]
    assert one.followed(claim).shape == (8,)
    assert one.followed(claim).mean() == pytest.approx(one.means.followed(claim))


def test_what_is_non_dominated_is_so_by_the_losses(truth):
    assert truth.non_dominated() == {"none", "small", "large"}


def test_a_claim_is_the_front_of_single_trainings(fronts):
    made = [("a", 0.5, 10.0), ("b", 0.6, 20.0), ("c", 0.4, 20.0), ("a", 0.3, 10.0), ("none", 0.9, 0.0)]
    claim = fronts.claim_of([fronts.Point(*each) for each in made])
    assert {(point.config, point.claimed) for point in claim} == {("a", 0.3), ("none", 0.9)}


@pytest.mark.parametrize(("level", "seconds"), [(10, 1.0), (5, 1.0), (20, 10.0), (25, 10**1.5), (30, 100.0)])
def test_a_level_is_reached_where_the_curve_crosses_it(fronts, level, seconds):
    assert fronts.reached(level, [1.0, 10.0, 100.0], [10, 20, 30]) == pytest.approx(seconds)


def test_what_was_reached_once_counts(fronts):
    assert fronts.reached(20, [1.0, 10.0, 100.0], [10, 20, 5]) == pytest.approx(10.0)


def test_a_level_above_the_curve_is_never_reached(fronts):
    assert fronts.reached(31, [1.0, 10.0, 100.0], [10, 20, 30]) == float("inf")


def run(side, study, seconds, *claims):
    """As time_to_front.py writes it; a claim: after so many trials, and its points. Processors: twice the seconds."""
    made = [{"trials": n, "seconds": seconds * n / claims[-1][0], "points": points} for n, points in claims]
    costs = {"wall_seconds": seconds, "cpu_seconds": 2 * seconds}
    trials = claims[-1][0]
    return {"side": side, "study": study, "trials": trials, "trainings": trials + trials // 2, **costs, "claims": made}


def test_a_pick_that_is_not_on_the_front_of_front_csv_is_not_claimed(told):
    rows = [["none", 0.5, 0.0], ["a", 0.4, 10.0], ["picked", 0.45, 20.0], ["b", 0.3, 30.0]]
    (end,) = told._ends([run("senas", 0, 10.0, (4, rows))], "senas")[4]
    assert [point.config for point in end["points"]] == ["none", "a", "b"]


def equal(fronts, plain, senas):
    seconds = {"plain": np.tile([10.0, 100.0], (3, 1)), "senas": np.tile([5.0, 25.0], (3, 1))}
    values = {"plain": np.tile(plain, (3, 1)), "senas": np.tile(senas, (3, 1))}
    trials = {"plain": [8, 64], "senas": [4, 32]}
    return {(each.side, each.trials): each for each in fronts.equals(seconds, values, [values] * 9, trials)}


def test_equal_values_at_a_fourth_of_the_time_are_four_times_as_fast(fronts):
    end = equal(fronts, [10.0, 20.0], [10.0, 20.0])["plain", 64]
    assert (end.plain, end.senas) == (100.0, 25.0)
    assert (end.low, end.ratio, end.high) == (4.0, 4.0, 4.0)


def test_a_side_that_never_gets_there_has_no_time(fronts):
    rows = equal(fronts, [10.0, 20.0], [10.0, 15.0])
    assert (rows["plain", 64].senas, rows["plain", 64].ratio) == (float("inf"), 0.0)
    rows = equal(fronts, [10.0, 20.0], [10.0, 25.0])
    assert (rows["senas", 32].plain, rows["senas", 32].ratio) == (float("inf"), float("inf"))


def test_studies_that_are_paired_are_drawn_together(fronts):
    seconds = {side: np.tile([10.0, 100.0], (3, 1)) for side in ("plain", "senas")}
    values = {side: np.array([[1.0, 2.0], [10.0, 20.0], [50.0, 70.0]]) for side in ("plain", "senas")}
    trials = {"plain": [8, 64], "senas": [8, 64]}
    rows = fronts.equals(seconds, values, [values] * 40, trials, paired=True)
    assert [bound for each in rows for bound in (each.low, each.high)] == pytest.approx([1.0] * 8)
    apart = fronts.equals(seconds, values, [values] * 40, trials)
    assert apart[-1].low < 1 < apart[-1].high


def test_the_plain_front_is_of_the_default_space_of_resnet_8(script):
    script("plain")
    plain = script("plain_front")
    traced = trace(named("resnet8", classes=10, channels=3), (3, 12, 12))
    places = (Placement.STANDARD, Placement.PRE, Placement.POST)
    space = search_space(traced.sites, Axes(reduction=(4, 16), placement=places))
    asked = {}
    space.draw(lambda name, options: asked.setdefault(name, options)[0])
    assert list(asked) == plain.SITES
    assert all(set(options) == set(plain.CHOICES) for options in asked.values())
    for option in plain.CHOICES:
        config = space.draw(lambda name, _, option=option: option)
        everywhere = plain.ResNet(dict.fromkeys(plain.SITES, option), channels=3)
        assert everywhere.se_parameters() == config.params(traced.sites)
