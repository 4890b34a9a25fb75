"""From a command line to a checked configuration, by way of Hydra; its mistakes become one line."""

import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from senas.app.arguments import sorted_out
from senas.app.checks import check, check_surroundings
from senas.app.lines import composition_line, groups, known_keys, omegaconf_line, yaml_line
from senas.app.nearest import nearest_key
from senas.app.paths import conf_dir
from senas.app.schema import SCHEMAS
from senas.errors import ConfigError, SenasError


def run_with_hydra(command: str, arguments: Sequence[str], task: Callable[[Any], None], *, program: str = "") -> None:
    """Compose `command`'s config with the overrides in `arguments`, check it, and hand it to `task`.

    Hydra's own flags (--cfg, --multirun, --config-dir, ...) are understood wherever they stand. Raises ConfigError in
    one line for what does not compose or does not fit the schema.
    """

    mistakes: list[Exception] = []
    composed = False

    def checked_task(config: DictConfig) -> None:
        nonlocal composed
        composed = True
        if mistakes:
            return  # one of several jobs failed; the others do not start
        try:
            try:
                given = checked(command, config)
            except SenasError as error:
                raise _first(command, words, error) from error
            check_surroundings(command, given)
            task(given)
        except Exception as error:
            mistakes.append(error)  # raised below: through Hydra it would be announced with a text of Hydra's

    words = sorted_out(arguments, lambda word: nearest_key(word, [*known_keys(command), *groups()]))
    # With it Hydra raises what went wrong; without, it prints a text of its own and exits with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    GlobalHydra.instance().clear()
    with _nothing_of_hydras(words) as elsewhere:
        sys.argv = [program or f"senas {command}", *words, *elsewhere]
        try:
            if any(_is_hydras(word) for word in words):
                hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command)(checked_task)()
            else:
                checked_task(_composed(command, words))
        except OmegaConfBaseException as error:
            raise _first(command, words, ConfigError(omegaconf_line(error, command))) from error
        except yaml.YAMLError as error:
            raise ConfigError(yaml_line(error)) from error
        except BrokenPipeError:
            raise  # what Hydra printed has no reader
        except Exception as error:
            # Until its task is called Hydra reads the command line, and asserts and indexes its way through odd ones.
            if composed:
                raise
            raise _first(command, words, ConfigError(composition_line(error, command, words))) from error
    if mistakes:
        raise mistakes[0]


def _is_hydras(word: str) -> bool:
    """Whether it takes Hydra's own program, which composes twice: first to learn whether there are several jobs."""
    return word.startswith("-") or word.lstrip("+~").startswith("hydra")


def _composed(command: str, words: Sequence[str]) -> DictConfig:
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return hydra.compose(command, overrides=list(words))


def _first(command: str, words: Sequence[str], error: SenasError) -> SenasError:
    from senas.app.first import first_mistake  # it composes too, by way of this module

    return first_mistake(command, words, error)


def checked(command: str, config: DictConfig | Mapping[str, Any]) -> Any:
    """The configuration as the dataclass of its command. Raises SenasError for what cannot be accepted."""
    try:
        plain = OmegaConf.to_container(config, resolve=True) if isinstance(config, DictConfig) else config
        typed = OmegaConf.merge(OmegaConf.structured(SCHEMAS[command]), plain)
        result = OmegaConf.to_object(typed)
    except OmegaConfBaseException as error:
        raise ConfigError(omegaconf_line(error, command)) from error
    _flat_lists(result)
    check(command, result)
    return result


def _flat_lists(config: Any, prefix: str = "") -> None:
    """Raises ConfigError for a list with a list or a mapping in it, which OmegaConf lets pass as any item."""
    for field in dataclasses.fields(config):
        key, value = f"{prefix}{field.name}", getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            _flat_lists(value, f"{key}.")
        elif isinstance(value, list) and any(isinstance(item, list | dict) for item in value):
            raise ConfigError(f"{key} is a list of single values, as in {key}=[a,b]; got {value}")


@contextmanager
def _nothing_of_hydras(words: Sequence[str]) -> Iterator[list[str]]:
    """Overrides that send what Hydra writes of several jobs (multirun.yaml) to a folder that goes away again."""
    several = {"-m", "--multirun", "hydra.mode=MULTIRUN"} & set(words)
    if not several or any(word.startswith("hydra.sweep.dir=") for word in words):
        yield []
        return
    with tempfile.TemporaryDirectory() as folder:
        yield [f"hydra.sweep.dir={folder}"]
