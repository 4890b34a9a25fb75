"""README.md: what an export is and how it was found, for a colleague who never saw senas.

It renders what se.yaml says, and what was checked. A line about something that was not recorded is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from senas.core.block import Placement, SEBlock, Squeeze
from senas.core.config import spoken_block
from senas.core.site import Site
from senas.core.trust import suggested
from senas.exported.evidence import behind_the_figures, compared_with, how_it_was_found
from senas.exported.folding import folded_gates
from senas.exported.markdown import cell, mapping, table_of
from senas.exported.package import Exported, normalisation

CARD_FILE = "README.md"
MARK = "<!-- Written by senas export, which replaces it. -->"
PLACES = {
    Placement.PRE: "before the residual branch",
    Placement.INNER_BEFORE_RELU: "inside the branch, after its middle convolution and normalisation, before the ReLU",
    Placement.INNER: "inside the branch, after its middle convolution, normalisation and ReLU",
    Placement.STANDARD: "at the end of the residual branch, before the addition",
    Placement.IDENTITY: "on the shortcut, before the addition",
    Placement.POST_BEFORE_RELU: "after the addition, before the ReLU",
    Placement.POST: "after the addition and the ReLU",
}
SHOWN_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Parity:
    """How the export did on the images of one part of the data, `validation` unless told otherwise.

    difference:  largest absolute difference of a logit between the reloaded network and the one in memory.
    val_loss:    of the reloaded network, mean cross-entropy in nats, and `val_accuracy`.
    onnx_images, onnx_difference: the same between onnxruntime and PyTorch; None where there is no model.onnx.
    """

    images: int
    difference: float
    val_loss: float
    val_accuracy: float
    onnx_images: int | None = None
    onnx_difference: float | None = None
    part: str = "validation"


def card(exported: Exported, sites: Sequence[Site], parity: Parity, versions: Mapping[str, str]) -> str:
    """The text of README.md. Equal arguments give equal texts."""
    parts = [
        _head(exported, sites),
        _what_it_is(exported),
        _site_by_site(exported, sites),
        folded_gates(exported),
        how_it_was_found(exported),
        compared_with(exported),
        behind_the_figures(exported),
        _checked(exported, parity),
        _use(exported, onnx=parity.onnx_images is not None),
        _limits(exported, parity.part),
        _versions_and_rights(versions),
    ]
    return MARK + "\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def _head(exported: Exported, sites: Sequence[Site]) -> str:
    data = exported.provenance.get("data")
    on = f" on {cell(data)}" if data else ""
    having = (
        f"with SE blocks at {len(exported.config)} of {len(sites)} sites" if exported.config else "without SE blocks"
    )
    search = (
        " A search tried where in the network Squeeze-and-Excitation blocks should go, how narrow, and where each "
        "gate should sit; this is the configuration that was exported from it."
    )
    return (
        f"# {cell(exported.backbone['name'])}{on}, {having}\n\n"
        f"A network that tells images of {len(exported.classes)} classes apart, with trained weights."
        f"{search if 'study' in exported.provenance else ''}{_gone(exported)}{_caveat(exported)} A "
        "Squeeze-and-Excitation (SE) block weighs the channels of a feature map by factors that it computes from their "
        f"means or maxima{_local(exported)}."
    )


def _gone(exported: Exported) -> str:
    count = len(exported.provenance["folded"]["sites"]) if exported.is_folded else 0
    were = "was" if count == 1 else "were"
    return f" {count} more of its SE blocks {were} folded into the layers around them: see Folded." if count else ""


def _local(exported: Exported) -> str:
    """What is different where a block does not squeeze."""
    blocks = [block for block in exported.config.values() if isinstance(block, SEBlock)]
    if not any(block.squeeze is Squeeze.LOCAL for block in blocks):
        return ""
    return "; one that is called local, from the channels' values at each location, for that location alone"


def _caveat(exported: Exported) -> str:
    """What must not be overlooked: that nothing was decided, or that the blocks may do nothing."""
    told = exported.provenance.get("certainty", {})
    none = told.get("minus_none")
    like_none = bool(exported.config) and none and none["low"] <= 0 <= none["high"]
    undecided = " **It only leads: which one to recommend was undecided at the budget of that search.**"
    it = "As it was trained, before gates of it were folded, it" if exported.is_folded else "It"
    doubted = f" **{it} could not be told apart from the same network without SE.**"
    return (undecided if told.get("verdict") == "undecided" else "") + (doubted if like_none else "")


def _what_it_is(exported: Exported) -> str:
    scores, (channels, height, width) = exported.scores, exported.shape
    rows = [("backbone", mapping(exported.backbone))]
    if {"params", "se_params"} <= set(scores):
        added, backbone = scores["se_params"], scores["params"] - scores["se_params"]
        rows.append(
            (
                "parameters",
                f"{scores['params']:,.0f}, of which SE {added:,.0f} ({added / backbone:.2%} of the backbone's)",
            )
        )
    if "macs" in scores:
        rows.append(("multiply-accumulates for one image", f"{scores['macs']:,.0f} (convolutions and linear layers)"))
    names = ", ".join(map(cell, exported.classes[:SHOWN_CLASSES]))
    more = f", ... (all {len(exported.classes)} in se.yaml)" if len(exported.classes) > SHOWN_CLASSES else ""
    if "size" in exported.backbone:
        rows.append(("scaling", f"images are scaled to {height} x {width} (bilinear, antialiased)"))
    rows += [
        ("input", f"float32 (batch, {channels}, {height}, {width}); {normalisation(exported)}"),
        ("mean, std", f"{_numbers(exported.mean)}; {_numbers(exported.std)}"),
        ("output", f"logits (batch, {len(exported.classes)}); the classes in order: {names}{more}"),
    ]
    return "## What it is\n\n" + table_of(("", ""), rows)


def _site_by_site(exported: Exported, sites: Sequence[Site]) -> str:
    rows, used = [], set()
    for site in sites:
        if site.name not in exported.config:
            rows.append((f"`{site.name}`", "none", "", "", ""))
            continue
        block = exported.config[site.name]
        place = site.seen(block)
        used.add(site.placement(block))
        size = f"{place.channels} at {place.height} x {place.width}"
        rows.append(
            (
                f"`{site.name}`",
                cell(spoken_block(block, site)),
                str(block.hidden) if isinstance(block, SEBlock) else "",
                size,
                f"{site.params(block):,}",
            )
        )
    table = table_of(("site (module)", "SE block", "hidden width", "channels it weighs", "parameters"), rows)
    words = [f"- {placement}: {PLACES[placement]}" for placement in Placement if placement in used]
    ratio = "\n\nr16 is a hidden width of a 16th of the channels, at least 1." if used else ""
    return "## Site by site\n\n" + table + ratio + ("\n\nPlacements:\n\n" + "\n".join(words) if words else "")


def _checked(exported: Exported, parity: Parity) -> str:
    lines = [
        "- The weights were loaded again from `weights.safetensors` and compared with those in memory on "
        f"{parity.images:,} {parity.part} images: largest difference of a logit {parity.difference:.3g}; loss "
        f"{parity.val_loss:.4f}, accuracy {parity.val_accuracy:.2%}."
    ]
    measured = exported.scores.get("val_loss")
    if parity.part == "validation" and measured is not None and not same_loss(parity.val_loss, measured):
        lines.append(
            f"- These weights do not score what the study measured ({measured:.4f}), as can be where another machine, "
            "precision or version computed them."
        )
    if parity.onnx_images is not None:
        lines.append(
            f"- `model.onnx` was run with onnxruntime on {parity.onnx_images:,} {parity.part} images in batches of 1, "
            f"4 and 7: largest difference of a logit to PyTorch {parity.onnx_difference:.3g}."
        )
    return "## Checked\n\n" + "\n".join(lines)


def same_loss(reloaded: float, measured: float) -> bool:
    """Whether a validation loss agrees with the one measured, to what rounding makes of it."""
    return abs(reloaded - measured) <= 1e-3 * max(1.0, abs(measured))


def _use(exported: Exported, *, onnx: bool) -> str:
    channels, height, width = exported.shape
    target = exported.backbone.get("target")
    trust = f', trust="{suggested(target)}"' if target else ""
    text = f"""## How to use it

In PyTorch, with senas installed, from the folder that this file is in{_needed(exported)}:

```python
import senas
import torch

about, net = senas.read("."), senas.load("."{trust})
mean, std = (torch.tensor(values)[:, None, None] for values in (about.mean, about.std))
pixels = torch.rand(2, {channels}, {height}, {width})  # your images, in [0, 1]
with torch.no_grad():
    logits = net((pixels - mean) / std)
print([about.classes[i] for i in logits.argmax(1)])
```"""
    if not onnx:
        return text
    return f"""{text}

With onnxruntime, without PyTorch and senas; `model.onnx` has all it needs in it:

```python
import json

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
about = session.get_modelmeta().custom_metadata_map
mean, std = (np.array(json.loads(about[key]), np.float32)[:, None, None] for key in ("mean", "std"))
pixels = np.random.rand(2, {channels}, {height}, {width}).astype(np.float32)  # your images, in [0, 1]
(logits,) = session.run(["logits"], {{"images": (pixels - mean) / std}})
print([json.loads(about["classes"])[i] for i in logits.argmax(1)])
```"""


def _needed(exported: Exported) -> str:
    """What the network is built with, beside senas itself."""
    if target := exported.backbone.get("target"):
        return (
            f". The backbone is built by `{target}`, code that is not in here and that senas imports only where it is "
            'trusted; `senas.load(".", backbone=...)` takes the function, or the network, itself'
        )
    return ', and timm (`pip install "senas[timm]"`)' if exported.backbone.get("library") == "timm" else ""


def _limits(exported: Exported, part: str) -> str:
    test = "" if part == "test" else "test images, "
    channels, height, width = exported.shape
    return (
        f"## Limits\n\nMeasured on images of {channels} x {height} x {width} of the {part} part only. Not "
        f"measured: other images or sizes, {test}single classes, calibration, robustness, time on any device."
    )


def _versions_and_rights(versions: Mapping[str, str]) -> str:
    return (
        f"## Versions and rights\n\nExported with {mapping(versions)}.\n\nSE blocks are from Hu, Shen, Albanie, Sun "
        "and Wu, [Squeeze-and-Excitation Networks](https://arxiv.org/abs/1709.01507): cite it. The blocks are senas's "
        "own code, and no weights of the paper's authors are in here. senas is licensed under Apache-2.0; which "
        "licence the images have, and what it says of weights trained on them, is not recorded here."
    )


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
