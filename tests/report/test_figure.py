"""The front as a picture: one that can be looked at."""

import io

import numpy as np
import pytest
from PIL import Image

from senas.core.config import SEConfig
from senas.report.figure import BLUE, GREY, ORANGE, front_png


@pytest.fixture
def picture(sites):
    def draw(measured, front, picked):
        png = front_png(title="pilot: resnet8 on digits", measured=measured, front=front, picked=picked, sites=sites)
        image = Image.open(io.BytesIO(png))
        image.load()
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))

    return draw


def pixels(image, color):
    """How many are about of this colour."""
    wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    return int((np.abs(image.astype(int) - wanted).max(axis=2) < 8).sum())


def test_it_shows_the_trials_the_front_and_the_pick_each_in_its_colour(picture, front, make):
    beaten = make(7, SEConfig(), 0.8)
    image = picture([*front, beaten], front, front[1])
    assert image.shape == (650, 1040, 3)
    assert min(pixels(image, color) for color in (GREY, BLUE, ORANGE)) > 50
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 10


def test_it_can_show_a_front_of_one_trial(picture, front):
    image = picture(front[:1], front[:1], front[0])
    assert min(pixels(image, color) for color in (BLUE, ORANGE)) > 50


def test_it_can_show_a_pick_that_is_not_on_the_front(picture, front, make):
    beaten = make(7, SEConfig(), 0.8)
    on_front, off_front = picture([*front, beaten], front, front[0]), picture([*front, beaten], front, beaten)
    assert (on_front != off_front).any()


def test_a_front_of_many_blocks_has_a_legend_that_fits(picture, front, make, sites, mixed):
    """The words of the pick are as long as a network is deep."""
    assert picture(front, front, make(2, mixed, 0.3)).shape == (650, 1040, 3)


def test_another_front_is_another_picture(picture, front):
    assert (picture(front, front, front[0]) != picture(front, front[:2], front[0])).any()
