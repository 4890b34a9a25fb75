"""How long a search will still take, from the trials it measured: honest about how little it knows."""

import math
import statistics
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
    earlier:  seconds of the trials of earlier runs; they stand in until this run has measured some. Each is of one
              trial, however many others were trained beside it.
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
        at_once, behind = max(len(shares), 1), sum(shares)
        spent = self.clock() - self.begun
        usual = self._usual(at_once, behind, spent)
        if usual is None:
            return None
        if at_once > 1:
            running = (at_once - behind) * usual
        elif behind > 0:  # the running trial by its own pace; what is beyond it by what trials took
            running = spent * (1 - behind) / behind
        else:
            running = max(usual - spent, 0.0)
        others = max(self.total - self.done - at_once, 0)
        n = len(self.seconds or self.earlier)
        return running + others * usual, self._spread(at_once, usual) * math.sqrt(others + others**2 / max(n, 1))

    def _usual(self, at_once: int, behind: float, spent: float) -> float | None:
        """Seconds from the end of a trial to that of the next one, whoever trains; None where nothing is known yet."""
        if at_once == 1:
            known = self.seconds or self.earlier
            return sum(known) / len(known) if known else spent / behind if behind > 0 else None
        if not self.seconds and self.earlier:
            return sum(self.earlier) / len(self.earlier) / at_once
        # They end in groups: of what is running the part that is done has taken its share of the time, too.
        done = len(self.seconds) + behind
        return (sum(self.seconds) + self.clock() - self.mark) / done if done > 0 else None

    def _spread(self, at_once: int, usual: float) -> float:
        """Standard deviation of a trial's seconds, those that end in groups taken by the group."""
        if at_once == 1 or not self.seconds:
            known, size = self.seconds or self.earlier, 1
        else:
            known, size = self.seconds, at_once
        groups = [sum(known[i : i + size]) for i in range(len(known) % size, len(known), size)]
        if len(groups) < 2:
            return usual / 2
        deviation = statistics.stdev(groups) / math.sqrt(size)
        return deviation if self.seconds or at_once == 1 else deviation / at_once


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
