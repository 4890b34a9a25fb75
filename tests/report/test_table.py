"""The front as a table: what is written can be read back."""

import csv
import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from senas.core.config import SEConfig
from senas.core.verdict import Pick
from senas.report.findings import percent, signed, size
from senas.report.table import FrontTable, spoken


@pytest.fixture
def table(findings, sites):
    return FrontTable(findings=findings, sites=sites)


@pytest.fixture
def open_table(undecided, sites):
    return FrontTable(findings=undecided, sites=sites)


def cells(line):
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def printed(what, width=200):
    console = Console(width=width, file=io.StringIO())
    console.print(what)
    return console.file.getvalue()


def test_csv_has_what_is_known_of_each_configuration_in_full(table, findings):
    for row, point in zip(csv.DictReader(io.StringIO(table.csv())), findings.front, strict=True):
        loss = tuple(float(row[name]) for name in ("expected_val_loss", "expected_low", "expected_high"))
        assert loss == (point.loss.mean, point.loss.low, point.loss.high)
        assert (int(row["trainings"]), float(row["probability_on_front"])) == (point.trainings, point.on_front)


def test_csv_has_the_difference_to_no_se_but_for_no_se_itself(table):
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert [row["minus_none"] for row in rows] == ["", "-0.11", "-0.19"]


def test_csv_reads_back_as_the_trials(table, front):
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert [int(row["trial"]) for row in rows] == [trial.number for trial in front]
    for row, trial in zip(rows, front, strict=True):
        assert {name: float(row[name]) for name in trial.scores} == trial.scores
        assert (int(row["seed"]), int(row["epochs"])) == (3, 3)


def test_csv_holds_the_configuration_as_it_can_be_parsed(table, front):
    rows = csv.DictReader(io.StringIO(table.csv()))
    assert [SEConfig.parse(row["blocks"]) for row in rows] == [trial.config for trial in front]


def test_csv_marks_the_recommended_one(table):
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert [row["trial"] for row in rows if row["recommended"] == "yes"] == ["11"]
    assert {row["recommended"] for row in rows} == {"yes", "no"}


def test_csv_of_what_is_undecided_recommends_nothing_and_names_the_leader(open_table):
    rows = list(csv.DictReader(io.StringIO(open_table.csv())))
    assert {row["recommended"] for row in rows} == {"no"}
    assert [row["trial"] for row in rows if row["leads"] == "yes"] == ["11"]


def test_a_pick_that_is_not_on_the_front_has_a_row_of_its_own(findings, sites):
    beaten = findings.points[3]
    table = FrontTable(
        findings=replace(findings, pick=Pick(beaten.trial, "", decided=True), picked=beaten), sites=sites
    )
    assert [row["trial"] for row in csv.DictReader(io.StringIO(table.csv()))] == ["4", "7", "2", "11"]


def test_a_metric_of_which_more_is_better_is_shown_as_it_was_measured(findings, sites, point, make):
    trial = make(4, SEConfig.everywhere(sites, 4), 0.5)
    trial.scores["f1"] = 0.8
    known = point(trial, -0.75, from_none=-0.02)
    changes = {"front": [known], "picked": known, "pick": Pick(trial, "", decided=True), "metric": "minus_f1"}
    table = FrontTable(findings=replace(findings, **changes), sites=sites)
    (row,) = csv.DictReader(io.StringIO(table.csv()))
    assert [float(row[name]) for name in ("expected_f1", "expected_low", "expected_high")] == [0.75, 0.7, 0.8]
    assert "+0.0200 (-0.0100 to +0.0500)" in table.markdown()


def test_csv_has_one_line_a_trial_and_a_header(table, front):
    assert len(table.csv().splitlines()) == 1 + len(front)


def test_every_markdown_row_has_a_cell_for_each_column(table, front):
    lines = table.markdown().splitlines()
    assert len(lines) == 2 + len(front)
    assert {len(cells(line)) for line in lines} == {len(table.header)}


def test_markdown_has_the_header_and_says_which_columns_are_numbers(table):
    header, rule, *_ = table.markdown().splitlines()
    assert cells(header) == list(table.header)
    assert cells(rule) == 8 * ["---:"] + ["---"]


def test_markdown_tells_what_is_known_of_each_configuration(table, findings, sites):
    for line, point in zip(table.markdown().splitlines()[2:], findings.front, strict=True):
        number, loss, none, sure, trainings, params, share, macs, words = (c.strip("*").strip() for c in cells(line))
        assert int(number.removesuffix("*")) == point.trial.number
        assert loss == f"{point.loss.mean:.4f} ({point.loss.low:.4f} to {point.loss.high:.4f})"
        assert none == (signed(point.from_none) if point.config else "")
        assert (sure, trainings) == (percent(point.on_front), str(point.trainings))
        assert int(params.replace(",", "")) == size(point)
        assert float(share.removesuffix("%")) == round(100 * size(point) / 75_002, 2)
        assert macs == spoken(point.trial.scores["macs"])
        assert words == point.config.words(sites).replace("|", "/")


def test_only_the_recommended_row_of_markdown_is_bold(table):
    bold = [re.findall(r"\*\*", line) != [] for line in table.markdown().splitlines()]
    assert bold == [False, False, False, True, False]


def test_markdown_of_what_is_undecided_has_no_bold_row_and_says_what_leads(open_table):
    assert "**" not in open_table.markdown()
    assert [" leads |" in line for line in open_table.markdown().splitlines()[2:]] == [False, True, False]


def test_the_terminal_shows_every_point_and_a_star_at_the_recommended_one(table, findings, sites):
    text = printed(table.rich())
    rows = [line for line in text.splitlines() if re.match(r" *\d+ ", line)]
    assert [int(row.split()[0]) for row in rows] == [point.trial.number for point in findings.front]
    assert [" * " in row for row in rows] == [False, True, False]
    assert all(point.config.words(sites) in row for row, point in zip(rows, findings.front, strict=True))


def test_the_terminal_stars_nothing_that_is_undecided(open_table):
    text = printed(open_table.rich())
    assert "*" not in text
    assert "leads" in text


def test_trainings_that_failed_are_told_where_there_were_any(table, findings, sites):
    failed = FrontTable(findings=replace(findings, failed={findings.front[0].config: 2}), sites=sites)
    assert "2, 2 failed" in printed(failed.rich())
    assert "| 2, 2 failed |" in failed.markdown()
    assert "failed" in failed.legend[-1]
    assert "failed" not in printed(table.rich()) + table.markdown() + table.legend[-1]


def test_a_narrow_terminal_wraps_configurations_and_cuts_no_number(table, findings):
    text = printed(table.rich(), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert all(f"{point.loss.low:.4f} to {point.loss.high:.4f}" in text for point in findings.front)
    assert "…" not in text


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1 k"),
        (747_136, "747.1 k"),
        (40_551_424, "40.55 M"),
        (4_089_184_256, "4.089 G"),
        (12e12, "1.2e+04 G"),
    ],
)
def test_counts_are_spoken_in_four_digits(count, words):
    assert spoken(count) == words
