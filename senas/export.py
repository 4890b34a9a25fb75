"""An SE configuration to take away: readable YAML beside weights that no code has to be trusted for.

Nothing is pickled, and no file can make senas import anything: backbones are named, and built by senas.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from senas.core.config import SEConfig, spoken_block
from senas.core.site import Site
from senas.errors import ExportError, SpaceError
from senas.model.backbones import build
from senas.model.sites import trace
from senas.model.surgery import insert

FORMAT = "senas-se-1"
SE_FILE, WEIGHTS_FILE = "se.yaml", "weights.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What se.yaml says.

    backbone:    arguments of `senas.model.backbones.build`.
    shape:       (C, H, W) of the images; `mean` and `std` (C) turn pixels in [0, 1] into what the network takes.
    scores:      as measured in the study; `provenance`: how it was found.
    """

    config: SEConfig
    backbone: Mapping[str, Any]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    scores: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


def se_yaml(exported: Exported, sites: Sequence[Site]) -> str:
    """The text of se.yaml: site by site, what is there in words behind it."""
    parts: list[tuple[str, Mapping[str, Any]]] = [
        ("# What the network is.\n", {"format": FORMAT, "backbone": dict(exported.backbone)}),
        (
            "# (C, H, W) of an image; pixels in [0, 1] become (pixel - mean) / std.\n",
            {
                "input": {
                    "shape": list(exported.shape),
                    "mean": list(exported.mean),
                    "std": list(exported.std),
                    "classes": list(exported.classes),
                }
            },
        ),
    ]
    behind: list[tuple[str, Mapping[str, Any]]] = [
        (
            "# As measured in the study, on the validation images, after the last epoch.\n",
            {"scores": dict(exported.scores)},
        ),
        ("# How it was found.\n", {"provenance": dict(exported.provenance)}),
    ]
    head = "# An SE configuration, found by senas.\n"
    return head + _sections(parts) + "\n" + _se_section(exported.config, sites) + _sections(behind)


def _sections(parts: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    return "".join(
        f"\n{comment}{yaml.safe_dump(dict(body), sort_keys=False, default_flow_style=None, width=110)}"
        for comment, body in parts
        if all(value != {} for value in body.values())
    )


def _se_section(config: SEConfig, sites: Sequence[Site]) -> str:
    lines = ["# Site by site. hidden: width of the bottleneck.", "se:"]
    plain = config.plain()
    for site in sites:
        key = yaml.safe_dump({site.name: None}, width=1000).partition(": null")[0]  # quotes what is no word in YAML
        if site.name not in config:
            lines.append(f"  {key}: none")
            continue
        block = config[site.name]
        place = site.place(block.placement)
        fields = yaml.safe_dump(plain[site.name], sort_keys=False, default_flow_style=True, width=1000).strip()
        lines.append(
            f"  {key}: {fields}  # {spoken_block(block, site)}, "
            f"{place.channels} channels at {place.height} x {place.width}"
        )
    return "\n".join(lines) + "\n"


def read(path: Path | str) -> Exported:
    """Reads se.yaml, or the one in a folder. Raises ExportError for a file that is missing, corrupt or foreign."""
    file = Path(path)
    file = file / SE_FILE if file.is_dir() else file
    try:
        plain = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not YAML"
        raise ExportError(f"{file} cannot be read: {cause}") from error
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise ExportError(f"{file} is not an SE configuration of senas: it has no line `format: {FORMAT}`")
    try:
        return Exported(
            config=SEConfig.from_plain(plain["se"]),
            backbone=dict(plain["backbone"]),
            shape=tuple(plain["input"]["shape"]),
            mean=tuple(plain["input"]["mean"]),
            std=tuple(plain["input"]["std"]),
            classes=tuple(plain["input"]["classes"]),
            scores=plain.get("scores", {}),
            provenance=plain.get("provenance", {}),
        )
    except (KeyError, TypeError, ValueError) as error:
        cause = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise ExportError(f"{file} is damaged: {cause}") from error


def network(exported: Exported) -> nn.Module:
    """The network that an export describes, with fresh weights. Raises ExportError where senas cannot build it."""
    known = {"name", "classes", "channels", "width"}
    if not {"name", "classes", "channels"} <= set(exported.backbone) <= known:
        raise ExportError(f"backbone: it needs name, classes and channels, got {', '.join(exported.backbone)}")
    try:
        backbone = build(**exported.backbone)
        return insert(backbone, exported.config, trace(backbone, exported.shape))
    except (SpaceError, TypeError, RuntimeError) as error:
        cause = str(error).splitlines()[0]
        raise ExportError(f"this SE configuration does not fit its backbone: {cause}") from error


def load(folder: Path | str) -> nn.Module:
    """The exported network with its trained weights, in eval mode: normalised images (B, C, H, W) -> logits.

    Raises ExportError for files that are missing, corrupt or do not belong together.
    """
    return with_weights(network(read(folder)), Path(folder) / WEIGHTS_FILE)


def with_weights(net: nn.Module, file: Path) -> nn.Module:
    """`net` with the weights of a safetensors file in it, in eval mode. Raises ExportError where they do not fit."""
    try:
        net.load_state_dict(load_file(file))
    except (OSError, SafetensorError) as error:
        raise ExportError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    except RuntimeError as error:
        raise ExportError(f"{file} holds the weights of another network: {_first_mismatch(error)}") from error
    return net.eval()


def _first_mismatch(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return lines[1] if len(lines) > 1 else lines[0]


def insert_se(
    module: nn.Module, configuration: SEConfig | Path | str, example_input: Tensor | Sequence[int]
) -> nn.Module:
    """A copy of `module` with an SE configuration in it: a value, or an se.yaml or its folder. `module` stays as it is.

    example_input:  an image batch (B, C, H, W), or the shape (C, H, W) of an image.
    Hidden widths are taken as they are: on a site with more channels the same width is a larger ratio. Sites that the
    configuration does not name stay without SE.
    Raises SpaceError where the module lacks a site of the configuration, naming it; SurgeryError where it cannot be
    traced.
    """
    config = configuration if isinstance(configuration, SEConfig) else read(configuration).config
    shape = tuple(example_input.shape[1:]) if isinstance(example_input, Tensor) else tuple(example_input)
    return insert(module, config, trace(module, shape))


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


def write(
    folder: Path, exported: Exported, sites: Sequence[Site], net: nn.Module, images: Tensor, labels: Tensor
) -> Parity:
    """Writes se.yaml and weights.safetensors, loads them again, and compares predictions.

    images:  (N, C, H, W), normalised, and `labels` (N,).
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
            parity = _compare(net, load(draft), images, labels)
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


def _compare(net: nn.Module, reloaded: nn.Module, images: Tensor, labels: Tensor) -> Parity:
    difference = loss = correct = 0.0
    net = net.cpu().eval()
    with torch.no_grad():
        for batch, answers in zip(torch.split(images, 500), torch.split(labels, 500), strict=True):
            logits = reloaded(batch)
            difference = max(difference, float((net(batch) - logits).abs().max()))
            loss += float(F.cross_entropy(logits, answers, reduction="sum"))
            correct += float((logits.argmax(1) == answers).sum())
    return Parity(len(labels), difference, loss / len(labels), correct / len(labels))
