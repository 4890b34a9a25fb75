"""The front as a picture: one that can be looked at."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from senas.core.verdict import Pick
from senas.report.figure import BLUE, GREY, ORANGE, VIOLET, front_figure, front_png


@pytest.fixture
def picture(sites):
    def draw(findings):
        png = front_png(title="pilot: resnet8 on digits", findings=findings, sites=sites)
        image = Image.open(io.BytesIO(png))
        image.load()
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))

    return draw


def pixels(image, color):
    """How many are about of this colour."""
    wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(image.astype(int) - wanted).max(axis=2) < 8).sum())


def test_it_shows_trainings_front_pick_and_random_places_each_in_its_colour(picture, findings):
    image = picture(findings)
    assert image.shape == (650, 1040, 3)
    assert min(pixels(image, color) for color in (GREY, BLUE, ORANGE, VIOLET)) > 50
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 10


def test_a_point_that_is_hardly_on_the_front_is_paler(picture, findings):
    sure, unsure = (
        replace(findings, front=[each._replace(on_front=chance) for each in findings.front]) for chance in (1.0, 0.0)
    )
    assert pixels(picture(sure), BLUE) > 2 * pixels(picture(unsure), BLUE)


def test_a_wider_interval_is_a_longer_line(sites, findings, about):
    def heights(half):
        wide = replace(findings, front=[each._replace(loss=about(each.loss.mean, half)) for each in findings.front])
        axes = front_figure(title="", findings=wide, sites=sites).axes[0]
        return [np.ptp(path[:, 1]) for bars in axes.containers for path in bars[2][0].get_segments() if len(path) > 1]

    assert sum(heights(0.2)) > sum(heights(0.1))


def test_a_leader_is_named_as_one_that_leads(sites, findings, undecided):
    def legend(found):
        axes = front_figure(title="", findings=found, sites=sites).axes[0]
        return " ".join(text.get_text() for text in axes.get_legend().get_texts())

    assert "recommended: r4 standard" in legend(findings)
    assert "leads, undecided: r4 standard" in legend(undecided)
    assert "recommended" not in legend(undecided)


def test_it_can_show_a_front_of_one_training(picture, findings):
    one = findings.points[0]
    alone = replace(
        findings,
        measured=[one.trial],
        points=[one],
        front=[one],
        picked=one,
        pick=Pick(one.trial, "", decided=True),
        elsewhere=None,
    )
    image = picture(alone)
    assert min(pixels(image, color) for color in (BLUE, ORANGE)) > 50


def test_it_can_show_a_pick_that_is_not_on_the_front(picture, findings):
    beaten = findings.points[3]
    off_front = replace(findings, picked=beaten, pick=Pick(beaten.trial, "", decided=True))
    assert (picture(findings) != picture(off_front)).any()
