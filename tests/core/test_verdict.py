"""What a study can claim: pooled fronts and picks, or that it is undecided."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from senas.core.certainty import Certainty
from senas.core.config import SEConfig, baselines
from senas.core.confirm import Confirmation
from senas.core.objective import Penalized
from senas.core.preposterior import More, would_decide
from senas.core.seeds import Seeds
from senas.core.standing import Standing
from senas.core.trial import CONFIRM, Status, Trial
from senas.core.verdict import BASELINE, ELSEWHERE, RANDOM, Verdict, rounded_up
from senas.errors import StudyError

from .test_effects import SITES, SPACE, drawn, worth

EFFORT = 0.2
SEEDS = Seeds(0, 4)
NONE = SEConfig()


def trial(number, config, seed, loss, origin="sampler"):
    scores = {"val_loss": loss, "se_params": float(config.params(SITES)), "val_accuracy": 0.9}
    return Trial(number=number, status=Status.COMPLETE, config=config, seed=seed, scores=scores, origin=origin)


def searched(rng, count, noise, times=1):
    """Trials of the baselines with two seeds more than others, which are random, all with rotated ones."""
    configs = [NONE, SPACE.draw(lambda name, options: "r4 standard")] * 2 + drawn(rng, count) * times
    return [
        trial(n, config, SEEDS.of(n // 2), worth(config) + noise * rng.normal()) for n, config in enumerate(configs)
    ]


def verdict(trials, *, margin=0.01, penalty=0.0, effort=EFFORT):
    objective = Penalized(penalty, SPACE.largest_params)
    state = Standing(trials=trials, objective=objective, classes=10, largest_params=SPACE.largest_params, margin=margin)
    return Verdict(state, SPACE, baselines(SITES), seed=0, effort=effort)


@pytest.fixture(scope="module")
def clear():
    """With so little noise that what the blocks are worth is plain."""
    return verdict(searched(np.random.default_rng(0), 20, noise=0.001, times=3))


def test_a_lucky_seed_is_not_taken_for_what_a_configuration_is_worth():
    rng = np.random.default_rng(1)
    trials = searched(rng, 30, noise=0.02)
    worst = max((t.config for t in trials), key=worth)
    lucky = trial(99, worst, 7, min(t.scores["val_loss"] for t in trials) - 0.01)
    again = [trial(100 + n, worst, 8 + n, worth(worst)) for n in range(4)]
    best, _, _ = verdict([*trials, lucky, *again]).pick("best")
    assert best.config != worst


def test_the_pick_that_no_margin_allows_is_the_best_that_was_trained(clear):
    found, _, _ = clear.pick("best")
    assert worth(found.config) <= min(worth(config) for config in clear.first) + 0.003


def test_a_clear_study_recommends_the_smallest_that_is_near_the_best(clear):
    pick = clear.pick("recommended")
    near = [config for config in clear.first if worth(config) <= min(map(worth, clear.first)) + 0.008]
    assert pick.decided
    assert clear.undecided is None
    assert pick.trial.scores["se_params"] <= min(config.params(SITES) for config in near)
    assert worth(pick.trial.config) <= min(map(worth, clear.first)) + 0.01


def test_as_noise_grows_the_answer_becomes_undecided_and_never_no_se():
    answers = []
    for noise in (0.001, 0.02, 0.1, 0.5):
        trials = searched(np.random.default_rng(2), 12, noise, times=3)
        trials.append(trial(99, NONE, 9, worth(NONE) + noise))
        pick = verdict(trials).pick("recommended")
        answers.append((pick.decided, pick.trial.config))
    assert answers[0][0]
    assert [decided for decided, _ in answers] == sorted((decided for decided, _ in answers), reverse=True)
    assert not answers[-1][0]
    assert NONE not in [config for decided, config in answers if decided]


@pytest.mark.parametrize("losses", [[0.5], [0.5, 0.501], [0.5, 0.501, 0.5005]])
def test_two_or_three_trainings_that_happen_to_agree_recommend_nothing(losses):
    configs = [NONE, SPACE.draw(lambda name, options: "r4 standard"), *drawn(np.random.default_rng(3), 1)]
    pick = verdict([trial(n, configs[n], n, loss) for n, loss in enumerate(losses)]).pick("recommended")
    assert not pick.decided
    assert "cannot show how large the noise is" in pick.why


def test_undecided_says_how_sure_what_leads_is_and_what_would_decide_it():
    undecided = verdict(searched(np.random.default_rng(2), 12, 0.03, times=3)).undecided
    assert undecided is not None
    assert re.fullmatch(
        r"undecided at this budget: no configuration is within 0.01 of the lowest validation loss with a probability "
        r"of 0.9; what leads is so with 0\.\d\d, and trial \d+ may be better; about \d+ more trainings decide it as "
        r"likely as not: study.confirm=\d+; with study.margin=0\.\d+ it is decided now",
        undecided,
    )


def test_the_margin_that_undecided_names_decides_it():
    trials = searched(np.random.default_rng(2), 12, 0.03, times=3)
    margin = float(re.search(r"study.margin=(\S+)", verdict(trials).undecided).group(1))
    assert verdict(trials, margin=margin).pick("recommended").decided


def test_what_would_decide_it_is_there_as_settings_too():
    found = verdict(searched(np.random.default_rng(2), 12, 0.03, times=3))
    assert dict(re.findall(r"(study\.\w+)=([\d.]*\d)", found.undecided)) == found.ways_out
    assert set(found.ways_out) == {"study.confirm", "study.margin"}


def test_replicates_that_would_decide_it_come_on_top_of_those_there_are():
    trials = searched(np.random.default_rng(2), 12, 0.03, times=3)
    found = verdict([replace(each, origin=CONFIRM) if each.number > 30 else each for each in trials])
    more = would_decide(found.certainty, 0.01, float(np.median(found.effects.noise)), found.seed)
    assert more is not None
    owed = BASELINE - 2  # of no SE; the blocks of what leads cannot be moved
    assert int(found.ways_out["study.confirm"]) == len(trials) - 31 + more.trainings + owed
    assert f"about {more.trainings + owed} more trainings" in (found.undecided or "")


def test_what_replicates_go_to_first_is_counted_too():
    """Without it, so many more trainings all went to baselines and to blocks at random places."""
    trials = [t for t in searched(np.random.default_rng(2), 12, 0.03) if t.config != NONE]
    trials.append(trial(90, NONE, 0, worth(NONE)))
    found = verdict(trials, effort=0.1)
    more = would_decide(found.certainty, 0.01, float(np.median(found.effects.noise)), found.seed)
    none = BASELINE - 1 - (more.times if NONE in more.configs else 0)
    assert int(found.ways_out["study.confirm"]) == more.trainings + max(0, none) + ELSEWHERE


@pytest.mark.slow
def test_replicates_as_many_as_it_says_decide_it_about_as_often_as_not():
    decided = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        trials = searched(rng, 12, 0.02)
        wanted = verdict(trials).ways_out.get("study.confirm")
        assert wanted is not None
        decided += verdict(confirmed(trials, int(wanted), 0.02, rng)).pick("recommended").decided
    assert 3 <= decided <= 12


def test_there_is_no_way_out_of_what_is_decided(clear):
    assert verdict(clear.standing.trials, margin=1.0).ways_out == {}


def test_undecided_says_so_where_more_trainings_would_hardly_help():
    undecided = verdict(searched(np.random.default_rng(2), 12, 0.5, times=3), margin=0.0001).undecided
    assert undecided is not None
    assert "study.confirm" not in undecided
    assert "study.margin=" in undecided


def test_what_was_trained_once_is_not_recommended_and_undecided_says_why():
    seen = searched(np.random.default_rng(2), 30, 0.001)
    pick = verdict(seen).pick("recommended")
    assert not pick.decided
    assert "was trained once, and nothing is recommended that was not trained 3 times" in pick.why
    again = [trial(100 + n, pick.trial.config, 5 + n, worth(pick.trial.config)) for n in range(2)]
    assert verdict([*seen, *again]).pick("recommended").decided


def test_one_configuration_alone_decides_nothing():
    alone = verdict([trial(n, NONE, n, 0.5) for n in range(4)])
    assert not alone.pick("recommended").decided
    assert "one configuration was trained" in (alone.undecided or "")


def test_each_configuration_is_as_large_as_its_parameters(clear):
    assert clear.certainty.sizes.tolist() == [config.params(SITES) for config in clear.certainty.configs]


def test_a_point_says_how_far_it_is_from_no_se(clear):
    point = clear.point(clear.certainty.lowest)
    assert point.from_none is not None
    assert point.from_none.excludes_zero
    assert point.from_none.low <= worth(point.config) - worth(NONE) <= point.from_none.high


def test_blocks_at_random_places_are_among_what_a_pick_is_held_against(clear):
    against = clear.against(clear.certainty.lowest)
    assert {"none", RANDOM} <= set(against)
    assert against[RANDOM].high < 0  # where blocks are is what makes it good here


def test_a_configuration_is_shown_by_its_first_trial(clear):
    assert all(
        t.number == min(u.number for u in clear.standing.measured if u.config == c) for c, t in clear.first.items()
    )


@pytest.fixture
def unkept(clear):
    """A configuration that no pick by score names, and that is no baseline."""
    return next(config for config, trial in clear.first.items() if trial.number not in clear.kept())


def test_weights_are_kept_of_what_any_pick_names_by_its_first_trial(clear):
    named = [clear.pick(how).trial for how in ("recommended", "best", "knee", "smallest", "budget:0", "budget:200")]
    assert {trial.number for trial in named} <= clear.kept() < {trial.number for trial in clear.first.values()}


@pytest.mark.parametrize("rule", ["leader", "recommended"])
def test_weights_are_kept_of_what_leads_and_of_what_is_recommended_wherever_they_lie(clear, unkept, rule, monkeypatch):
    monkeypatch.setattr(Certainty, rule, lambda self, margin: unkept)
    assert clear.first[unkept].number in clear.kept()


def test_weights_of_baselines_are_kept_though_others_beat_them(clear, unkept):
    assert clear.first[unkept].number in replace(clear, baselines={"all16": unkept}).kept()


def test_a_verdict_does_not_depend_on_the_order_in_which_trials_ended():
    trials = searched(np.random.default_rng(6), 6, 0.03)
    one, other = (verdict(each).front for each in (trials, [*trials[3:], *trials[:3]]))
    assert one == other


def test_the_same_trials_and_seed_give_the_same_verdict_and_another_seed_draws_anew():
    one = verdict(searched(np.random.default_rng(6), 6, 0.03))
    assert one.front == replace(one).front != replace(one, seed=1).front
    first_two = SPACE.draw(lambda name, _: "r2 pre" if name.startswith("layer1") else "none")
    assert one.elsewhere(first_two) == replace(one).elsewhere(first_two) != []


def test_less_effort_takes_fewer_draws():
    trials = searched(np.random.default_rng(6), 6, 0.03)
    assert [len(verdict(trials, effort=effort).effects.draws) for effort in (0.125, 0.25)] == [64, 128]


def test_seeds_that_do_more_than_blocks_do_not_hide_what_blocks_do():
    rng, blocks = np.random.default_rng(7), drawn(np.random.default_rng(7), 1)[0]
    trials = [
        trial(n, config, seed, worth(config) + 0.02 * seed + 0.002 * rng.normal())
        for n, (config, seed) in enumerate((config, seed) for seed in range(6) for config in (NONE, blocks))
    ]
    found = verdict(trials, effort=1.0).point(blocks).from_none
    assert found.high - found.low < 0.04  # seeds differ by up to 0.1


@pytest.mark.parametrize(("metric", "score"), [("val_error", 0.3), ("minus_f1", -0.8)])
def test_the_loss_is_what_the_objective_is_about(metric, score):
    trials = searched(np.random.default_rng(8), 6, 0.01)
    for each in trials:
        each.scores.update({"val_error": 0.3, "f1": 0.8})
    one = verdict(trials)
    one = replace(one, standing=replace(one.standing, objective=Penalized(0.0, SPACE.largest_params, metric)))
    assert [round(point.loss.mean, 2) for point in one.front] == [score] * len(one.front)


def test_more_is_better_of_what_is_to_be_high():
    trials = searched(np.random.default_rng(8), 6, 0.01)
    for each in trials:
        each.scores["f1"] = 1.0 - worth(each.config)
    one = verdict(trials)
    one = replace(one, standing=replace(one.standing, objective=Penalized(0.0, SPACE.largest_params, "minus_f1")))
    assert one.pick("best").trial.config == min(one.first, key=worth)


def test_what_was_not_trained_is_on_no_front(clear):
    untrained = next(config for config in drawn(np.random.default_rng(9), 99) if config not in clear.first)
    point = clear.point(untrained)
    assert (point.trial, point.trainings, point.on_front) == (None, 0, 0.0)


def test_a_point_says_how_many_trainings_stand_behind_it(clear):
    counts = {config: sum(t.config == config for t in clear.standing.trials) for config in clear.first}
    assert {config: clear.point(config).trainings for config in clear.first} == counts
    assert max(counts.values()) > 1


def test_nothing_is_held_against_itself(clear):
    assert "none" not in clear.against(NONE)


def test_what_cannot_be_moved_has_no_random_places(clear):
    assert RANDOM not in clear.against(NONE)


def test_a_pick_is_a_trial_as_it_was(clear):
    assert clear.pick("best").trial in clear.standing.trials
    assert clear.pick("trial:5").trial == clear.standing.trials[5]


def claimed(losses, trained=(9, 9, 9), margin=0.01, confirmed=0):
    """A verdict on three configurations of which this is known: draws of losses, and numbers of trainings."""
    configs = [NONE, *(SPACE.draw(lambda name, _, option=option: option) for option in ("r4 pre", "r2 pre"))]
    trials = [trial(n, config, 0, 0.5) for n, config in enumerate(configs)]
    found = verdict([*trials, *(trial(9, NONE, 1, 0.5, CONFIRM) for _ in range(confirmed))], margin=margin)
    sizes = np.array([each.scores["se_params"] for each in trials])
    found.__dict__["certainty"] = Certainty(configs, sizes, np.array(losses), np.array(trained))
    found.__dict__["effects"] = SimpleNamespace(
        noise=np.array([0.0, 0.02, 9.0]), trained=dict(zip(configs, trained, strict=True))
    )
    return found


SURE = [(0.5, 0.405, 0.4)] * 20
UNSURE = [(0.5, 0.405, 0.4), (0.4, 0.5, 0.44)] * 10


def test_what_is_undecided_leads_though_another_has_the_lowest_mean():
    """The second is surely within the margin of the third, and smaller; it was trained once."""
    found = claimed(SURE, trained=(9, 1, 1)).pick("recommended")
    assert (found.trial.number, found.decided) == (1, False)
    assert "what leads was trained once" in found.why
    assert "what leads was trained twice" in claimed(SURE, trained=(9, 2, 1)).pick("recommended").why


def test_what_leads_without_being_sure_is_said_to_be_so_by_its_probability():
    found = claimed(UNSURE).pick("recommended")
    assert (found.trial.number, found.decided) == (2, False)
    assert "what leads is so with 0.50" in found.why


def test_what_is_recommended_is_never_certain():
    found = claimed(SURE).pick("recommended")
    assert (found.trial.number, found.decided) == (1, True)
    assert "with a probability of 0.99" in found.why


def test_what_would_decide_it_is_beyond_the_replicates_that_there_were(monkeypatch):
    asked = []

    def decide(certainty, margin, noise, seed):
        asked.append((margin, noise))
        return More(certainty.configs[:2], 3)

    monkeypatch.setattr("senas.core.verdict.would_decide", decide)
    undecided = claimed(UNSURE, confirmed=4).undecided
    assert asked == [(0.01, 0.02)]  # the median of the noise
    assert "about 6 more trainings decide it as likely as not: study.confirm=10; with study.margin=0.04 it" in undecided


def test_what_may_be_better_than_what_leads_is_named():
    assert "what leads is so with 0.50, and trial 0 may be better" in claimed(UNSURE).pick("recommended").why


def test_how_near_no_se_is_tells_why_it_is_not_recommended():
    assert "with a probability of 0.99; no SE is so near with less than 0.01" in claimed(SURE).pick("recommended").why
    half = [(0.5, 0.4, 0.4), (0.4, 0.4, 0.4)] * 10
    assert "; no SE is so near with 0.50" in claimed(half).pick("recommended").why


def test_how_near_each_smaller_baseline_is_is_told():
    found = claimed([(0.5, 0.405, 0.4), (0.5, 0.5, 0.4), (0.5, 0.5, 0.4), (0.5, 0.5, 0.4)] * 5)
    found.__dict__["baselines"] = {"none": NONE, "all16": found.certainty.configs[1]}
    why = found.pick("recommended").why
    assert why.endswith("; no SE is so near with less than 0.01; SE everywhere at r = 16 is so near with 0.25")


def test_what_is_rounded_up_is_enough_and_hardly_more():
    for value in np.random.default_rng(0).uniform(-6, 1, 500):
        value = 10.0**value
        assert value <= float(rounded_up(value)) <= 1.1 * value


def test_two_digits_are_left_of_what_is_rounded_up():
    assert [rounded_up(value) for value in (0.01234, 0.0101, 0.0999, 1.23)] == ["0.013", "0.011", "0.1", "1.3"]


def test_nothing_can_be_claimed_where_no_trial_came_to_its_end():
    with pytest.raises(StudyError, match="trained to the end"):
        verdict([])


def test_a_pick_of_another_name_is_refused(clear):
    with pytest.raises(StudyError, match=r'one of recommended, best, knee, smallest.*got "lucky"'):
        clear.pick("lucky")


def confirmed(trials, budget, noise, rng):
    """The study after its replicates."""
    confirmation, trials = Confirmation(budget, SEEDS), list(trials)
    while (wanted := confirmation.next(verdict(trials))) is not None:
        trials.append(
            trial(len(trials), wanted.config, wanted.seed, worth(wanted.config) + noise * rng.normal(), CONFIRM)
        )
    return trials


def test_replicates_have_seeds_that_their_configuration_was_not_trained_with():
    rng = np.random.default_rng(3)
    trials = confirmed(searched(rng, 12, 0.03), 8, 0.03, rng)
    assert sum(t.origin == CONFIRM for t in trials) == 8
    pairs = [(t.config, t.seed) for t in trials]
    assert len(set(pairs)) >= len(set(pairs[:-8])) + 8


def test_a_replicate_is_none_of_the_trainings_that_the_verdict_did_not_read():
    read = searched(np.random.default_rng(3), 12, 0.05)
    unread = [trial(100 + n, each.config, seed, 0.5) for n, each in enumerate(read) for seed in range(6)]
    wanted = Confirmation(8, SEEDS).next(verdict(read), [*unread, *read])
    assert wanted.seed == 6
    assert (wanted.config, wanted.seed) not in [(each.config, each.seed) for each in unread]


def test_baselines_come_first_no_se_among_them():
    rng = np.random.default_rng(4)
    trials = [t for t in searched(rng, 12, 0.03) if not (t.config == NONE and t.number > 1)]
    assert sum(t.config == NONE for t in trials) == 1
    ended = confirmed(trials, 6, 0.03, rng)
    assert sum(t.config == NONE for t in ended) >= BASELINE
    assert ended[len(trials)].config == NONE


def test_what_leads_is_trained_again_before_its_blocks_at_random_places_are():
    rng = np.random.default_rng(4)
    seen = [*searched(rng, 12, 0.001), trial(50, NONE, 7, worth(NONE))]
    leader = verdict(seen).pick("recommended")
    assert not leader.decided
    ended = confirmed(seen, 2, 0.001, rng)
    assert [t.config for t in ended[len(seen) :]] == [leader.trial.config] * 2


def test_what_fails_with_every_other_seed_is_given_up():
    trials = searched(np.random.default_rng(4), 6, 0.1)[1:]  # of no SE one training alone came to its end
    confirmation, failed = Confirmation(12, SEEDS), []
    while (wanted := confirmation.next(verdict([*trials, *failed]))) is not None:
        lost = trial(100 + len(failed), wanted.config, wanted.seed, np.nan, CONFIRM)
        failed.append(replace(lost, status=Status.FAILED, scores={}))
    asked = [each.config for each in failed]
    assert asked[:2] == [NONE, NONE]
    assert len(asked) == 12
    assert max(map(asked.count, asked)) == 2


def test_a_settled_front_asks_for_nothing_more():
    rng = np.random.default_rng(5)
    trials = confirmed(searched(rng, 3, 0.00001), 60, 0.00001, rng)
    assert sum(t.origin == CONFIRM for t in trials) < 60
    assert verdict(trials).certainty.settled


def test_no_budget_asks_for_nothing(clear):
    assert Confirmation(0, SEEDS).next(clear) is None
