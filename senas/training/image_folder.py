"""A folder of images as a dataset: a folder a class, or that below train, val and test."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from senas.errors import DataError
from senas.training.data import ImageData, Part
from senas.training.memory import refuse_what_does_not_fit
from senas.training.picture import SUFFIXES, Picture, picture
from senas.training.split import by_share

PARTS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
CLUTTER = {"thumbs.db", "desktop.ini", "__macosx"}
"""What systems leave in folders; hidden files are left out too."""
READERS = 8
"""Threads that read and decode. Pillow decodes outside of Python's lock."""
Told = Callable[[int, int], None]
"""Told of how many images were read, and of how many there are."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The images below a folder, in the order of their names.

    paths:   of each part, by class.
    others:  files that are no images.
    """

    parts: Mapping[str, Mapping[str, Sequence[Path]]]
    others: list[Path] = field(default_factory=list)


def image_folder(
    *,
    root: str,
    val: float,
    test: float,
    size: Any,
    channels: int | None,
    split_seed: int,
    batch_size: int,
    told: Told = lambda done, total: None,
) -> ImageData:
    """Images of one's own. Classes are the names of the folders, in order; deeper folders are looked into.

    root:      holds a folder a class; or `train`, and `val` and `test` where they are, which hold these.
    val, test: shares of the training images that become these parts where they are not there. Which ones depends on
               the names of the files and on `split_seed` alone.
    size:      None where all have the same size; else H and W, or one number for both. See `picture`.
    channels:  1, 3, or None: 1 where every image is grey, else 3.
    Raises DataError in one line for whatever is wrong with the folder or an image in it.
    """
    target = _size(size)
    if channels not in (None, 1, 3):
        raise DataError(f"data.channels must be 1, 3 or null, got {channels}")
    tree = _tree(Path(root))
    classes = tuple(tree.parts["train"])
    if len(classes) < 2:
        raise DataError(f'data.root: {root} has only one class, "{classes[0]}"; put a folder a class into it')
    parts = {part: _listed(by_class) for part, by_class in tree.parts.items()}
    if wanted := {part: share for part, share in (("val", val), ("test", test)) if part not in parts}:
        parts |= _split(parts["train"], wanted, split_seed, classes)
    paths = [path for part in PARTS for path, _ in parts[part]]
    _refuse_too_many(paths, target, channels)
    pictures = _read(paths, target, told)
    _refuse_sizes(paths, pictures)
    if channels is None:
        channels = 1 if all(each.grey for each in pictures) else 3
    contents = hashlib.blake2b(digest_size=8)
    made: list[Part] = []
    for part in PARTS:
        taken, pictures = pictures[: len(parts[part])], pictures[len(parts[part]) :]
        for (path, label), each in zip(parts[part], taken, strict=True):
            contents.update(f"{part}/{classes[label]}/{path.name}\n".encode("utf-8", "surrogateescape") + each.digest)
        made.append(_part(taken, [label for _, label in parts[part]], channels))
    return ImageData(
        *made, classes=classes, batch_size=batch_size, contents=contents.hexdigest(), remarks=_remarks(tree.others)
    )


def _size(size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    pair = [size, size] if isinstance(size, int) else size
    if not (isinstance(pair, list) and len(pair) == 2 and all(type(n) is int and 1 <= n <= 4096 for n in pair)):
        raise DataError(f"data.size must be null, a number or [height, width], from 1 to 4096, got {size}")
    return pair[0], pair[1]


def _tree(root: Path) -> Tree:
    if not root.is_dir():
        why = "is a file" if root.exists() else "does not exist"
        raise DataError(f"data.root: {root} {why}; name a folder that holds one a class, with its images")
    others: list[Path] = []
    folders = [path for path in _entries(root) if path.is_dir()]
    named = {part: [path for path in folders if path.name.lower() in names] for part, names in PARTS.items()}
    if named["train"] and _holds_folders_only(named["train"][0]):
        if twice := next((paths for paths in named.values() if len(paths) > 1), None):
            raise DataError(f"data.root: {root} has both {twice[0].name} and {twice[1].name}; keep one of them")
        parts = {part: _classes(paths[0], others) for part, paths in named.items() if paths}
        others += [path for path in _entries(root) if path not in [paths[0] for paths in named.values() if paths]]
        _refuse_disagreement(root, parts)
        return Tree(parts, others)
    if folders and all(path in [*named["val"], *named["test"]] for path in folders):
        raise DataError(f"data.root: {root} has {folders[0].name}, and no folder train")
    by_class = _classes(root, others)
    others += [path for path in _entries(root) if not path.is_dir()]
    return Tree({"train": by_class}, others)


def _holds_folders_only(folder: Path) -> bool:
    """Whether it is a part, which holds classes, and not a class of that name, which holds images."""
    inside = _entries(folder)
    return any(path.is_dir() for path in inside) and not any(_is_image(path) and not path.is_dir() for path in inside)


def _classes(folder: Path, others: list[Path]) -> dict[str, list[Path]]:
    """The images of each class, in order. Files that are no images are added to `others`."""
    by_class: dict[str, list[Path]] = {}
    for path in _entries(folder):
        if not path.is_dir():
            continue
        files = list(_files(path, set()))
        by_class[path.name] = [file for file in files if _is_image(file)]
        others += [file for file in files if not _is_image(file)]
        if not by_class[path.name]:
            raise DataError(f"data.root: {path} holds no image ({' '.join(sorted(SUFFIXES))}); fill it or take it away")
    if not by_class:
        raise DataError(f"data.root: {folder} holds no folders; it should hold one a class, with its images")
    return by_class


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _files(folder: Path, seen: set[str]) -> Iterator[Path]:
    """Files below a folder, in order of their names; links are followed, but not in circles."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    for path in _entries(folder):
        if path.is_dir():
            yield from _files(path, seen | {real})
        else:
            yield path


def _entries(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise DataError(f"data.root: {folder} cannot be read: {error.strerror}") from error
    return [path for path in paths if not path.name.startswith(".") and path.name.lower() not in CLUTTER]


def _refuse_disagreement(root: Path, parts: Mapping[str, Mapping[str, Sequence[Path]]]) -> None:
    for part, by_class in parts.items():
        if missing := parts["train"].keys() - by_class.keys():
            raise DataError(f'data.root: the {part} part of {root} has no class "{min(missing)}", and train has one')
        if unknown := by_class.keys() - parts["train"].keys():
            raise DataError(f'data.root: the {part} part of {root} has a class "{min(unknown)}", and train has not')


def _listed(by_class: Mapping[str, Sequence[Path]]) -> list[tuple[Path, int]]:
    return [(path, label) for label, paths in enumerate(by_class.values()) for path in paths]


def _split(
    known: list[tuple[Path, int]], wanted: Mapping[str, float], seed: int, classes: Sequence[str]
) -> dict[str, list[tuple[Path, int]]]:
    """The parts that are missing, and what they leave to train on."""
    labels = np.array([label for _, label in known])
    picks = dict(zip([*wanted, "train"], by_share(labels, list(wanted.values()), seed), strict=True))
    for part, pick in picks.items():
        counts = np.bincount(labels[pick], minlength=len(classes))
        if not counts.all():
            label = int(np.argmin(counts))
            shares = ", ".join(f"data.{name}={share:g}" for name, share in wanted.items())
            raise DataError(
                f'data.root: class "{classes[label]}" has {(labels == label).sum()} images, too few to be in every '
                f"part at {shares}: {part} would have none; add images, or change the shares"
            )
    return {part: [known[i] for i in pick] for part, pick in picks.items()}


def _refuse_too_many(paths: Sequence[Path], size: tuple[int, int] | None, channels: int | None) -> None:
    """By the first image: what it is, the others should be."""
    first = picture(paths[0], size)
    height, width = first.size
    planes = channels or (1 if first.grey else 3)
    refuse_what_does_not_fit(len(paths), (planes, height, width), "choose a smaller data.size")


def _read(paths: Sequence[Path], size: tuple[int, int] | None, told: Told) -> list[Picture]:
    """In the order of the paths. The first that is broken, in that order, is the one that is told."""
    pictures: list[Picture] = []
    pool = ThreadPoolExecutor(min(READERS, os.cpu_count() or 1))
    try:
        for each in pool.map(lambda path: picture(path, size), paths):
            pictures.append(each)
            told(len(pictures), len(paths))
    finally:
        pool.shutdown(cancel_futures=True)
    return pictures


def _refuse_sizes(paths: Sequence[Path], pictures: Sequence[Picture]) -> None:
    for path, each in zip(paths, pictures, strict=True):
        if each.size != pictures[0].size:
            (h, w), (other_h, other_w) = pictures[0].size, each.size
            raise DataError(
                f"data.size: the images are not of one size: {paths[0]} is {h} x {w}, {path} is {other_h} x {other_w}; "
                f"data.size={min(h, w, other_h, other_w)} would scale and crop them all"
            )


def _part(pictures: Sequence[Picture], labels: Sequence[int], channels: int) -> Part:
    images = torch.empty(len(pictures), channels, *pictures[0].size)
    for image, each in zip(images, pictures, strict=True):
        image.copy_(torch.from_numpy(np.array(each.planes(channels))))
    return Part(images, torch.tensor(labels))


def _remarks(others: Sequence[Path]) -> tuple[str, ...]:
    if not others:
        return ()
    them = "1 entry that is" if len(others) == 1 else f"{len(others):,} entries that are"
    return (f"left out {them} no image of a class: {min(others)}{' and others' if len(others) > 1 else ''}",)
