"""How long a search will still take, from the trials it measured: honest about how little it knows."""

import math
from collections.abc import Callable

FEW = 3
"""Below so many measured trials, a time is `about`."""
WIDE = 0.25
"""A range is said where the uncertainty is more than this share of the time left."""


class TimeLeft:
    """Told of trials as they end, answers with the time left.

    What counts is the wall time for each trial that counts: pruned ones are as short as they are, and repeated ones,
    which cost little and count for nothing, are paid for by those that count.

    clock:    seconds, from wherever.
    earlier:  seconds of the trials of earlier runs; they stand in until this run has measured some.
    """

    def __init__(self, total: int, done: int, earlier: list[float], clock: Callable[[], float]) -> None:
        self.total, self.done, self.earlier, self.clock = total, done, earlier, clock
        self.seconds: list[float] = []
        self.mark = self.begun = clock()

    def started(self) -> None:
        """A trial begins to train."""
        self.begun = self.clock()

    def ended(self, *, counts: bool) -> None:
        """A trial ended; the time since the last one that counted is its own."""
        if counts:
            self.seconds.append(self.clock() - self.mark)
            self.mark = self.clock()
            self.done += 1

    def passed(self) -> None:
        """Time went by with what is beside the trials, and none of them pays for it."""
        self.mark = self.clock()

    def words(self, *shares: float) -> str:
        """`about 3 min left`, `2 to 4 min left`, `3 min 20 s left`; nothing where nothing is known.

        shares:  of each running trial, that is behind it.
        """
        left = self.left(*shares)
        if left is None:
            return ""
        likely, uncertain = left
        if len(self.seconds) < FEW:
            return f"about {rough(likely)} left"
        low, high = rough(max(likely - uncertain, 0)), rough(likely + uncertain)
        if uncertain > WIDE * likely and low != high:
            (least, unit), (_, other) = low.split(), high.split()
            return f"{least if unit == other else low} to {high} left"
        return f"{duration(likely)} left"

    def left(self, *shares: float) -> tuple[float, float] | None:
        """Seconds left, and one standard deviation of it; None where nothing is known yet."""
        known = self.seconds or self.earlier
        spent = self.clock() - self.begun
        behind = sum(shares)
        if not known and behind <= 0:
            return None
        usual = sum(known) / len(known) if known else spent / behind
        if len(shares) > 1:  # `usual` is the time from one's end to the next one's, whoever trains
            running = (len(shares) - behind) * usual
        elif behind > 0:  # the running trial by its own pace; what is beyond it by what trials took
            running = spent * (1 - behind) / behind
        else:
            running = max(usual - spent, 0.0)
        others = max(self.total - self.done - max(len(shares), 1), 0)
        n = len(known)
        spread = math.sqrt(sum((s - usual) ** 2 for s in known) / (n - 1)) if n > 1 else usual / 2
        uncertain = spread * math.sqrt(others + others**2 / max(n, 1))
        return running + others * usual, uncertain


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def rough(seconds: float) -> str:
    """One unit: `40 s`, `3 min`, `5 h`; hours below ten with half ones: `2.5 h`."""
    if seconds < 55:
        return f"{max(5 * round(seconds / 5), 5)} s" if seconds > 2 else "2 s"
    if seconds < 5400:
        return f"{max(round(seconds / 60), 1)} min"
    hours = seconds / 3600
    return f"{round(2 * hours) / 2:g} h" if hours < 10 else f"{round(hours)} h"
