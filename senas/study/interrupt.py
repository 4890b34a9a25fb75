"""Ctrl-C and SIGTERM: at once while training, after the write while something is being written."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupt:
    """While entered, a first SIGINT or SIGTERM raises KeyboardInterrupt, or does so at the end of a `shield`.

    A second one raises at once, shield or not: whoever presses twice means it. Only the main thread can set handlers;
    elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self._shields = 0
        self._pending = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def shield(self) -> Iterator[None]:
        """What is inside is finished before an interrupt takes effect."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        if self._pending and not self._shields:
            self._pending = 0
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._shields and not self._pending:
            self._pending = 1
            return
        self._pending = 0
        raise KeyboardInterrupt
