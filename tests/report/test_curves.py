"""Learning curves as a picture."""

import re

import pytest

from senas.report.curves import Curve, curves


def paths(text):
    return re.findall(r'<path class="curve ([\w-]+)" d="([^"]*)"', text)


def test_every_training_is_a_line_and_the_thick_ones_lie_on_top():
    lines = [Curve([0.9, 0.5], "pick"), Curve([1.0, 0.6]), Curve([0.8, 0.7], "baseline-none")]
    assert [kind for kind, _ in paths(curves(lines, "loss"))] == ["thin", "pick", "baseline-none"]


def test_trainings_of_one_epoch_have_no_curve():
    assert curves([Curve([0.9]), Curve([0.8], "pick")], "loss") == ""
    assert len(paths(curves([Curve([0.9]), Curve([0.8, 0.7])], "loss"))) == 1


def test_a_training_that_was_stopped_ends_where_it_was():
    def end(values):
        whole = Curve([0.9, 0.8, 0.7, 0.6], "pick")
        (_, first), *_ = paths(curves([Curve(values), whole], "loss"))
        return float(re.findall(r"L([\d.]+) ", first)[-1])

    assert end([0.9, 0.8]) < end([0.9, 0.8, 0.7]) < end([0.9, 0.8, 0.7, 0.6])


def test_first_epochs_that_are_far_off_do_not_press_the_rest_together():
    lines = [Curve([1000.0] + [1 - n / 100 for n in range(50)])] + [Curve([1 - n / 100 for n in range(51)])] * 3
    ticks = [float(t.replace(",", "")) for t in re.findall(r'text-anchor="end">([\d.,]+)<', curves(lines, "loss"))]
    assert max(ticks) < 2


def test_what_is_cut_off_is_left_out_and_not_drawn_along_the_edge():
    low = [Curve([1.0] * 60)] * 3
    (_, path), *_ = paths(curves([Curve([1000.0, 900.0, 1.0]), *low], "loss"))
    assert path.count("L") == 1  # the last piece alone reaches into the picture


@pytest.mark.parametrize("values", [[float("nan"), 0.5], [float("inf"), 0.5]])
def test_a_training_that_diverged_is_not_drawn(values):
    assert len(paths(curves([Curve(values), Curve([0.9, 0.5])], "loss"))) == 1
