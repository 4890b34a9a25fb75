"""What claimed fronts come to by true losses, and what machine time it took to claim them.

A claim is a list of points: a configuration, the loss that was claimed for it, its SE parameters. Areas are those above
the reference (SE parameters of the space's largest configuration, true loss of no SE), in nats x SE parameters: what is
not better than no SE adds nothing. Where the true loss is known, as in a simulation, `Truth` has it. Where all that is
known are trainings with fresh seeds, `Anew` has them, and areas that their chance adds nothing to on average.
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
    """True losses and SE parameters of configurations, and the reference.

    loss:   a number each; or one for each seed, and then what is `followed` is an array of that length too.
    """

    loss: Mapping[str, float] | Fresh
    params: Mapping[str, float]
    largest: float
    none: str

    def area(self, configs: Sequence[str]) -> float:
        """Hypervolume of a set, nats x SE parameters."""
        return hypervolume([(self.loss[c], self.params[c]) for c in configs], (self.loss[self.none], self.largest))

    def followed(self, claim: Sequence[Point]) -> float:
        """Area by who takes, for each number of SE parameters, what is claimed to be best within it.

        Other than the hypervolume it does not grow by claiming more, and is below 0 where what is claimed to be better
        than no SE is worse.
        """
        area, ordered, at = 0.0, sorted(claim, key=lambda point: (point.params, point.claimed)), 0.0
        taken = Point(self.none, np.inf, 0.0)
        for point in [*ordered, Point("", -np.inf, self.largest)]:
            area += (self.loss[self.none] - self.loss[taken.config]) * (point.params - at)
            at = point.params
            taken = point if point.claimed < taken.claimed else taken
        return area

    def non_dominated(self) -> set[str]:
        """Of all whose loss is known."""
        configs = list(self.loss)
        return {configs[n] for n in front([(self.loss[c], self.params[c]) for c in configs])}


@dataclass(frozen=True)
class Anew:
    """What was trained with fresh seeds: losses, SE parameters of those configurations, and the reference.

    Areas are given for each fresh seed, (seeds,), and their mean is the area. The losses with one seed value what was
    chosen without it: by the claim, or by other seeds.
    """

    fresh: Fresh
    params: Mapping[str, float]
    largest: float
    none: str

    @property
    def means(self) -> Truth:
        """By the means over the fresh seeds. Of several that are equal the lowest mean is below their true loss: no
        area is read from here."""
        means = {config: float(losses.mean()) for config, losses in self.fresh.items()}
        return Truth(means, self.params, self.largest, self.none)

    def followed(self, claim: Sequence[Point]) -> np.ndarray:
        """As Truth has it; right on average, for the claim is older than the fresh seeds."""
        return Truth(self.fresh, self.params, self.largest, self.none).followed(claim)

    def hypervolume(self, configs: Sequence[str]) -> np.ndarray:
        """Of a set, cross-fitted: half of the seeds say which of the set form the front, and which are better than no
        SE; the others say what those are worth, and the halves are swapped. The mean of SPLITS such splits.

        A set no better than no SE has area 0 on average, however large it is, and often one below 0. Of a better set it
        is somewhat less than the true area, for half of the seeds do not always choose its front: with 8 seeds, and 6
        configurations that are up to 1 or 3 standard deviations of a seed better, 29 or 9 % less. An error estimated
        from its spread over the seeds takes what was chosen as given, and is some 10 to 25 % too small.
        """
        order = sorted({self.none, *configs}, key=lambda config: (self.params[config], config != self.none))
        losses = np.array([self.fresh[config] for config in order])
        wide = np.diff([*(self.params[config] for config in order), self.largest])
        choosing = halves(losses.shape[1])
        chosen = losses @ choosing.T / choosing.sum(1)
        splits = np.arange(len(choosing))
        taken, taken_wide = np.zeros(len(choosing), int), np.zeros_like(chosen)
        for n, width in enumerate(wide):
            taken = np.where(chosen[n] < chosen[taken, splits], n, taken)
            taken_wide[taken, splits] += width
        areas = taken_wide.T @ (losses[0] - losses)  # (splits, seeds)
        return np.where(choosing, 0.0, areas).sum(0) / SPLITS


SPLITS = 20


def halves(seeds: int) -> np.ndarray:
    """Which seeds choose: (2 x SPLITS, seeds), booleans; in the second SPLITS rows those that did not in the first.

    Raises ValueError for a single seed, which cannot be split.
    """
    if seeds < 2:
        raise ValueError(f"fresh seeds must be at least 2, got {seeds}: one half of them values what the other chose")
    rng = np.random.default_rng(0)
    first = np.array([rng.permutation(seeds) < seeds // 2 for _ in range(SPLITS)])
    return np.concatenate([first, ~first])


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
