"""An export as a folder: written whole or not at all, loaded again, and compared with the network in memory."""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from senas.core.site import Site
from senas.errors import ExportError
from senas.exported.network import WEIGHTS_FILE, load
from senas.exported.package import SE_FILE, Exported, se_yaml

Batches = Iterable[Sequence[Tensor]]
"""Normalised images (B, C, H, W) and their labels (B,), batch by batch."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How the reloaded network did on the validation images.

    difference:  largest absolute difference of a logit to the network in memory.
    val_loss:    of the reloaded network, mean cross-entropy in nats, and `val_accuracy`.
    """

    images: int
    difference: float
    val_loss: float
    val_accuracy: float


def write(folder: Path, exported: Exported, sites: Sequence[Site], net: nn.Module, batches: Batches) -> Parity:
    """Writes se.yaml and weights.safetensors, loads them again, and compares predictions.

    Raises ExportError for a folder that holds anything else, or that cannot be written; a folder that could not be
    written whole is as it was before.
    """
    refuse_foreign(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as draft_name:
            draft = Path(draft_name)
            (draft / SE_FILE).write_text(se_yaml(exported, sites))
            state = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
            (draft / WEIGHTS_FILE).write_bytes(save(state))
            parity = _compare(net, load(draft), batches)
            folder.mkdir(exist_ok=True)
            for name in (WEIGHTS_FILE, SE_FILE):
                (draft / name).replace(folder / name)
    except (OSError, SafetensorError) as error:
        raise ExportError(f"to: {folder} cannot be written: {error}") from error
    return parity


def refuse_foreign(folder: Path) -> None:
    """Raises ExportError where `folder` is a file, or holds anything that is not an export."""
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"to: {folder} is a file; name a folder")
    held = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if foreign := [name for name in held if name not in (SE_FILE, WEIGHTS_FILE)]:
        raise ExportError(f"to: {folder} holds something else ({foreign[0]}); name a new folder")


def _compare(net: nn.Module, reloaded: nn.Module, batches: Batches) -> Parity:
    count, difference, loss, correct = 0, 0.0, 0.0, 0.0
    net = net.cpu().eval()
    with torch.no_grad():
        for images, labels in batches:
            logits = reloaded(images)
            count += len(labels)
            difference = max(difference, float((net(images) - logits).abs().max()))
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
            correct += float((logits.argmax(1) == labels).sum())
    return Parity(count, difference, loss / count, correct / count)
