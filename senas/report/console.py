"""The terminal: text as it is, tables, and the console that progress is drawn on."""

from rich.console import Console, RenderableType

WIDTH = 120
"""Columns of a table that goes to a file or a pipe."""


class Terminal:
    """Prints to standard output. Text is never reflowed, coloured by content or read as markup: it can be copied."""

    def __init__(self) -> None:
        self.console = Console()
        if not self.console.is_terminal:
            self.console.width = WIDTH

    def say(self, text: str, style: str = "") -> None:
        """One or more lines."""
        self.console.print(text, style=style, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """A line that asks for attention."""
        self.say(text, style="yellow")

    def show(self, what: RenderableType) -> None:
        """A table."""
        self.console.print(what)
