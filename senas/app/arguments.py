"""What stands on the command line: Hydra's flags, which may stand anywhere, and overrides."""

import re
from collections.abc import Callable, Sequence

from senas.errors import ConfigError

FLAGS = {
    "--cfg": ("job", "hydra", "all"),
    "--package": "a key",
    "--config-dir": "a folder",
    "--multirun": None,
    "--run": None,
    "--resolve": None,
    "--info": None,
    "--hydra-help": None,
    "--shell-completion": None,
}
"""Those of Hydra's flags that make sense here, and what each wants behind it."""
SHORT = {
    "-c": "--cfg",
    "-p": "--package",
    "-cd": "--config-dir",
    "-m": "--multirun",
    "-r": "--run",
    "-i": "--info",
    "-sc": "--shell-completion",
}


def sorted_out(arguments: Sequence[str], nearest_key: Callable[[str], str]) -> list[str]:
    """Flags first, then overrides, as Hydra wants them. Raises ConfigError for what is neither.

    nearest_key:  the key that is most like a word; empty where none is.
    """
    flags: list[str] = []
    overrides: list[str] = []
    words = iter(arguments)
    for word in words:
        if not _utf8(word):
            raise ConfigError(f"{_shown(word)}: this is not UTF-8")
        if not word.startswith("-"):
            overrides.append(_override(word, nearest_key))
            continue
        given, equals, value = word.partition("=")
        flag = SHORT.get(given, given)
        if flag not in FLAGS:
            raise ConfigError(_no_flag(given, value or next(words, ""), nearest_key))
        wants = FLAGS[flag]
        if wants is None:
            flags.append(word)
            continue
        value = value if equals else next(words, "")
        what = wants if isinstance(wants, str) else f"one of {', '.join(wants)}"
        if not value or (not isinstance(wants, str) and value not in wants):
            raise ConfigError(f"{flag} must be followed by {what}, got {_shown(value) or 'nothing'}")
        flags += [flag, value]
    return [*flags, *overrides]


def _override(word: str, nearest_key: Callable[[str], str]) -> str:
    key, equals, _ = word.partition("=")
    if re.search(r"\s", key) and equals:
        raise ConfigError(f'"{word}": there is a space in the key; write {"".join(key.split())}=..., without spaces')
    if not equals and not word.startswith("~"):
        near = nearest_key(word)
        raise ConfigError(f'"{_shown(word)}": a key needs a value{f": {near}=..." if near else ", as in key=value"}')
    if equals and not key.strip("+~"):
        raise ConfigError(f'"{word}": there is no key before "="; write key=value')
    return word


def _no_flag(flag: str, value: str, nearest_key: Callable[[str], str]) -> str:
    if near := nearest_key(flag.strip("-").replace("-", "_")):
        value = value if value and not value.startswith("-") and "=" not in value else "..."
        return f"{flag}: there is no such flag; keys are written without dashes: {near}={value}"
    return f"{_shown(flag)}: there is no such flag; there are {', '.join(FLAGS)}, and keys are written key=value"


def _utf8(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(word: str) -> str:
    return word.encode("utf-8", "backslashreplace").decode()
