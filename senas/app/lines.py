"""What Hydra, OmegaConf and YAML say of a mistake, in one line with the way out."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from senas.app.nearest import meant, naturally, nearest_key, nearest_name
from senas.app.paths import conf_dir

KINDS = {
    "Integer": "a whole number",
    "Float": "a number",
    "Boolean": "true or false",
    "String": "text",
}
GRAMMAR = re.compile("no viable alternative|mismatched input|extraneous input|token recognition|missing [A-Z_]+ at")
KEY = re.compile(r"[+~]*[\w/@:$-]+(\.[\w/@:$-]+)*")


def composition_line(error: Exception, command: str, arguments: Sequence[str]) -> str:
    """For what does not compose."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, OverrideParseException):
            return _not_read(cause)
        if isinstance(cause, yaml.YAMLError):
            return yaml_line(cause)
    text = "\n".join(map(str, causes))
    folders = [conf_dir(), *_folders(arguments)]
    if missing := re.search(r"Could not find '([^'/]+(?:/[^'/]+)*)/([^'/]*)'", text):
        return _no_option(missing[1], missing[2], folders)
    if unknown := re.search(r"Could not override '([^']+)'", text):
        return _no_key(unknown[1], command, folders)
    if unknown := re.search(r"Could not delete(?: from config)?\. '([^']+)'", text):
        return f"~{_no_key(unknown[1], command, folders)}"
    if there := re.search(r"An item is already at '([^']+)'", text):
        return f"+{there[1]}: this key is there already; write {there[1]}=... to change it"
    if several := re.search(r"(?:Ambiguous value for argument|Sweep parameters) '([^']+)'", text):
        return f"{several[1]}: several values need --multirun, one study for each; a list is written key=[a,b]"
    if "must be a string or a list" in text or "Config group override" in text:
        for key, _, value in (word.partition("=") for word in arguments if "=" in word):
            if (conf_dir() / key.strip("+~")).is_dir():
                return _no_option(key.strip("+~"), value, folders)
    if "list index out of range" in text or "is not a valid list index" in text:
        return "a list has no such index; a list is given whole, as in space.reduction=[4,16]"
    first = next((line.strip() for line in str(causes[-1]).splitlines() if line.strip()), type(error).__name__)
    if GRAMMAR.search(first):
        return f"a value cannot be read ({first}); ${{...}} must be closed"
    return first if isinstance(error, HydraException) else f"this cannot be composed ({first}); write key=value"


def omegaconf_line(error: OmegaConfBaseException, command: str) -> str:
    """For what does not fit the schema, or cannot be resolved."""
    lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    key = next((line.removeprefix("full_key:").strip() for line in lines if line.startswith("full_key:")), "")
    if "missing mandatory value" in lines[0].lower():
        return f"{key} must be given: {key}=..."
    if "is not a ListConfig" in lines[0]:
        return f"{key} must be a list, even of one: {key}=[...]"
    if "is not a subclass of" in lines[0]:
        return f"{key} must have keys below it, as in {key}.name=..., got {lines[0].rpartition('value: ')[2]}"
    if kind := re.search(r"Value '(.*)' of type '\w+' could not be converted to (\w+)", lines[0], re.DOTALL):
        return f'{key} must be {KINDS.get(kind[2], kind[2])}, got "{kind[1]}"'
    if "is not a valid bool" in lines[0]:
        return f"{key} must be true or false, got {lines[0].split(chr(39))[1]}"
    if "Incompatible value 'None'" in lines[0]:
        return f"{key} must have a value, got null"
    if "' not in '" in lines[0]:
        return _no_key(key, command, [conf_dir()])
    if "nterpolation" in lines[0]:
        return f"{key or 'an override'}: {lines[0]}; ${{...}} names another key, or ${{oc.env:NAME}} a variable"
    if GRAMMAR.search(lines[0]):
        return f"a value cannot be read ({lines[0]}); ${{...}} must be closed"
    return f"{key}: {lines[0]}" if key else lines[0]


def yaml_line(error: yaml.YAMLError) -> str:
    """For a config file that is no YAML."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f"{mark.name}, line {mark.line + 1}" if mark else "a config file"
    return f"{where}: this is not YAML ({getattr(error, 'problem', None) or 'it cannot be read'})"


@cache
def known_keys(command: str) -> list[str]:
    """Dotted keys of a command's default configuration."""
    if GlobalHydra.instance().is_initialized():  # the mistake was found while Hydra was at it
        GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = hydra.compose(command)
    return list(_dotted(OmegaConf.to_container(config)))


def groups() -> list[str]:
    """The names of the config groups."""
    return sorted(path.name for path in conf_dir().iterdir() if path.is_dir())


def _not_read(error: OverrideParseException) -> str:
    key = str(error.override).partition("=")[0]
    if not KEY.fullmatch(key):
        return f'{error.override}: "{key}" is no key: one is words joined by dots; a list is given whole, key=[a,b]'
    return (
        f"{error.override}: this cannot be read; what is not plain letters and digits needs quotes of its own "
        f"inside those of the shell: '{key}=\"a, b\"'"
    )


def _no_option(group: str, name: str, folders: Sequence[Path]) -> str:
    known = naturally({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})
    if not known:
        near = meant(nearest_name(group, groups()))
        return f"{group}: there is no such group; there are {', '.join(groups())}{near}"
    there = f"there {'is' if len(known) == 1 else 'are'} {', '.join(known)}"
    library = f"; a network of a library is backbone=torchvision backbone.name={name}, or backbone=timm"
    near = meant(nearest_name(name, known))
    return f'{group}: there is no "{name}"; {there}{near}{library if group == "backbone" else ""}'


def _no_key(key: str, command: str, folders: Sequence[Path]) -> str:
    keys = known_keys(command)
    if any((folder / key).is_dir() for folder in folders) and key not in keys:
        if command == "resume":
            return f"{key}: a study is resumed as it was launched; senas search study.name=... {key}=... changes it"
        return f"{key}: this group has no default; write +{key}=..."
    if below := [known.removeprefix(f"{key}.") for known in keys if known.startswith(f"{key}.")]:
        return f"{key}: one of the keys that you give it is not among {', '.join(below)}"
    if line := _added(key):
        return line
    having = sorted(
        f"{path.parent.name}={path.stem}"
        for path in conf_dir().glob(f"{key.partition('.')[0]}/*.yaml")
        if key.partition(".")[2] in (yaml.safe_load(path.read_text()) or {})
    )
    if having:
        return f"{key}: there is no such key here; {' and '.join(having)} {'has' if len(having) == 1 else 'have'} it"
    near = nearest_key(key, [*keys, *groups()])
    return f"{key}: there is no such key{meant(near) if near != key else ''}; `senas {command} --cfg job` shows all"


def _added(key: str) -> str:
    """For an argument of a network or data module, which no config has until it is added; empty for other keys."""
    group, _, below = key.partition(".")
    name, _, argument = below.partition(".")
    takers = sorted(
        f"{group}={path.stem}"
        for path in conf_dir().glob(f"{group}/*.yaml")
        if (yaml.safe_load(path.read_text()) or {}).get(name) == {}
    )
    if not takers:
        return ""
    takes = "takes" if len(takers) == 1 else "take"
    return (
        f"{key}: arguments are added one by one, with a +: +{group}.{name}.{argument or 'KEY'}=...; "
        f"{' and '.join(takers)} {takes} them"
    )


def _folders(arguments: Sequence[str]) -> list[Path]:
    words = [*arguments, ""]
    return [Path(after) for word, after in pairwise(words) if word == "--config-dir"]


def _dotted(config: Any, prefix: str = "") -> Iterator[str]:
    for key, value in config.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
