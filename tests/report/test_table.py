"""The front as a table: what is written can be read back."""

import csv
import io
import re

import pytest
from rich.console import Console

from senas.core.config import SEConfig
from senas.report.table import HEADER, FrontTable, spoken


@pytest.fixture
def table(front, sites):
    return FrontTable(trials=front, picked=11, sites=sites)


def cells(line):
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def printed(what, width=200):
    console = Console(width=width, file=io.StringIO())
    console.print(what)
    return console.file.getvalue()


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


def test_csv_has_one_line_a_trial_and_a_header(table, front):
    assert len(table.csv().splitlines()) == 1 + len(front)


def test_every_markdown_row_has_a_cell_for_each_column(table, front):
    lines = table.markdown().splitlines()
    assert len(lines) == 2 + len(front)
    assert {len(cells(line)) for line in lines} == {len(HEADER)}


def test_markdown_has_the_header_and_says_which_columns_are_numbers(table):
    header, rule, *_ = table.markdown().splitlines()
    assert cells(header) == list(HEADER)
    assert cells(rule) == 6 * ["---:"] + ["---"]


def test_markdown_reads_back_as_the_trials(table, front, sites):
    for line, trial in zip(table.markdown().splitlines()[2:], front, strict=True):
        number, loss, accuracy, params, share, macs, words = (cell.strip("*").strip() for cell in cells(line))
        assert int(number.removesuffix("*")) == trial.number
        assert float(loss) == round(trial.scores["val_loss"], 4)
        assert accuracy == "93.75%"
        assert int(params.replace(",", "")) == trial.scores["se_params"]
        assert float(share.removesuffix("%")) == round(100 * trial.scores["se_params"] / 75_002, 2)
        assert macs == spoken(trial.scores["macs"])
        assert words == trial.config.words(sites).replace("|", "/")


def test_only_the_recommended_row_of_markdown_is_bold(table):
    bold = [re.findall(r"\*\*", line) != [] for line in table.markdown().splitlines()]
    assert bold == [False, False, False, True, False]


def test_the_terminal_shows_every_trial_and_a_star_at_the_recommended_one(table, front, sites):
    text = printed(table.rich())
    rows = [line for line in text.splitlines() if re.match(r" *\d+ ", line)]
    assert [int(row.split()[0]) for row in rows] == [trial.number for trial in front]
    assert [" * " in row for row in rows] == [False, True, False]
    assert all(trial.config.words(sites) in row for row, trial in zip(rows, front, strict=True))


def test_a_narrow_terminal_wraps_configurations_and_cuts_no_number(table, front):
    text = printed(table.rich(), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert all(f"{trial.scores['val_loss']:.4f}" in text for trial in front)


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
