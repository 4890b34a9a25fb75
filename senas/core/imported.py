"""Code of the user's own, named on the command line as `package.module:name`."""

import difflib
import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

from senas.errors import ConfigError


def imported(key: str, target: str) -> Any:
    """What `package.module:name` names, from the installed packages or from the working directory.

    Raises ConfigError, naming the key, where the form is another one, where there is no such module or no such name in
    it, and where importing it raises.
    """
    module_name, _, name = target.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), *name.split(".")]):
        raise ConfigError(f'{key} must name something of yours as package.module:name, got "{target}"{_meant(target)}')
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # last, so that a file here does not pass for a package that others import
    importlib.invalidate_caches()
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{key}: there is no module {error.name}, neither in {here} nor among the installed ones"
                f"{_meant(target)}"
            ) from error
        raise ConfigError(f"{key}: importing {module_name} raised {spoken(error)}") from error
    except (Exception, SystemExit) as error:  # whatever the module does when it is imported
        raise ConfigError(f"{key}: importing {module_name} raised {spoken(error)}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            close = difflib.get_close_matches(part, dir(found), n=1)
            guess = f'; did you mean "{close[0]}"?' if close else ""
            raise ConfigError(f"{key}: {module_name} ({getattr(found, '__file__', '')}) has no {part}{guess}")
        found = getattr(found, part)
    return found


def _meant(target: str) -> str:
    """For a file's name instead of a module's, and a dot instead of the colon."""
    package, colon, name = target.replace(".py:", ":").rpartition(":" if ":" in target else ".")
    written = f"{package}:{name}"
    plain = all(part.isidentifier() for part in [*package.split("."), name])
    return f'; did you mean "{written}"?' if colon and plain and written != target else ""


def spoken(error: BaseException) -> str:
    """An exception of somebody's code in one line: what it says, and the line of their file that it came from."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # From a worker of a DataLoader comes the whole traceback as text; what was raised stands last.
    text = lines[-1] if "Original Traceback" in str(error) else f"{type(error).__name__}: {lines[0] if lines else ''}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_of_user(frame.filename)]
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return text.rstrip(": ") + place


def _is_of_user(file: str) -> bool:
    return not (
        file.startswith("<")
        or "site-packages" in file
        or Path(file).is_relative_to(Path(__file__).parents[1])
        or Path(file).is_relative_to(Path(importlib.__file__).parents[1])
    )
