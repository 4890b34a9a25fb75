"""LightningDataModules of the user's own, found beside the working directory."""

import random
import sys

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from senas.core.config import SEConfig
from senas.core.trial import Job
from senas.errors import ConfigError, DataError
from senas.model.backbones import named
from senas.model.sites import trace
from senas.training.augment import Augmentation
from senas.training.custom import CustomData, custom
from senas.training.standalone import Device, Standalone

pytestmark = pytest.mark.filterwarnings("ignore")


class Noisy(Dataset):
    """Images that tell their number by their second pixel, with noise of all three kinds in the first."""

    def __init__(self, count, noise=True, shape=(1, 8, 8)):
        self.count, self.noise, self.shape = count, noise, shape

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        image = torch.zeros(self.shape)
        image[0, 0, 1] = i
        if self.noise:
            image[0, 0, 0] = torch.rand(()) + np.random.rand() + random.random()
        return image, i % 3


class Module(pl.LightningDataModule):
    """24 images to train on and 10 to validate, unless told otherwise."""

    def __init__(self, train=None, val=None, batch_size=8, **options):
        super().__init__()
        self.given, self.batch_size, self.options = (train, val), batch_size, options
        self.calls = []

    def prepare_data(self):
        self.calls.append("prepare")

    def setup(self, stage):
        self.calls.append(stage)

    def train_dataloader(self):
        given, size = self.given[0], self.batch_size
        return DataLoader(Noisy(24), batch_size=size, shuffle=True, **self.options) if given is None else given

    def val_dataloader(self):
        return DataLoader(Noisy(10, noise=False), batch_size=4) if self.given[1] is None else self.given[1]


class WithTest(Module):
    def test_dataloader(self):
        return DataLoader(Noisy(7), batch_size=4)


def own(*args, kind=Module, **options):
    return CustomData(kind(*args, **options), "mypkg.data:MyData")


def passed(known, seed=0, epoch=0):
    """One pass over the training part, as numbers."""
    known.seed = seed
    batches = known.train_dataloader()
    batches.set_epoch(epoch)
    return torch.cat([images for images, _ in batches])[:, 0, 0, :2].tolist()


# What is known of it


def test_shape_counts_and_classes_are_those_of_its_data():
    known = own()
    assert (known.shape, known.counts, known.classes) == ((1, 8, 8), (24, 10, 0), ("0", "1", "2"))
    assert (known.mean.tolist(), known.std.tolist(), known.batch_size) == ([0.0], [1.0], 8)


@pytest.mark.parametrize(
    ("name", "value", "classes"),
    [
        ("classes", ["ant", "bee", "cow", "doe"], ("ant", "bee", "cow", "doe")),
        ("num_classes", 5, tuple("01234")),
        ("classes", 4, tuple("0123")),
    ],
)
def test_classes_are_taken_from_its_attributes(name, value, classes):
    module = Module()
    setattr(module, name, value)
    assert CustomData(module, "it").classes == classes


def test_classes_are_taken_from_its_dataset_also_within_a_subset():
    dataset = Noisy(24)
    dataset.classes = ["ant", "bee", "cow"]
    loader = DataLoader(torch.utils.data.Subset(dataset, range(12)), batch_size=4)
    assert own(loader).classes == ("ant", "bee", "cow")


def test_a_class_that_only_the_validation_part_has_counts():
    labels = torch.tensor([0, 1, 3, 0])
    assert own(None, DataLoader(TensorDataset(torch.zeros(4, 1, 8, 8), labels), batch_size=4)).classes == tuple("0123")


def test_it_is_set_up_once_for_all_trainings():
    known = own()
    for _ in range(3):
        known.prepare_data()
        known.setup("fit")
        passed(known)
    assert known.module.calls == ["prepare", "fit"]


def test_grey_images_are_repeated_where_the_backbone_wants_more():
    known = own()
    known.repeat_channels(3)
    assert known.shape == (3, 8, 8)
    assert len(known.mean) == len(known.std) == 3
    for images, _ in known.train_dataloader():
        assert images.shape[1:] == (3, 8, 8)
        assert torch.equal(images[:, 0], images[:, 2])


def test_the_test_part_is_set_up_when_it_is_asked_for():
    known = own(kind=WithTest)
    assert known.counts.test == 0
    assert sum(len(labels) for _, labels in known.test_dataloader()) == 7
    assert known.counts.test == 7
    assert known.module.calls == ["prepare", "fit", "test"]


def test_without_a_test_part_a_test_is_refused():
    with pytest.raises(DataError, match=r"\Adata\.target: mypkg\.data:MyData has no test_dataloader; .*\Z"):
        own().test_dataloader()


def test_its_hooks_on_batches_are_kept():
    class Brighter(Module):
        def on_after_batch_transfer(self, batch, dataloader_idx):
            return batch[0] + 1, batch[1]

    images, _ = own(kind=Brighter).on_after_batch_transfer((torch.zeros(1), None), 0)
    assert images.tolist() == [1.0]


# What a pass depends on


def test_order_and_augmentation_depend_on_seed_and_epoch_alone():
    known = own()
    first = passed(known, seed=3, epoch=1)
    torch.manual_seed(9), np.random.seed(9), random.seed(9)
    assert passed(known, seed=3, epoch=1) == first == passed(own(), seed=3, epoch=1)
    assert passed(known, seed=3, epoch=2) != first != passed(known, seed=4, epoch=1)


def test_order_and_augmentation_do_not_depend_on_what_the_network_draws():
    known = own()
    first, seen = passed(known), []
    for images, _ in known.train_dataloader():
        seen += images[:, 0, 0, :2].tolist()
        torch.rand(5), np.random.rand(3), random.random()
    assert seen == first


def test_the_network_draws_as_if_there_were_no_loader():
    def drawn(images):
        torch.manual_seed(1), np.random.seed(1), random.seed(1)
        return [(float(torch.rand(())), np.random.rand(), random.random()) for _ in images]

    assert drawn(own().train_dataloader()) == drawn(range(3))


def test_a_generator_of_its_own_is_seeded_too():
    known = own(generator=torch.Generator().manual_seed(7))
    assert passed(known, seed=3) == passed(known, seed=3) != passed(known, seed=4)


@pytest.mark.slow
@pytest.mark.parametrize("persistent", [False, True])
def test_workers_follow_seed_and_epoch(persistent):
    loader = DataLoader(Noisy(24), batch_size=8, shuffle=True, num_workers=2, persistent_workers=persistent)
    known = own(loader)
    first = passed(known, seed=3, epoch=1)
    assert passed(known, seed=3, epoch=1) == first
    assert passed(known, seed=3, epoch=2) != first


def test_validation_is_the_same_whatever_the_seed():
    known = own(None, DataLoader(Noisy(10), batch_size=4, shuffle=True))
    first = [images.tolist() for images, _ in known.val_dataloader()]
    known.seed = 5
    assert [images.tolist() for images, _ in known.val_dataloader()] == first


def test_augmentation_that_cannot_be_seeded_is_said():
    class Wild(Noisy):
        generator = np.random.default_rng(0)

        def __getitem__(self, i):
            image, label = super().__getitem__(i)
            return image + float(self.generator.random()), label

    (remark,) = own(DataLoader(Wild(24), batch_size=8)).remarks
    assert "two passes with one seed gave different images" in remark
    assert own().remarks == ()


def test_two_trainings_with_one_seed_agree_bit_for_bit(recipe):
    known = own()
    network = lambda: named("resnet8", classes=3, channels=1, width=4)  # noqa: E731
    trainer = Standalone(network, trace(network(), (1, 8, 8)), known, recipe(), Device(accelerator="cpu", threads=1))
    job = Job(SEConfig(), seed=4, epochs=2)
    one, other, another = trainer.evaluate([job, job, Job(SEConfig(), seed=5, epochs=2)], lambda *said: False)
    assert one.curve == other.curve != another.curve


# What is refused


def batches_of(images, labels):
    return DataLoader(TensorDataset(images, labels), batch_size=4)


BYTES, FLOATS, LABELS = torch.zeros(8, 1, 4, 4, dtype=torch.uint8), torch.zeros(8, 1, 4, 4), torch.arange(8) % 2


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize(
    ("loader", "seen"),
    [
        (batches_of(BYTES, LABELS), r"\(uint8 \(4, 1, 4, 4\), int64 \(4,\)\)"),
        (batches_of(FLOATS, LABELS.int()), r"\(float32 \(4, 1, 4, 4\), int32 \(4,\)\)"),
        (batches_of(FLOATS[:, 0], LABELS), r"\(float32 \(4, 4, 4\), int64 \(4,\)\)"),
        (batches_of(FLOATS, LABELS[:, None]), r"\(float32 \(4, 1, 4, 4\), int64 \(4, 1\)\)"),
        (DataLoader(TensorDataset(FLOATS, LABELS, LABELS), batch_size=4), r"\(float32 .*, int64 .*, int64 .*\)"),
        (DataLoader([{"x": 1}], batch_size=1), "a dict of x"),
        (DataLoader(FLOATS, batch_size=4), r"float32 \(4, 1, 4, 4\)"),
    ],
    ids=["bytes", "int32", "flat", "columns", "three", "dict", "images"],
)
def test_batches_of_another_kind_are_refused_with_the_way_out(part, loader, seen):
    words = rf"\Adata\.target: mypkg\.data:MyData\.{part}_dataloader gives {seen}; senas takes .* in its collate_fn\Z"
    with pytest.raises(DataError, match=words):
        own(loader) if part == "train" else own(None, loader)


def test_images_that_change_their_size_are_refused():
    known = own()
    known.module.given = (batches_of(FLOATS, LABELS), None)
    with pytest.raises(DataError, match=r"gives images of \(1, 4, 4\) after others of \(1, 8, 8\); .*"):
        list(known.train_dataloader())


def test_labels_beyond_the_classes_are_refused():
    module = Module()
    module.num_classes = 2
    with pytest.raises(DataError, match=r"gives labels from 0 to 2, and there are 2 classes, counted from 0; .*"):
        list(CustomData(module, "it").train_dataloader())


class NoLength(IterableDataset):
    def __iter__(self):
        yield torch.zeros(1, 8, 8), 0


@pytest.mark.parametrize(
    ("loader", "words"),
    [
        ([batches_of(FLOATS, LABELS)] * 2, r"gives something of type list; senas takes one DataLoader"),
        ({"a": batches_of(FLOATS, LABELS)}, r"gives something of type dict; senas takes one DataLoader"),
        (7, r"gives something of type int; senas takes one DataLoader"),
        (DataLoader(NoLength(), batch_size=1), r"has no length, .*"),
        (DataLoader(TensorDataset(FLOATS[:2], LABELS[:2]), batch_size=4, drop_last=True), "has no batches"),
    ],
    ids=["list", "dict", "number", "no length", "empty"],
)
def test_what_is_not_one_loader_is_refused(loader, words):
    with pytest.raises(DataError, match=rf"\Adata\.target: mypkg\.data:MyData\.train_dataloader {words}\Z"):
        own(loader)


def test_one_class_is_refused():
    with pytest.raises(DataError, match=r"\Adata\.target: the labels of mypkg\.data:MyData are 0; at least two .*\Z"):
        own(batches_of(FLOATS, LABELS * 0), batches_of(FLOATS, LABELS * 0))


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_module_without_a_part_is_refused(part):
    class Half(pl.LightningDataModule):
        pass

    other = "val" if part == "train" else "train"
    setattr(Half, f"{other}_dataloader", getattr(Module, f"{other}_dataloader"))
    with pytest.raises(DataError, match=rf"\Adata\.target: it has no {part}_dataloader; .*\Z"):
        CustomData(Half(), "it")


@pytest.mark.parametrize("name", ["prepare_data", "setup", "train_dataloader", "val_dataloader"])
def test_what_it_raises_is_one_line_with_the_place(name):
    def broken(*args):
        raise ZeroDivisionError("by\nzero")

    module = Module()
    setattr(module, name, broken)
    with pytest.raises(
        DataError, match=rf"\Adata\.target: it\.{name}.* raised ZeroDivisionError: by \(.*, line \d+\)\Z"
    ):
        CustomData(module, "it")


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_what_its_dataset_raises_is_one_line(workers):
    class Broken(Noisy):
        def __getitem__(self, i):
            raise ValueError(f"no image {i}")

    with pytest.raises(
        DataError, match=r"\Adata\.target: .*train_dataloader raised ValueError: no image 0.*\Z"
    ) as caught:
        own(DataLoader(Broken(8), batch_size=4, num_workers=workers))
    assert "\n" not in str(caught.value)


# Found beside the working directory

SOURCE = """
import pytorch_lightning as pl, torch
from torch.utils.data import DataLoader, TensorDataset
class MyData(pl.LightningDataModule):
    def __init__(self, count: int = 8, batch_size: int = 2):
        super().__init__()
        if count < 1: raise ValueError("count must be positive")
        self.count, self.batch_size = count, batch_size
    def loader(self):
        images, labels = torch.zeros(self.count, 1, 8, 8), torch.arange(self.count) % 2
        return DataLoader(TensorDataset(images, labels), self.batch_size)
    train_dataloader = val_dataloader = loader
number = 3
class Other: pass
"""


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """A package in the working directory, forgotten again afterwards."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "data.py").write_text(SOURCE)
    (tmp_path / "mine" / "wrong.py").write_text("import torch\n1 / 0\n")
    (tmp_path / "mine" / "needy.py").write_text("import nowhere_to_be_found\n")
    (tmp_path / "mine" / "leaving.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]


def test_a_module_is_found_beside_the_working_directory_and_given_its_options(beside):
    known = custom(target="mine.data:MyData", options={"count": 6}, batch_size=3)
    assert (known.counts.train, known.batch_size, known.classes) == (6, 3, ("0", "1"))


def test_a_batch_size_among_the_options_is_kept(beside):
    assert custom(target="mine.data:MyData", options={"batch_size": 4}, batch_size=3).batch_size == 4


def test_what_lies_in_the_working_directory_does_not_pass_for_an_installed_package(beside):
    (beside / "decimal.py").write_text("1 / 0")
    custom(target="mine.data:MyData", options={}, batch_size=2)
    assert sys.path[-1] == str(beside)


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("mine.data", {}, r'must name something of yours as package\.module:name, got "mine\.data"; did you mean .*'),
        ("mine/data.py:MyData", {}, r"must name something of yours .*"),
        ("", {}, r"must name something of yours .*"),
        ("mine.nothing:MyData", {}, r"there is no module mine\.nothing, neither in .* nor among the installed ones"),
        ("yours.data:MyData", {}, r"there is no module yours, neither in .*"),
        ("mine.wrong:MyData", {}, r"importing mine\.wrong raised ZeroDivisionError: division by zero \(.*, line 2\)"),
        ("mine.needy:MyData", {}, r"importing mine\.needy raised ModuleNotFoundError: No module named 'nowhere.*"),
        ("mine.leaving:MyData", {}, r"importing mine\.leaving raised SystemExit: 3.*"),
        ("mine.data:MyDate", {}, r'mine\.data \(.*data\.py\) has no MyDate; did you mean "MyData"\?'),
        ("mine.data:number", {}, r"mine\.data:number is no LightningDataModule but 3; name the class"),
        ("mine.data:Other", {}, r"mine\.data:Other is no LightningDataModule but gives something of type Other"),
        (
            "mine.data:MyData",
            {"count": 0},
            r"mine\.data:MyData\(.*count=0\) raised ValueError: count must be .*line 7\)",
        ),
        ("mine.data:MyData", {"colour": 1}, r"mine\.data:MyData\(.*\) raised TypeError: .*'colour'"),
    ],
)
def test_a_target_that_cannot_be_used_is_refused_in_one_line(beside, target, options, words):
    with pytest.raises((ConfigError, DataError), match=rf"\Adata\.target:? {words}\Z"):
        custom(target=target, options=options, batch_size=2)


def test_images_of_a_module_are_not_changed_on_the_way():
    own().augment(Augmentation())
    with pytest.raises(DataError, match=r"\Atrainer\.flip and trainer\.crop .* mypkg\.data:MyData; its own train_data"):
        own().augment(Augmentation(flip=True))
