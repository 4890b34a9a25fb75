"""What MLflow accepts: how long names and values may be, and which characters a name may have."""

import json
import re
from collections.abc import Mapping

from mlflow.entities import Param, RunTag

PARAM_LENGTH, TAG_LENGTH, KEY_LENGTH = 6000, 8000, 250


def run_params(values: Mapping[str, object]) -> list[Param]:
    """Text as it is, everything else as JSON."""
    return [
        Param(key(name), cut(value if isinstance(value, str) else json.dumps(value, default=str), PARAM_LENGTH))
        for name, value in values.items()
    ]


def run_tags(values: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(key(name), cut(value, TAG_LENGTH)) for name, value in values.items()]


def key(name: str) -> str:
    """A name as MLflow accepts it."""
    return re.sub(r"[^\w.:/ -]", "_", name)[:KEY_LENGTH]


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def cut_lines(text: str) -> str:
    """The description, cut after a whole line where it is too long for MLflow."""
    if len(text) <= TAG_LENGTH:
        return text
    note = f"\n\n*Cut here: MLflow keeps {TAG_LENGTH:,} characters of {len(text):,}.*"
    room = text[: TAG_LENGTH - len(note)]
    return (room.rpartition("\n")[0] or room) + note
