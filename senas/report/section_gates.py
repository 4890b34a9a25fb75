"""Of a study's report: what the gates of the pick do, and which of its SE blocks can go."""

import math
from collections.abc import Mapping

from senas.core.certainty import Estimate
from senas.core.explained import Explained, Profile, Removal
from senas.report.findings import INTERVAL
from senas.report.forest import Bar, forest
from senas.report.gates import legend, spoken
from senas.report.markup import Markup, commands, figure, listed, png, quiet, said, table
from senas.report.removable import advice, can_go, gates_in_words, share, stays
from senas.report.study import Gates, StudyReport
from senas.report.table import spoken as spoken_number

TOGETHER = "all at once"


def gates(study: StudyReport) -> str:
    """Nothing but how to find out, where nobody looked."""
    if not study.findings.picked.config:
        return said("What is picked has no SE blocks, and so no gates.")
    if study.gates is None:
        return commands([("Nobody looked into the gates yet. This does, on the validation images:", study.look)])
    return _told(study.gates)


def _told(gates: Gates) -> str:
    seen = gates.explained
    opening = f"{gates.of}, on {seen.images:,} validation images: loss {seen.loss:.4f}, accuracy {seen.accuracy:.2%}."
    heat = png(gates.heat, "The mean gate of each channel by class, a panel a site in network order")
    return (
        said(opening, f"{gates_in_words(seen)}.")
        + (f"<figure>{heat}</figure>" if gates.heat else "")
        + table("What the gates do.", HEAD, [_profile(each) for each in seen.profiles], words=(0, 1))
        + quiet(f"{'; '.join(legend(seen))}.")
        + f"<h3>Which SE can go</h3>{listed(advice(seen, ''))}{_removals(seen)}"
        + commands(
            [("Fold what can be folded, as long as the validation loss rises by no more than 0.001:", gates.fold)]
            * bool(gates.fold and any(map(can_go, seen.removals)))
        )
    )


HEAD = ("site", "SE block", "mean gate", "below 0.2", "near 0", "near top", "over images", "over classes", "rank")


def _profile(each: Profile) -> list[str]:
    shares = (each.suppressed, each.low, each.high, each.per_image, each.per_class)
    of = "" if each.hidden is None else f"<small>of {each.hidden}</small>"
    span = f"{each.mean.min():.3f} to {each.mean.max():.3f}"
    return [
        each.site,
        spoken(each),
        Markup(f"{each.mean.mean():.3f}<small>{span}</small>"),
        *map(share, shares),
        Markup(f"{each.rank:.1f}{of}"),
    ]


def _removals(seen: Explained) -> str:
    """By how much the loss rises without a block, beside what the block costs."""
    every = {removal.site: removal for removal in seen.removals}
    every |= {TOGETHER: seen.together} if seen.together else {}
    timed = any(removal.latency_ms for removal in every.values())
    head = ("site", "gate constant", "block taken out", "can its gate go?", "parameters", "MACs")
    rows = [
        [
            name,
            _interval(removal.constant),
            _interval(removal.bypassed),
            "yes" if can_go(removal) else "no" if stays(removal) else "not known",
            f"{removal.params:,}",
            spoken_number(removal.macs),
            *([_interval(removal.latency_ms, ".3f") if removal.latency_ms else ""] * timed),
        ]
        for name, removal in every.items()
    ]
    caption = (
        f"{INTERVAL}s over images, paired, for this one network: another seed's may differ. Constants are means over "
        f"the {seen.means_over} images. Orange: higher without; blue: lower; grey: may be either. What a block "
        "is worth in training is another question (What SE is worth, above): this network has learned with all of them."
    )
    drawn = (  # each with an axis of its own: without blocks losses rise by far more
        figure("constant", _drawing(every, "constant", "its gate replaced by a constant"), "")
        + figure("bypassed", _drawing(every, "bypassed", "the block taken out"), caption)
    )
    captioned = "What the validation loss does without each block, beside what the block costs."
    return drawn + table(captioned, (*head, *(["ms longer"] * timed)), rows, words=(0, 3))


def _drawing(every: Mapping[str, Removal], kind: str, title: str) -> str:
    bars = [Bar(name, known) for name, removal in every.items() if _finite(known := getattr(removal, kind))]
    return forest([(title, bars)], "validation loss without minus with, nats", f"What the loss does: {title}")


def _interval(known: Estimate, form: str = ".4f") -> str:
    mean, low, high = (f"{each:+{form}}" for each in (known.mean, known.low, known.high))
    return Markup(f"{mean}<small>{low} to {high}</small>")


def _finite(known: Estimate) -> bool:
    return math.isfinite(known.low) and math.isfinite(known.high)
