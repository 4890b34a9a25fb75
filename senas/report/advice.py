"""What an audit says, in plain words: every sentence from its figures."""

from collections.abc import Callable

from senas.core.audit import MOST_SEEDS, POWER
from senas.core.audited import Audited
from senas.core.certainty import LEVEL, Estimate
from senas.core.rungs import by_chance

INTERVAL = f"{LEVEL:.0%} interval".replace("%", " %")
MORE_SEEDS = "study.confirm trains contenders again with fresh ones"


def verdict(audited: Audited) -> str:
    """Whether the configurations can be told apart, in one sentence."""
    apart, noise = audited.told_apart, audited.noise
    asked = f"{len(audited.names)} configurations x {len(audited.seeds)} seeds"
    if not apart:
        return (
            f"These configurations cannot be told apart at this budget: of {audited.pairs} pairs, none differs by more "
            f"than the noise allows to be said ({asked})."
        )
    better, worse = max(apart, key=lambda pair: abs(audited.difference(*pair).mean))
    found = audited.difference(worse, better)
    return (
        f"{len(apart)} of {audited.pairs} pairs of configurations can be told apart ({asked}); {better} and {worse} "
        f"differ most, by {nats(found.mean)} ({span(found)}), which is {found.mean / noise.noise.mean:.1f} times the "
        "noise of one run."
    )


def advice(audited: Audited) -> list[str]:
    """What one run can tell, how many seeds it takes, what the epochs and the images do, and what would help most."""
    lines = [verdict(audited), _one_run(audited), _seeds(audited), *_images(audited), *_epochs(audited)]
    return [*lines, _lever(audited)]


def _one_run(audited: Audited) -> str:
    noise = audited.noise
    told, other = noise.reliability, noise.reliability_with_seed
    return (
        f"One run tells {much(told.mean)} what a configuration is worth: of the variance of losses, the configuration "
        f"makes {percent(told.mean)} ({span(told, percent)}) where all are run with one seed, and "
        f"{percent(other.mean)} ({span(other, percent)}) where each run has a seed of its own."
    )


def much(share: float) -> str:
    """How much a share between 0 and 1 is, to be put before what it is a share of."""
    bounds = {"nearly all of": 0.9, "most of": 0.6, "about half of": 0.4, "some of": 0.2}
    return next((words for words, least in bounds.items() if share >= least), "little of")


def _seeds(audited: Audited) -> str:
    noise = audited.noise
    seen = (
        f"Two configurations with one run each, by one seed, have to differ by {nats(noise.detectable(1))} to be told "
        f"apart {percent(POWER)} of the time"
    )
    if not noise.spread.low and not noise.told_apart:
        wanted = _number(noise.seeds_to_show(noise.spread.high))
        return (
            f"{seen}; whether configurations differ at all is not known: their spread is at most "
            f"{nats(noise.spread.high)}, and a difference as large as that takes {wanted} each."
        )
    wanted = _number(noise.seeds_to_show(noise.spread.mean))
    return (
        f"{seen}; a difference as large as the spread between configurations, {nats(noise.spread.mean)}, takes "
        f"{wanted} each."
    )


def _number(seeds: int | None) -> str:
    if seeds is None:
        return f"more than {MOST_SEEDS} seeds"
    return f"{seeds} seed{'s' * (seeds != 1)}"


def _images(audited: Audited) -> list[str]:
    if audited.halves is None:
        return []
    noise, between = audited.halves.noise, audited.halves.means
    return [
        f"Of the variance of the noise, {percent(noise.mean)} ({span(noise, percent)}) is that there are only "
        f"{audited.images:,} validation images; twice as many would leave {percent(audited.halves.with_twice)} of the "
        f"noise. Of the variance between the means of configurations, these images make {percent(between.mean)} "
        f"({span(between, percent)}): more seeds would not change that."
    ]


def _epochs(audited: Audited) -> list[str]:
    lines = []
    count, few = len(audited.names), by_chance(len(audited.names))
    if few is None:
        many = f"with {count} configurations even perfect agreement may be chance, so tau means nothing"
    else:
        many = f"chance alone reaches {few:.2f} with {count} configurations"
    if audited.agreement is not None:
        found, (short, long) = audited.agreement, audited.epochs
        lines.append(
            f"The ranking after {short} epochs agrees with that after {long} by Kendall's tau of {found.mean:.2f} "
            f"({span(found, plain)} over seeds); {many}."
        )
    if len(audited.rungs) > 1:
        half, last = audited.rungs[len(audited.rungs) // 2 - 1], audited.rungs[-1]
        lines.append(
            f"After epoch {half.epoch} of {last.epoch} the ranking agrees with the last by Kendall's tau of "
            f"{half.tau:.2f} ({many}); these are the same runs, so that noise agrees too.{_pruning(audited, few)}"
        )
    return lines


def _pruning(audited: Audited, few: float | None) -> str:
    """From which epoch on the ranking is the last one's, beyond chance; nothing where chance can be all of it."""
    early = [rung.epoch for rung in audited.rungs if few is None or not rung.tau >= few]
    if few is None or audited.undecided:
        return ""
    first = max(early, default=0) + 1
    return f" Beyond chance it agrees from epoch {first} on: a pruner that stops runs before that guesses."


def _lever(audited: Audited) -> str:
    """The reasons are those of `Audited.lever`."""
    noise, leave = audited.noise, audited.epochs_leave
    if audited.lever == "nothing":
        return (
            f"Nothing more is needed to rank such configurations: at least {percent(noise.reliability.low)} of what "
            "one run shows is the configuration."
        )
    if audited.lever == "images" and audited.halves:
        return (
            "More validation images would help first (data.val), as they cost no training, but where they are taken "
            f"from the training images: twice as many would leave {percent(audited.halves.with_twice)} of the noise, "
            f"and half of what they make of the variance between configurations; then more seeds ({MORE_SEEDS}), of "
            "which twice as many leave 71 % of the noise of a mean."
        )
    if audited.lever == "epochs" and leave is not None:
        if audited.longer:
            short, long = audited.epochs
            seen, open_ = f"from {short} to {long} epochs, each doubling left {percent(leave**0.5)} of it", ""
        else:
            seen = f"the second half of the epochs left {percent(leave**0.5)} of it"
            open_ = "; whether longer trainings go on like that, audit.full=true shows"
        return (
            "More epochs would help most (trainer.epochs), against the noise as a part of the spread between "
            f"configurations: {seen}, while twice as many seeds ({MORE_SEEDS}) leave 71 %{open_}."
        )
    return f"More seeds would help most ({MORE_SEEDS}): twice as many leave 71 % of the noise of a mean."


def nats(value: float) -> str:
    """A loss, with digits enough to see it."""
    return f"{value:.4f}" if abs(value) >= 0.001 or value == 0 else f"{value:.1e}"


def percent(value: float) -> str:
    """A share; next to nothing and next to all are not said to be nothing and all."""
    if 0 < value < 0.005:
        return "under 1 %"
    return "over 99 %" if 0.995 < value < 1 else f"{100 * value:.0f} %"


def plain(value: float) -> str:
    return f"{value:.2f}"


def span(found: Estimate, form: Callable[[float], str] = nats) -> str:
    """`90 % interval 0.01 to 0.03`."""
    return f"{INTERVAL} {between(found, form)}"


def between(found: Estimate, form: Callable[[float], str] = nats) -> str:
    """`0.01 to 0.03`; what is the same in these digits at both ends, once."""
    low, high = form(found.low), form(found.high)
    return low if low == high else f"{low} to {high}"
