"""What a study hands to its recorder: the data that it trained on, and the network that it recommends."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from senas.app.fingerprint import digest
from senas.app.paths import StudyFolder
from senas.app.weights import trained
from senas.app.wiring import Setup
from senas.record.dataset import PartUsed
from senas.record.registry import Recommended
from senas.report.console import Terminal
from senas.report.findings import Findings, percent, ranged
from senas.training.data import Images

EXAMPLES = 4
"""Images in the registered network's example; more than one, so that its batch size stays open."""


def parts_used(
    config: Mapping[str, Any], data: Images, fingerprint: Mapping[str, object], *, test: bool = False
) -> list[PartUsed]:
    """The training and the validation part, and the test part where that is used, each with a digest of its images."""
    parts = [("train", "training", data.counts.train), ("val", "validation", data.counts.val)]
    parts += [("test", "test", data.counts.test)] if test else []
    source = str(config.get("root") or f"{config['name']}, made by senas without a download")
    return [
        PartUsed(
            name=f"{config['name']}-{name}",
            context=context,
            digest=_digest(data, name, fingerprint),
            source=source,
            images=images,
            shape=data.shape,
            classes=data.classes,
        )
        for name, context, images in parts
    ]


def _digest(data: Images, name: str, fingerprint: Mapping[str, object]) -> str:
    """Of a part's images and labels where they are in memory; else of what the configuration says of them."""
    part: Any = getattr(data, name, None)
    hashed = hashlib.sha256()
    if hasattr(part, "images") and hasattr(part, "labels"):
        for tensor in (part.images, part.labels):
            hashed.update(memoryview(tensor.contiguous().numpy()).cast("B"))
    else:
        known = {key: value for key, value in fingerprint.items() if key.startswith("data.")}
        facts = [digest(known), name, getattr(data, "contents", ""), data.counts]
        hashed.update(json.dumps(facts, default=str).encode())
    return hashed.hexdigest()[:16]


def recommended(terminal: Terminal, setup: Setup, findings: Findings, *, new: bool = True) -> Recommended:
    """The pick, or what leads where nothing is decided, with its weights: trained again where they were not kept.

    new:  False where it is to get an alias only if it is registered already.
    """
    picked, why, decided = findings.pick
    scores, words, config = picked.scores, picked.config.words(setup.sites), setup.config
    loss, known = findings.shown(findings.picked.loss), findings.picked
    images, _ = next(iter(setup.data.val_dataloader()))
    example = images.repeat((EXAMPLES // len(images) + 1, 1, 1, 1))[:EXAMPLES].numpy()
    values = {name: f"{scores[name]:.6g}" for name in ("val_loss", "val_accuracy") if name in scores}
    counts = {name: f"{scores[name]:.0f}" for name in ("se_params", "params", "macs") if name in scores}
    beside = "\n".join(f"- {line}" for line in findings.comparisons)
    chosen = f"trial {picked.number}: {why}" if decided else f"trial {picked.number}, which **leads**: {why}"
    return Recommended(
        network=(lambda: trained(terminal, setup, picked)) if new else None,
        example=example,
        classes=len(setup.data.classes),
        decided=decided,
        about=_about(setup.folder, config.backbone.name, config.data["name"]),
        description=f"""\
**{config.backbone.name}** for **{config.data["name"]}**, with these Squeeze-and-Excitation (SE) blocks: {words}.

Found by the study **{setup.folder.name}** as its {chosen}. Trained {len(picked.curve)} epochs with seed {picked.seed};
of this training validation loss {scores["val_loss"]:.4f}, accuracy {scores.get("val_accuracy", float("nan")):.2%};
{scores["se_params"]:,.0f} of its {scores["params"]:,.0f} parameters are SE's.

**{findings.spoken} of this configuration: {ranged(loss)}**, expected over seeds; on the front with a probability of
{percent(known.on_front)}; {known.trainings} of the trainings were its own.

{beside}

{findings.behind}

Input: float32 images {setup.data.shape} in [0, 1], then (image - mean) / std with mean {_rounded(setup.data.mean)} and
std {_rounded(setup.data.std)} (one value a channel). Output: logits of {len(setup.data.classes)} classes.""",
        tags={
            "trial": str(picked.number),
            "seed": str(picked.seed),
            "epochs": str(len(picked.curve)),
            "configuration": str(picked.config),
            "sites": words,
            "verdict": findings.verdict,
            "trainings": str(known.trainings),
            f"expected_{findings.name}": f"{loss.mean:.6g}",
            "expected_low": f"{loss.low:.6g}",
            "expected_high": f"{loss.high:.6g}",
            "probability_on_front": f"{known.on_front:.3g}",
            **values,
            **counts,
        },
    )


def _about(folder: StudyFolder, backbone: str, data: str) -> str:
    return (
        f"What the senas study {folder.name} recommends: {backbone} for {data}, with Squeeze-and-Excitation blocks at "
        "some of its layers. The alias `recommended` is at what the study recommended when it last ended; where that "
        "was undecided there is none, and the alias `leading` is at what led. Each version tells which configuration "
        "it is, how it was found, and how sure that is."
    )


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 6) for value in values]
