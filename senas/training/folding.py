"""Folding the gates of a trained network that may as well be constant: which they are, by the validation loss."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from senas.core.certainty import Estimate
from senas.core.config import SEConfig
from senas.errors import SurgeryError
from senas.model.fold import fold, stays
from senas.model.gates import gate_paths, instead
from senas.model.sites import Traced
from senas.training.data import Images
from senas.training.explain import IMAGES, Rise, Told, losses_of, mean_gates, prepared
from senas.training.tally import Tally
from senas.training.task import wide

ROUNDING = 1e-6
"""Differences of a loss that are rounding."""
TOLERANCE = 1e-4
"""Differences of a logit, of the largest one, that float32 may make of the same arithmetic in another order."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What a network scores on the validation images."""

    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Folding:
    """What came of folding.

    net, config:    the network that is left, in eval mode, and its SE configuration.
    most:           by how much the validation loss might rise.
    folded:         by site, by how much the validation loss rises with this gate alone constant; in the order in which
                    they were folded.
    stayed:         by site, why it stayed, in words.
    before, after:  scores of the network that was handed over, and of the one that is left.
    rise:           of the validation loss, paired over the images.
    difference:     largest, of a logit, between the network that is left and the one with these gates constant.
    images, part:   how many images, of which part of the data, the factors are means over.
    """

    net: nn.Module
    config: SEConfig
    most: float
    folded: Mapping[str, float]
    stayed: Mapping[str, str]
    before: Scored
    after: Scored
    rise: Estimate
    difference: float
    images: int
    part: str


def folded(
    backbone: nn.Module,
    net: nn.Module,
    config: SEConfig,
    traced: Traced,
    data: Images,
    most: float,
    told: Told = lambda done, total: None,
) -> Folding:
    """Folds one gate after another as long as the validation loss is at most `most` higher than at first.

    backbone, net, config, traced: as for `model.fold.fold`; `net` is put into eval mode.
    told:  told how many passes over the validation images are done, and of how many at most.
    Each gate is replaced by its mean over the training images, as they are without augmentation; where the data have
    no such images, over the validation images. Those whose mean alone raises the loss least come first; what counts is
    what all of them together raise it by. Raises SurgeryError where the network that is left computes something else
    than the one with constant gates, which no rounding explains.
    """
    net.eval()
    paths = gate_paths(backbone, config, traced)
    plain = data.plain_training_images(IMAGES)
    prepared(data, "cpu")
    images = _Batches(data, data.val_dataloader() if plain is None else plain)
    factors = mean_gates(net, paths, images)

    done = itertools.count(1)

    def scored(constant: Mapping[str, Tensor]) -> Scored:
        with instead(net, paths, constant):
            found = _scored(net, _Batches(data, data.val_dataloader()))
        told(next(done), 2 * len(paths))  # as it is, each gate alone, and each but the first with those before it
        return found

    before = scored({})
    stayed = {site: why for site in paths if (why := _why(backbone, net, config, traced, {site: factors[site]}))}
    alone = {site: scored({site: factors[site]}).loss - before.loss for site in paths if site not in stayed}
    chosen: dict[str, Tensor] = {}
    for site in sorted(alone, key=alone.__getitem__):
        tried = {**chosen, site: factors[site]}
        if why := _why(backbone, net, config, traced, tried):
            stayed[site] = why
            continue
        rise = (scored(tried).loss if chosen else before.loss + alone[site]) - before.loss
        if rise <= most + ROUNDING:
            chosen = tried
        else:
            others = f" with the {len(chosen)} folded before it" if chosen else ""
            stayed[site] = f"constant{others}, the validation loss would rise by {rise:.4f}"
    left = fold(backbone, net, config, traced, chosen)
    assert not left.stayed
    with instead(net, paths, chosen):
        difference = _difference(net, left.net, _Batches(data, data.val_dataloader()))
    return Folding(
        net=left.net,
        config=left.config,
        most=most,
        folded={site: alone[site] for site in chosen},
        stayed={site: stayed[site] for site in paths if site in stayed},
        before=before,
        after=_scored(left.net, _Batches(data, data.val_dataloader())),
        rise=_rise(net, left.net, _Batches(data, data.val_dataloader())),
        difference=difference,
        images=images.count,
        part="validation" if plain is None else "training",
    )


class _Batches:
    """Batches as the trainer would hand them over, on the CPU, and how many images came by."""

    def __init__(self, data: Images, batches: Iterable[Any]) -> None:
        self.data, self.batches, self.count = data, batches, 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self.batches:
            ours = self.data.on_before_batch_transfer(batch, 0)
            moved = self.data.transfer_batch_to_device(ours, torch.device("cpu"), 0)
            images, labels = self.data.on_after_batch_transfer(moved, 0)
            self.count += len(labels)
            yield images, labels


def _why(backbone: nn.Module, net: nn.Module, config: SEConfig, traced: Traced, factors: Mapping[str, Tensor]) -> str:
    """Why the last of these gates cannot be folded with the others; nothing where all can."""
    stayed = stays(backbone, net, config, traced, factors)
    return next((stayed[site] for site in reversed(list(factors)) if site in stayed), "")


@torch.no_grad()
def _scored(net: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Scored:
    tally = Tally(())
    for images, labels in batches:
        tally.validated(wide(net(images)), labels)
    tally.validation_ended(math.nan)
    return Scored(tally.scores["val_loss"], tally.scores["val_accuracy"])


@torch.no_grad()
def _rise(net: nn.Module, left: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Estimate:
    rise = Rise()
    for images, labels in batches:
        rise.add(left(images), labels, losses_of(net(images), labels))
    return rise.estimate


@torch.no_grad()
def _difference(net: nn.Module, other: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Largest absolute difference of a logit. Raises SurgeryError where it is more than TOLERANCE, or NaN."""
    largest = 0.0
    for images, _ in batches:
        expected, given = wide(net(images)), wide(other(images))
        here = float((given - expected).abs().max())
        if not here <= TOLERANCE * max(1.0, float(expected.abs().max())):
            raise SurgeryError(
                f"the folded network's logits differ by {here:.3g} from those with constant gates, more than rounding "
                "can; export it without fold"
            )
        largest = max(largest, here)
    return largest
