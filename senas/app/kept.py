"""Which trials' weights a study keeps: all while there is room, then those that a pick is likely to name.

What leads changes with every training, a replicate too, and what was not kept when it did not lead has to be trained
again once it does.
"""

from collections.abc import Iterator

from senas.app.wiring import Setup
from senas.core.confirm import EFFORT
from senas.core.trial import Trial
from senas.core.verdict import Verdict
from senas.study.loop import weights_path

ROOM = 2**30
"""Bytes of weights that a study keeps. What a pick can name now is kept beyond it: a front, and the baselines."""


def worth_keeping(setup: Setup, trials: list[Trial]) -> set[int]:
    """Numbers of the trials whose weights stay.

    A pick names the first trial of a configuration: where there is not room for all, others go first, then those of
    configurations that are least likely to be near the best. Takes as long as a verdict then, and no time before.
    """
    measured = setup.standing(trials).measured
    sizes = {trial.number: _bytes(setup, trial.number) for trial in measured}
    if sum(sizes.values()) <= ROOM:
        return set(sizes)
    verdict = setup.verdict(trials, effort=EFFORT)
    kept = verdict.kept()
    left = ROOM - sum(sizes[number] for number in kept)
    for number in _likely(verdict):
        if number not in kept and sizes[number] <= left:
            kept.add(number)
            left -= sizes[number]
    return kept


def _likely(verdict: Verdict) -> Iterator[int]:
    """First trials of configurations, those first that are most likely to be recommended or on the front."""
    certainty = verdict.certainty
    chances = certainty.near_best(verdict.standing.margin) + certainty.front_probabilities
    for place in (-chances).argsort(kind="stable"):
        yield verdict.first[certainty.configs[place]].number


def _bytes(setup: Setup, number: int) -> int:
    path = weights_path(setup.folder.weights, number)
    return path.stat().st_size if path.exists() else 0
