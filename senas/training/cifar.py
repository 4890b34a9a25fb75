"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009), from the files as they are published: for Python, or binary."""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from senas.errors import DataError
from senas.training.data import ImageData
from senas.training.published import Bytes, found, published

PIXELS = 3 * 32 * 32


@dataclass(frozen=True, slots=True)
class Edition:
    """One of the two datasets, and what its files are called.

    labels:  the bytes of labels before each image of the binary files; the last one counts.
    """

    name: str
    folders: tuple[str, str]
    known: tuple[str, ...]
    test: str
    key: str
    meta: tuple[str, str]
    names: str
    labels: int


CIFAR10 = Edition(
    name="CIFAR10",
    folders=("cifar-10-batches-py", "cifar-10-batches-bin"),
    known=tuple(f"data_batch_{i}" for i in range(1, 6)),
    test="test_batch",
    key="labels",
    meta=("batches.meta", "batches.meta.txt"),
    names="label_names",
    labels=1,
)
CIFAR100 = Edition(
    name="CIFAR100",
    folders=("cifar-100-python", "cifar-100-binary"),
    known=("train",),
    test="test",
    key="fine_labels",
    meta=("meta", "fine_label_names.txt"),
    names="fine_label_names",
    labels=2,
)


def cifar10(*, root: str, download: bool, train: int | None, val: int, split_seed: int, batch_size: int) -> ImageData:
    """CIFAR-10: 50,000 and 10,000 images of 3 x 32 x 32 in 10 classes. `val` of the 50,000 validate."""
    return _cifar(CIFAR10, root, download, train=train, val=val, split_seed=split_seed, batch_size=batch_size)


def cifar100(*, root: str, download: bool, train: int | None, val: int, split_seed: int, batch_size: int) -> ImageData:
    """CIFAR-100: as CIFAR-10, in 100 classes, the fine ones."""
    return _cifar(CIFAR100, root, download, train=train, val=val, split_seed=split_seed, batch_size=batch_size)


def _cifar(edition: Edition, root: str, download: bool, **options: Any) -> ImageData:
    folder = _folder(edition, Path(root), download)
    pickled = (folder / edition.known[0]).exists()
    classes = _classes(edition, folder, pickled)
    read = _pickled if pickled else _binary
    parts = [read(edition, folder / name, len(classes)) for name in (*edition.known, edition.test)]
    known = Bytes(*(np.concatenate([getattr(part, f) for part in parts[:-1]]) for f in ("images", "labels")))
    return published(known, parts[-1], classes=classes, **options)


def _folder(edition: Edition, root: Path, download: bool) -> Path:
    places = [root, *(root / folder for folder in edition.folders)]
    first = edition.known[0]
    for place in places:
        # A file called `train` is also what other datasets have: the names of the classes must be beside it.
        if found([place], first, f"{first}.bin") and (place != root or found([place], *edition.meta)):
            return place
    if not download:
        raise DataError(
            f"data.root: no {edition.name} in {', '.join(map(str, places))}; name its folder, or say data.download=true"
        )
    import torchvision.datasets

    try:
        getattr(torchvision.datasets, edition.name)(str(root), download=True)
    except (RuntimeError, OSError) as error:
        cause = str(error).splitlines()[0]
        raise DataError(f"data.download: {edition.name} could not be downloaded to {root}: {cause}") from error
    return places[1]


def _classes(edition: Edition, folder: Path, pickled: bool) -> tuple[str, ...]:
    path = folder / edition.meta[0 if pickled else 1]
    if not pickled:
        return tuple(_content(path).decode("ascii", "replace").split())
    names = _unpickled(path).get(edition.names)
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise DataError(f"data.root: {path} does not name the classes")
    return tuple(names)


def _pickled(edition: Edition, path: Path, classes: int) -> Bytes:
    batch = _unpickled(path)
    rows, labels = batch.get("data"), batch.get(edition.key)
    if not (isinstance(rows, _Array) and rows.numbers.shape[1:] == (PIXELS,)):
        raise DataError(f"data.root: {path} holds no images of {PIXELS} bytes each")
    rows = rows.numbers
    if not (isinstance(labels, list) and len(labels) == len(rows) and all(type(n) is int for n in labels)):
        raise DataError(f"data.root: {path} should hold {len(rows)} {edition.key}")
    return _bytes(rows, np.array(labels, np.int64), path, classes)


def _binary(edition: Edition, path: Path, classes: int) -> Bytes:
    content = np.frombuffer(_content(path.with_name(f"{path.name}.bin")), np.uint8)
    if not content.size or content.size % (edition.labels + PIXELS):
        raise DataError(
            f"data.root: {path}.bin should hold rows of {edition.labels + PIXELS} bytes, it holds {content.size} bytes"
        )
    rows = content.reshape(-1, edition.labels + PIXELS)
    return _bytes(rows[:, edition.labels :], rows[:, edition.labels - 1].astype(np.int64), path, classes)


def _bytes(rows: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], path: Path, classes: int) -> Bytes:
    if not len(rows) or labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"data.root: {path} has no images, or labels that are not below {classes}, its classes")
    return Bytes(rows.reshape(-1, 3, 32, 32), labels)


class _Unpickler(pickle.Unpickler):
    """Makes what needs no import, and stand-ins for arrays of bytes: a pickle could otherwise run anything."""

    def find_class(self, module: str, name: str) -> Any:
        # Not numpy's own: its ndarray takes the bytes of a file for the addresses of objects where it is told to.
        allowed = {"_reconstruct": _Array, "ndarray": object, "dtype": _Kind}
        if module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray") and name in allowed:
            return allowed[name]
        if (module, name) == ("_codecs", "encode"):  # bytes that were pickled by Python 3 for Python 2
            return _latin1
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR file does")


class _Kind:
    """Stands for a dtype: its name."""

    def __init__(self, name: object, *rest: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None: ...


class _Array:
    """Stands for an array, as numpy pickles it: made empty, then given version, shape, dtype, order and bytes."""

    def __init__(self, *empty: object) -> None:
        self.numbers: npt.NDArray[np.uint8] = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, content = state
        if not isinstance(kind, _Kind) or kind.name not in ("u1", "uint8"):
            raise pickle.UnpicklingError("it holds an array of something else than bytes")
        content = content.encode("latin1") if isinstance(content, str) else content
        self.numbers = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError("it holds text that no CIFAR file has")
    return text.encode("latin1")


def _unpickled(path: Path) -> dict[str, Any]:
    content = _content(path)
    try:
        plain = _Unpickler(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # what a damaged pickle raises is anybody's guess, and none of it is ours
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"data.root: {path} is damaged, or no file of CIFAR: {cause}") from error
    if not isinstance(plain, dict):
        raise DataError(f"data.root: {path} is no file of CIFAR: it holds no dictionary")
    return {key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in plain.items()}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"data.root: {path} cannot be read: {error.strerror}") from error
