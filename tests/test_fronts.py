"""What claimed fronts come to, of studies/benchmarks/fronts.py, and the plain script's front."""

import importlib.util
import json
import shutil
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import optuna
import pytest

from senas.core.block import Placement
from senas.core.space import Axes, search_space
from senas.model.backbones import named
from senas.model.sites import trace

OURS = ("fronts", "front_told", "measured", "shared_weights", "time_to_front", "trials_per_hour")
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
    for name in (*OURS, "plain", "plain_front"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def fronts(script):
    return script("fronts")


@pytest.fixture(scope="module")
def measured(script):
    return script("measured")


@pytest.fixture(scope="module")
def told(script, fronts, measured):
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


@pytest.fixture
def machine(measured, monkeypatch):
    """Says on which processor the next session is."""

    def on(cpu, load=0.5):
        here = {"cpu": cpu, "cores": 2, "gpu": None, "system": "Linux", "load_before": [load]}
        monkeypatch.setattr(measured, "machine", lambda: here)
        monkeypatch.setattr(measured, "versions", lambda: {"senas": f"load {load}", "torch": "2"})
        return here

    return on


def test_a_run_that_goes_on_keeps_what_was_measured_with_what(measured, machine):
    found = {"rounds": [{}]}
    first = machine("one", 0.1)
    assert measured.begin_session(found) == 0
    second = machine("one", 0.9)
    assert measured.begin_session(found) == 1
    assert [each["machine"] for each in found["sessions"]] == [first, second]
    assert [each["versions"]["senas"] for each in found["sessions"]] == ["load 0.1", "load 0.9"]
    lines = measured.told_sessions(found, [{"session": 0}, {"session": 1}, {"session": 1}])
    assert "load before 0.1" in lines[0]
    assert "load before 0.9" in lines[1]
    assert [line.partition(": ")[2] for line in lines] == ["1 runs", "2 runs"]


def test_a_file_from_before_there_were_sessions_goes_on_as_one_that_has_them(measured, machine):
    old = {"machine": machine("one", 0.1), "versions": {"senas": "before"}, "when": "2026-01-01"}
    found = {"rounds": [{}], **old}
    assert measured.sessions(found) == [old]
    machine("one", 0.9)
    assert measured.begin_session(found) == 1
    assert found["sessions"][0] == old
    assert set(found) == {"rounds", "sessions"}


def test_another_processor_is_refused_in_one_line(measured, machine):
    found = {"rounds": [{}], "machine": machine("one"), "versions": {}, "when": "2026-01-01"}
    machine("two")
    with pytest.raises(SystemExit, match=r"^the file was measured on one, this is two: .*; give another --out$"):
        measured.begin_session(found)
    assert "machine" in found


def test_trials_per_hour_draws_files_from_before_there_were_sessions(script, measured, tmp_path):
    found = json.loads((BENCHMARKS / "trials_per_hour_4000.json").read_text())
    assert "sessions" not in found
    trials_per_hour = script("trials_per_hour")
    assert any("AMD EPYC, 2 cores" in line and "4 runs" in line for line in trials_per_hour.told(found))
    trials_per_hour.draw(found, tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").exists()


def test_running_one_sampling_keeps_the_rows_of_the_others(script, tmp_path):
    keep, file = script("shared_weights").keep, tmp_path / "shared_weights.json"
    for sampling, seed, tau in [("blocks", 0, 0.1), ("fair", 0, 0.2), ("fair", 1, 0.3), ("fair", 0, 0.4)]:
        keep({"sampling": sampling, "seed": seed, "tau": tau}, file)
    rows = json.loads(file.read_text())
    assert [(row["sampling"], row["seed"], row["tau"]) for row in rows] == [
        *[("blocks", 0, 0.1), ("fair", 0, 0.4), ("fair", 1, 0.3)]
    ]


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


@pytest.mark.parametrize(
    ("plain", "senas", "drawn"),
    [
        # plain is at 2 after 100, 46 or 32 s, by which of its studies are drawn: none, one, both are the second
        ([[0.0, 2.0], [0.0, 4.0]], [[1.0, 2.0]] * 2, [5.0, 10 ** (5 / 3) / 20, 10**1.5 / 20]),
        # senas's level is 1, after 5 s, or 2, or 3, after 20 s each
        ([[0.0, 3.0]] * 2, [[1.0, 1.0], [1.0, 3.0]], [10 ** (4 / 3) / 5, 10 ** (5 / 3) / 20, 5.0]),
    ],
)
def test_an_interval_holds_what_drawing_studies_anew_comes_to(fronts, plain, senas, drawn):
    seconds = {"plain": np.tile([10.0, 100.0], (2, 1)), "senas": np.tile([5.0, 20.0], (2, 1))}
    values, trials = {"plain": np.array(plain), "senas": np.array(senas)}, {"plain": [8, 64], "senas": [4, 32]}
    end = fronts.equals(seconds, values, [values] * 400, trials)[-1]
    assert end.ratio == pytest.approx(drawn[1])  # both studies: half of the draws; the others a fourth each
    assert [end.low, end.high] == pytest.approx([min(drawn), max(drawn)])
    end = fronts.equals(seconds, values, [values] * 400, trials, share=0.4)[-1]
    fourths = sorted([drawn[0], drawn[1], drawn[1], drawn[2]])
    assert [end.low, end.high] == pytest.approx(fourths[1:3])  # the 30 % and 70 % quantiles


def test_an_interval_holds_what_drawing_fresh_seeds_anew_comes_to(fronts):
    seconds = {"plain": np.tile([10.0, 100.0], (2, 1)), "senas": np.tile([5.0, 20.0], (2, 1))}
    trials = {"plain": [8, 64], "senas": [4, 32]}
    by_level = [{"plain": np.tile([0.0, 4.0], (2, 1)), "senas": np.tile([1.0, level], (2, 1))} for level in (2.0, 4.0)]
    end = fronts.equals(seconds, by_level[0], [by_level[0]] * 50 + [by_level[1]] * 50, trials)[-1]
    assert (end.ratio, end.low, end.high) == pytest.approx((10**1.5 / 20, 10**1.5 / 20, 5.0))


@pytest.fixture
def found():
    """Two studies that are whole and one that is not; the fresh seeds agree on all differences."""
    none, a, b, bad = ["none", 0.5, 0.0], ["a", 0.4, 10.0], ["b", 0.3, 30.0], ["bad", 0.45, 20.0]
    true = {"none": 0.5, "a": 0.4, "b": 0.3, "bad": 0.6}
    return {
        "setting": {"budgets": [2], "data": "digits"},
        "sessions": [
            {
                "machine": {"cpu": "one", "cores": 2, "load_before": [0.5]},
                "versions": {"senas": "here", "torch": "2"},
                "when": "2026-01-01",
            }
        ],
        "largest": 100.0,
        "fresh": {config: [loss, loss + 0.1, loss - 0.1, loss] for config, loss in true.items()},
        "runs": [
            run("plain", 0, 40.0, (2, [none, a]), (4, [none, a, b])),
            run("plain", 1, 80.0, (2, [bad]), (4, [b])),
            run("plain", 2, 1.0, (2, [b]), (4, [b])),
            run("senas", 0, 10.0, (2, [none, a, bad, b])),
            run("senas", 1, 20.0, (2, [a])),
        ],
    }


def test_a_summary_has_areas_times_and_points_of_the_studies_that_are_whole(told, found):
    ends = {(row["side"], row["trials"]): row for row in told.summary(found)["ends"]}
    means = {key: [row[value]["mean"] for value in told.VALUES] for key, row in ends.items()}
    assert means == {
        ("plain", 2): pytest.approx([(0.09 + 0) / 2, (0.09 - 0.08) / 2]),  # a: 0.1 x 90 %; bad: -0.1 x 80 %
        ("plain", 4): pytest.approx([(0.16 + 0.14) / 2] * 2),  # a and b: 0.1 x 20 % + 0.2 x 70 %
        ("senas", 2): pytest.approx([(0.16 + 0.09) / 2] * 2),
    }
    assert all(row[f"{value}_error"] == pytest.approx(0) for row in ends.values() for value in told.VALUES)
    senas = ends["senas", 2]
    assert [senas[key]["mean"] for key in ("wall", "processors", "trainings")] == [15.0, 30.0, 3.0]
    assert [senas[key]["mean"] for key in ("claimed", "non_dominated")] == [2.0, 2.0]
    assert (senas["hypervolume"]["lowest"], senas["hypervolume"]["highest"]) == pytest.approx((0.09, 0.16))
    assert ends["plain", 4]["wall"]["lowest"] == 40.0


def test_a_summary_has_the_time_and_the_points_of_each_side_to_equal_values(told, found):
    for time, each in (("wall", 1), ("processors", 2)):
        rows = {(row["side"], row["trials"]): row for row in told.summary(found)["equal"][f"hypervolume, {time}"]}
        plain = 30 * 2 ** ((0.125 - 0.045) / (0.15 - 0.045))  # between its mean ends, after 30 and 60 s
        senas = rows["senas", 2]
        assert (senas["level"], senas["plain"], senas["senas"]) == pytest.approx((0.125, each * plain, each * 15.0))
        assert senas["ratio"] == pytest.approx(plain / 15)
        assert senas["points"] == {"plain": 2.0, "senas": 2.0}
        assert (rows["plain", 4]["senas"], rows["plain", 4]["ratio"]) == (None, 0.0)
        assert rows["plain", 2]["points"] == {"plain": 1.5, "senas": 2.0}


def test_the_figure_is_of_the_first_study_that_is_whole(told, found, tmp_path):
    found["runs"] = found["runs"][1:]
    found["summary"] = told.summary(found)
    assert "one, 2 cores" in told.told(found)[0]
    told.draw(found, tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").exists()


def test_a_level_that_no_se_has_too_is_called_that(told, found):
    found["runs"] = [*map(worthless, found["runs"])]
    found["summary"] = told.summary(found)
    assert any("no SE is as good" in line for line in told.told(found))


def worthless(run):
    return {**run, "claims": [{**claim, "points": [["bad", 0.1, 20.0]]} for claim in run["claims"]]}


@pytest.fixture(scope="module")
def space():
    """The default one of ResNet-8 for small images, and its sites."""
    sites = trace(named("resnet8", classes=10, channels=3), (3, 12, 12)).sites
    places = (Placement.STANDARD, Placement.PRE, Placement.POST)
    return search_space(sites, Axes(reduction=(4, 16), placement=places)), sites


@pytest.fixture(scope="module")
def time_to_front(script, told):
    return script("time_to_front")


def test_a_front_is_read_from_front_csv(time_to_front, tmp_path):
    (tmp_path / "front.csv").write_text("se_params,blocks,expected_val_loss,n\n0,none,0.5,3\n40,a.0=4,0.4,2\n")
    assert time_to_front.front_csv(tmp_path / "front.csv") == [["none", 0.5, 0.0], ["a.0=4", 0.4, 40.0]]


TRAINED = [
    *[("none", 0.5), ("r16 standard", 0.4), ("r4 standard", 0.45), ("r16 post", 0.2)],
    *[("r4 standard", 0.3), ("r4 post", 0.1)],
]
"""What plain_front.py trained in a study: one choice for all sites, and its loss."""
MIN = "minimize"


@pytest.fixture
def sides(time_to_front, script, space, tmp_path):
    """Of a folder with that study; each training began 3 s after the one before and took 2 s."""
    script("plain")
    plain = script("plain_front")
    made = time_to_front.Sides.__new__(time_to_front.Sides)
    made.space, made.sites = space
    study = optuna.create_study(storage=f"sqlite:///{tmp_path / 'study.db'}", study_name="plain", directions=[MIN, MIN])
    for number, (choice, loss) in enumerate(TRAINED):
        trial = optuna.trial.create_trial(
            params=dict.fromkeys(plain.SITES, choice),
            distributions=dict.fromkeys(plain.SITES, optuna.distributions.CategoricalDistribution(plain.CHOICES)),
            values=[loss, float(made.space.draw(lambda *_, choice=choice: choice).params(made.sites))],
        )
        trial.datetime_start = datetime.fromtimestamp(1000 + 3 * number)
        trial.datetime_complete = datetime.fromtimestamp(1002 + 3 * number)
        study.add_trial(trial)
    return made


def test_the_plain_script_claims_the_front_of_its_first_trainings(sides, tmp_path):
    ends, claims = sides._front_of_trainings(tmp_path, began=990.0)
    assert ends == [12.0, 15.0, 18.0, 21.0, 24.0, 27.0]
    assert [(claim["trials"], claim["seconds"]) for claim in claims] == [(4, 21.0), (6, 27.0)]
    none, few, many = ("none", 0.5), ("r16 post", 0.2), ("r4 post", 0.1)
    for claim, expected in zip(claims, ([none, few], [none, few, many]), strict=True):
        configs = [sides.space.draw(lambda *_, choice=choice: choice) for choice, _ in expected]
        losses = [loss for _, loss in expected]
        assert sorted(claim["points"], key=lambda point: point[2]) == [
            [str(config), loss, config.params(sides.sites)] for config, loss in zip(configs, losses, strict=True)
        ]


def test_threads_are_chosen_by_seconds_of_trainings_in_turn(sides, time_to_front, tmp_path, monkeypatch):
    turns, sides.scratch = [], tmp_path / "scratch"
    sides.scratch.mkdir()

    def command(folder, seed, trials, threads):
        turns.append((threads, trials))
        shutil.copy(tmp_path / "study.db", folder)

    monkeypatch.setattr(sides, "_plain", command)
    assert sides.probe([1, 2]) == {"1": [2.0] * 12, "2": [2.0] * 12}  # 6 trainings in each of 2 turns
    assert [threads for threads, _ in turns] == [1, 2, 2, 1]
    assert all(trials >= 4 for _, trials in turns)


def test_the_plain_front_is_of_the_default_space_of_resnet_8(script, space):
    script("plain")
    plain = script("plain_front")
    space, sites = space
    asked = {}
    space.draw(lambda name, options: asked.setdefault(name, options)[0])
    assert list(asked) == plain.SITES
    assert all(set(options) == set(plain.CHOICES) for options in asked.values())
    for option in plain.CHOICES:
        config = space.draw(lambda name, _, option=option: option)
        everywhere = plain.ResNet(dict.fromkeys(plain.SITES, option), channels=3)
        assert everywhere.se_parameters() == config.params(sites)
