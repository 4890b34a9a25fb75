"""How a study was launched: the command that launches one like it, what it ran with, and its configuration."""

import dataclasses
import json
import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from senas.app.commands import OTHER, PLAIN, ROOT, command, override, quoted
from senas.app.fingerprint import flatten
from senas.app.paths import conf_dir
from senas.app.recording import versions
from senas.app.schema import SCHEMAS
from senas.app.wiring import Setup
from senas.report.study import Origins

HERE = ("latency.hardware",)
"""What the machine says by itself, and another one says otherwise."""
LAUNCHES = 6
"""Of those in a study's log, how many are told: the last ones."""
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?")


def origins(setup: Setup, asked: Sequence[str]) -> Origins:
    """All that is needed to run a study again, and to write its report, with the overrides that were asked of it."""
    shown = setup.shown()
    return Origins(
        ran_with=_ran_with(setup.folder.log),
        read_with=versions(),
        commands=[
            ("Launch the same study, under another name:", _launch(setup, shown)),
            ("Write this report again:", command("report", setup, *asked)),
            ("Look at the front, the effects of blocks, or MLflow:", command("front", setup)),
            ("", command("effects", setup)),
            ("", f"senas dashboard {override('study.name', setup.folder.name)}"),
        ],
        config=yaml.safe_dump(shown, sort_keys=False),
    )


def _launch(setup: Setup, shown: dict[str, object]) -> str:
    study = shown["study"]
    assert isinstance(study, Mapping)
    words = launch_words({**shown, "study": {key: value for key, value in study.items() if key != "name"}})
    name = override("study.name", f"{setup.folder.name}-again")
    return " ".join(["senas search", name, *words])


def _ran_with(log: Path) -> list[str]:
    """The commands of a study's log, each with its versions."""
    if not log.exists():
        return []
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    found = []
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if launched := re.match(r"(\S+ \S+)  \$ (.*)", line):
            versions_then = after.partition("  ")[2]
            found.append(f"{launched[1]}: {launched[2]} ({versions_then})")
    return found[-LAUNCHES:]


def launch_words(resolved: Mapping[str, Any]) -> list[str]:
    """Overrides of `senas search` that compose to this configuration, as a shell reads them.

    resolved:  the whole configuration, as a study's config.yaml has it.
    """
    own, chosen = _file(conf_dir() / "search.yaml")
    defaults = {group: option for each in chosen if isinstance(each, dict) for group, option in each.items()}
    words = []
    for group, usual in defaults.items():
        option, keys = _nearest(group, usual, resolved.get(group, {}))
        words += [f"{group}={option}"] if option != usual else []
        words += [_word(f"{mark}{group}.{key}", value) for mark, key, value in keys]
    rest = {key: value for key, value in resolved.items() if key not in defaults}
    there = flatten({"root": ROOT, **own})
    words += [_word(key, value) for key, value in flatten(rest).items() if key not in there or there[key] != value]
    return words


Key = tuple[str, str, Any]
"""`+` where the file does not have it, its name, its value."""


def _nearest(group: str, usual: str, resolved: Mapping[str, Any]) -> tuple[str, list[Key]]:
    """The file of a group that leaves least to be said, the usual one of equals, and what is left."""
    options = sorted(
        (path.stem for path in (conf_dir() / group).glob("*.yaml")), key=lambda name: (name != usual, name)
    )
    left = {option: list(_left(group, option, resolved)) for option in options}
    best = min(options, key=lambda option: len(left[option]))
    return best, left[best]


def _left(group: str, option: str, resolved: Mapping[str, Any]) -> Iterator[Key]:
    given = dict(_leaves(_option(conf_dir() / group, option)))
    usual = {**_schema(group), **given}
    for key, value in _leaves(resolved):
        if f"{group}.{key}" in HERE or (key in usual and _same(usual[key], value)):
            continue
        yield ("" if key in given else "+"), key, value


def _leaves(plain: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """As `flatten`, with empty mappings, which say something."""
    for key, value in plain.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _same(one: Any, other: Any) -> bool:
    """YAML takes 1e-3 for text; the schema makes a number of it."""
    if isinstance(one, str) and isinstance(other, float) and NUMBER.fullmatch(one):
        return float(one) == other
    return bool(one == other)


def _option(folder: Path, option: str) -> dict[str, Any]:
    """A file of a group, with those that it builds on."""
    own, before = _file(folder / f"{option}.yaml")
    merged: dict[str, Any] = {}
    for each in before:
        if isinstance(each, str) and each != "_self_":
            merged |= _option(folder, each)
    return {**merged, **own}


@cache
def _file(path: Path) -> tuple[dict[str, Any], list[Any]]:
    """What a config file says, and its list of defaults."""
    plain = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return {key: value for key, value in plain.items() if key != "defaults"}, plain.get("defaults", [])


@cache
def _schema(group: str) -> dict[str, Any]:
    """What keys are where no file says so."""
    field = next((f for f in dataclasses.fields(SCHEMAS["search"]) if f.name == group), None)
    kind = field.type if field is not None else None
    return (
        dict(_leaves(dataclasses.asdict(kind()))) if isinstance(kind, type) and dataclasses.is_dataclass(kind) else {}
    )


def _word(key: str, value: Any) -> str:
    text = f"{key}={_literal(value)}"
    return text if PLAIN.fullmatch(text.replace("=", "").lstrip("+")) else shlex.quote(text)


def _literal(value: Any) -> str:
    """As Hydra's grammar has it."""
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_literal(each)}' for key, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_literal, value))}]"
    if isinstance(value, str):
        if PLAIN.fullmatch(value) and not OTHER.fullmatch(value) and ":" not in value:
            return value
        return quoted(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # inf, -inf, nan
    return json.dumps(value)
