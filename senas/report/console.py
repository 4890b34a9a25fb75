"""The terminal: text as it is, tables, the console that progress is drawn on, and a log file of all that was said."""

import io
import os
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

from rich.console import Console, RenderableType

WIDTH = 120
"""Columns of a table that goes to a file or a pipe."""


class Terminal:
    """Prints to standard output. Text is never reflowed, coloured by content or read as markup: it can be copied.

    NO_COLOR and TERM=dumb take all styles away, FORCE_COLOR puts them into pipes and files too.

    moves:  whether what is drawn can be drawn over: a screen with a cursor, whatever FORCE_COLOR says.
    """

    def __init__(self) -> None:
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "").lower() in ("dumb", "unknown")
        self.console = Console(color_system=None) if plain else Console()
        if not _is_screen():
            self.console.width = WIDTH
        self.moves = _is_screen() and self.console.is_terminal and not self.console.is_dumb_terminal
        self._log: Path | None = None
        self._unwritten: list[str] = []

    def say(self, text: str, style: str = "") -> None:
        """One or more lines."""
        self.note(text)
        self._print(text, style)

    def warn(self, text: str) -> None:
        """A line that asks for attention."""
        self.note(f"warning: {text}")
        self._print(text, "yellow")

    def show(self, what: RenderableType) -> None:
        """A table."""
        self.console.print(what)
        page = Console(file=io.StringIO(), width=2 * WIDTH, color_system=None, force_terminal=False)
        page.print(what)
        self.note(page.file.getvalue().strip("\n"))  # type: ignore[attr-defined]

    def keep(self, path: Path) -> None:
        """From here on, all that is said goes to the end of that file too, and first what was said until now."""
        self._log = path
        earlier, self._unwritten = self._unwritten, []
        self._append(earlier)

    def note(self, text: str) -> None:
        """For the log alone: each line with the time."""
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        self._append([f"{now}  {line}".rstrip() for line in text.splitlines() if line.strip()])

    def note_error(self, error: BaseException) -> None:
        """What ended a run, with the whole traceback, for the log alone."""
        self.note("".join(traceback.format_exception(error)))

    def _print(self, text: str, style: str) -> None:
        self.console.print(text, style=style, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def _append(self, lines: list[str]) -> None:
        if self._log is None:
            self._unwritten += lines
            return
        with suppress(OSError), self._log.open("a", encoding="utf-8") as file:  # a full disk: the terminal has it
            file.writelines(f"{line}\n" for line in lines)


def _is_screen() -> bool:
    return sys.stdout.isatty()
