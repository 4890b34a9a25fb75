"""What a gate did, added up batch by batch: sums, sums by class, and a covariance, however many images there are."""

import numpy as np
import torch
from torch import Tensor

from senas.core.block import Block, Placement, SEBlock
from senas.core.explained import (
    NEAR,
    SUPPRESSED,
    Array,
    Profile,
    between_classes_share,
    effective_rank,
    largest,
    over_images_share,
)
from senas.model.gates import Seen

TOGETHER = 2**22
"""Numbers, at most, that are looked at at once: gates of the squeeze `local` are as large as what they scale."""


class Gathered:
    """Adds up what the block at one site made of batches. Sums are in double precision, on the CPU."""

    def __init__(self, site: str, block: Block, placement: Placement, classes: int) -> None:
        self.site, self.block, self.placement, self.classes = site, block, placement, classes
        self._gates, self._means, self._squeezed = _Sums(), _Sums(), _Sums(products=True)
        self._by_class: Tensor | None = None
        self._counts = torch.zeros(classes, dtype=torch.int64)
        self._shares = torch.zeros(3, dtype=torch.float64)  # of gates suppressed, near 0, near the top
        self._images = 0

    def add(self, seen: Seen, labels: Tensor) -> None:
        """A batch, with its labels (B,)."""
        step = max(1, TOGETHER // max(each[0].numel() for each in seen))
        for parts in zip(*(torch.split(each, step) for each in (*seen, labels.cpu())), strict=True):
            self._add(*parts)

    def _add(self, squeezed: Tensor, gates: Tensor, labels: Tensor) -> None:
        gates = located(gates)
        means, top = gates.mean(2), largest(self.block)
        self._gates.add(gates.transpose(1, 2).flatten(0, 1))
        self._means.add(means)
        self._squeezed.add(located(squeezed).transpose(1, 2).flatten(0, 1))
        if self._by_class is None:
            self._by_class = means.new_zeros(self.classes, means.shape[1])
        self._by_class.index_add_(0, labels, means)
        self._counts += labels.bincount(minlength=self.classes)
        limits = (gates < SUPPRESSED, gates < NEAR * top, gates > (1 - NEAR) * top)
        self._shares += torch.stack([each.double().mean((1, 2)).sum() for each in limits])
        self._images += len(labels)

    def profile(self) -> Profile:
        """Of all that was added; at least one image."""
        assert self._by_class is not None
        counts = self._counts.double()[:, None]
        by_class = torch.where(counts > 0, self._by_class / counts.clamp_min(1), torch.nan).numpy()
        mean, variance = self._gates.mean, self._gates.variance
        suppressed, low, high = (self._shares / self._images).tolist()
        return Profile(
            site=self.site,
            block=self.block,
            placement=self.placement,
            channels=len(mean),
            mean=mean,
            sd=np.sqrt(variance),
            by_class=by_class,
            suppressed=suppressed,
            low=low,
            high=high,
            per_image=over_images_share(mean, variance),
            per_class=between_classes_share(by_class, self._counts.tolist(), self._means.variance),
            rank=effective_rank(self._squeezed.covariance),
            hidden=self.block.hidden if isinstance(self.block, SEBlock) else None,
        )


def located(factors: Tensor) -> Tensor:
    """(B, C) or (B, C, H, W) as (B, C, locations), on the CPU in double precision."""
    return factors.detach().cpu().double().reshape(*factors.shape[:2], -1)


class _Sums:
    """Of rows (n, C), of their squares or of all products of two columns.

    About the first row: that keeps figures where rows are nearly alike, and makes the variance of what is constant
    exactly 0.
    """

    def __init__(self, *, products: bool = False) -> None:
        self.products, self.rows = products, 0
        self.first = self.total = self.squares = torch.zeros(())

    def add(self, rows: Tensor) -> None:
        if not self.rows:
            self.first = rows[0]
        apart = rows - self.first
        self.total = self.total + apart.sum(0)
        self.squares = self.squares + (apart.T @ apart if self.products else (apart * apart).sum(0))
        self.rows += len(rows)

    @property
    def mean(self) -> Array:
        """(C,)."""
        found: Array = (self.first + self.total / self.rows).numpy()
        return found

    @property
    def variance(self) -> Array:
        """(C,), about the mean."""
        found: Array = (self.squares / self.rows - (self.total / self.rows) ** 2).clamp_min(0).numpy()
        return found

    @property
    def covariance(self) -> Array:
        """(C, C)."""
        mean = self.total / self.rows
        found: Array = (self.squares / self.rows - mean[:, None] * mean).numpy()
        return found
