"""What theory says of the best ratio, beside what a study found, in words."""

from collections.abc import Sequence
from itertools import groupby

from senas.core.block import SEBlock
from senas.core.certainty import LEVEL, Estimate
from senas.core.config import SEConfig
from senas.core.site import Site, stages
from senas.core.theory import CONFIGURATIONS, RatioTheory

FORM = "loss = L0 + kappa/2 r^2"


def kappa_line(theory: RatioTheory) -> str:
    """kappa with its interval, and whether it is identified."""
    over = f"of the ratios {_listed(theory.ratios)} that were trained"
    if theory.kappa is None:
        had = "had no SE block with a ratio" if not theory.ratios else f"had one ratio, {_listed(theory.ratios)}"
        if len(theory.ratios) > 1:
            had = f"had {_listed(theory.ratios)} as their ratios, but the more of them the more blocks"
        return f"theory ({FORM}): kappa not identified, for the trainings {had}"
    kappa = theory.kappa
    interval = f"{LEVEL:.0%} interval {kappa.low:+.2g} to {kappa.high:+.2g}"
    if theory.identified:
        return f"theory ({FORM}), {over}: kappa {kappa.mean:+.2g} ({interval})"
    if not theory.enough:
        why = f"{theory.configurations} configurations were trained, and {CONFIGURATIONS} are the least to believe it"
    else:
        why = "the loss falls with r" if kappa.high < 0 else "it includes 0"
    return f"theory ({FORM}), {over}: kappa not identified ({interval}: {why}), and no best ratio follows"


def best_ratio_lines(theory: RatioTheory, sites: Sequence[Site], pick: SEConfig) -> list[str]:
    """r* of each stage beside the ratios that a pick has there; none where the theory has no r*."""
    lines = []
    for stage in stages(sites):
        there = [site for site in stage if site.usual is not None]
        for channels, group in groupby(there, key=_channels):
            best, same = theory.best(channels), list(group)
            if best is None:
                return []
            names = same[0].name if len(same) == 1 else f"{same[0].name} to {same[-1].name}"
            lines.append(
                f"  {names}, C = {channels}: r* = {_ratio(best)}{_beyond(best.mean, theory.ratios, channels)}; "
                f"the pick has {_picked(same, pick)}"
            )
    return lines


def _beyond(best: float, trained: Sequence[float], channels: int) -> str:
    """Behind a comma: that no block has such a ratio, or none that was trained."""
    if not 1 <= best <= channels:
        return f", which no block can have (1 to {channels})"
    if not min(trained) <= best <= max(trained):
        return ", beyond the ratios trained"
    return ""


def _channels(site: Site) -> int:
    """That its usual block sees."""
    assert site.usual is not None
    return site.places[site.usual].channels


def _picked(stage: Sequence[Site], pick: SEConfig) -> str:
    """The ratios of a configuration's blocks in a stage, in network order, each run once."""
    words = []
    for site in stage:
        block = pick.get(site.name)
        if isinstance(block, SEBlock):
            words.append(f"r = {site.seen(block).channels / block.hidden:.3g}")
        else:
            words.append("no SE" if block is None else str(block))
    return ", ".join(dict.fromkeys(words))


def _ratio(best: Estimate) -> str:
    return f"{best.mean:.1f} ({best.low:.1f} to {best.high:.1f})"


def _listed(ratios: Sequence[float]) -> str:
    return ", ".join(f"{ratio:.3g}" for ratio in ratios) or "none"
