"""Code that a configuration names, and whether one that was read from a file may have it imported."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from senas.app.schema import SearchConfig
from senas.core.trust import is_trusted, module_of, suggested
from senas.errors import ConfigError

OURS = re.compile(r"optuna\.(samplers|pruners)\.\w+|senas\.study\.thompson\.EffectsSampler")


def named_code(config: SearchConfig) -> Iterator[tuple[str, str]]:
    """Key and target of all that setting up a study, or searching, imports beside senas and what it is built on."""
    if config.backbone.target:
        yield "backbone.target", config.backbone.target
    yield from code_of_data(config.data)
    for target in (config.objective.metric, *config.objective.metrics):
        if ":" in target:
            yield "objective.metric", target
    for target in config.trainer.callbacks:
        yield "trainer.callbacks", target
    for group, made in (("sampler", config.sampler), ("pruner", config.pruner)):
        target = str(made.get("_target_") or "")
        if target and not OURS.fullmatch(target):
            yield f"{group}._target_", target


def code_of_data(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Key and target of what the data's options name."""
    if data.get("name") == "custom":
        yield "data.target", str(data.get("target"))


def modules_of(config: SearchConfig) -> list[str]:
    """The modules that a configuration names: what to trust for it again, once a user did."""
    return [module_of(target) for _, target in named_code(config)]


def spoken_trust(config: SearchConfig) -> str:
    """What a command that reads the study again needs, behind a space: ` trust=mypkg`, or nothing."""
    names = list(dict.fromkeys(suggested(target) for _, target in named_code(config)))
    if len(names) > 1:
        return f" 'trust=[{','.join(names)}]'"
    return f" trust={names[0]}" if names else ""


def refuse_untrusted(code: Iterable[tuple[str, str]], file: Path | str, trust: Iterable[str]) -> None:
    """Raises ConfigError for the first of these targets, named by a file, that is not trusted. Nothing is imported."""
    trust = tuple(trust)
    for key, target in code:
        if not is_trusted(target, trust):
            raise ConfigError(
                f"{key}: {file} names code, {target:.200}, and a file imports none by itself; if it is yours, say "
                f"trust={suggested(target):.80}"
            )
