"""A folder of images as a dataset."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from senas.errors import DataError
from senas.training import image_folder as module
from senas.training import memory
from senas.training.image_folder import image_folder

CLASSES = ("bird", "cat", "dog")


def save(path, value, shape=(6, 6)):
    """An image of one value, which says which one it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path)


def filled(root, each=10, classes=CLASSES, first=0):
    """`each` images a class; their values count from `first` on."""
    for c, name in enumerate(classes):
        for i in range(each):
            save(root / name / f"{i}.png", first + each * c + i)
    return root


def load(root, **options):
    defaults = {"val": 0.2, "test": 0.2, "size": None, "channels": None, "split_seed": 0, "batch_size": 1}
    return image_folder(root=str(root), **{**defaults, **options})


def values(known, part):
    """The value of each image, as `save` was given it."""
    pixels = part.images[:, 0, 0, 0] * known.std[0] + known.mean[0]
    return np.rint(pixels.numpy() * 255).astype(int).tolist()


def parts(known):
    return known.train, known.val, known.test


# What is read


def test_classes_are_the_folders_in_order(tmp_path):
    known = load(filled(tmp_path, classes=("zebra", "Ant", "bee")))
    assert known.classes == ("Ant", "bee", "zebra")


def test_every_image_is_in_one_part_with_its_label(tmp_path):
    known = load(filled(tmp_path))
    assert known.counts == (18, 6, 6)
    assert sorted(value for part in parts(known) for value in values(known, part)) == list(range(30))
    for part in parts(known):
        assert part.labels.tolist() == [value // 10 for value in values(known, part)]


def test_size_and_channels_are_those_of_the_files(tmp_path):
    filled(tmp_path, each=6)
    assert load(tmp_path).shape == (1, 6, 6)
    image = Image.new("RGB", (6, 6), (255, 0, 0))
    image.save(tmp_path / "cat" / "red.jpg")
    assert load(tmp_path).shape == (3, 6, 6)


@pytest.mark.parametrize(("channels", "given"), [(1, (200, 10, 90)), (3, (10, 10, 10))])
def test_channels_can_be_asked_for(tmp_path, channels, given):
    filled(tmp_path, each=6)
    Image.new("RGB", (6, 6), given).save(tmp_path / "cat" / "another.png")
    assert load(tmp_path, channels=channels).shape == (channels, 6, 6)


@pytest.mark.parametrize(("size", "shape"), [(4, (1, 4, 4)), ([3, 5], (1, 3, 5))])
def test_size_scales_images_of_all_sizes(tmp_path, size, shape):
    filled(tmp_path, each=6)
    save(tmp_path / "cat" / "wide.png", 7, shape=(20, 31))
    assert load(tmp_path, size=size).shape == shape


def test_deeper_folders_are_looked_into(tmp_path):
    filled(tmp_path, each=6)
    save(tmp_path / "cat" / "2024" / "may" / "0.png", 99)
    known = load(tmp_path)
    assert 99 in [value for part in parts(known) for value in values(known, part)]


def test_a_link_in_a_circle_ends(tmp_path):
    filled(tmp_path, each=6)
    (tmp_path / "cat" / "again").symlink_to(tmp_path / "cat")
    assert sum(load(tmp_path).counts) == 18


def test_a_class_may_be_a_link(tmp_path):
    filled(tmp_path / "here", each=6, classes=("cat", "dog"))
    filled(tmp_path / "there", each=6, classes=("owl",))
    (tmp_path / "here" / "bird").symlink_to(tmp_path / "there" / "owl")
    assert load(tmp_path / "here").classes == CLASSES


def test_clutter_is_left_out_without_a_word(tmp_path):
    filled(tmp_path, each=6)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", ".hidden.png"):
        (tmp_path / "cat" / name).write_text("clutter")
        (tmp_path / name).write_text("clutter")
    save(tmp_path / ".ipynb_checkpoints" / "0.png", 0)
    save(tmp_path / "__MACOSX" / "0.png", 0)
    known = load(tmp_path)
    assert (sum(known.counts), known.classes, known.remarks) == (18, CLASSES, ())


def test_other_files_are_left_out_and_said(tmp_path):
    filled(tmp_path, each=6)
    assert load(tmp_path).remarks == ()
    (tmp_path / "cat" / "notes.txt").write_text("notes")
    assert load(tmp_path).remarks == (f"left out 1 entry that is no image of a class: {tmp_path}/cat/notes.txt",)
    (tmp_path / "README.md").write_text("notes")
    (remark,) = load(tmp_path).remarks
    assert remark.startswith("left out 2 entries that are no image of a class: ")


# Parts that are there


def in_parts(root, **names):
    """A folder a part, of other values in each."""
    for i, name in enumerate(names.values()):
        filled(root / name, each=10, first=40 * i)
    return root


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_parts_that_are_there_are_taken_as_they_are(tmp_path, val):
    known = load(in_parts(tmp_path, train="train", val=val, test="test"))
    assert [sorted(values(known, part)) for part in parts(known)] == [
        list(range(first, first + 30)) for first in (0, 40, 80)
    ]


def test_a_validation_part_that_is_missing_is_split_off_the_training_images(tmp_path):
    known = load(in_parts(tmp_path, train="train", test="test"), val=0.3)
    assert known.counts == (21, 9, 30)
    assert max(values(known, known.val)) < 40
    assert np.bincount(known.val.labels).tolist() == [3, 3, 3]


def test_a_test_part_that_is_missing_is_split_off_the_training_images(tmp_path):
    known = load(in_parts(tmp_path, train="train", val="val"), test=0.1)
    assert known.counts == (27, 30, 3)


def test_a_class_called_train_is_a_class(tmp_path):
    assert load(filled(tmp_path, classes=("bus", "train"))).classes == ("bus", "train")


def test_a_folder_beside_the_parts_is_left_out_and_said(tmp_path):
    in_parts(tmp_path, train="train", val="val", test="test")
    (tmp_path / "labels").mkdir()
    assert load(tmp_path).remarks == (f"left out 1 entry that is no image of a class: {tmp_path}/labels",)


# Which image is where


def test_the_parts_do_not_depend_on_the_order_of_the_directory(tmp_path, monkeypatch):
    filled(tmp_path)
    before = load(tmp_path)
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter(sorted(iterdir(folder), reverse=True)))
    after = load(tmp_path)
    assert [values(after, part) for part in parts(after)] == [values(before, part) for part in parts(before)]


def test_the_parts_do_not_depend_on_where_the_folder_is(tmp_path):
    one = load(filled(tmp_path / "a"))
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "c")
    other = load(tmp_path / "b" / "c")
    assert values(one, one.val) == values(other, other.val)
    assert one.contents == other.contents


def test_the_split_seed_decides_which_image_is_where(tmp_path):
    one, other = load(filled(tmp_path)), load(tmp_path, split_seed=1)
    assert values(one, one.val) != values(other, other.val)


def test_the_contents_change_with_an_image(tmp_path):
    before = load(filled(tmp_path)).contents
    assert load(tmp_path).contents == before
    save(tmp_path / "cat" / "3.png", 250)
    assert load(tmp_path).contents != before


def test_the_contents_change_with_the_class_of_an_image(tmp_path):
    before = load(filled(tmp_path, each=6)).contents
    (tmp_path / "cat").rename(tmp_path / "cats")
    assert load(tmp_path).contents != before


def test_all_images_are_told_of_as_they_are_read(tmp_path):
    heard = []
    load(filled(tmp_path, each=6), told=lambda *said: heard.append(said))
    assert heard == [(done, 18) for done in range(1, 19)]


# Mistakes


def refused(words, root, **options):
    with pytest.raises(DataError, match=rf"\A{words}\Z") as caught:
        load(root, **options)
    assert "\n" not in str(caught.value)


def test_a_root_that_does_not_exist_is_refused(tmp_path):
    refused(r"data\.root: .*nothing does not exist; name a folder.*", tmp_path / "nothing")


def test_a_root_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    refused(r"data\.root: .*file is a file; name a folder.*", tmp_path / "file")


def test_an_empty_root_is_refused(tmp_path):
    refused(r"data\.root: .* holds no folders; .*", tmp_path)


def test_images_without_folders_are_refused(tmp_path):
    save(tmp_path / "0.png", 0)
    refused(r"data\.root: .* holds no folders; .*", tmp_path)


def test_a_root_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    def denied(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    refused(r"data\.root: .* cannot be read: Permission denied", tmp_path)


def test_one_class_is_refused(tmp_path):
    refused(r'data\.root: .* has only one class, "cat"; .*', filled(tmp_path, classes=("cat",)))


def test_a_class_without_images_is_refused(tmp_path):
    filled(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("notes")
    refused(r"data\.root: .*empty holds no image \(.*\.jpg.*\); .*", tmp_path)


def test_a_class_with_too_few_images_for_every_part_is_named(tmp_path):
    filled(tmp_path)
    save(tmp_path / "owl" / "0.png", 0)
    save(tmp_path / "owl" / "1.png", 0)
    refused(r'data\.root: class "owl" has 2 images, too few .* data\.val=0\.2, data\.test=0\.2: .*', tmp_path)


def test_a_class_that_another_part_has_not_is_named(tmp_path):
    in_parts(tmp_path, train="train", val="val", test="test")
    shutil.rmtree(tmp_path / "val" / "dog")
    refused(r'data\.root: the val part of .* has no class "dog", and train has one', tmp_path)


def test_a_class_that_the_training_part_has_not_is_named(tmp_path):
    in_parts(tmp_path, train="train", val="val", test="test")
    save(tmp_path / "test" / "owl" / "0.png", 0)
    refused(r'data\.root: the test part of .* has a class "owl", and train has not', tmp_path)


def test_two_validation_parts_are_refused(tmp_path):
    in_parts(tmp_path, train="train", val="val", other="valid")
    refused(r"data\.root: .* has both val and valid; keep one of them", tmp_path)


def test_parts_without_a_training_part_are_refused(tmp_path):
    refused(r"data\.root: .* has test, and no folder train", in_parts(tmp_path, val="val", test="test"))


def test_a_broken_image_is_named(tmp_path):
    (filled(tmp_path) / "cat" / "5.png").write_bytes(b"broken")
    refused(r"data\.root: .*cat/5\.png is broken: .*", tmp_path)


def test_the_first_of_several_broken_images_is_named(tmp_path):
    in_parts(tmp_path, train="train", val="val", test="test")
    for name in ("7.png", "1.png", "4.png"):
        (tmp_path / "train" / "cat" / name).write_bytes(b"broken")
    refused(r"data\.root: .*train/cat/1\.png is broken: .*", tmp_path)


def test_images_of_different_sizes_are_named_with_the_way_out(tmp_path):
    save(filled(tmp_path) / "dog" / "other.png", 0, shape=(9, 5))
    refused(r"data\.size: .* is 6 x 6, .*dog/other\.png is 9 x 5; data\.size=5 would.*", tmp_path)


@pytest.mark.parametrize("size", [0, -1, 5000, 2.5, "small", [3], [3, 4, 5], [3, 0], True])
def test_a_size_that_is_none_is_refused(tmp_path, size):
    refused(r"data\.size must be null, a number or \[height, width\].*", filled(tmp_path), size=size)


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_numbers_of_channels_are_refused(tmp_path, channels):
    refused(rf"data\.channels must be 1, 3 or null, got {channels}", filled(tmp_path), channels=channels)


def test_what_does_not_fit_into_memory_is_refused_with_the_estimate_before_it_is_read(tmp_path, monkeypatch):
    filled(tmp_path, each=30)
    monkeypatch.setattr(memory, "free_memory", lambda: 1e9)
    monkeypatch.setattr(module, "_read", None)
    # 90 images of 1 x 2000 x 2000 float32, twice.
    refused(r"data\.root: 90 images of 1 x 2000 x 2000 take about 2\.9 GB.*1\.0 GB are free; .*", tmp_path, size=2000)


def test_memory_is_bounded_by_what_the_container_has(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    machine = memory.free_memory()
    (tmp_path / "memory.max").write_text("1000000\n")
    assert machine > 1e6 == memory.free_memory()
