"""What gates do, and which SE blocks can go: as table, CSV, picture and words."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from senas.core.block import Gate, Original, Placement, SEBlock, Squeeze
from senas.core.certainty import Estimate
from senas.core.explained import Explained, Profile, Removal
from senas.report.console import Terminal
from senas.report.gates import explained_csv, gates_csv, gates_png, gates_table, legend, removals_table
from senas.report.gates_figure import COLUMNS, gates_figure
from senas.report.removable import advice, gates_in_words, share

FREE = Estimate(0.0001, -0.0003, 0.0005)
COSTLY = Estimate(0.02, 0.015, 0.025)
UNSURE = Estimate(0.001, -0.002, 0.004)
BETTER = Estimate(-0.03, -0.04, -0.02)


def profile(site, *, block=None, channels=4, classes=2, **changes):
    block = block or SEBlock(hidden=1)
    mean = np.linspace(0.7, 0.3, channels)
    by_class = np.stack([mean - 0.01 * k for k in range(classes)])
    facts = {
        "placement": Placement.STANDARD,
        "mean": mean,
        "sd": np.full(channels, 0.1),
        "by_class": by_class,
        "suppressed": 0.0,
        "low": 0.0,
        "high": 0.002,
        "per_image": 0.25,
        "per_class": 0.5,
        "rank": 2.5,
        "hidden": getattr(block, "hidden", None),
    }
    return Profile(**{"site": site, "block": block, "channels": channels, **facts, **changes})


def removal(site, constant=FREE, bypassed=COSTLY, **changes):
    return Removal(site=site, constant=constant, bypassed=bypassed, params=1234, macs=1200, **changes)


def explained(profiles, removals, **changes):
    facts = {"images": 5000, "classes": ("ant", "bee"), "loss": 0.3, "accuracy": 0.9}
    return Explained(**{**facts, "profiles": tuple(profiles), "removals": tuple(removals), **changes})


@pytest.fixture
def found():
    return explained(
        [
            profile("layer1.0", per_image=0.004, suppressed=0.25),
            profile("layer2.0", block=SEBlock(hidden=3, gate=Gate.TWICE_SIGMOID), per_class=float("nan")),
        ],
        [removal("layer1.0", latency_ms=Estimate(0.03, 0.02, 0.04)), removal("layer2.0", COSTLY)],
        together=removal("all at once", COSTLY),
    )


def shown(table, capsys):
    Terminal().show(table)
    return " ".join(capsys.readouterr().out.split())


def test_the_table_of_gates_has_a_row_a_site(found, capsys):
    text = shown(gates_table(found), capsys)
    assert "layer1.0 r4 standard 0.500 25 % 0 % 0.4 % 50 % 2.5" in text
    assert "layer2.0 h3 standard 2sigmoid 0.500 0 % 0 % 25 % - 2.5" in text
    assert "0.300 to 0.700" in text


def test_what_may_be_constant_is_marked_in_the_table_of_removals(found):
    assert [row.style for row in removals_table(found).rows] == ["bold green", None, None]


def test_the_table_of_removals_has_each_interval_with_its_sign_and_costs(found, capsys):
    text = shown(removals_table(found), capsys)
    assert "layer1.0 +0.0001 +0.0200" in text
    assert "-0.0003 to +0.0005 +0.0150 to +0.0250" in text
    assert "1,234 +0.0300" in text
    assert "all at once +0.0200" in text


def test_without_timing_there_is_no_column_for_it(found, capsys):
    untimed = replace(found, removals=tuple(replace(each, latency_ms=None) for each in found.removals))
    assert "milliseconds" in shown(removals_table(found), capsys)
    assert "milliseconds" not in shown(removals_table(untimed), capsys)


def test_the_csv_has_the_numbers_in_full(found):
    first, second, together = csv.DictReader(io.StringIO(explained_csv(found)))
    assert (first["site"], first["block"], first["hidden"], first["per_image"]) == (
        "layer1.0",
        "h1 standard",
        "1",
        "0.004",
    )
    assert (first["constant"], first["constant_low"], first["constant_high"]) == ("0.0001", "-0.0003", "0.0005")
    assert (first["latency_ms"], second["latency_ms"]) == ("0.03", "")
    assert (together["site"], together["block"], together["effective_rank"]) == ("all at once", "", "")
    assert (together["constant"], together["params"]) == ("0.02", "1234")
    assert float(first["gate_sd"]) == pytest.approx(0.1)


def test_what_the_picture_shows_is_there_as_numbers(found):
    rows = list(csv.DictReader(io.StringIO(gates_csv(found))))
    assert len(rows) == 8
    assert [float(rows[5][name]) for name in ("mean", "sd", "ant", "bee")] == pytest.approx(
        [found.profiles[1].mean[1], 0.1, *found.profiles[1].by_class[:, 1]]
    )


def test_the_legend_says_where_each_range_ends_and_what_local_gates_are_counted_over(found):
    assert "ends at 1 or 2" in " ".join(legend(found))
    assert "local gate" not in " ".join(legend(found))
    local = profile("layer1.0", block=SEBlock(hidden=1, squeeze=Squeeze.LOCAL))
    assert legend(explained([local], [removal("layer1.0")]))[-1].startswith("of a local gate: over images and loc")


def test_channels_are_drawn_in_the_order_of_their_means_with_one_colour_scale(found):
    axes = gates_figure(found, "trial 1 of demo").axes
    first, spread, second = axes[0], axes[1], axes[2]
    (image,), (other,) = first.images, second.images
    assert np.asarray(image.get_array()) == pytest.approx(found.profiles[0].by_class[:, ::-1])
    assert image.get_clim() == other.get_clim() == pytest.approx((0.29, 0.7))
    assert [label.get_text() for label in first.get_yticklabels()] == ["ant", "bee"]
    assert spread.get_ylim() == (0, 2)  # the largest that any of the gates gives


@pytest.mark.parametrize(("sites", "rows", "columns"), [(1, 1, 1), (COLUMNS, 1, COLUMNS), (5, 2, 3), (9, 3, 3)])
def test_panels_fill_their_rows(sites, rows, columns):
    many = explained([profile(f"layer1.{n}") for n in range(sites)], [])
    axes = gates_figure(many, "trial 1 of demo").axes[:-1]  # the last is the scale of colours
    assert len(axes) == 2 * sites
    assert len({round(each.get_position().y0, 4) for each in axes[::2]}) == rows
    assert len({round(each.get_position().x0, 4) for each in axes[::2]}) == columns


def test_many_classes_are_numbered_and_one_without_images_is_no_number():
    by_class = np.full((100, 4), 0.5)
    by_class[7] = np.nan
    many = explained([profile("layer1.0", classes=100, by_class=by_class)], [], classes=tuple(map(str, range(100))))
    axes = gates_figure(many, "trial 1 of demo").axes[0]
    assert axes.get_ylabel() == "class"
    assert gates_png(many, "trial 1 of demo").startswith(b"\x89PNG")


@pytest.mark.filterwarnings("error")
def test_names_of_classes_are_text_and_no_formula(found):
    named = replace(found, classes=(r"$\x$", "\N{CJK UNIFIED IDEOGRAPH-6F22} and a name that is far too long"))
    labels = gates_figure(named, r"exported/$\x$").axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == [r"$\x$", "\N{CJK UNIFIED IDEOGRAPH-6F22} and a name th…"]
    assert gates_png(named, r"exported/$\x$").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("constant", "bypassed", "said"),
    [
        (FREE, COSTLY, "layer1.0: constant costs +0.0001 (-0.0003 to +0.0005): may be folded"),
        (COSTLY, COSTLY, "layer1.0: constant costs +0.0200 (+0.0150 to +0.0250): what it does image by image is used"),
        (UNSURE, COSTLY, "layer1.0: constant costs +0.0010 (-0.0020 to +0.0040): undecided with 5,000 images"),
    ],
)
def test_each_site_has_a_sentence_of_advice(constant, bypassed, said):
    assert advice(explained([], [removal("layer1.0", constant, bypassed)])) == [said]


def test_a_loss_that_falls_without_the_block_is_told_with_the_accuracy():
    (line,) = advice(explained([], [removal("layer1.0", COSTLY, BETTER, bypassed_accuracy=0.85)]))
    assert line.endswith(
        "without it the loss is lower, -0.0300 (-0.0400 to -0.0200), and the accuracy 85.00% instead of 90.00%"
    )


def test_an_accuracy_that_stays_is_not_told():
    (line,) = advice(explained([], [removal("layer1.0", COSTLY, BETTER, bypassed_accuracy=0.9)]))
    assert line.endswith("without it the loss is lower, -0.0300 (-0.0400 to -0.0200)")


def test_a_block_whose_worth_the_images_do_not_tell_is_not_said_to_do_nothing():
    (line,) = advice(explained([], [removal("layer1.0", FREE, Estimate(-0.04, -0.0805, 0.0005))]))
    assert "without it the loss is lower or the same, -0.0400 (-0.0805 to +0.0005)" in line


def test_a_block_that_does_nothing_is_said_to_do_nothing():
    (line,) = advice(explained([], [removal("layer1.0", FREE, FREE)]))
    assert line.endswith("may be folded; without it the loss hardly changes, +0.0001 (-0.0003 to +0.0005)")


def test_what_is_rounded_to_zero_has_no_minus(capsys):
    tiny = removal("layer1.0", Estimate(-1e-6, -2e-6, 1e-6))
    assert "+0.0000 (+0.0000 to +0.0000)" in advice(explained([], [tiny]))[0]
    assert "+0.0000 to +0.0000" in shown(removals_table(explained([], [tiny])), capsys)


def test_all_at_once_is_beside_the_sum_of_each(found):
    assert advice(found)[2].startswith(
        "all 2 at once: constant costs +0.0200 (+0.0150 to +0.0250), where each by itself"
    )
    assert "adds up to +0.0201" in advice(found)[2]


def test_the_command_that_folds_is_named_where_something_may_be_folded(found):
    fold = "senas export study.name=demo fold=0.001"
    assert advice(found, fold)[-1].endswith(f"no more than 0.001: {fold}")
    none = explained([], [removal("layer1.0", COSTLY)])
    assert not any(fold in line for line in advice(none, fold))


def test_words_name_the_gate_that_follows_the_image_most_and_the_one_that_does_least(found):
    said = gates_in_words(found)
    assert said.startswith("layer2.0 varies most with the image: 25 % of its gate's variance is over images;")
    assert "layer1.0 least: 0.4 %" in said
    assert "layer1.0 suppresses most: 25 % of its gates" in said
    assert "layer2.0 (3 for 2.5)" in said


def test_a_block_of_the_backbones_own_has_no_width_to_compare(capsys):
    own = explained([profile("layer1.0", block=Original())], [removal("layer1.0")])
    text = shown(gates_table(own), capsys)
    assert "layer1.0 original" in text
    assert "of 1 " not in text
    assert "wider" not in gates_in_words(own)


@pytest.mark.parametrize(
    ("number", "words"),
    [(0.0, "0 %"), (0.0004, "<0.1 %"), (0.004, "0.4 %"), (0.25, "25 %"), (1.0, "100 %"), (float("nan"), "-")],
)
def test_small_shares_are_not_rounded_away(number, words):
    assert share(number) == words
