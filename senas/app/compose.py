"""From a command line to a checked configuration, by way of Hydra; its mistakes become one line."""

import difflib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from senas.app.paths import conf_dir
from senas.app.schema import SCHEMAS
from senas.errors import ConfigError, SenasError


def run_with_hydra(command: str, arguments: Sequence[str], task: Callable[[Any], None], *, program: str = "") -> None:
    """Compose `command`'s config with the overrides in `arguments`, check it, and hand it to `task`.

    Hydra's own flags (--cfg, --multirun, --config-dir, ...) are understood. Raises ConfigError in one line for what
    does not compose or does not fit the schema.
    """

    mistakes: list[SenasError] = []
    composed = False

    def checked_task(config: DictConfig) -> None:
        nonlocal composed
        composed = True
        if mistakes:
            return  # one of several jobs failed; the others do not start
        try:
            task(checked(command, config))
        except SenasError as error:
            mistakes.append(error)  # through Hydra it would be announced with a text of Hydra's

    # With it Hydra raises what went wrong; without, it prints a text of its own and exits with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = [program or f"senas {command}", *arguments]
    main = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command)(checked_task)
    try:
        main()
    except HydraException as error:
        raise ConfigError(_hydra_line(error, command)) from error
    except OmegaConfBaseException as error:
        raise ConfigError(_omegaconf_line(error, command)) from error
    except ValueError as error:  # of Hydra, for data=3
        if composed:
            raise
        raise ConfigError(str(error).splitlines()[0]) from error
    if mistakes:
        raise mistakes[0]


def checked(command: str, config: DictConfig | Mapping[str, Any]) -> Any:
    """The configuration as the frozen dataclass of its command."""
    try:
        plain = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig) else config
        typed = OmegaConf.merge(OmegaConf.structured(SCHEMAS[command]), plain)
        return OmegaConf.to_object(typed)
    except OmegaConfBaseException as error:
        raise ConfigError(_omegaconf_line(error, command)) from error


def _hydra_line(error: HydraException, command: str) -> str:
    causes = [str(cause) for cause in _causes(error)]
    text = "\n".join(causes)
    if missing := re.search(r"Could not find '([^'/]+)/([^']+)'", text):
        group, name = missing.groups()
        known = sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
        return f'{group}: there is no "{name}"; there are {", ".join(known)}{_nearest(name, known)}'
    if unknown := re.search(r"Could not override '([^']+)'", text):
        key = unknown[1]
        known = _keys(command)
        return f"{key}: there is no such key{_nearest(key, known)}; `senas {command} --cfg job` shows those there are"
    first = causes[-1].splitlines()
    return next((line.strip() for line in first if line.strip()), type(error).__name__)


def _omegaconf_line(error: OmegaConfBaseException, command: str) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    key = next((line.removeprefix("full_key:").strip() for line in lines if line.startswith("full_key:")), "")
    if "missing mandatory value" in lines[0].lower():
        return f"{key} must be given: {key}=..."
    if "is not a ListConfig" in lines[0]:
        return f"{key} must be a list, even of one: {key}=[...]"
    if "' not in '" in lines[0]:
        return f"{key}: there is no such key{_nearest(key, [*_keys(command), 'experiment'])}"
    return f"{key}: {lines[0]}" if key else lines[0]


def _keys(command: str) -> list[str]:
    """Dotted keys of a command's default configuration, and its groups."""
    if GlobalHydra.instance().is_initialized():  # the mistake was found while Hydra was at it
        config = hydra.compose(command)
    else:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            config = hydra.compose(command)
    return [*_dotted(OmegaConf.to_container(config)), *(p.name for p in conf_dir().iterdir() if p.is_dir())]


def _dotted(config: Any, prefix: str = "") -> Iterator[str]:
    for key, value in config.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")


def _nearest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
