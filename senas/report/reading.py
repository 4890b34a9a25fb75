"""How far something is that is done image by image, where it takes long enough that somebody wonders."""

import time

from senas.report.console import Terminal

PATIENCE = 3.0
"""Seconds before the first line."""
PAUSE = 10.0
"""Seconds between two lines."""


class Reading:
    """Says how many of the images are done. what: is done with them."""

    def __init__(self, terminal: Terminal, what: str = "reading images") -> None:
        self.terminal, self.what = terminal, what
        self.next = time.monotonic() + PATIENCE

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + PAUSE
            self.terminal.say(f"{self.what}: {done:,} of {total:,}")
