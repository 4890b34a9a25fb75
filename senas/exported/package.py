"""se.yaml: an SE configuration as a file that people read, and everything that a network is built from.

Nothing is pickled, and no file can make senas import anything: backbones are named, and built by senas, or by what the
reader hands over or trusts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from senas.core.config import SEConfig, spoken_block
from senas.core.site import Site
from senas.errors import ExportError, SpaceError
from senas.exported import bounds
from senas.exported.plain_yaml import LARGEST_FILE, dump, parse

FORMAT = "senas-se-1"
SE_FILE = "se.yaml"
SECTIONS = ("format", "backbone", "input", "se", "scores", "provenance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What se.yaml says.

    backbone:    what `core.backbone.Backbone.plain` gives, without initial weights, and classes and channels.
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

    @property
    def is_folded(self) -> bool:
        """Whether gates were folded into its weights, so that they are not those that were trained."""
        told = self.provenance.get("folded")
        return isinstance(told, dict) and bool(told.get("sites"))


def se_yaml(exported: Exported, sites: Sequence[Site]) -> str:
    """The text of se.yaml: site by site, what is there in words behind it."""
    parts: list[tuple[str, Mapping[str, Any]]] = [
        ("# What the network is.\n", {"format": FORMAT, "backbone": dict(exported.backbone)}),
        (
            f"# (C, H, W) of an image; {normalisation(exported)}.\n",
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
    measured = (
        "# Of this network, some of whose gates were folded into its weights, on the validation images.\n"
        if exported.is_folded
        else "# As measured in the study, on the validation images, after the last epoch.\n"
    )
    found = (
        "# How it was found. What is known of it (certainty) is of the configuration before folding.\n"
        if exported.is_folded
        else "# How it was found.\n"
    )
    behind: list[tuple[str, Mapping[str, Any]]] = [
        (measured, {"scores": dict(exported.scores)}),
        (found, {"provenance": dict(exported.provenance)}),
    ]
    head = "# An SE configuration, found by senas.\n"
    return head + _sections(parts) + "\n" + _se_section(exported.config, sites) + _sections(behind)


def normalisation(exported: Exported) -> str:
    """What becomes of an image before the network takes it, in words."""
    if not any(exported.mean) and set(exported.std) == {1}:
        return "images are taken as they come out of the study's data, which normalise by themselves"
    return "pixels in [0, 1] become (pixel - mean) / std, channel by channel"


def _sections(parts: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    return "".join(
        f"\n{comment}{dump(dict(body), default_flow_style=None, width=110)}"
        for comment, body in parts
        if all(value != {} for value in body.values())
    )


def _se_section(config: SEConfig, sites: Sequence[Site]) -> str:
    lines = ["# Site by site. hidden: width of the bottleneck.", "se:"]
    plain = config.plain()
    for site in sites:
        key = dump({site.name: None}, width=1000).partition(": null")[0]  # quotes what is no word in YAML
        if site.name not in config:
            lines.append(f"  {key}: none")
            continue
        block = config[site.name]
        place = site.seen(block)
        written = plain[site.name]
        fields = written if isinstance(written, str) else dump(written, default_flow_style=True, width=1000).strip()
        lines.append(
            f"  {key}: {fields}  # {spoken_block(block, site)}, "
            f"{place.channels} channels at {place.height} x {place.width}"
        )
    return "\n".join(lines) + "\n"


def read(path: Path | str) -> Exported:
    """Reads se.yaml, or the one in a folder.

    Raises ExportError, in one line, for a file that is missing, corrupt or foreign, and for one that asks for more than
    a study could have trained (see `bounds`).
    """
    file = Path(path)
    file = file / SE_FILE if file.is_dir() else file
    try:
        plain = parse(_content(file))
    except OSError as error:
        raise ExportError(f"{file} cannot be read: {error.strerror}") from error
    except ExportError as error:
        raise ExportError(f"{file} cannot be read: {error}") from error
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise ExportError(f"{file} is not an SE configuration of senas: it has no line `format: {FORMAT}`")
    try:
        return _exported(plain)
    except (ExportError, SpaceError, ValueError) as error:  # ValueError: a number of thousands of digits, in a text
        raise ExportError(f"{file} is damaged: {' '.join(str(error).split())}") from error


def _content(file: Path) -> bytes:
    """A byte more than the largest se.yaml, at most: the file may be a device that never ends."""
    with file.open("rb") as opened:
        return opened.read(LARGEST_FILE + 1)


def _exported(plain: dict[str, Any]) -> Exported:
    if missing := [key for key in SECTIONS[:4] if key not in plain]:
        raise ExportError(f"{missing[0]} is missing")
    if unknown := [key for key in plain if key not in SECTIONS]:
        raise ExportError(f'unknown section "{str(unknown[0])[:40]}"; there are {", ".join(SECTIONS)}')
    bounds.hidden_widths(plain["se"])
    backbone = bounds.backbone(plain)
    images = bounds.images(plain, backbone["classes"], backbone["channels"], backbone.get("size"))
    return Exported(
        config=SEConfig.from_plain(plain["se"]),
        backbone=backbone,
        shape=images.shape,
        mean=images.mean,
        std=images.std,
        classes=images.classes,
        scores=bounds.scores(plain),
        provenance=bounds.section(plain, "provenance"),
    )
