"""CIFAR-10 and CIFAR-100, from files of exactly the formats in which they are published."""

import os
import pickle
import struct

import numpy as np
import pytest

from senas.errors import DataError
from senas.training.cifar import CIFAR10, CIFAR100, cifar10, cifar100

EACH, TESTS = 40, 20
"""Images in a training file and in the test file."""
LOADERS = {CIFAR10: cifar10, CIFAR100: cifar100}
BOTH = pytest.mark.parametrize("edition", [CIFAR10, CIFAR100], ids=lambda edition: edition.name)


class Python2:
    """Pickles as Python 2 did with protocol 2, in which the files were written: text is bytes (SHORT_BINSTRING)."""

    def dumps(self, value):
        return b"\x80\x02" + self.of(value) + b"."

    def of(self, value):
        match value:
            case dict():
                return b"}(" + b"".join(self.of(k) + self.of(v) for k, v in value.items()) + b"u"
            case list():
                return b"](" + b"".join(map(self.of, value)) + b"e"
            case tuple():
                return b"(" + b"".join(map(self.of, value)) + b"t"
            case bool():
                return b"\x88" if value else b"\x89"
            case None:
                return b"N"
            case int():
                return b"J" + struct.pack("<i", value)
            case str():
                return b"U" + bytes([len(value)]) + value.encode("latin1")
            case bytes():
                return b"T" + struct.pack("<i", len(value)) + value
            case np.ndarray():
                dtype = b"cnumpy\ndtype\n" + self.of(("u1", 0, 1)) + b"R"
                dtype += self.of((3, "|", None, None, None, -1, -1, 0)) + b"b"
                state = (
                    b"(" + self.of(1) + self.of(value.shape) + dtype + self.of(False) + self.of(value.tobytes()) + b"t"
                )
                made = (
                    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + self.of((0,)) + self.of("b") + b"tR"
                )
                return made + state + b"b"


def rows(first, count):
    """Images whose first byte is their number."""
    images = np.random.default_rng(first).integers(256, size=(count, 3072)).astype(np.uint8)
    images[:, 0] = np.arange(first, first + count)
    return images


def contents(edition):
    """(name, images, labels) of each file; the label of an image is its number modulo 10."""
    for i, name in enumerate((*edition.known, edition.test)):
        images = rows(i * EACH, TESTS if name == edition.test else EACH)
        yield name, images, (images[:, 0].astype(int) % 10).tolist()


def names(edition):
    return [f"class{i}" for i in range(10 if edition is CIFAR10 else 100)]


def pickled(edition, folder, dumps=None):
    dumps = dumps or Python2().dumps
    folder.mkdir(parents=True, exist_ok=True)
    for name, images, labels in contents(edition):
        batch = {
            "batch_label": "a batch",
            edition.key: labels,
            "data": images,
            "filenames": [f"{i}.png" for i in labels],
        }
        (folder / name).write_bytes(dumps(batch))
    (folder / edition.meta[0]).write_bytes(dumps({edition.names: names(edition), "num_vis": 3072}))
    return folder


def binary(edition, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, images, labels in contents(edition):
        coarse = np.full((len(images), edition.labels - 1), 7, np.uint8)
        content = np.hstack([coarse, np.array(labels, np.uint8)[:, None], images])
        (folder / f"{name}.bin").write_bytes(content.tobytes())
    (folder / edition.meta[1]).write_text("\n".join(names(edition)) + "\n\n")
    return folder


def load(edition, root, train=None, val=20, download=False):
    return LOADERS[edition](root=str(root), download=download, train=train, val=val, split_seed=0, batch_size=8)


def numbers(known, part):
    pixels = part.images[:, 0, 0, 0] * known.std[0] + known.mean[0]
    return np.rint(pixels.numpy() * 255).astype(int)


@BOTH
@pytest.mark.parametrize("write", [pickled, binary])
@pytest.mark.parametrize("below", [False, True])
def test_images_labels_and_names_are_those_of_the_files(tmp_path, edition, write, below):
    write(edition, tmp_path / edition.folders[write is binary] if below else tmp_path)
    known = load(edition, tmp_path)
    total = EACH * len(edition.known)
    assert known.counts == (total - 20, 20, TESTS)
    assert (known.shape, list(known.classes)) == ((3, 32, 32), names(edition))
    assert sorted([*numbers(known, known.train), *numbers(known, known.val)]) == list(range(total))
    for part in (known.train, known.val, known.test):
        assert (numbers(known, part) % 10).tolist() == part.labels.tolist()


def test_an_image_is_red_then_green_then_blue_row_by_row(tmp_path):
    known = load(CIFAR10, pickled(CIFAR10, tmp_path))
    expected = rows(200, TESTS)[3].reshape(3, 32, 32)
    image = known.test.images[3] * known.std[:, None, None] + known.mean[:, None, None]
    assert np.rint(image.numpy() * 255).astype(int).tolist() == expected.tolist()


def test_both_formats_give_the_same_parts(tmp_path):
    one, other = (load(CIFAR100, write(CIFAR100, tmp_path / write.__name__)) for write in (pickled, binary))
    assert numbers(one, one.val).tolist() == numbers(other, other.val).tolist()


def test_files_that_were_written_again_by_python_3_are_read_too(tmp_path):
    def dumps(batch):
        return pickle.dumps({key.encode(): value for key, value in batch.items()}, protocol=2)

    assert load(CIFAR10, pickled(CIFAR10, tmp_path, dumps)).counts.train == 180


def test_the_training_images_can_be_limited(tmp_path):
    assert load(CIFAR10, pickled(CIFAR10, tmp_path), train=50, val=33).counts == (50, 33, TESTS)


# Mistakes


@BOTH
def test_where_there_is_none_the_places_and_the_way_out_are_named(tmp_path, edition):
    with pytest.raises(
        DataError, match=rf"\Adata\.root: no {edition.name} in .*{edition.folders[1]}; .*download=true\Z"
    ):
        load(edition, tmp_path)


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("hacked",)


@pytest.mark.parametrize("call", [Hostile(), {"data": Hostile()}, {b"data": [1, Hostile()]}])
@pytest.mark.parametrize("file", ["data_batch_3", "batches.meta"])
def test_a_hostile_pickle_runs_nothing(tmp_path, monkeypatch, call, file):
    monkeypatch.chdir(tmp_path)
    (pickled(CIFAR10, tmp_path / "files") / file).write_bytes(pickle.dumps(call, protocol=2))
    with pytest.raises(DataError, match=rf"\Adata\.root: .*{file} is damaged, .*: it asks for posix\.mkdir, .*\Z"):
        load(CIFAR10, "files")
    assert not (tmp_path / "hacked").exists()


def test_a_pickle_makes_no_array_of_addresses(tmp_path):
    """numpy.ndarray((2,), dtype("O"), bytes) takes the bytes for pointers: whoever looks at it ends the process."""
    pickled(CIFAR10, tmp_path)
    python = Python2()
    pointers = b"cnumpy\nndarray\n(" + python.of((2,)) + b"cnumpy\ndtype\n(" + python.of("O") + b"tR"
    hostile = b"\x80\x02}(" + python.of("data") + pointers + python.of(b"A" * 16) + b"tRu."
    (tmp_path / "test_batch").write_bytes(hostile)
    with pytest.raises(DataError, match="test_batch is damaged, or no file of CIFAR"):
        cifar10(root=str(tmp_path), download=False, train=None, val=10, split_seed=0, batch_size=8)


def test_an_array_of_other_than_bytes_is_refused(tmp_path):
    pickled(CIFAR10, tmp_path)
    wide = {"data": np.zeros((2, 3072), np.float32), "labels": [0, 1]}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(wide, protocol=2))
    with pytest.raises(DataError, match="it holds an array of something else than bytes"):
        cifar10(root=str(tmp_path), download=False, train=None, val=10, split_seed=0, batch_size=8)


WHOLE = Python2().dumps({"data": rows(0, 3), "labels": [0, 1, 2]})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is damaged"),
        (b"<html>404</html>", "is damaged"),
        (WHOLE[:-40], "is damaged"),
        (Python2().dumps([1]), "holds no dictionary"),
        (Python2().dumps({"labels": [0]}), "holds no images of 3072 bytes each"),
        (Python2().dumps({"data": rows(0, 3)[:, 1:], "labels": [0, 1, 2]}), "holds no images of 3072 bytes each"),
        (Python2().dumps({"data": rows(0, 3), "labels": [0, 1]}), "should hold 3 labels"),
        (Python2().dumps({"data": rows(0, 3), "labels": [0, 1, 10]}), "labels that are not below 10"),
    ],
    ids=["empty", "page", "cut", "list", "no data", "narrow", "fewer labels", "beyond"],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, content, words):
    (pickled(CIFAR10, tmp_path) / "data_batch_2").write_bytes(content)
    with pytest.raises(DataError, match=rf"\Adata\.root: .*data_batch_2.*{words}.*\Z"):
        load(CIFAR10, tmp_path)


@pytest.mark.parametrize("content", [b"", b"x" * 3072, b"x" * 3074])
def test_a_binary_file_of_another_length_is_refused(tmp_path, content):
    (binary(CIFAR10, tmp_path) / "data_batch_2.bin").write_bytes(content)
    with pytest.raises(DataError, match=r"\Adata\.root: .*data_batch_2\.bin should hold rows of 3073 bytes, .*\Z"):
        load(CIFAR10, tmp_path)


@pytest.mark.parametrize("name", ["data_batch_4", "test_batch"])
def test_a_missing_file_is_named(tmp_path, name):
    (pickled(CIFAR10, tmp_path) / name).unlink()
    with pytest.raises(DataError, match=rf"\Adata\.root: .*{name} cannot be read: .*\Z"):
        load(CIFAR10, tmp_path)
