"""Which SE blocks of a trained network can go, in words."""

from senas.core.certainty import Estimate
from senas.core.explained import Explained, Profile, Removal

NEGLIGIBLE = 0.001
"""Nats by which the validation loss may rise without anybody minding: what `senas export fold=0.001` allows."""


def can_go(removal: Removal) -> bool:
    """Whether a constant in the place of its gate surely costs no more than NEGLIGIBLE."""
    return removal.constant.high <= NEGLIGIBLE


def stays(removal: Removal) -> bool:
    """Whether it surely costs more."""
    return removal.constant.low > NEGLIGIBLE


def advice(explained: Explained, fold: str = "") -> list[str]:
    """What to do about each site, a sentence each; then about all at once.

    fold:  the command that folds what can be folded; "" where there is none.
    """
    lines = [_sentence(removal, explained.images) for removal in explained.removals]
    if (together := explained.together) is not None:
        alone = sum(removal.constant.mean for removal in explained.removals)
        lines.append(
            f"all {len(explained.removals)} at once: constant costs {between(together.constant)}, where each by itself "
            f"adds up to {alone:+.4f}; bypassed {between(together.bypassed)}"
        )
    if fold and any(map(can_go, explained.removals)):
        lines.append(f"fold what may be folded, as long as the loss rises by no more than {NEGLIGIBLE:g}: {fold}")
    return lines


def gates_in_words(explained: Explained) -> str:
    """What stands out in what the gates do, in a sentence."""
    most = max(explained.profiles, key=lambda profile: profile.per_image)
    least = min(explained.profiles, key=lambda profile: profile.per_image)
    classes = f", {most.per_class:.0%} of that between classes" if most.per_class >= 0 else ""
    parts = [f"{most.site}: {most.per_image:.0%} of its gate's variance is over images{classes}"]
    if least is not most:
        parts = [f"{parts[0].replace(':', ' varies most with the image:', 1)}; {least.site} least: {least.per_image:.0%}"]
    dim = max(explained.profiles, key=lambda profile: profile.suppressed)
    if dim.suppressed >= 0.01:
        parts.append(f"{dim.site} suppresses most: {dim.suppressed:.0%} of its gates")
    if wide := [profile.site for profile in explained.profiles if _wider_than_needed(profile)]:
        parts.append(f"wider than what they read has dimensions: {', '.join(wide)}")
    return "; ".join(parts)


def between(estimate: Estimate) -> str:
    """`+0.0002 (-0.0001 to +0.0005)`."""
    return f"{estimate.mean:+.4f} ({estimate.low:+.4f} to {estimate.high:+.4f})"


def _sentence(removal: Removal, images: int) -> str:
    costs = f"{removal.site}: constant costs {between(removal.constant)}"
    if can_go(removal):
        needless = removal.bypassed.high <= NEGLIGIBLE
        more = f"; bypassed {between(removal.bypassed)}: the network does not need it" if needless else ""
        return f"{costs}: may be folded{more}"
    if stays(removal):
        return f"{costs}: what it does image by image is used, it stays"
    return f"{costs}: undecided with {images:,} images"


def _wider_than_needed(profile: Profile) -> bool:
    return profile.hidden is not None and profile.hidden > profile.rank
