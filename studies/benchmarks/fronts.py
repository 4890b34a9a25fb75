"""What claimed fronts come to by true losses, and what machine time it took to claim them.

A claim is a list of points: a configuration, the loss that was claimed for it, its SE parameters. Its true loss is the
mean over fresh seeds. All areas are shares of that of the best front that could be made of all that was measured anew,
above the reference (SE parameters of the space's largest configuration, true loss of no SE): what is not better than no
SE adds nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from senas.core.front import front, hypervolume

Fresh = Mapping[str, np.ndarray]
"""By configuration: the loss with each fresh seed, (seeds,), the same seeds in the same order for all."""


@dataclass(frozen=True)
class Point:
    config: str
    claimed: float
    params: float


@dataclass(frozen=True)
class Truth:
    """True losses and SE parameters of all configurations that were measured anew, and the reference."""

    loss: Mapping[str, float]
    params: Mapping[str, float]
    largest: float
    none: str

    @classmethod
    def of(cls, fresh: Fresh, params: Mapping[str, float], largest: float, none: str, picks=slice(None)) -> "Truth":
        """picks: which of the fresh seeds are read."""
        return cls({config: float(losses[picks].mean()) for config, losses in fresh.items()}, params, largest, none)

    @property
    def whole(self) -> float:
        """Area of the front of all that was measured anew."""
        return self.area(list(self.loss))

    def area(self, configs: Sequence[str]) -> float:
        """Hypervolume of a set, nats x SE parameters."""
        return hypervolume([(self.loss[c], self.params[c]) for c in configs], (self.loss[self.none], self.largest))

    def followed(self, claim: Sequence[Point]) -> float:
        """Area by who takes, for each number of SE parameters, what is claimed to be best within it.

        Other than the hypervolume it does not grow by claiming more, is below 0 where what is claimed to be better than
        no SE is worse, and is right on average however few the fresh seeds.
        """
        area, ordered, at = 0.0, sorted(claim, key=lambda point: (point.params, point.claimed)), 0.0
        taken = Point(self.none, np.inf, 0.0)
        for point in [*ordered, Point("", -np.inf, self.largest)]:
            area += (self.loss[self.none] - self.loss[taken.config]) * (point.params - at)
            at = point.params
            taken = point if point.claimed < taken.claimed else taken
        return area

    def non_dominated(self) -> set[str]:
        """Of all that was measured anew."""
        configs = list(self.loss)
        return {configs[n] for n in front([(self.loss[c], self.params[c]) for c in configs])}


def claim_of(measured: Sequence[Point]) -> list[Point]:
    """The front of trainings, each taken for what it came to; of one configuration trained twice the lower."""
    lowest: dict[str, Point] = {}
    for point in measured:
        if point.config not in lowest or point.claimed < lowest[point.config].claimed:
            lowest[point.config] = point
    points = list(lowest.values())
    return [points[n] for n in front([(p.claimed, p.params) for p in points])]


def lowest(claim: Sequence[Point], penalty: float) -> Point:
    """The single pick: lowest claimed loss + penalty x SE parameters; of equals the smaller."""
    return min(claim, key=lambda point: (point.claimed + penalty * point.params, point.params))


def reached(level: float, seconds: Sequence[float], values: Sequence[float]) -> float:
    """Seconds to a value, on the curve through the points, straight in the logarithm of time; infinite where never.

    What was reached once counts. At the first point it is the first point's time: nothing is known of before.
    """
    best = np.maximum.accumulate(values)
    if best[-1] < level:
        return float("inf")
    n = int(np.argmax(best >= level))
    if n == 0 or best[n] == level:
        return float(seconds[n])
    share = (level - best[n - 1]) / (best[n] - best[n - 1])
    return float(np.exp((1 - share) * np.log(seconds[n - 1]) + share * np.log(seconds[n])))


@dataclass(frozen=True)
class Equal:
    """Time to the mean value that one side has at one of its ends, by each side; infinite where never."""

    side: str
    trials: int
    level: float
    plain: float
    senas: float
    ratio: float
    low: float
    high: float


Curves = Mapping[str, np.ndarray]
"""By side: (studies, checkpoints)."""


def equals(
    seconds: Curves,
    values: Curves,
    drawn: Sequence[Curves],
    trials: Mapping[str, Sequence[int]],
    *,
    paired: bool = False,
    share: float = 0.9,
) -> list[Equal]:
    """How many times as long plain takes to what senas has at each of its checkpoints, and the other way round.

    Levels and times are means over the studies. 0: senas never got there, infinite: plain never did.

    drawn:   values with other fresh seeds; for each of them studies are drawn anew too, and the interval holds `share`
             of the ratios.
    paired:  whether a study of the one side is drawn with that of the other, as where both were given the same truth.
    """
    rng, made = np.random.default_rng(0), []
    studies = {side: np.arange(len(values[side])) for side in values}
    picks = []
    for _ in drawn:
        pick = {side: rng.choice(each, len(each)) for side, each in studies.items()}
        picks.append(dict.fromkeys(pick, pick["senas"]) if paired else pick)
    for side in values:
        for n, trained in enumerate(trials[side]):
            level, times = _equal(side, n, seconds, values, studies)
            ratios = []
            for pick, others in zip(picks, drawn, strict=True):
                _, redrawn = _equal(side, n, seconds, others, pick)
                ratios.append(_ratio(redrawn))
            low, high = np.quantile(ratios, ((1 - share) / 2, (1 + share) / 2), method="nearest")
            made.append(
                Equal(side, trained, level, times["plain"], times["senas"], _ratio(times), float(low), float(high))
            )
    return made


def _equal(side: str, n: int, seconds: Curves, values: Curves, pick: Mapping[str, np.ndarray]):
    means = {each: values[each][pick[each]].mean(0) for each in values}
    walls = {each: seconds[each][pick[each]].mean(0) for each in values}
    level = float(means[side][n])
    return level, {each: reached(level, walls[each], means[each]) for each in values}


def _ratio(times: Mapping[str, float]) -> float:
    if np.isinf(times["senas"]):
        return 0.0
    return times["plain"] / times["senas"]
