"""The program `senas`: which command, its help, and how mistakes end. Imports nothing that takes long."""

import difflib
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from senas.errors import ConfigError, SenasError

COMMANDS = {
    "search": "launch a study over SE configurations, or resume it",
    "front": "show a study's front again, with another penalty or pick",
    "train": "train SE configurations at full length with several seeds, and compare them",
    "sites": "list where in a backbone SE blocks can go, and what they cost there",
    "export": "write an SE configuration and its weights to a folder, and check them",
    "dashboard": "open MLflow on the studies, with the newest front in view",
}
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits: 0 when it is done, 2 for a mistake (one line on stderr), 130 for Ctrl-C."""
    code = run(list(sys.argv[1:] if arguments is None else arguments))
    if code == INTERRUPTED:
        # Everything is written. Taking torch and MLflow down in good order takes a second that nobody wants to wait.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """The exit code of one command line."""
    from senas.app.help import command_help, overview

    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview(COMMANDS))
        return 0
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"senas {version('senas')}")
        return 0
    command, *rest = arguments
    try:
        if command in ("-sc", "--shell-completion"):
            return _complete(arguments)
        if command not in COMMANDS:
            close = difflib.get_close_matches(command, COMMANDS, n=1)
            guess = f'; did you mean "{close[0]}"?' if close else ""
            raise ConfigError(f'"{command}" is no command; there are {", ".join(COMMANDS)}{guess}')
        if "-h" in rest or "--help" in rest:
            print(command_help(command, COMMANDS[command]))
            return 0
        from senas.app.compose import run_with_hydra

        # Optional dependencies of Lightning and MLflow look for updates or send statistics unless told not to.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        code = 0

        def task(config: object) -> None:
            nonlocal code
            code = _task(command)(config) or code

        run_with_hydra(command, rest, task)
        return code
    except SenasError as error:
        print(f"senas: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED


def _task(command: str) -> Callable[[object], int | None]:
    task: Callable[[object], int | None] = import_module(f"senas.app.{command}").main
    return task


def _complete(arguments: list[str]) -> int:
    """Tab completion as Hydra does it, for `senas <command> <overrides>`: `eval "$(senas -sc install=bash)"`."""
    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    command = words[1] if len(words) > 1 else ""
    if "query=" in arguments[-1] and (len(words) < 2 or (len(words) == 2 and not line.endswith(" "))):
        print("\n".join(name for name in COMMANDS if name.startswith(command)))
        return 0
    if command in COMMANDS:
        # Hydra takes the first word for the program, and would read the command as an override.
        before = line
        line = line.replace(f" {command}", "", 1)
        os.environ["COMP_LINE"] = line
        os.environ["COMP_POINT"] = str(int(os.environ.get("COMP_POINT", len(before))) - (len(before) - len(line)))
    from senas.app.compose import run_with_hydra

    run_with_hydra(command if command in COMMANDS else "search", arguments, lambda _: None, program="senas")
    return 0


if __name__ == "__main__":
    main()
