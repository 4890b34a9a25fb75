"""Labels that stand for numbers, in classes of those that are scaled together (union-find, path halving)."""

from collections.abc import Iterable

import torch
from torch import Tensor

ANY = -1
"""The label of a zero, which any scale leaves as it is."""


class Classes:
    """Classes of labels 0, 1, ...; some of them frozen, each for a reason in words."""

    def __init__(self) -> None:
        self._above: list[int] = []
        self._frozen: dict[int, str] = {}

    def fresh(self, count: int) -> Tensor:
        """So many labels (count,) that nobody has, each in a class of its own."""
        first = len(self._above)
        self._above.extend(range(first, first + count))
        return torch.arange(first, first + count)

    def join(self, a: Tensor, b: Tensor) -> None:
        """From now on labels at one place of a and b, two tensors of one shape, are in one class."""
        for dim in range(a.dim()):
            if a.shape[dim] and a.stride(dim) == 0 == b.stride(dim):
                a, b = a.narrow(dim, 0, 1), b.narrow(dim, 0, 1)
        count = len(self._above)
        apart = (a != b) & (a != ANY) & (b != ANY)
        for pair in torch.unique(a[apart] * count + b[apart]).tolist():
            self._unite(*divmod(pair, count))

    def freeze(self, labels: Tensor, why: str) -> None:
        """Their classes cannot be scaled; the first reason that is given for a class is kept."""
        for label in torch.unique(narrow(labels)).tolist():
            if label != ANY:
                self._frozen.setdefault(self.of(label), why)

    def of(self, label: int) -> int:
        """The class of a label: a label that is in it."""
        above = self._above
        while above[label] != label:
            above[label] = above[above[label]]
            label = above[label]
        return label

    def why_frozen(self, label: int) -> str:
        """Nothing where the class of the label can be scaled."""
        return self._frozen.get(self.of(label), "")

    def _unite(self, a: int, b: int) -> None:
        a, b = self.of(a), self.of(b)
        if a == b:
            return
        self._above[b] = a
        if b in self._frozen:
            self._frozen.setdefault(a, self._frozen.pop(b))


def spread(labels: Tensor, shape: Iterable[int], dim: int = 1) -> Tensor:
    """(C,) -> this shape, alike in all dimensions but one. It takes no memory."""
    shape = tuple(shape)
    return labels.reshape([-1 if each == dim else 1 for each in range(len(shape))]).expand(shape)


def narrow(labels: Tensor) -> Tensor:
    """Without what `spread` repeats."""
    for dim in range(labels.dim()):
        labels = labels.narrow(dim, 0, 1) if labels.shape[dim] and labels.stride(dim) == 0 else labels
    return labels
