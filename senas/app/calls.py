"""From a call in Python to a configuration, as a command line would compose it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from senas.app.compose import checked
from senas.app.lines import composition_line, omegaconf_line
from senas.app.paths import conf_dir
from senas.errors import ConfigError

Config = Mapping[str, Any] | str | Path
"""A whole configuration: as a mapping, or a YAML file such as a study's config.yaml."""


def called(command: str, overrides: Sequence[str], settings: Mapping[str, Any], config: Config | None = None) -> Any:
    """The checked configuration of a command.

    overrides:  as on the command line, such as "trainer.epochs=2".
    settings:   a text for a group chooses a file of it, everything else is merged in.
    config:     what to begin from; None: senas's own.

    Raises ConfigError in one line for what does not compose or does not fit.
    """
    chosen = {key: value for key, value in settings.items() if isinstance(value, str) and (conf_dir() / key).is_dir()}
    rest = _plain({key: value for key, value in settings.items() if key not in chosen})
    words = [*(f"{key}={value}" for key, value in chosen.items()), *overrides]
    try:
        base = _default(command, words) if config is None else _given(config, words)
        merged: Any = OmegaConf.merge(base, rest)
        return checked(command, merged)
    except OmegaConfBaseException as error:
        raise ConfigError(omegaconf_line(error, command)) from error
    except HydraException as error:
        raise ConfigError(composition_line(error, command, words)) from error


def _default(command: str, words: Sequence[str]) -> DictConfig:
    with _hydra_of_ones_own():
        composed = hydra.compose(command, overrides=list(words))
    # A copy that takes any key: the schema says which there are.
    return OmegaConf.create(OmegaConf.to_container(composed))  # type: ignore[return-value]


def _given(config: Config, words: Sequence[str]) -> DictConfig:
    if groups := [word for word in words if (conf_dir() / word.partition("=")[0]).is_dir()]:
        raise ConfigError(f"{groups[0]}: a whole config was given, in which no group can be chosen; set its keys")
    if not isinstance(config, Mapping | DictConfig):
        try:
            config = yaml.safe_load(Path(config).read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"config: {config} cannot be read: {str(error).splitlines()[0]}") from error
        if not isinstance(config, Mapping):
            raise ConfigError("config: it must map keys to values")
    return OmegaConf.merge(OmegaConf.create(_plain(config)), OmegaConf.from_dotlist(list(words)))  # type: ignore[return-value]


@contextmanager
def _hydra_of_ones_own() -> Iterator[None]:
    """The caller may be a Hydra program itself: its state is put back as it was."""
    state = Singleton.get_state()
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            yield
    finally:
        Singleton.set_state(state)


def _plain(value: Any) -> Any:
    if isinstance(value, DictConfig):
        return OmegaConf.to_container(value, resolve=True)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
