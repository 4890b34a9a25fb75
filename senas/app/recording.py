"""Where a run is recorded for people: MLflow or nothing, and the head of its log."""

import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from senas.app.fingerprint import flatten
from senas.app.paths import MlflowStore, StudyFolder
from senas.app.schema import TrackingConfig
from senas.core.address import hidden
from senas.core.objective import Scores
from senas.core.ports import Claims, Pulse, Recorder
from senas.core.trial import Trial
from senas.errors import ConfigError
from senas.model.latency import machine
from senas.report.console import Terminal

PACKAGES = ("senas", "torch", "torchvision", "pytorch-lightning", "optuna", "mlflow", "hydra-core", "numpy")


class NoRecord:
    """Implements `senas.core.ports.Recorder` for tracking=none."""

    def missing(self, trials: Sequence[Trial]) -> list[Trial]:
        return []

    def begin(self, trial: Trial) -> None: ...

    def epoch(self, trial: Trial, epoch: int, scores: Scores) -> None: ...

    def pulse(self, trial: Trial, pulse: Pulse) -> None: ...

    def record(self, trial: Trial, front: Sequence[int], hypervolume: float) -> None: ...

    def register(self, recommended: object) -> str | None:
        return None

    def conclude(
        self,
        *,
        finished: bool,
        front: Sequence[int],
        description: str,
        files: Mapping[str, bytes],
        claims: Claims | None = None,
    ) -> None: ...


def open_recorder(
    tracking: TrackingConfig, folder: StudyFolder, shown: Mapping[str, Any], terminal: Terminal, **facts: Any
) -> Recorder:
    """The recorder that the configuration asks for, opened.

    shown:  the whole configuration, without passwords.
    facts:  what else `MlflowRecorder.open` wants to know: sites, largest_params, objective, data, ...

    Raises ConfigError where it cannot be reached.
    """
    if tracking.name == "none":
        return NoRecord()
    if tracking.name != "mlflow":
        raise ConfigError(f'tracking.name: there is no "{tracking.name}"; there are mlflow, none')
    from senas.record.mlflow import MlflowRecorder

    store = MlflowStore(folder.root)
    with nullcontext() if tracking.uri else store.locked():
        return MlflowRecorder.open(
            tracking.uri or store.uri,
            artifacts=None if tracking.uri else store.artifacts,
            experiment=tracking.experiment,
            study=folder.name,
            params=flatten(shown),
            config_yaml=yaml.safe_dump(dict(shown), sort_keys=False),
            versions=versions(),
            warn=terminal.warn,
            **facts,
        )


def begin_log(terminal: Terminal, path: Path) -> None:
    """What somebody needs who reads the log alone: the command, and what it ran with."""
    terminal.note(f"$ {sys.argv[0]} {hidden(shlex.join(sys.argv[1:]))}")
    terminal.note(", ".join([*(f"{name} {number}" for name, number in versions().items()), machine()]))
    terminal.keep(path)


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide what comes out."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
