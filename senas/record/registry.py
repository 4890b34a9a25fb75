"""The model registry: the network that a study recommends, or that leads, as a version of a model of its own."""

import hashlib
import logging
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from senas.record.limits import TAG_LENGTH, cut, run_tags

RECOMMENDED, LEADING = "recommended", "leading"
"""Aliases: of what a study recommends, and of what leads where that is undecided."""
IDENTITY = ("senas.study_run", "trial", "seed", "configuration")
"""Tags by which a version is known to be of the same training."""
CHATTY = ("mlflow", "torch.export", "torch._export")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommended:
    """The network of a study's pick.

    decided:      False where it only leads.
    network:      makes it, with its trained weights, in eval mode: (B, C, H, W) -> (B, classes). None where there is
                  no time for that: a version that is there gets the alias, and none is made.
    example:      a batch of at least two images, float32, as the network takes them: a numpy array (B, C, H, W).
    description:  Markdown, of this version, and `about` of the study's registered model.
    tags:         facts on this version, `trial`, `seed` and `configuration` among them.
    """

    network: Callable[[], Any] | None
    example: Any
    classes: int
    decided: bool = True
    description: str
    about: str
    tags: Mapping[str, str]


def model_name(study: str) -> str:
    """`senas-<study>`, in characters that are safe in a `models:/` address; a digest tells changed names apart."""
    plain = re.sub(r"[^\w.-]+", "-", study, flags=re.ASCII)
    return f"senas-{plain}" if plain == study else f"senas-{plain}-{hashlib.sha256(study.encode()).hexdigest()[:6]}"


def register(client: MlflowClient, run_id: str, study: str, recommended: Recommended) -> str | None:
    """Sees to it that a version with the alias is the network, and returns its address; None where it was one already.

    The alias is `recommended`, or `leading` where nothing is decided; the other is taken away, and so is this one until
    the version is there: an alias never stays at what it no longer holds for. A version of the same training is told
    what is known by now. Takes some seconds where there is something to register: the network is traced to a file that
    loads without senas.
    """
    name, alias = model_name(study), RECOMMENDED if recommended.decided else LEADING
    tags = {"senas.study_run": run_id, "study": study, **recommended.tags}
    tags = {tag.key: tag.value for tag in run_tags(tags)}
    description = cut(recommended.description, TAG_LENGTH)
    aliased = {held: _aliased(client, name, held) for held in (RECOMMENDED, LEADING)}
    there = _same(client, name, tags)
    for held, version_ in aliased.items():
        if version_ and (held != alias or not there or version_.version != there.version):
            client.delete_registered_model_alias(name, held)
    if there:
        client.update_model_version(name, there.version, description)
        for key, value in tags.items():
            if there.tags.get(key) != value:
                client.set_model_version_tag(name, there.version, key, value)
        before = aliased[alias]
        if before and before.version == there.version:
            return None
    elif recommended.network is None:
        return None
    else:
        with suppress(MlflowException):  # there already
            client.create_registered_model(name, {"study": study}, recommended.about)
        there = _made(client, run_id, name, recommended, tags, description)
    client.set_registered_model_alias(name, alias, there.version)
    client.update_registered_model(name, recommended.about)
    return f"models:/{name}@{alias}"


def _aliased(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException:  # no such model, or no such alias yet
        return None


def _same(client: MlflowClient, name: str, tags: Mapping[str, str]) -> ModelVersion | None:
    """The version of the same training."""
    try:
        found = client.search_model_versions(f"name = '{name}'")
    except MlflowException:
        return None
    same = [version_ for version_ in found if all(version_.tags.get(key) == tags.get(key) for key in IDENTITY)]
    return max(same, key=lambda version_: int(version_.version), default=None)


def _made(
    client: MlflowClient, run_id: str, name: str, recommended: Recommended, tags: dict[str, str], description: str
) -> ModelVersion:
    folder = f"model-trial-{tags['trial']}"
    with tempfile.TemporaryDirectory() as parent, _quiet():
        _save(recommended, Path(parent) / folder)
        client.log_artifacts(run_id, f"{parent}/{folder}", folder)
    return client.create_model_version(
        name,
        source=f"{client.get_run(run_id).info.artifact_uri}/{folder}",
        run_id=run_id,
        tags=tags,
        description=description,
        await_creation_for=0,
    )


def _save(recommended: Recommended, folder: Path) -> None:
    import mlflow.pytorch  # takes seconds
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    images, logits = (-1, *recommended.example.shape[1:]), (-1, recommended.classes)
    kind = np.dtype("float32")
    assert recommended.network is not None
    mlflow.pytorch.save_model(
        recommended.network(),
        str(folder),
        signature=ModelSignature(Schema([TensorSpec(kind, images)]), Schema([TensorSpec(kind, logits)])),
        input_example=recommended.example,
        serialization_format="pt2",
        # MLflow would guess them for ten seconds.
        pip_requirements=[
            f"{package}=={version(package).partition('+')[0]}" for package in ("mlflow", "torch", "numpy")
        ],
    )


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
