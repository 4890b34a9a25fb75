"""The seeds of a study: which of them a proposal is trained with, and which one a replicate takes."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import count

from senas.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Seeds:
    """`first`, `first + 1`, ... without end.

    rotated:  how many of them, from the first on, proposals take in turn; at least 1. One seed is what a sampler that
              knows nothing of seeds needs: to it, two results of one configuration would be two truths.
    """

    first: int
    rotated: int = 1

    def __post_init__(self) -> None:
        if self.rotated < 1:
            raise ConfigError(f"study.seeds must be at least 1, got {self.rotated}")

    def of(self, number: int) -> int:
        """The seed of the proposal with this trial number. It depends on nothing else, so a resumed study agrees."""
        return self.first + number % self.rotated

    def fresh(self, used: Collection[int]) -> int:
        """The first seed that is not among `used`."""
        return next(seed for seed in count(self.first) if seed not in used)

    def __iter__(self) -> Iterator[int]:
        """Those that proposals take."""
        return iter(range(self.first, self.first + self.rotated))

    def __contains__(self, seed: int) -> bool:
        """Whether proposals take it."""
        return self.first <= seed < self.first + self.rotated
