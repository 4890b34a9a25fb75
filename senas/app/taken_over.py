"""What trainings take over from the exports that they train: the backbone, its initial weights, and the data.

An export may come from anywhere, and so may the study's folder that it leads to: what they name is imported with trust
only, and built within bounds.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from omegaconf import MISSING

from senas.app.paths import conf_dir
from senas.app.schema import BackboneConfig, TrainConfig
from senas.app.show import SPLIT
from senas.app.trusted import code_of_data, refuse_untrusted
from senas.core.trust import packages
from senas.errors import ConfigError
from senas.exported.network import check
from senas.exported.package import Exported


def backbone_for(config: TrainConfig, exported: Mapping[str, Exported]) -> tuple[BackboneConfig, list[str]]:
    """The one that was asked for, else the one that the configurations were exported with; and what is to be said."""
    if config.backbone is not None:
        return config.backbone, []
    found = {name: _built(package.backbone) for name, package in exported.items()}
    first = next(iter(found), None)
    if first is None:
        raise ConfigError("backbone must be given where no exported configuration names one: backbone=resnet20")
    if other := next((name for name in found if found[name] != found[first]), None):
        raise ConfigError(
            f"se: {first} is for {found[first]['name']}, {other} for {found[other]['name']}; name the backbone "
            "for both: backbone=..."
        )
    backbone = backbone_of_export(first, exported[first], config.trust)
    if not (began := exported[first].provenance.get("initial_weights")):
        return backbone, []
    weights = _weights_of(Path(config.root), exported[first])
    scratch = (
        f"these trainings begin from scratch: {first} began with {began}, which its study does not lead to any more"
    )
    return replace(backbone, weights=weights), [] if weights else [scratch]


def backbone_of_export(name: str, package: Exported, trust: object) -> BackboneConfig:
    """The backbone that an export names, without initial weights. Raises ConfigError for code that is not trusted, and
    ExportError where it cannot be built within bounds."""
    told, trusted = _built(package.backbone), packages(trust)
    target = told.get("target")
    refuse_untrusted([("backbone.target", target)] if target else [], name, trusted)
    check(package, trust=trusted)
    return BackboneConfig(**told)


def _weights_of(root: Path, package: Exported) -> str | None:
    """The initial weights of the study that an export is from, where they are still there."""
    launched = _launched(root, package)
    told: Any = launched.get("backbone") if launched else None
    weights = told.get("weights") if isinstance(told, dict) else None
    gone = isinstance(weights, str) and Path(weights).is_absolute() and not Path(weights).is_file()
    return weights if isinstance(weights, str) and not gone else None


def _launched(root: Path, package: Exported) -> dict[str, Any] | None:
    """The configuration of the study that an export is from, where its folder is still there."""
    study = str(package.provenance.get("study", ""))
    file = root / study / "config.yaml"
    if not study or Path(study).name != study or not file.is_file():
        return None
    try:
        plain = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not a configuration of senas any more") from error
    return plain if isinstance(plain, dict) else None


def _built(backbone: Mapping[str, Any]) -> dict[str, Any]:
    """What `conf/backbone` says of it: classes and channels come from the data."""
    return {key: value for key, value in backbone.items() if key not in ("classes", "channels")}


def data_for(
    asked: Mapping[str, Any] | None, root: Path, trust: object, exported: Mapping[str, Exported]
) -> dict[str, Any]:
    """Those that were asked for, else those that the configurations were found on, by studies below `root`."""
    given = dict(asked or {})
    if "name" in given:
        return given
    found = [data_of(root, package) for package in exported.values()]
    if not found:
        raise ConfigError("data must be given where no exported configuration names them: data=fashion_mnist")
    if any(data != found[0] for data in found):
        raise ConfigError("se: these configurations were found on different data; name those to train on: data=...")
    refuse_untrusted(code_of_data(found[0]), "the study of this export", packages(trust))
    data = {**found[0], **given}
    if data.get("root") == MISSING:
        raise ConfigError(
            f"data.root must be given: +data.root=...; the study of this export is not in {root}, and an export "
            "does not say where the images lie"
        )
    return data


def data_of(root: Path, package: Exported) -> dict[str, Any]:
    """From the study's folder where it is still there: it knows where the images lie. Else from the export."""
    launched = _launched(root, package)
    if launched and isinstance(data := launched.get("data"), dict):
        return data
    name = str(package.provenance.get("data", ""))
    default = conf_dir() / "data" / f"{name}.yaml"
    if name == "custom":  # no file that was handed over may name code to be imported
        raise ConfigError("data must be given: the export was found on data of your own, data=custom data.target=...")
    if Path(name).name != name or not default.is_file():
        raise ConfigError(f'data must be given: the export says "{name}", which senas does not know by that name')
    plain: dict[str, Any] = yaml.safe_load(default.read_text())
    split = package.provenance.get("split")
    told = {**(split if isinstance(split, dict) else {}), **package.provenance}
    return plain | {key: told[key] for key in SPLIT if key in plain and key in told}
