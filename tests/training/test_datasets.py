"""The datasets by name: what is in their parts, and files that are missing or damaged."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from senas.errors import DataError
from senas.training import datasets
from senas.training.datasets import DATASETS, FASHION_CLASSES, cued_digits, digits, fashion_mnist


def pixels(known, part):
    """The images as they were before normalisation."""
    return part.images * known.std[:, None, None] + known.mean[:, None, None]


# Digits


@pytest.fixture(scope="module")
def ten():
    return digits(val=0.2, test=0.1, split_seed=0, batch_size=64)


def test_the_digits_are_1797_grey_images_of_8_x_8(ten):
    assert ten.shape == (1, 8, 8)
    assert len(ten.train) + len(ten.val) + len(ten.test) == 1797
    assert ten.classes == tuple("0123456789")


def test_the_shares_of_the_digits_are_those_asked_for(ten):
    assert len(ten.val) == pytest.approx(0.2 * 1797, abs=5)
    assert len(ten.test) == pytest.approx(0.1 * 1797, abs=5)


def test_the_digits_are_between_0_and_1_before_normalisation(ten):
    given = pixels(ten, ten.train)
    assert given.min() == pytest.approx(0, abs=1e-6)
    assert given.max() == pytest.approx(1, abs=1e-6)


def test_no_test_digit_is_trained_or_validated_on(ten):
    def contents(part):
        return {image.numpy().tobytes() for image in part.images}

    # The 1,797 images are all different.
    assert len(contents(ten.train) | contents(ten.val) | contents(ten.test)) == 1797


def test_the_split_seed_decides_which_digits_are_where(ten):
    again = digits(val=0.2, test=0.1, split_seed=0, batch_size=32)
    other = digits(val=0.2, test=0.1, split_seed=1, batch_size=64)
    assert torch.equal(ten.val.labels, again.val.labels)
    assert not torch.equal(ten.val.images[:50], other.val.images[:50])


# Cued digits


@pytest.fixture(scope="module")
def cued():
    return cued_digits(train=300, val=200, test=100, split_seed=0, batch_size=64)


def parts(known):
    return known.train, known.val, known.test


def test_cued_digits_are_three_channels_of_12_x_12_in_the_numbers_asked_for(cued):
    assert [tuple(part.images.shape) for part in parts(cued)] == [(n, 3, 12, 12) for n in (300, 200, 100)]


def cue(known, part):
    """(N, 3): how far the top row of each channel is raised; the padding there is 0."""
    top = pixels(known, part)[:, :, 0]
    torch.testing.assert_close(top.amin(2), top.amax(2), atol=1e-5, rtol=0)
    return top.mean(2)


def test_exactly_one_channel_is_cued(cued):
    for part in parts(cued):
        raised, _ = cue(cued, part).sort(1)
        torch.testing.assert_close(raised, torch.tensor([[0.0, 0.0, 0.7]]).expand_as(raised), atol=1e-5, rtol=0)


def test_each_channel_is_cued_as_often_as_the_others(cued):
    shares = torch.bincount(cue(cued, cued.train).argmax(1), minlength=3) / len(cued.train)
    assert shares.min() > 0.25


def contents(known, part, channels):
    """The digits of some channels as keys; pixels are sixteenths."""
    inside = pixels(known, part)[:, :, 2:10, 2:10]
    chosen = inside[torch.arange(len(part)), channels]
    return [np.rint(image.numpy() * 16).astype(np.uint8).tobytes() for image in chosen]


def known_digits():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return {
        image.astype(np.uint8).tobytes(): int(label) for image, label in zip(bunch.images, bunch.target, strict=True)
    }


def test_the_label_is_the_digit_of_the_cued_channel(cued):
    known = known_digits()
    for part in parts(cued):
        assert [known[key] for key in contents(cued, part, cue(cued, part).argmax(1))] == part.labels.tolist()


def test_the_parts_are_composed_from_disjoint_digits(cued):
    used = [{key for channel in range(3) for key in contents(cued, part, channel)} for part in parts(cued)]
    assert len(set.union(*used)) == sum(map(len, used))
    assert min(map(len, used)) > 100


def test_composites_depend_on_the_split_seed_alone(cued):
    torch.manual_seed(5)
    again = cued_digits(train=300, val=200, test=100, split_seed=0, batch_size=10)
    other = cued_digits(train=300, val=200, test=100, split_seed=1, batch_size=64)
    assert torch.equal(again.train.images, cued.train.images)
    assert not torch.equal(other.train.images, cued.train.images)


def test_more_training_composites_do_not_change_the_validation_ones(cued):
    more = cued_digits(train=400, val=200, test=100, split_seed=0, batch_size=64)
    assert torch.equal(more.val.labels, cued.val.labels)


@pytest.mark.parametrize("counts", [(0, 1, 1), (1, 0, 1), (1, 1, -1)])
def test_a_part_without_composites_is_refused(counts):
    train, val, test = counts
    with pytest.raises(DataError, match=rf"\Adata\.train.*at least 1, got {train}, {val}, {test}\Z"):
        cued_digits(train=train, val=val, test=test, split_seed=0, batch_size=1)


# Fashion-MNIST

KNOWN, TEST = 120, 30


def idx(array):
    return struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def fashion_files():
    """File name -> content. The first pixel of an image is its number, its label that number modulo 10."""
    rng, files = np.random.default_rng(0), {}
    for name, count in (("train", KNOWN), ("t10k", TEST)):
        images = rng.integers(256, size=(count, 28, 28)).astype(np.uint8)
        images[:, 0, 0] = np.arange(count)
        files[f"{name}-images-idx3-ubyte"] = idx(images)
        files[f"{name}-labels-idx1-ubyte"] = idx((np.arange(count) % 10).astype(np.uint8))
    return files


def written(folder, files=None, zipped=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (files or fashion_files()).items():
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


def fashion(root, train=None, val=20, download=False, split_seed=0):
    return fashion_mnist(root=str(root), download=download, train=train, val=val, split_seed=split_seed, batch_size=16)


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("below", ["", "FashionMNIST/raw"], ids=["root", "torchvision"])
def test_fashion_mnist_is_read_from_where_it_may_be(tmp_path, below, zipped):
    written(tmp_path / below, zipped=zipped)
    known = fashion(tmp_path)
    assert known.shape == (1, 28, 28)
    assert [len(part) for part in parts(known)] == [100, 20, 30]
    assert known.classes == FASHION_CLASSES


def test_a_plain_file_is_preferred_to_a_gzipped_one(tmp_path):
    written(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"damaged")
    assert len(fashion(tmp_path).train) == 100


def fashion_numbers(known, part):
    return np.rint(pixels(known, part)[:, 0, 0, 0].numpy() * 255).astype(int)


def test_pixels_and_labels_are_those_of_the_files(tmp_path):
    known = fashion(written(tmp_path))
    assert fashion_numbers(known, known.test).tolist() == list(range(TEST))
    for part in parts(known):
        assert (fashion_numbers(known, part) % 10).tolist() == part.labels.tolist()


def test_validation_is_split_off_the_training_files_with_every_class_in_proportion(tmp_path):
    known = fashion(written(tmp_path))
    train, val = fashion_numbers(known, known.train), fashion_numbers(known, known.val)
    assert sorted([*train, *val]) == list(range(KNOWN))
    assert np.bincount(known.val.labels).tolist() == [2] * 10


def test_the_training_images_can_be_limited_and_the_validation_ones_stay(tmp_path):
    all_of_it, some = fashion(written(tmp_path)), fashion(tmp_path, train=40)
    assert len(some.train) == 40
    assert fashion_numbers(some, some.train).tolist() == fashion_numbers(all_of_it, all_of_it.train)[:40].tolist()
    assert fashion_numbers(some, some.val).tolist() == fashion_numbers(all_of_it, all_of_it.val).tolist()


@pytest.mark.parametrize(("train", "val"), [(101, 20), (0, 20), (None, 0), (None, KNOWN)])
def test_more_images_than_there_are_are_refused(tmp_path, train, val):
    key = "train" if train is not None else "val"
    with pytest.raises(DataError, match=rf"\Adata\.{key} must be between 1 and \d+, .*\Z"):
        fashion(written(tmp_path), train=train, val=val)


def test_where_there_is_no_fashion_mnist_the_places_and_the_ways_out_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "FASHION_PLACES", ("{root}", "{root}/FashionMNIST/raw"))
    with pytest.raises(DataError, match=r"\Adata\.root: no Fashion-MNIST in .*raw; .*data\.download=true\Z"):
        fashion(tmp_path)


@pytest.mark.parametrize("missing", ["train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"])
def test_a_missing_file_among_the_four_is_named(tmp_path, missing):
    (written(tmp_path) / missing).unlink()
    with pytest.raises(DataError, match=rf"\Adata\.root: .*{missing} cannot be read: .*\Z"):
        fashion(tmp_path)


IMAGES = fashion_files()["train-images-idx3-ubyte"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not an IDX file"),
        (b"\0\0\x08", "is not an IDX file"),
        (b"<html>404</html>", "is not an IDX file"),
        (b"\0\0\x0d" + IMAGES[3:], "is not an IDX file"),  # floats
        (IMAGES[:10], "is not an IDX file"),
        (IMAGES[:-1], "should hold"),
        (IMAGES + b"\0", "should hold"),
        (b"\0\0\x08\0" + b"\0", "do not belong together"),
        (idx(np.zeros((KNOWN - 1, 28, 28), np.uint8)), "do not belong together"),
        (idx(np.zeros(KNOWN, np.uint8)), "do not belong together"),
    ],
    ids=["empty", "short", "page", "floats", "cut head", "cut", "longer", "number", "fewer", "flat"],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, content, words):
    written(tmp_path, {**fashion_files(), "train-images-idx3-ubyte": content})
    with pytest.raises(DataError, match=rf"\Adata\.root: .*{words}.*\Z"):
        fashion(tmp_path)


def test_labels_beyond_the_classes_are_refused(tmp_path):
    written(tmp_path, {**fashion_files(), "t10k-labels-idx1-ubyte": idx(np.full(TEST, 10, np.uint8))})
    with pytest.raises(DataError, match=r"\Adata\.root: .*t10k.*\Z"):
        fashion(tmp_path)


@pytest.mark.parametrize("damage", ["no gzip", "cut", "checksum", "flipped"])
def test_a_damaged_gzip_is_refused_in_one_line(tmp_path, damage):
    zipped = gzip.compress(IMAGES)
    middle = len(zipped) // 2
    content = {
        "no gzip": IMAGES,
        "cut": zipped[:middle],
        "checksum": zipped[:20] + bytes(byte ^ 0xFF for byte in zipped[20:60]) + zipped[60:],
        "flipped": zipped[:10] + b"\xff" * 8 + zipped[18:],
    }[damage]
    written(tmp_path, zipped=True)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"\Adata\.root: .*train-images-idx3-ubyte.* cannot be read: .*\Z"):
        fashion(tmp_path)


def test_every_dataset_has_its_file_in_the_configuration():
    files = Path(__file__).parents[2] / "conf" / "data"
    assert {path.stem for path in files.glob("*.yaml")} == set(DATASETS)
