"""What the gates of a trained network do, and what it loses without them, measured over real images."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]
from torch import Tensor, nn
from torch.nn import functional as F

from senas.core.certainty import Estimate
from senas.core.config import SEConfig
from senas.core.explained import Explained, Removal, over_images
from senas.errors import ConfigError
from senas.model.gates import instead, watched
from senas.model.threads import threads
from senas.training.batches import VALIDATION_BATCH
from senas.training.data import ImageData, Images
from senas.training.gathered import Gathered, located
from senas.training.standalone import Standalone
from senas.training.surroundings import first_line, quiet, threads_for
from senas.training.task import wide

Told = Callable[[int, int], None]
"""Told of how many images went through the network, and how many there are to go; each counts once a pass."""
IMAGES = 10_000
"""Gates are averaged over so many training images at most, and over more than half as many where there are more: a mean
gate is then known to 0.007 or better."""
Factors = Mapping[str, Tensor | None]
TOGETHER = "all at once"


def explained(own: Standalone, net: nn.Module, config: SEConfig, *, told: Told = lambda done, total: None) -> Explained:
    """What each gate of a trained network does on the validation images, and what the loss does without it.

    own:     has the data, the backbone that `config` was put into, and the device.
    net:     as its `network` makes them, with trained weights; it comes back in eval mode, on the device. In float32,
             whatever it was trained in.
    config:  its blocks, one at least.

    Constants are means over the training images, IMAGES at most, not augmented; where such are not to be had, over the
    validation images themselves. After that pass there are, for each batch of the validation images, one of the
    network as it is, two a site, and two without all blocks. Raises ConfigError for a device that is not there.
    """
    data, sites = own.data, own.traced.sites
    where, paths, blocks = prepared(data, own.device.accelerator), own.paths(config), config.on(sites)
    net.to(where).eval()
    counts, unchanged = data.counts, data.plain_training_images(IMAGES)
    passes = 1 + 2 * len(blocks) + 2 * (len(blocks) > 1)
    total = (counts.val if unchanged is None else -(-counts.train // -(-counts.train // IMAGES))) + counts.val * passes
    done = 0

    def moved(batches: Iterable[Any], each: int) -> Iterator[tuple[Tensor, Tensor]]:
        """On the device, as the trainer would hand them over; each counts as so many passes."""
        nonlocal done
        for batch in batches:
            told(min(done, total), total)
            ours = data.transfer_batch_to_device(data.on_before_batch_transfer(batch, 0), where, 0)
            images, labels = data.on_after_batch_transfer(ours, 0)
            yield images, labels
            done += each * len(labels)

    chosen = own.device.threads or threads_for(own.backbone_macs * VALIDATION_BATCH)
    with torch.no_grad(), quiet(), threads(chosen):
        constants = mean_gates(net, paths, moved(data.val_dataloader() if unchanged is None else unchanged, 1))
        gathered = {
            site.name: Gathered(site.name, block, site.placement(block), len(data.classes)) for site, block in blocks
        }
        batches = moved(data.val_dataloader(), passes)
        loss, correct, images, rises = _measured(net, paths, batches, gathered, _without(constants))
    known = {site.name: (site.params(block), site.macs(block)) for site, block in blocks}
    summed = config.params(sites), config.macs(sites)
    return Explained(
        images=images,
        classes=data.classes,
        loss=loss / images,
        accuracy=correct / images,
        profiles=tuple(each.profile() for each in gathered.values()),
        removals=tuple(_removal(name, rises, *costs) for name, costs in known.items()),
        together=_removal(TOGETHER, rises, *summed) if len(blocks) > 1 else None,
        means_over="validation" if unchanged is None else "training",
    )


def mean_gates(net: nn.Module, paths: Mapping[str, str], batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """The mean of each gate over images, and over locations where it has a factor for each: (C,), by site.

    net:  in the mode that it is to be watched in, where the images are.
    """
    sums: dict[str, Tensor] = {}
    images = 0
    for x, _ in batches:
        with torch.no_grad(), watched(net, paths) as seen:
            net(x)
        for site, each in seen.items():
            here = located(each.gates).mean(2).sum(0)
            sums[site] = sums[site] + here if site in sums else here
        images += len(x)
    return {site: total / images for site, total in sums.items()}


def prepared(data: Images, accelerator: str) -> torch.device:
    """Where the network is to run; the data are told of it, and of a trainer, which hooks of a user's own may ask.

    Raises ConfigError for a device that is not there.
    """
    try:
        with quiet():
            trainer = pl.Trainer(
                accelerator=accelerator,
                devices=1,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
    except (MisconfigurationException, ValueError, ImportError) as error:
        raise ConfigError(f"accelerator={accelerator}: {first_line(error)}; accelerator=cpu is always there") from error
    data.trainer = trainer
    if isinstance(data, ImageData):
        data.reside(trainer.strategy.root_device)
    return trainer.strategy.root_device


def _without(constants: Mapping[str, Tensor]) -> dict[tuple[str, str], Factors]:
    """What is tried, by site and kind."""
    tried: dict[tuple[str, str], Factors] = {}
    for site, constant in constants.items():
        tried[site, "constant"] = {site: constant}
        tried[site, "bypassed"] = {site: None}
    if len(constants) > 1:
        tried[TOGETHER, "constant"] = constants
        tried[TOGETHER, "bypassed"] = dict.fromkeys(constants)
    return tried


class Rise:
    """Sums over images of how much more loss each has, and of its square; and of correct answers."""

    def __init__(self) -> None:
        self.total = self.squares = 0.0
        self.correct = self.images = 0

    def add(self, logits: Tensor, labels: Tensor, before: Tensor) -> None:
        """Of a batch whose losses were `before`, (B,)."""
        differences = losses_of(logits, labels) - before
        self.correct += int((logits.argmax(1) == labels).sum())
        self.total += float(differences.sum())
        self.squares += float((differences * differences).sum())
        self.images += len(differences)

    @property
    def estimate(self) -> Estimate:
        return over_images(self.total, self.squares, self.images)

    @property
    def accuracy(self) -> float:
        return self.correct / self.images


def _measured(
    net: nn.Module,
    paths: Mapping[str, str],
    batches: Iterable[tuple[Tensor, Tensor]],
    gathered: Mapping[str, Gathered],
    tried: Mapping[tuple[str, str], Factors],
) -> tuple[float, int, int, Mapping[tuple[str, str], Rise]]:
    """The sum of losses, how many answers are correct, of how many images, and the rise of the loss with each change.

    Whatever is compared is computed on the same batch, which a loader may never give again.
    """
    loss, correct, images = 0.0, 0, 0
    rises = {what: Rise() for what in tried}
    for x, labels in batches:
        with watched(net, paths) as seen:
            logits = net(x)
        for site, each in seen.items():
            gathered[site].add(each, labels)
        losses = losses_of(logits, labels)
        loss, correct = loss + float(losses.sum()), correct + int((logits.argmax(1) == labels).sum())
        images += len(labels)
        for what, factors in tried.items():
            with instead(net, paths, factors):
                rises[what].add(net(x), labels, losses)
    return loss, correct, images, rises


def losses_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Of each image (B,), on the CPU in double precision."""
    return F.cross_entropy(wide(logits), labels, reduction="none").cpu().double()


def _removal(site: str, rises: Mapping[tuple[str, str], Rise], params: int, macs: int) -> Removal:
    constant, bypassed = rises[site, "constant"], rises[site, "bypassed"]
    return Removal(
        site=site,
        constant=constant.estimate,
        bypassed=bypassed.estimate,
        constant_accuracy=constant.accuracy,
        bypassed_accuracy=bypassed.accuracy,
        params=params,
        macs=macs,
    )
