"""What a study can claim: its front and its recommendation, from all trainings together, and how sure both are."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from senas.core.certainty import FEWEST, LEVEL, OWN, Certainty, Estimate
from senas.core.config import BASELINES, SEConfig
from senas.core.effects import Effects, Observation, fit
from senas.core.elsewhere import elsewhere
from senas.core.objective import METRICS, MINUS, bare, judged, score
from senas.core.preposterior import More, would_decide
from senas.core.space import SearchSpace
from senas.core.standing import PICKS as BY_SCORE
from senas.core.standing import Standing
from senas.core.trial import CONFIRM, REPLICATES, Trial
from senas.errors import StudyError

RECOMMENDED = "recommended"
PICKS = (RECOMMENDED, *BY_SCORE)
"""Picks that every study can answer; beside them there are `budget:<params>` and `trial:<n>`."""
MORE_TRIALS = 12
SHUFFLES = 32
"""Configurations that stand for the same blocks at random places."""
RANDOM = "random"
"""What the same blocks at random places are called among baselines."""
BASELINE = 3
"""Trainings, at least, that `study.confirm` gives each baseline that is in the space."""
ELSEWHERE = 3
"""Trainings, at least, of the leader's blocks at random places."""


class Point(NamedTuple):
    """A configuration, and what is known of it.

    trial:      the first that trained it, or None where none did.
    loss:       the mean over seeds of what is minimised.
    trainings:  how many stand behind it; each has a seed of its own.
    on_front:   the probability that no other trained configuration beats it in loss and SE parameters.
    from_none:  its loss minus that without SE; None where that is not in the space.
    """

    config: SEConfig
    trial: Trial | None
    loss: Estimate
    trainings: int
    on_front: float
    from_none: Estimate | None


class Pick(NamedTuple):
    """What is recommended, and why, in words.

    decided:  False where it only leads: nothing is sure enough to be recommended.
    """

    trial: Trial
    why: str
    decided: bool


@dataclass(frozen=True)
class Verdict:
    """A study's measured trials, and what all of them together say of each configuration.

    baselines:  what it is measured against, by name.
    seed:       of the draws; the same trials and seed give the same verdict.
    effort:     1 for what is shown; less for what only decides which training comes next.
    interactions:  whether blocks in one stage may strengthen or weaken each other.
    replicates:  that the study had; None: those among the trials.

    Raises StudyError where no trial was trained to its end.
    """

    standing: Standing
    space: SearchSpace
    baselines: Mapping[str, SEConfig]
    seed: int = 0
    effort: float = 1.0
    interactions: bool = True
    replicates: int | None = None

    def __post_init__(self) -> None:
        if not self.standing.measured:
            raise StudyError("no trial of this study was trained to the end yet; run `senas search` on it again")

    @property
    def metric(self) -> str:
        """The score whose expectation is the loss here."""
        return judged(self.standing.objective)

    @cached_property
    def first(self) -> dict[SEConfig, Trial]:
        """The first trial of each configuration that was trained to its end."""
        first: dict[SEConfig, Trial] = {}
        for trial in sorted(self.standing.measured, key=lambda trial: trial.number):
            first.setdefault(trial.config, trial)
        return first

    @cached_property
    def effects(self) -> Effects:
        """What every SE block of the space is worth."""
        metric = self.metric
        # By number, and not as they ended: a study that is resumed knows no other order, and draws depend on it.
        trials = sorted(self.standing.measured, key=lambda trial: trial.number)
        seen = [Observation(t.config, t.seed, score(t.scores, metric)) for t in trials]
        return fit(self.space, seen, interactions=self.interactions, seed=self.seed, effort=self.effort)

    @cached_property
    def certainty(self) -> Certainty:
        """Of the configurations that were trained."""
        return Certainty(
            configs=list(self.first),
            sizes=np.array([trial.scores["se_params"] for trial in self.first.values()], dtype=float),
            losses=self.effects.losses(list(self.first)),
            trained=np.array([self.effects.trained[config] for config in self.first]),
        )

    @property
    def front(self) -> list[Point]:
        """The configurations that no other beats in mean loss and SE parameters, fewest parameters first."""
        return [self.point(config) for config in self.certainty.front]

    def point(self, config: SEConfig) -> Point:
        """What is known of a configuration of the space, trained or not."""
        trial = self.first.get(config)
        losses = self.effects.losses([config])[:, 0]
        none = self.baselines.get("none")
        apart = losses - self.effects.losses([none])[:, 0] if none is not None and none in self.space else None
        return Point(
            config=config,
            trial=trial,
            loss=Estimate.of(losses),
            trainings=self.effects.trained.get(config, 0),
            on_front=self.certainty.on_front(config) if trial else 0.0,
            from_none=None if apart is None else Estimate.of(apart),
        )

    def against(self, config: SEConfig) -> dict[str, Estimate]:
        """The loss of a configuration minus that of each baseline in the space, and of its blocks at random places."""
        mine = self.effects.losses([config])[:, 0]
        others = {name: [each] for name, each in self.baselines.items() if each in self.space and each != config}
        others[RANDOM] = self.elsewhere(config)
        return {
            name: Estimate.of(mine - self.effects.losses(configs).mean(1))
            for name, configs in others.items()
            if configs
        }

    def elsewhere(self, config: SEConfig) -> list[SEConfig]:
        """Configurations that stand for the blocks of this one at random places; none where they cannot be moved."""
        return elsewhere(self.space, config, SHUFFLES, np.random.default_rng(self.seed))

    def pick(self, how: str) -> Pick:
        """What `recommended`, `best`, `knee`, `smallest`, `budget:<params>` or `trial:<n>` names.

        The score that counts is the pooled one, not that of single trainings; but `smallest` and `budget` go by
        validation losses, which are pooled only where these count. Raises StudyError where `how` names nothing.
        """
        if how == RECOMMENDED:
            return self._recommended()
        if how.startswith("trial:"):
            return Pick(*self.standing.pick(how), decided=True)
        if how not in PICKS and not how.startswith("budget:"):
            raise StudyError(f'pick must be one of {", ".join(PICKS)}, budget:<params> or trial:<n>, got "{how}"')
        chosen, why = self._pooled.pick(how)
        return Pick(self.first[chosen.config], why, decided=True)

    def hypervolumes(self) -> dict[int, float]:
        """The hypervolume after the first trial of each configuration, by its number, with every validation loss as all
        trainings tell it; as that trial came to it where another score counts."""
        return self._pooled.hypervolumes()

    def kept(self) -> set[int]:
        """Numbers of the trials whose weights are worth keeping: those that a pick can name, whatever the penalty, and
        the baselines. Each configuration has that of its first trial, which a pick of it names."""
        margin, certainty = self.standing.margin, self.certainty
        named = {certainty.leader(margin), certainty.recommended(margin), *self.baselines.values()}
        return self._pooled.kept() | {trial.number for config, trial in self.first.items() if config in named}

    @property
    def undecided(self) -> str | None:
        """What is missing for a recommendation, in words; None where there is one."""
        margin = self.standing.margin
        if self.certainty.recommended(margin) is not None:
            return None
        if (count := int(self.certainty.trained.sum())) < FEWEST:
            return (
                f"undecided at this budget: {count} training{'s' * (count > 1)} cannot show how large the noise is, "
                f"{FEWEST} are the least; raise study.trials or study.confirm"
            )
        if len(self.first) < 2:
            more = self.ways_out.get("study.trials")
            return "undecided at this budget: one configuration was trained, and there is none beside it" + (
                f"; study.trials={more}" if more else " in this space"
            )
        return f"undecided at this budget: {self._doubt}; {self._way_out}"

    @property
    def _doubt(self) -> str:
        """Why nothing is recommended, though there are trainings enough to know the noise."""
        margin, certainty = self.standing.margin, self.certainty
        leader = certainty.leader(margin)
        place = certainty.configs.index(leader)
        near = certainty.near_best(margin)[place]
        if near >= LEVEL:
            count = certainty.trainings(leader)
            return (
                f"what leads was trained {'once' if count == 1 else 'twice'}, and nothing is recommended that was not "
                f"trained {OWN} times"
            )
        return (
            f"no configuration is within {margin:g} of the {self._best} with a probability of {LEVEL:g}; what leads is "
            f"so with {near:.2f}, and trial {self._rival(place).number} may be better"
        )

    def _rival(self, place: int) -> Trial:
        """Of what is most often better than this candidate by more than the margin."""
        losses = self.certainty.losses
        better = (losses < losses[:, [place]] - self.standing.margin).mean(0)
        return self.first[self.certainty.configs[int(better.argmax())]]

    @cached_property
    def ways_out(self) -> dict[str, str]:
        """Settings of which each decides it by itself, or as likely as not does: key and value.

        Empty where none is known, and where it is decided.
        """
        margin, certainty = self.standing.margin, self.certainty
        if certainty.recommended(margin) is not None or certainty.trained.sum() < FEWEST:
            return {}
        if len(self.first) < 2:
            counted = sum(trial.origin not in REPLICATES for trial in self.standing.trials)
            return {"study.trials": str(counted + MORE_TRIALS)} if self.space.size != 1 else {}
        ways = {}
        more = would_decide(certainty, margin, float(np.median(self.effects.noise)), self.seed)
        if more is not None:
            ways["study.confirm"] = str(self._confirmed + more.trainings + self._owed(more))
        if (sure := certainty.sure_within) is not None:
            ways["study.margin"] = rounded_up(sure)
        return ways

    @property
    def _way_out(self) -> str:
        """What would decide it."""
        ways = []
        if confirm := self.ways_out.get("study.confirm"):
            more = int(confirm) - self._confirmed
            trainings = "training decides" if more == 1 else "trainings decide"
            ways.append(f"about {more} more {trainings} it as likely as not: study.confirm={confirm}")
        if margin := self.ways_out.get("study.margin"):
            ways.append(f"with study.margin={margin} it is decided now")
        return "; ".join(ways) or "no number of trainings that can be afforded is likely to decide it"

    @property
    def _confirmed(self) -> int:
        """How many replicates there were."""
        if self.replicates is not None:
            return self.replicates
        return sum(trial.origin == CONFIRM for trial in self.standing.trials)

    def alike(self, config: SEConfig, coming: Collection[SEConfig] = ()) -> list[SEConfig]:
        """The configurations that were trained, or are `coming`, and have the blocks of this one at other places."""
        options, there = sorted(self.space.encode(config).values()), dict.fromkeys([*self.first, *coming])
        return [c for c in there if c != config and sorted(self.space.encode(c).values()) == options]

    def _owed(self, more: More) -> int:
        """Trainings that replicates go to beside these: of baselines, and of the leader's blocks at random places."""
        again = dict.fromkeys(more.configs, more.times)
        trained = self.effects.trained
        few = {c: trained[c] + again.get(c, 0) for c in self.baselines.values() if c in self.first}
        leader = self.certainty.leader(self.standing.margin)
        moved = [config for config in self.elsewhere(leader) if config not in self.first]
        places = min(len(moved), max(0, ELSEWHERE - len(self.alike(leader))))
        return sum(max(0, BASELINE - count) for count in few.values()) + places

    @property
    def _best(self) -> str:
        """`lowest validation loss`, or of another score that counts."""
        name = bare(self.metric)
        end = "highest" if self.metric.startswith(MINUS) else "lowest"
        return f"{end} {METRICS.get(name, name).partition(' (')[0]}"

    def _recommended(self) -> Pick:
        margin, certainty = self.standing.margin, self.certainty
        config = certainty.recommended(margin)
        if config is None:
            return Pick(self.first[certainty.leader(margin)], f"{self.undecided}. It leads", decided=False)
        probability = float(certainty.near_best(margin)[certainty.configs.index(config)])
        return Pick(
            self.first[config],
            f"fewest SE parameters within {margin:g} of the {self._best}, with a probability of "
            f"{min(probability, 0.99):.2f}{self._unlike_smaller(config)}",
            decided=True,
        )

    def _unlike_smaller(self, config: SEConfig) -> str:
        """How likely baselines are as near that were trained and are smaller: why they are not what is recommended."""
        certainty, near = self.certainty, self.certainty.near_best(self.standing.margin)
        size = dict(zip(certainty.configs, certainty.sizes, strict=True))
        chances = {
            BASELINES[name]: float(near[certainty.configs.index(baseline)])
            for name, baseline in self.baselines.items()
            if baseline in self.first and size[baseline] < size[config]
        }
        spoken = [f"{w} is so near with {'less than 0.01' if p < 0.01 else f'{p:.2f}'}" for w, p in chances.items()]
        return "".join(f"; {words}" for words in spoken)

    @cached_property
    def _pooled(self) -> Standing:
        """One trial a configuration, with its pooled loss in the place of what one training came to."""
        metric, means = self.metric, self.certainty.means
        trials: Sequence[Trial] = [
            replace(trial, scores={**trial.scores, **_as_score(metric, float(mean))})
            for trial, mean in zip(self.first.values(), means, strict=True)
        ]
        return replace(self.standing, trials=trials)


def _as_score(metric: str, value: float) -> dict[str, float]:
    """The score whose `score(..., metric)` is `value`."""
    name = bare(metric)
    return {name: value if name == metric else -value}


def rounded_up(value: float) -> str:
    """The next number of two digits: what is enough by it is enough by `value`."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / unit) * unit:.2g}"
