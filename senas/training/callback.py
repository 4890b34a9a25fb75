"""Lightning callbacks of the user's own, made anew for each training."""

import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.serialization import get_unsafe_globals_in_checkpoint

from senas.core.imported import imported, spoken
from senas.errors import ConfigError

KEY = "trainer.callbacks"


@dataclass(frozen=True, slots=True)
class OwnCallback:
    """What `target` names as `package.module:name`: a class or function that makes a callback, without arguments."""

    target: str
    function: Any

    def made(self) -> Any:
        """A new one. Raises ConfigError, in one line, where making it raises, or gives something else."""
        try:
            callback = self.function()
        except MemoryError:
            raise
        except Exception as error:  # somebody else's code: anything
            raise ConfigError(f"{KEY}: {self.target} cannot be made without arguments: {spoken(error)}") from error
        if not any(cls.__name__ == "Callback" for cls in type(callback).__mro__):
            raise ConfigError(
                f"{KEY}: {self.target} gives no Callback of Lightning's but something of type {type(callback).__name__}"
            )
        return callback


def own_callbacks(targets: Iterable[str]) -> tuple[OwnCallback, ...]:
    """What these name. Raises ConfigError where there is no such thing, or where it is named twice."""
    found: dict[str, OwnCallback] = {}
    for target in targets:
        if target in found:
            raise ConfigError(f"{KEY} names {target} twice")
        named = imported(KEY, target)
        if not callable(named):
            raise ConfigError(f"{KEY}: {target} is no class of callbacks but {named!r:.60}; name the class")
        found[target] = OwnCallback(target, named)
    return tuple(found.values())


def blamed(error: BaseException, callbacks: Iterable[tuple[OwnCallback, Any]]) -> ConfigError | None:
    """The one line for what a callback raised; None where none of these did."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for own, made in callbacks:
        if any(frame.f_locals.get("self") is made for frame in frames):
            return ConfigError(f"{KEY}: {own.target} raised {spoken(error)}")
    return None


def check_saved(callbacks: Iterable[OwnCallback], checkpoint: Path) -> None:
    """Raises ConfigError where a training cannot go on from this file, as a callback put something there that reading
    would have to run code for."""
    names = ", ".join(own.target for own in callbacks)
    if names and (found := get_unsafe_globals_in_checkpoint(checkpoint)):
        raise ConfigError(
            f"{KEY}: the state_dict of {names} holds {', '.join(sorted(found))}, which is read from no file; keep "
            f"numbers, words, lists, dicts and tensors there, and delete {checkpoint}: that training begins anew"
        )
