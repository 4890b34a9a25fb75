"""Which SE blocks of a trained network can go, in words."""

import math

from senas.core.certainty import Estimate
from senas.core.explained import Explained, Removal

NEGLIGIBLE = 0.001
"""Nats by which the validation loss may rise without anybody minding: what `senas export fold=0.001` allows."""


def can_go(removal: Removal) -> bool:
    """Whether a constant in the place of its gate surely costs no more than NEGLIGIBLE."""
    return removal.constant.high <= NEGLIGIBLE


def stays(removal: Removal) -> bool:
    """Whether it surely costs more."""
    return removal.constant.low > NEGLIGIBLE


def advice(explained: Explained, fold: str = "") -> list[str]:
    """What to do about each block, a sentence each; then about all at once.

    fold:  the command that folds what can be folded; "" where there is none.
    """
    lines = [_sentence(removal, explained) for removal in explained.removals]
    if (together := explained.together) is not None:
        alone = sum(removal.constant.mean for removal in explained.removals)
        lines.append(
            f"all {len(explained.removals)} at once: constant costs {between(together.constant)}, where each by itself "
            f"adds up to {signed(alone)}; without them {between(together.bypassed)}{_scoring(together, explained)}"
        )
    if fold and any(map(can_go, explained.removals)):
        lines.append(f"to fold what may be folded, as long as the loss rises by no more than {NEGLIGIBLE:g}: {fold}")
    return lines


def gates_in_words(explained: Explained) -> str:
    """What stands out in what the gates do, in a sentence."""
    most = max(explained.profiles, key=lambda profile: profile.per_image)
    least = min(explained.profiles, key=lambda profile: profile.per_image)
    classes = "" if math.isnan(most.per_class) else f", {share(most.per_class)} of that between classes"
    varies = f"{share(most.per_image)} of its gate's variance is over images{classes}"
    words = [f"{most.site}: {varies}"]
    if least is not most:
        words = [f"{most.site} varies most with the image: {varies}; {least.site} least: {share(least.per_image)}"]
    dim = max(explained.profiles, key=lambda profile: profile.suppressed)
    if dim.suppressed >= 0.01:
        words.append(f"{dim.site} suppresses most: {share(dim.suppressed)} of its gates")
    wide = [profile for profile in explained.profiles if profile.hidden is not None and profile.hidden > profile.rank]
    if wide:
        named = ", ".join(f"{profile.site} ({profile.hidden} for {profile.rank:.1f})" for profile in wide)
        words.append(f"wider than what it reads has dimensions: {named}")
    return "; ".join(words)


def between(estimate: Estimate) -> str:
    """`+0.0002 (-0.0001 to +0.0005)`."""
    return f"{signed(estimate.mean)} ({signed(estimate.low)} to {signed(estimate.high)})"


def signed(number: float) -> str:
    """Four decimals; what is rounded to zero has no minus."""
    return f"{round(number, 4) + 0.0:+.4f}"


def share(number: float) -> str:
    """`12 %`; below one `0.3 %`, or `<0.1 %`; `-` for what is not known."""
    if math.isnan(number):
        return "-"
    if 0 < number < 0.001:
        return "<0.1 %"
    return f"{number * 100:.0f} %" if number == 0 or number >= 0.01 else f"{number * 100:.1f} %"


def _sentence(removal: Removal, explained: Explained) -> str:
    costs, bypassed = f"{removal.site}: constant costs {between(removal.constant)}", removal.bypassed
    if can_go(removal):
        verdict = "may be folded"
    elif stays(removal):
        verdict = "what it does image by image is used"
    else:
        verdict = f"undecided with {explained.images:,} image{'s' * (explained.images != 1)}"
    if bypassed.high > NEGLIGIBLE or math.isnan(bypassed.mean):
        return f"{costs}: {verdict}"
    than = (
        "hardly changes" if bypassed.low > -NEGLIGIBLE else "is lower" if bypassed.high < 0 else "is lower or the same"
    )
    return f"{costs}: {verdict}; without it the loss {than}, {between(bypassed)}{_scoring(removal, explained)}"


def _scoring(removal: Removal, explained: Explained) -> str:
    """The accuracy without the block, behind a comma, where it is another: it may fall with the loss."""
    then, now = f"{removal.bypassed_accuracy:.2%}", f"{explained.accuracy:.2%}"
    return "" if then == now or math.isnan(removal.bypassed_accuracy) else f", and the accuracy {then} instead of {now}"
