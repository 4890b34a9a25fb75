"""How far the reading of images is, where it takes long enough that somebody wonders."""

import time

from senas.report.console import Terminal

PATIENCE = 3.0
"""Seconds before the first line."""
PAUSE = 10.0
"""Seconds between two lines."""


class Reading:
    """Says how many of the images were read."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.next = time.monotonic() + PATIENCE

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + PAUSE
            self.terminal.say(f"reading images: {done:,} of {total:,}")
