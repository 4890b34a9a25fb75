"""What the gates of a trained network do, and what it would lose without them: values without tensors.

Source of the effective rank: Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO
2007.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from senas.core.block import Block, Gate, Placement, SEBlock
from senas.core.certainty import LEVEL, Estimate
from senas.core.interval import student_t

Array = npt.NDArray[np.float64]

SUPPRESSED = 0.2
"""A channel is suppressed in an image where its gate is below."""
NEAR = 0.05
"""A gate is near an end of its range within this share of it."""
NOTHING = 1e-12
"""Variances below are of rounding in float32: such a gate does not vary."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """What the gate of one site did over a set of images.

    A gate has one factor for each image and channel, (N, C). That of the squeeze `local` has one for each location too:
    means are over locations as well then, and spreads and shares are over images and locations.

    mean, sd:    (C,), of each channel's gate over images.
    by_class:    (K, C), its means over the images of each class; NaN for a class without images.
    suppressed:  share of gates below SUPPRESSED.
    low, high:   shares of gates within NEAR of 0, and of the largest that the gate function gives.
    per_image:   the share of the gate's variance, over images and channels, that is over images: what no constant does.
    per_class:   the share of what varies over images that lies between classes, less what chance would put there; NaN
                 where there is no more than one image a class.
    rank:        effective rank of the activations that the block squeezed, see `effective_rank`.
    hidden:      the width that was paid for, to be compared with it; None for a block of the backbone's own.
    """

    site: str
    block: Block
    placement: Placement
    channels: int
    mean: Array
    sd: Array
    by_class: Array
    suppressed: float
    low: float
    high: float
    per_image: float
    per_class: float
    rank: float
    hidden: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What the validation loss does without a block: without minus with, so that more than 0 is a loss.

    The intervals are over images, paired, for this one network as it was trained; another seed's may differ by more,
    and so may one that was trained without the block.

    constant:    with its gate replaced by its mean over images.
    bypassed:    with the block taken out of the trained network.
    constant_accuracy, bypassed_accuracy: what the network then scores; NaN where it was not measured. A loss may fall,
                 and the accuracy with it: a gate below 1 makes logits small.
    params:      that the block has; `macs`: of its layers, for one image.
    latency_ms:  how much longer a pass takes with the block than without it; None where it was not measured. Its `mean`
                 is a median.
    """

    site: str
    constant: Estimate
    bypassed: Estimate
    params: int
    macs: int
    latency_ms: Estimate | None = None
    constant_accuracy: float = math.nan
    bypassed_accuracy: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explained:
    """What the gates of one trained network do on the validation images, site by site in network order.

    loss, accuracy:  of the network as it is.
    together:        what it does without all of its blocks at once; None where there is only one.
    means_over:      which images the constants are means over: `training` or `validation`.
    """

    images: int
    classes: tuple[str, ...]
    loss: float
    accuracy: float
    profiles: tuple[Profile, ...]
    removals: tuple[Removal, ...]
    together: Removal | None = None
    means_over: str = "training"


def largest(block: Block) -> float:
    """The end of the range of a block's gate, which begins at 0; for a block of the backbone's own, 1."""
    return 2.0 if isinstance(block, SEBlock) and block.gate is Gate.TWICE_SIGMOID else 1.0


def over_images_share(mean: Array, variance: Array) -> float:
    """The share of a gate's variance over images and channels that is over images.

    mean, variance:  (C,), of each channel over images.

    The variance of all N x C factors is mean_c(variance_c) + variance over c of mean_c, exactly; the share is that of
    the first. 0 where the gate does not vary at all.
    """
    over_images, over_channels = float(variance.mean()), float(mean.var())
    whole = over_images + over_channels
    return over_images / whole if whole > NOTHING else 0.0


def between_classes_share(by_class: Array, counts: Sequence[int], variance: Array) -> float:
    """The share of what varies over images that lies between classes, corrected for chance.

    by_class:  (K, C), means over the images of each class, of which there are `counts`.
    variance:  (C,), of each channel over all images.

    Without the correction, (K - 1) / (N - 1) of it would lie between classes that mean nothing. What is given is
    epsilon squared, 1 - (1 - eta squared) (N - 1) / (N - K), at least 0: Kelley, "An unbiased correlation ratio
    measure", PNAS 21 (1935). NaN where no class has two images, 0 where nothing varies.
    """
    images = np.asarray(counts, dtype=np.float64)
    seen = images > 0
    number, kinds = float(images.sum()), int(seen.sum())
    if number <= kinds:
        return math.nan
    whole = float(variance.mean())
    if whole <= NOTHING:
        return 0.0
    means, weights = by_class[seen], images[seen] / number
    apart = ((means - weights @ means) ** 2 * weights[:, None]).sum(0)
    return max(0.0, 1 - (1 - float(apart.mean()) / whole) * (number - 1) / (number - kinds))


def effective_rank(covariance: Array) -> float:
    """exp of the entropy of the singular values of centred rows, divided by their sum: between 1 and C.

    covariance:  (C, C), of the rows: its eigenvalues are the squared singular values, but for a factor.

    0 where nothing varies.
    """
    values = np.linalg.eigvalsh(covariance)
    values = values[values > max(0.0, values.max()) * len(values) * np.finfo(np.float64).eps]
    if not len(values):
        return 0.0
    shares = np.sqrt(values) / np.sqrt(values).sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def over_images(total: float, squares: float, count: int) -> Estimate:
    """The mean of `count` differences, one an image, with Student's interval at LEVEL, from their sum and that of their
    squares. With one image the interval is everything."""
    mean = total / count
    if count == 1:
        return Estimate(mean, -math.inf, math.inf)
    sd = math.sqrt(max(0.0, squares - count * mean * mean) / (count - 1))
    half = _student(count - 1) * sd / math.sqrt(count)
    return Estimate(mean, mean - half, mean + half)


@cache
def _student(freedom: int) -> float:
    """Of more images it no longer changes in the fourth figure, and takes long."""
    return student_t(LEVEL, min(freedom, 10_000))
