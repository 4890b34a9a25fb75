"""An audit as tables, CSV, picture and plain words, on trainings whose truth is known."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from senas.core.audited import Audited
from senas.core.certainty import Estimate
from senas.core.config import SEConfig
from senas.report.advice import advice, between, much, nats, percent, span, verdict
from senas.report.audit import LEGEND, audit_csv, audit_markdown, audit_tables
from senas.report.audit_figure import audit_png
from senas.report.audit_progress import AuditProgress

NOISE = 0.01


@pytest.fixture(scope="module", autouse=True)
def few_draws():
    """A quarter of the draws: a quarter of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("senas.core.audit.ENSEMBLES", 1)
        yield


@pytest.fixture(scope="module")
def audited(make, sites, mixed):
    """An audit of four to six configurations: `spread` and `early` in units of the noise.

    early:   how far apart configurations are at the first two of four epochs; None: as far as at the end.
    images:  of the variance of the noise, what the validation images make; None: not measured.
    """
    everywhere = {f"all{r}": SEConfig.everywhere(sites, r) for r in (16, 8, 4, 2)}
    configs = {"none": SEConfig(), **everywhere, "random1": mixed}

    def build(spread, *, images=None, early=None, configurations=6, seeds=4, seed=0):
        rng = np.random.default_rng(seed)
        names = list(configs)[:configurations]
        worth = np.linspace(-1, 1, configurations) * 1.2
        together = rng.normal(size=seeds) * 0.7
        trials = []
        for row, name in enumerate(names):
            for column in range(seeds):
                trained, halves = rng.normal(), rng.normal(size=2) * np.sqrt(2 * (images or 0))
                noise = together[column] + np.sqrt(1 - (images or 0)) * trained + halves.mean()
                loss = 0.5 + NOISE * (spread * worth[row] + noise)
                trial = make(len(trials), configs[name], loss, seed=column)
                if images is not None:
                    trial.scores["val_loss_even"] = loss + NOISE * (halves[0] - halves.mean())
                first = 0.9 + NOISE * ((spread if early is None else early) * worth[row] + noise)
                curve = tuple({**trial.scores, "val_loss": each} for each in (first, first, loss, loss))
                trials.append(replace(trial, curve=curve))
        contenders = {name: configs[name] for name in names}
        return Audited(contenders, range(seeds), trials, epochs=(4, 30), images=1000)

    return build


@pytest.fixture(scope="module")
def apart(audited):
    return audited(3.0, images=0.05)


@pytest.fixture(scope="module")
def alike(audited):
    return audited(0.0, images=0.05)


def test_configurations_that_differ_are_told_apart(apart):
    said = verdict(apart)
    assert said.startswith(f"{len(apart.told_apart)} of 15 pairs of configurations can be told apart (6 configurations")
    assert "none and random1 differ most" in said


def test_configurations_that_do_not_differ_cannot_be_told_apart_at_this_budget(alike):
    assert verdict(alike).startswith("These configurations cannot be told apart at this budget: of 15 pairs, none")
    assert alike.undecided


def test_the_difference_that_is_said_is_that_of_the_figures(apart):
    found = apart.difference("random1", "none")
    assert f"by {nats(found.mean)} (90 % interval {nats(found.low)} to {nats(found.high)})" in verdict(apart)


def test_where_there_may_be_no_spread_the_seeds_are_for_its_upper_end(alike):
    seeds = alike.noise.seeds_to_show(alike.noise.spread.high)
    assert any(
        "whether configurations differ at all is not known" in line and f"takes {seeds} seed" in line
        for line in advice(alike)
    )


def test_where_there_is_a_spread_the_seeds_are_for_it(apart):
    seeds = apart.noise.seeds_to_show(apart.noise.spread.mean)
    assert any(f"{nats(apart.noise.spread.mean)}, takes {seeds} seeds each" in line for line in advice(apart))


@pytest.mark.parametrize(
    ("spread", "settings", "lever"),
    [
        (8.0, {"images": 0.05}, "nothing"),
        (0.5, {"images": 0.9}, "images"),
        (0.5, {"images": 0.02}, "seeds"),
        (0.5, {}, "seeds"),
        (1.5, {"early": 0.3}, "epochs"),
        (0.0, {"early": 3.0}, "seeds"),
    ],
)
def test_what_would_help_most_follows_from_the_figures(audited, spread, settings, lever):
    found = audited(spread, **settings)
    beginnings = {
        "nothing": "Nothing more is needed",
        "images": "More validation images would help first",
        "epochs": "More epochs would help most",
        "seeds": "More seeds would help most",
    }
    assert found.lever == lever
    assert advice(found)[-1].startswith(beginnings[lever])


@pytest.mark.parametrize(("spread", "settings"), [(0.5, {"images": 0.9}), (0.5, {}), (1.5, {"early": 0.3})])
def test_more_seeds_are_a_setting(audited, spread, settings):
    assert "study.confirm" in advice(audited(spread, **settings))[-1]


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.95, "nearly all of"), (0.67, "most of"), (0.5, "about half of"), (0.3, "some of"), (0, "little of")],
)
def test_half_is_said_of_what_is_near_half(share, words):
    assert much(share) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0 %"), (0.004, "under 1 %"), (0.006, "1 %"), (0.99, "99 %"), (0.999, "over 99 %"), (1, "100 %")],
)
def test_a_share_that_is_hardly_any_is_not_said_to_be_none(share, words):
    assert percent(share) == words


def test_an_interval_whose_ends_read_alike_is_said_once():
    assert span(Estimate(0.002, 0.001, 0.003), percent) == "90 % interval under 1 %"
    assert between(Estimate(0.02, 0.01, 0.03), percent) == "1 % to 3 %"


def test_the_means_as_they_are_are_told_from_differences_that_are_not(apart, sites):
    assert LEGEND in audit_markdown(apart, sites)
    assert [table.caption for table in audit_tables(apart, sites)] == [LEGEND, None, None, None]


def test_without_halves_nothing_is_said_of_images(audited):
    assert not any("validation images" in line for line in advice(audited(3.0)))


def test_a_pruner_is_warned_of_the_epochs_that_rank_otherwise(audited):
    assert "Beyond chance it agrees from epoch 3 on" in " ".join(advice(audited(3.0, early=-3.0)))
    assert "Beyond chance it agrees from epoch 1 on" in " ".join(advice(audited(8.0)))


def test_noise_warns_no_pruner(alike):
    assert "pruner" not in " ".join(advice(alike))


def test_few_configurations_have_no_ranking_that_means_something(audited):
    said = " ".join(advice(audited(3.0, configurations=4)))
    assert "with 4 configurations even perfect agreement may be chance, so tau means nothing" in said


def test_full_length_is_compared_with_the_budget(audited, apart):
    longer = replace(apart, longer=audited(3.0, seed=5).trials)
    assert longer.agreement.mean == pytest.approx(1.0, abs=0.3)
    assert any(line.startswith("The ranking after 4 epochs agrees with that after 30 by") for line in advice(longer))


def test_a_ranking_that_turns_around_at_full_length_shows(audited, apart):
    assert replace(apart, longer=audited(-3.0).trials).agreement.high < 0


def test_a_training_that_failed_is_missing_and_stops_nothing(apart):
    short = replace(apart, trials=apart.trials[1:])
    assert short.noise.freedom == 14
    assert np.isnan(short.table()[0, 0])


def test_a_configuration_that_always_failed_is_left_out(apart):
    short = replace(apart, trials=apart.trials[4:])
    assert short.names == apart.names[1:]
    assert short.pairs == 10


def test_the_csv_has_every_training(apart, sites):
    rows = list(csv.DictReader(io.StringIO(audit_csv(apart, sites))))
    assert [(row["name"], row["seed"], float(row["val_loss"])) for row in rows] == [
        (name, str(t.seed), t.scores["val_loss"]) for name in apart.names for t in apart.of(name)
    ]


def test_the_csv_tells_full_length_by_its_epochs_and_by_having_no_trial_number(audited, apart, sites):
    longer = [replace(t, curve=t.curve * 5) for t in audited(3.0, seed=5).trials]
    rows = list(csv.DictReader(io.StringIO(audit_csv(replace(apart, longer=longer), sites))))
    assert {(row["epochs"], row["trial"] == "") for row in rows} == {("4", False), ("20", True)}
    assert len(rows) == 48


def test_markdown_begins_with_the_verdict_and_has_tables_of_one_width(apart, sites):
    text = audit_markdown(apart, sites)
    assert text.startswith(f"- {verdict(apart)}\n")
    for block in text.split("\n\n")[1:]:
        assert len({line.count("|") for line in block.strip().splitlines()}) == 1


def test_each_epoch_is_held_against_full_length_where_that_was_trained(audited, apart, sites):
    longer = replace(apart, longer=audited(3.0, seed=5).trials)
    header = f"| epoch | tau with the last | tau with {longer.epochs[1]} epochs | of one run is configuration |"
    assert header in audit_markdown(longer, sites)
    assert "| epoch | tau with the last | of one run is configuration |" in audit_markdown(apart, sites)


def test_the_picture_is_one(alike):
    picture = Image.open(io.BytesIO(audit_png(alike, title="alike")))
    assert picture.width > picture.height > 400


@pytest.fixture
def progress(terminal_of_lines, apart, sites):
    wanted = {(t.config, t.seed) for t in apart.trials}
    return AuditProgress(terminal_of_lines, total=24, sites=sites, bar=False, wanted=wanted)


@pytest.fixture
def terminal_of_lines():
    from senas.report.console import Terminal

    return Terminal()


def test_what_is_there_already_is_counted_whoever_asked_for_it(progress, apart, make):
    there = [replace(apart.trials[0], origin="start"), make(99, SEConfig(), 0.5, seed=77)]
    assert progress.spoken(there) == "24 audit runs, 1 of them there already"
    assert progress.spoken([]) == "24 audit runs"
