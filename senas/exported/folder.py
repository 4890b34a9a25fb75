"""An export as a folder: written whole or not at all, loaded again, and compared with the network in memory."""

import platform
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from senas.core.site import Site
from senas.errors import ExportError
from senas.exported.card import CARD_FILE, Parity, card
from senas.exported.network import WEIGHTS_FILE, load
from senas.exported.onnx import ONNX_FILE, TOLERANCE, check_installed, onnx_difference, write_onnx
from senas.exported.package import SE_FILE, Exported, se_yaml
from senas.exported.target import FILES, replaced

Batches = Iterable[Sequence[Tensor]]
"""Normalised images (B, C, H, W) and their labels (B,), batch by batch."""
ONNX_IMAGES = 504
"""At most so many are run through model.onnx one by one, in fours and in sevens."""


def write(
    folder: Path,
    exported: Exported,
    sites: Sequence[Site],
    net: nn.Module,
    batches: Batches,
    *,
    onnx: bool = False,
    overwrite: bool = False,
    part: str = "validation",
    trust: Sequence[str] = (),
) -> Parity:
    """Writes se.yaml, weights.safetensors, README.md and, with `onnx`, model.onnx; loads them and compares predictions.

    part:   what of the data the batches are, in words.
    trust:  packages that a backbone of one's own is imported from, to load it again.
    Raises ExportError for a folder that may not be replaced (see `target.replaced`) or cannot be written, and where
    predictions differ by more than `onnx.TOLERANCE`; a folder that could not be written whole is as it was before.
    """
    if onnx:
        check_installed()
    replaced(folder, exported.provenance, overwrite=overwrite)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as draft_name:
            draft, text = Path(draft_name), se_yaml(exported, sites)
            (draft / SE_FILE).write_text(text)
            state = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
            (draft / WEIGHTS_FILE).write_bytes(save(state))
            if onnx:
                write_onnx(draft, net, exported, text)
            parity = replace(_compare(net, draft, batches, trust), part=part)
            (draft / CARD_FILE).write_text(card(exported, sites, parity, versions(onnx=onnx)))
            folder.mkdir(exist_ok=True)
            for name in FILES:
                if (draft / name).exists():
                    (draft / name).replace(folder / name)
                else:  # of an earlier export, with other weights
                    (folder / name).unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        cause = getattr(error, "strerror", None) or error
        raise ExportError(f"to: {folder} cannot be written: {cause}; make room, or name another folder") from error
    return parity


def versions(*, onnx: bool = False) -> dict[str, str]:
    """Of what an export was written with."""
    packages = ("senas", "torch", "torchvision", *(("onnx", "onnxscript", "onnxruntime") if onnx else ()))
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # senas from a folder, never installed
            continue
    return found


def _compare(net: nn.Module, draft: Path, batches: Batches, trust: Sequence[str]) -> Parity:
    """Raises ExportError where the reloaded network, or model.onnx where it is there, predicts something else."""
    reloaded, net = load(draft, trust=trust), net.cpu().eval()
    count, difference, loss, correct = 0, 0.0, 0.0, 0.0
    some: list[Tensor] = []
    with torch.no_grad():
        for images, labels in batches:
            logits, expected = reloaded(images), net(images)
            here = float((expected - logits).abs().max())
            if not here <= TOLERANCE * max(1.0, float(expected.abs().max())):  # also where it is NaN
                raise ExportError(f"the reloaded network's logits differ by {here:.3g} from those of the one in memory")
            difference = max(difference, here)
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
            correct += float((logits.argmax(1) == labels).sum())
            some += [images[: ONNX_IMAGES - count]] if count < ONNX_IMAGES else []
            count += len(labels)
    if not (draft / ONNX_FILE).exists():
        return Parity(count, difference, loss / count, correct / count)
    tried = torch.cat(some)
    return Parity(count, difference, loss / count, correct / count, len(tried), onnx_difference(draft, reloaded, tried))
