"""What SE blocks are worth, as rows that people read: by place and option, by placement and width, and in pairs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from senas.core.certainty import Estimate
from senas.core.effects import PAIR, PLACEMENT, STAGE, WIDTH, Design, Effects
from senas.core.scales import Array
from senas.core.space import NONE

ANY = "any block"
"""The mean over a choice's options."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What something adds to the loss.

    kind:       `place`, `placement`, `width` or `pair`; `name` is of that kind, and `option` what a place has.
    lowers:     the probability that it lowers the loss.
    trainings:  how many had it.
    """

    kind: str
    name: str
    option: str
    loss: Estimate
    lowers: float
    trainings: int


def worths(effects: Effects) -> list[Worth]:
    """Every row: placements and widths first, then places in network order, then pairs of places in one stage.

    What an option adds is meant for a network that has no other SE block. A placement's or width's row is the mean over
    all options that have it, and a pair's what two blocks add beyond what each adds alone.
    """
    encode = effects.design.space.encode
    seen = [(set(encode(config).items()), count) for config, count in effects.trained.items()]
    return [
        *_levels(effects, PLACEMENT, seen),
        *_levels(effects, WIDTH, seen),
        *_places(effects, seen),
        *_pairs(effects),
    ]


Seen = Sequence[tuple[set[tuple[str, str]], int]]
"""Of each configuration that was trained its options, and how often it was."""


def _places(effects: Effects, seen: Seen) -> list[Worth]:
    rows = []
    for choice in effects.design.space.choices:
        options = _options(choice.options)
        alone = [_alone(effects, choice.name, option) for option in options]
        if len(options) > 1:
            mean, had = np.mean(alone, axis=0), [(choice.name, option) for option in options]
            rows.append(_row("place", choice.name, ANY, mean, _trainings(seen, had)))
        for option, draws in zip(options, alone, strict=True):
            rows.append(_row("place", choice.name, option, draws, _trainings(seen, [(choice.name, option)])))
    return rows


def _levels(effects: Effects, kind: str, seen: Seen) -> list[Worth]:
    having: dict[str, list[tuple[str, str]]] = {}
    for choice in effects.design.space.choices:
        for option in _options(choice.options):
            for level in (str(which) for of, which in Design.of_option(choice.name, option) if of == kind):
                having.setdefault(level, []).append((choice.name, option))
    if len(having) < 2:
        return []
    return [
        _row(kind, level, "", np.mean([_alone(effects, *each) for each in had], axis=0), _trainings(seen, had))
        for level, had in having.items()
    ]


def _pairs(effects: Effects) -> list[Worth]:
    order = {choice.name: n for n, choice in enumerate(effects.design.space.choices)}
    seen = [which for kind, which in effects.columns if kind == PAIR and isinstance(which, tuple)]
    rows = []
    for one, other in sorted(seen, key=lambda pair: (order[pair[0]], order[pair[1]])):
        both = [c for c in effects.trained if (PAIR, (one, other)) in effects.design.columns(c)]
        draws = effects.sums([{(STAGE, ""): 1.0, (PAIR, (one, other)): 1.0}])[:, 0]
        rows.append(_row("pair", f"{one}, {other}", "", draws, sum(effects.trained[c] for c in both)))
    return rows


def _options(options: Iterable[str]) -> list[str]:
    return [option for option in options if option != NONE]


def _alone(effects: Effects, name: str, option: str) -> Array:
    return effects.sums([dict.fromkeys(Design.of_option(name, option), 1.0)])[:, 0]


def _trainings(seen: Seen, having: Sequence[tuple[str, str]]) -> int:
    """How many trainings had one of these options at its choice."""
    return sum(count for options, count in seen if not options.isdisjoint(having))


def _row(kind: str, name: str, option: str, draws: Array, trainings: int) -> Worth:
    return Worth(kind, name, option, Estimate.of(draws), float((draws < 0).mean()), trainings)
