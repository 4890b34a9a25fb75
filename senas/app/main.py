"""The program `senas`: which command, its help, and how mistakes end. Imports nothing that takes long."""

import errno
import os
import select
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from senas.errors import ConfigError, SenasError

COMMANDS = {
    "search": "launch a study over SE configurations, or resume it",
    "resume": "go on with a study as it was launched, with more trials or replicates",
    "audit": "measure how much of what a search would see is noise, and what would help",
    "front": "show a study's front again, with another penalty or pick",
    "effects": "show what SE is worth at each site of a study, with intervals",
    "explain": "show what the gates of a trained network do, and which SE blocks can go",
    "report": "write a study as one page to decide by, which needs no network",
    "train": "train SE configurations at full length with several seeds, and compare them",
    "sites": "list where in a backbone SE blocks can go, and what they cost there",
    "export": "write an SE configuration and its weights to a folder, and check them",
    "dashboard": "open MLflow on the studies, with the newest front in view",
}
UNREAD, INTERRUPTED = 1, 130
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
"""What the system says where nothing more can be written: a full disk, a quota, a limit, a disk that is read-only."""
OURS = "senas: this is a fault of senas, not of yours; please report it with the lines above"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits: 0 when it is done, 1 where nobody reads on (`| head`), 2 for a mistake (one line on
    stderr), 130 for Ctrl-C."""
    try:
        try:
            code = run(list(sys.argv[1:] if arguments is None else arguments))
        finally:
            sys.stdout.flush()  # that nobody reads it shows here, and not while Python ends
    except BrokenPipeError:
        if not _unread():
            raise
        code = UNREAD
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
    begun = False
    try:
        if command in ("-sc", "--shell-completion"):
            return _complete(arguments)
        if command not in COMMANDS:
            raise ConfigError(_no_command(command))
        if "-h" in rest or "--help" in rest:
            print(command_help(command, COMMANDS[command], rest))
            return 0
        from senas.app.compose import run_with_hydra

        # Optional dependencies of Lightning and MLflow look for updates or send statistics unless told not to.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        code = 0

        def task(config: object) -> None:
            nonlocal code, begun
            main = _task(command)
            begun = True
            code = main(config) or code

        run_with_hydra(command, rest, task)
        return code
    except SenasError as error:
        print(f"senas: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if not begun:  # else it has said what is kept, where there is something
            print("senas: interrupted before it began", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        if error.errno not in FULL:
            error.add_note(OURS)
            raise
        print(f"senas: {_full(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        error.add_note(OURS)
        raise


def _unread() -> bool:
    """Whether what is printed goes to a pipe that nobody reads any more; then it goes nowhere from here on."""
    output = select.poll()
    output.register(sys.stdout, 0)
    if not output.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _task(command: str) -> Callable[[object], int | None]:
    with _patience():
        task: Callable[[object], int | None] = import_module(f"senas.app.{command}").main
    return task


@contextmanager
def _patience() -> Iterator[None]:
    """A line on a terminal while torch is imported, gone again when it is there."""
    seen = sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown", None)
    if seen:
        print("loading torch ...", end="\r", flush=True)
    try:
        yield
    finally:
        if seen:
            print("\x1b[2K", end="\r", flush=True)


def _no_command(word: str) -> str:
    from senas.app.nearest import meant, nearest_name

    shown = word.encode("utf-8", "backslashreplace").decode()
    if "=" in word:
        return f'"{shown}" comes before the command: senas COMMAND {shown}; there are {", ".join(COMMANDS)}'
    return f'"{shown}" is no command; there are {", ".join(COMMANDS)}{meant(nearest_name(word, list(COMMANDS)))}'


def _full(error: OSError) -> str:
    what = error.filename or "what senas writes"
    return (
        f"{what} cannot be written: {error.strerror}; what finished is not lost: make room, or name another place, "
        "and give the same command again"
    )


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
