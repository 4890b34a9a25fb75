"""What SE blocks are worth, as table, CSV and picture."""

import csv
import io

import numpy as np
import pytest

from senas.core.certainty import Estimate
from senas.core.worth import ANY, Worth
from senas.report.console import Terminal
from senas.report.effects import effects_csv, effects_figure, effects_png, effects_table

ROWS = [
    Worth("placement", "standard", "", Estimate(-0.02, -0.03, -0.01), 0.99, 12),
    Worth("place", "layer1.0", ANY, Estimate(-0.01, -0.03, 0.01), 0.8, 9),
    Worth("place", "layer1.0", "r4 standard", Estimate(0.02, 0.01, 0.03), 0.01, 4),
    Worth("pair", "layer1.0, layer1.1", "", Estimate(0.0, -0.01, 0.01), 0.5, 2),
]


def test_the_table_has_each_interval_with_its_sign(capsys):
    Terminal().show(effects_table(ROWS, "val_loss"))
    text = capsys.readouterr().out
    assert "-0.0300 to -0.0100" in text
    assert "+0.0100 to +0.0300" in text
    assert "placement standard" in text
    assert "pair layer1.0, layer1.1" in text


def test_what_is_known_to_help_or_harm_is_marked():
    assert [row.style for row in effects_table(ROWS, "val_loss").rows] == ["bold green", None, "red", None]


def test_the_csv_has_the_numbers_in_full():
    rows = list(csv.DictReader(io.StringIO(effects_csv(ROWS))))
    assert len(rows) == len(ROWS)
    assert rows[2] == {
        "kind": "place",
        "name": "layer1.0",
        "option": "r4 standard",
        "mean": "0.02",
        "low": "0.01",
        "high": "0.03",
        "probability_that_it_lowers": "0.01",
        "trainings": "4",
    }


def test_the_picture_has_a_bar_for_each_row_from_low_to_high():
    (axes,) = effects_figure(ROWS, title="study", metric="validation loss").axes
    bars = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linewidth() == 3]
    assert np.array(bars) == pytest.approx(np.array([[row.loss.low, row.loss.high] for row in ROWS]))
    assert effects_png(ROWS, title="study", metric="validation loss").startswith(b"\x89PNG")
