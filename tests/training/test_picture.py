"""Image files of every kind as numbers."""

import io
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from senas.errors import DataError
from senas.training.picture import picture

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)


def kept(folder, image, name="it.png", **options):
    path = folder / name
    image.save(path, **options)
    return path


def read(folder, image, name="it.png", size=None, **options):
    return picture(kept(folder, image, name, **options), size)


def decoded(folder, image, name="it.png", **options):
    return read(folder, image, name, **options).pixels


@pytest.mark.parametrize("name", ["it.png", "it.bmp", "it.tif", "it.webp", "it.PNG", "it.tga", "it.ppm"])
def test_colours_are_read_from_every_format(tmp_path, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    assert np.array_equal(decoded(tmp_path, Image.fromarray(COLOUR), name, **options), COLOUR)


@pytest.mark.parametrize("name", ["it.png", "it.bmp", "it.tif", "it.gif", "it.pgm"])
def test_grey_images_have_no_third_axis(tmp_path, name):
    assert np.array_equal(decoded(tmp_path, Image.fromarray(GREY), name), GREY)


def test_a_jpeg_is_read_as_nearly_as_it_was_kept(tmp_path):
    smooth = Image.fromarray(COLOUR).resize((64, 48))
    difference = decoded(tmp_path, smooth, "it.jpg", quality=95).astype(int) - np.asarray(smooth)
    assert abs(difference).mean() < 4


def test_grey_that_was_kept_in_colours_is_grey(tmp_path):
    assert np.array_equal(decoded(tmp_path, Image.fromarray(GREY).convert("RGB")), GREY)
    assert np.array_equal(decoded(tmp_path, Image.fromarray(GREY).convert("P")), GREY)


def test_one_pixel_of_another_colour_makes_an_image_coloured(tmp_path):
    image = Image.fromarray(GREY).convert("RGB")
    image.putpixel((3, 2), (0, 0, 1))
    assert not read(tmp_path, image).grey


def test_black_and_white_is_grey(tmp_path):
    assert set(decoded(tmp_path, Image.fromarray(GREY > 100)).flatten()) == {0, 255}


def test_a_palette_gives_its_colours(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    assert decoded(tmp_path, image).tolist() == [[[255, 0, 0], [0, 0, 255]]]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_becomes_white(tmp_path, mode):
    image = Image.new(mode, (2, 1), (0,) * len(mode))
    image.putpixel((1, 0), (*(0,) * (len(mode) - 1), 255))
    assert decoded(tmp_path, image).tolist() == [[255, 0]]


def test_a_transparent_entry_of_a_palette_becomes_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    assert decoded(tmp_path, image, transparency=0).tolist() == [[[255, 255, 255], [0, 0, 255]]]


def test_cmyk_becomes_red_green_and_blue(tmp_path):
    pixels = decoded(tmp_path, Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "it.tif")
    assert pixels[0, 0].tolist() == [255, 0, 0]


def test_sixteen_bits_are_kept(tmp_path):
    deep = (np.arange(48, dtype=np.uint16).reshape(6, 8) * 1365).astype(np.uint16)
    for name in ("it.png", "it.tif"):
        known = read(tmp_path, Image.fromarray(deep), name)
        assert known.grey
        np.testing.assert_allclose(known.pixels, deep / 65535, atol=1e-7)


def test_floats_between_0_and_1_are_taken_as_they_are(tmp_path):
    values = GREY.astype(np.float32) / 255
    np.testing.assert_array_equal(decoded(tmp_path, Image.fromarray(values), "it.tif"), values)


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_other_floats_are_refused_with_their_range(tmp_path, value):
    values = np.full((4, 4), value, np.float32)
    with pytest.raises(DataError, match=r"\Adata\.root: .*it\.tif .*floating-point pixels must be in \[0, 1\].*\Z"):
        decoded(tmp_path, Image.fromarray(values), "it.tif")


def test_a_photograph_is_turned_as_the_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    turned = decoded(tmp_path, Image.fromarray(GREY), exif=exif)
    assert np.array_equal(turned, np.rot90(GREY, -1))


def test_the_first_frame_of_several_is_read(tmp_path):
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())]
    for name in ("it.gif", "it.tif"):
        assert np.array_equal(decoded(tmp_path, frames[0], name, save_all=True, append_images=frames[1:]), GREY)


# Sizes


def test_an_image_keeps_its_proportions_and_is_cropped_at_the_centre(tmp_path):
    # Three squares side by side: the one in the middle is what a square crop shows.
    three = np.zeros((20, 60, 3), np.uint8)
    three[:, :20, 0], three[:, 20:40, 1], three[:, 40:, 2] = 255, 255, 255
    pixels = decoded(tmp_path, Image.fromarray(three), size=(10, 10))
    assert pixels.shape == (10, 10, 3)
    assert pixels[:, 1:-1].reshape(-1, 3).tolist() == [[0, 255, 0]] * 80


@pytest.mark.parametrize("size", [(4, 9), (12, 5), (6, 8)])
def test_an_image_gets_the_height_and_width_asked_for(tmp_path, size):
    for image in (Image.fromarray(GREY), Image.fromarray(COLOUR), Image.fromarray(GREY.astype(np.uint16) * 256)):
        assert read(tmp_path, image, size=size).size == size


def test_an_image_that_has_the_size_already_is_not_touched(tmp_path):
    assert np.array_equal(decoded(tmp_path, Image.fromarray(COLOUR), size=(6, 8)), COLOUR)


# Planes


def test_grey_becomes_three_equal_planes(tmp_path):
    planes = read(tmp_path, Image.fromarray(GREY)).planes(3)
    assert all(np.array_equal(plane, GREY / np.float32(255)) for plane in planes)


def test_colours_become_grey_by_their_luminance(tmp_path):
    (plane,) = read(tmp_path, Image.fromarray(COLOUR)).planes(1)
    expected = np.asarray(Image.fromarray(COLOUR).convert("L")) / 255
    np.testing.assert_allclose(plane, expected, atol=0.5 / 255 + 1e-6)


def test_colours_stay_in_their_planes(tmp_path):
    planes = read(tmp_path, Image.fromarray(COLOUR)).planes(3)
    np.testing.assert_array_equal(planes, COLOUR.transpose(2, 0, 1) / np.float32(255))


# Damage

PNG = io.BytesIO()
Image.fromarray(COLOUR).save(PNG, "png")
JPEG = io.BytesIO()
Image.fromarray(COLOUR).resize((64, 64)).save(JPEG, "jpeg")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("it.png", b"", "it is empty"),
        ("it.png", b"<html>404</html>", "no image that Pillow knows"),
        ("it.png", PNG.getvalue()[:60], ""),
        ("it.jpg", JPEG.getvalue()[: len(JPEG.getvalue()) // 2], ""),
        ("it.png", PNG.getvalue()[:45] + b"\xff" * 20 + PNG.getvalue()[65:], ""),
    ],
    ids=["empty", "page", "cut png", "cut jpeg", "flipped png"],
)
def test_a_broken_image_is_named_in_one_line(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"\Adata\.root: .*{name} is broken: .*{words}.*; mend it or take it away\Z"):
        picture(tmp_path / name, None)


@given(st.sampled_from([PNG.getvalue(), JPEG.getvalue()]), st.integers(0, 10**6))
def test_whatever_is_flipped_in_a_file_it_is_read_or_named(tmp_path_factory, content, seed):
    rng, damaged = random.Random(seed), bytearray(content)
    for _ in range(rng.randint(1, 12)):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    path = tmp_path_factory.getbasetemp() / "flipped"
    path.write_bytes(damaged)
    try:
        told = picture(path, (4, 4)).pixels.shape[:2]
    except DataError as error:
        told = str(error)
    assert told == (4, 4) or "\n" not in told


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    path = kept(tmp_path, Image.fromarray(GREY))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(DataError, match=r"it\.png is broken: .*decompression bomb.*"):
        picture(path, None)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = kept(tmp_path, Image.fromarray(GREY))

    def denied(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", denied)
    with pytest.raises(DataError, match=r"\Adata\.root: .*it\.png cannot be read: Permission denied\Z"):
        picture(path, None)


def test_the_digest_is_of_the_file_and_not_of_its_name(tmp_path):
    one, same, other = (
        read(tmp_path, Image.fromarray(pixels), name).digest
        for pixels, name in ((GREY, "a.png"), (GREY, "b.png"), (GREY[::-1].copy(), "c.png"))
    )
    assert one == same != other
