"""The datasets that senas knows by name."""

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from senas.errors import DataError
from senas.training.cifar import cifar10, cifar100
from senas.training.custom import custom
from senas.training.data import ImageData, Images, Part
from senas.training.image_folder import image_folder
from senas.training.published import Bytes, found, published
from senas.training.split import by_share

FASHION_CLASSES = (
    "T-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
FASHION_PLACES = ("{root}", "{root}/FashionMNIST/raw", "/usr/share/datasets/fashion-mnist")
DIGITS = tuple("0123456789")


def digits(*, val: float, test: float, split_seed: int, batch_size: int) -> ImageData:
    """scikit-learn's digits: 1,797 grey images of 8 x 8, from the UCI repository (Alpaydin and Kaynak, 1998)."""
    known = _digits()
    in_val, in_test, rest = (known.at(pick) for pick in by_share(known.labels.numpy(), (val, test), split_seed))
    return ImageData(rest, in_val, in_test, classes=DIGITS, batch_size=batch_size)


def cued_digits(*, train: int, val: int, test: int, split_seed: int, batch_size: int) -> ImageData:
    """The positive control: real digits with a planted answer to where SE helps.

    Each image has three channels, each a digit of 8 x 8 padded to 12 x 12. One channel, drawn at random, has its top
    row raised by 0.7; the label is the digit in that channel. A cue that is global and early says which channel to
    read: what SE is for. The parts are composed from disjoint digits.
    """
    if min(train, val, test) < 1:
        raise DataError(f"data.train, data.val and data.test must be at least 1, got {train}, {val}, {test}")
    known = _digits()
    sources = [known.at(pick) for pick in by_share(known.labels.numpy(), (1 / 3, 1 / 3), split_seed)]
    parts = [
        _composites(source, count, np.random.default_rng((split_seed, i)))
        for i, (source, count) in enumerate(zip(sources, (train, val, test), strict=True))
    ]
    return ImageData(*parts, classes=DIGITS, batch_size=batch_size)


def fashion_mnist(
    *, root: str, download: bool, train: int | None, val: int, split_seed: int, batch_size: int
) -> ImageData:
    """Fashion-MNIST: 60,000 and 10,000 grey images of 28 x 28 (Xiao, Rasul and Vollgraf, arXiv:1708.07747).

    Reads the four IDX files, gzipped or not, from `root`, from where torchvision puts them below it, or from Debian's
    package dataset-fashion-mnist. `val` images are split off the 60,000; `train` limits what is left.
    """
    folder = _fashion_folder(root, download)
    return published(
        _fashion_part(folder, "train"),
        _fashion_part(folder, "t10k"),
        train=train,
        val=val,
        split_seed=split_seed,
        classes=FASHION_CLASSES,
        batch_size=batch_size,
    )


DATASETS: dict[str, Callable[..., Images]] = {
    "digits": digits,
    "cued_digits": cued_digits,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "image_folder": image_folder,
    "custom": custom,
}


def _digits() -> Part:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Part(
        torch.tensor(bunch.images, dtype=torch.float32)[:, None] / 16, torch.tensor(bunch.target, dtype=torch.int64)
    )


def _composites(source: Part, count: int, rng: np.random.Generator) -> Part:
    picks = rng.integers(len(source), size=(count, 3))
    cued = rng.integers(3, size=count)
    images = torch.nn.functional.pad(source.images[:, 0], (2, 2, 2, 2))[torch.from_numpy(picks)]
    rows = torch.arange(count)
    images[rows, torch.from_numpy(cued), 0] += 0.7
    return Part(images, source.labels[torch.from_numpy(picks[np.arange(count), cued])])


def _fashion_folder(root: str, download: bool) -> Path:
    places = [Path(place.format(root=root)) for place in FASHION_PLACES]
    if place := found(places, "train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"):
        return place
    if not download:
        raise DataError(
            f"data.root: no Fashion-MNIST in {', '.join(map(str, places))}; name its folder, install Debian's package "
            "dataset-fashion-mnist, or say data.download=true"
        )
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(root, download=True)
    except (RuntimeError, OSError) as error:
        raise DataError(f"data.download: Fashion-MNIST could not be downloaded to {root}: {error}") from error
    return places[1]


def _fashion_part(folder: Path, which: str) -> Bytes:
    images, labels = _idx(folder, f"{which}-images-idx3-ubyte"), _idx(folder, f"{which}-labels-idx1-ubyte")
    if images.ndim != 3 or labels.shape != images.shape[:1] or not (labels < len(FASHION_CLASSES)).all():
        raise DataError(
            f"data.root: the {which} files in {folder} do not belong together: images of shape {images.shape}, "
            f"labels of shape {labels.shape}"
        )
    return Bytes(images[:, None], labels.astype(np.int64))


def _idx(folder: Path, name: str) -> npt.NDArray[np.uint8]:
    """An IDX file: two zero bytes, the type (8 is uint8), the number of dimensions, the dimensions, the data."""
    plain, zipped = folder / name, folder / f"{name}.gz"
    try:
        content = plain.read_bytes() if plain.exists() else gzip.decompress(zipped.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"data.root: {plain} cannot be read: {error}") from error
    dimensions = content[3] if len(content) > 3 else 0
    start = 4 + 4 * dimensions
    if content[:3] != b"\0\0\x08" or len(content) < start:
        raise DataError(f"data.root: {plain} is not an IDX file of bytes")
    shape = tuple(np.frombuffer(content, ">u4", dimensions, 4).astype(int))
    data = np.frombuffer(content, np.uint8, offset=start)
    if data.size != np.prod(shape):
        raise DataError(f"data.root: {plain} should hold {np.prod(shape)} bytes of data, it holds {data.size}")
    return data.reshape(shape)
