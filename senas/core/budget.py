"""Choices whose costs add up, under caps: how many ways there are, each of them, and one of them at random."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property

from senas.core.constraint import Caps

Cost = tuple[int, int]
"""Parameters and multiply-accumulates."""
SUMS = 20_000
"""Distinct sums of costs that are held at once; a space with more is not counted."""


@dataclass(frozen=True)
class Budget:
    """For each choice what each of its options costs; and what all may cost together."""

    options: tuple[tuple[Cost, ...], ...]
    caps: Caps

    @cached_property
    def least(self) -> list[Cost]:
        """The least that the choices from the n-th on cost, each cost by itself; 0 behind the last."""
        rest = [(0, 0)]
        for options in reversed(self.options):
            params, macs = rest[-1]
            rest.append((params + min(p for p, _ in options), macs + min(m for _, m in options)))
        return rest[::-1]

    def count(self) -> int | None:
        """How many ways are within the caps; None where that takes too long to find out."""
        return _count(self.options, self.caps)

    def walk(self) -> Iterator[tuple[int, ...]]:
        """Every way within the caps, as the number of the option of each choice, in lexicographic order."""
        yield from self._walk((), (0, 0))

    def draw(self, pick: Callable[[int], int]) -> tuple[int, ...] | None:
        """One way within the caps. Every way can be drawn, not all of them equally often.

        pick:  given n, a number from 0 to n - 1.
        None where what was picked first leaves nothing for the rest, which two caps at once can bring about.
        """
        way: tuple[int, ...] = ()
        spent = (0, 0)
        for _ in self.options:
            open_ = self._open(len(way), spent)
            if not open_:
                return None
            option, spent = open_[pick(len(open_))]
            way += (option,)
        return way

    def _open(self, choice: int, spent: Cost) -> list[tuple[int, Cost]]:
        """The options of a choice that leave enough for the rest, and what is spent with each."""
        sums = [(spent[0] + params, spent[1] + macs) for params, macs in self.options[choice]]
        rest = self.least[choice + 1]
        return [(n, each) for n, each in enumerate(sums) if self.caps.hold(each[0] + rest[0], each[1] + rest[1])]

    def _walk(self, way: tuple[int, ...], spent: Cost) -> Iterator[tuple[int, ...]]:
        if len(way) == len(self.options):
            if self.caps.hold(*spent):
                yield way
            return
        for option, sum_ in self._open(len(way), spent):
            yield from self._walk((*way, option), sum_)


@cache
def _count(options: tuple[tuple[Cost, ...], ...], caps: Caps) -> int | None:
    """Sums of costs, and how many ways lead to each: a cost that no cap bounds is left out of the sums."""
    bounded = [cap < float("inf") for cap in caps]
    flat = tuple(tuple((p * bounded[0], m * bounded[1]) for p, m in choice) for choice in options)
    budget = Budget(flat, caps)
    ways: dict[Cost, int] = {(0, 0): 1}
    for choice in range(len(flat)):
        following: dict[Cost, int] = {}
        for spent, count in ways.items():
            for _, sum_ in budget._open(choice, spent):
                following[sum_] = following.get(sum_, 0) + count
            if len(following) > SUMS:
                return None
        ways = following
    return sum(count for spent, count in ways.items() if caps.hold(*spent))
