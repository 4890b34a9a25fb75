"""What must not change while a study lives, by dotted key, and its digest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from senas.app.checks import axes, constraints
from senas.app.checks import backbone as backbone_of
from senas.app.schema import BackboneConfig, SearchConfig
from senas.core.latency import Timing
from senas.model.backbones import Builder
from senas.training.data import Images

SCORES_DO_NOT_DEPEND_ON = {
    "trainer.accelerator",
    "trainer.threads",
    "data.root",
    "data.download",
}

BEFORE: list[tuple[str, object]] = [
    *(("average", "none"), ("clip", None), ("accumulate", 1), ("callbacks", [])),
    *(("flip", False), ("crop", 0)),
]
"""Options of the trainer that came later, as all was trained before: then they are not told."""


def fingerprint_of(config: SearchConfig, measured: Timing | None = None) -> dict[str, object]:
    """What must not change while a study lives, by dotted key: space, setting, objective, seed.

    measured:  how latency is, where something reads it.
    """
    plain = asdict(config)
    plain["space"]["constraints"] = constraints(config.space).given  # nothing where there are none
    plain["latency"] = measured.plain() if measured else {}
    # Which options an objective reads depends on its name; its pick changes nothing that was measured.
    used = {"penalized": ("name", "penalty"), "pareto": ("name", "metrics")}.get(config.objective.name, ("name",))
    if config.objective.name == "penalized" and config.objective.metric != "val_loss":
        used = (*used, "metric")
    if config.objective.mode is not None:
        used = (*used, "mode")
    plain["evaluator"] = {"name": "standalone"}  # each trains as that does, so a study may go on with another
    plain["objective"] = {key: plain["objective"][key] for key in used}
    plain["space"]["gate"] = [str(gate) for gate in axes(config.space).gate]
    del plain["space"]["init"]  # said by the gates
    parts = ("data", "space", "objective", "evaluator", "trainer", "latency")
    return {**setting_of({part: plain[part] for part in parts}, config.backbone), "study.seed": config.study.seed}


def setting_of(parts: Mapping[str, Any], backbone: BackboneConfig) -> dict[str, object]:
    """These parts of a configuration, and the backbone, by dotted key, without what changes no score."""
    told = backbone_of(backbone).plain()
    # The width is always told, as by the studies from before anything else could be said of a backbone.
    parts = {**parts, "backbone": {"width": None, **told}}
    if "trainer" in parts:
        parts["trainer"] = {key: value for key, value in parts["trainer"].items() if (key, value) not in BEFORE}
    return {key: value for key, value in flatten(parts).items() if key not in SCORES_DO_NOT_DEPEND_ON}


def contents_of(data: Images, backbone: Builder) -> dict[str, object]:
    """What belongs into a fingerprint beside the configuration: which images and which weights they were."""
    images = {"data.contents": data.contents} if data.contents else {}
    return {**images, **({"backbone.weights": backbone.digest} if backbone.digest else {})}


def digest(fingerprint: Mapping[str, object]) -> str:
    """Hexadecimal, the same for equal fingerprints."""
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()


def flatten(plain: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
