"""Which code a file may name: none but what whoever reads the file trusts.

What a user names on the command line is the user's own and needs no trust; a file may have come from anywhere.
"""

from collections.abc import Iterable

from senas.errors import ConfigError


def packages(trust: object) -> tuple[str, ...]:
    """What is trusted, given as one name of a package or module, or several. Raises ConfigError for what is no name."""
    names = [trust] if isinstance(trust, str) else trust
    if not isinstance(names, Iterable) or isinstance(names, dict):
        raise ConfigError(f"trust must be the name of a package, or several as [a,b], got {trust}")
    found = tuple(names)
    for name in found:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            raise ConfigError(f'trust must name packages, as in trust=mypkg, got "{name}"')
    return found


def module_of(target: str) -> str:
    """The module that `package.module:name` names."""
    return target.partition(":")[0]


def is_trusted(target: str, trust: Iterable[str]) -> bool:
    """Whether the module of a target is one of these, or lies in one: `mypkg` is not `mypkg2`."""
    return any(f"{module_of(target)}.".startswith(f"{name}.") for name in trust)


def suggested(target: str) -> str:
    """What to trust for this target: its package."""
    return module_of(target).partition(".")[0]
