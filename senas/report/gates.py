"""What gates do, and which SE blocks can go: as a picture, as tables for the terminal, and as CSV."""

import csv
import io
import math
from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table

from senas.core.block import SEBlock, Squeeze
from senas.core.certainty import Estimate
from senas.core.config import spoken_on
from senas.core.explained import NEAR, SUPPRESSED, Explained, Profile, Removal, largest
from senas.report.effects import INTERVAL
from senas.report.gates_figure import gates_png as gates_png  # the picture beside its tables
from senas.report.removable import can_go, share, signed
from senas.report.table import spoken as spoken_number

TOGETHER = "all at once"
INTERVALS = ("constant", "bypassed", "latency_ms")
COLUMNS = (
    *("site", "block", "placement", "channels", "hidden", "gate_mean", "gate_sd", "suppressed", "near_0", "near_top"),
    *("per_image", "per_class", "effective_rank"),
    *(f"{name}{part}" for name in INTERVALS for part in ("", "_low", "_high")),
    *("constant_accuracy", "bypassed_accuracy", "params", "macs"),
)


def gates_table(explained: Explained) -> Table:
    """What the gates do: one row a site, in network order."""
    heads = (
        "site",
        "SE block",
        "mean gate\nlowest to highest channel",
        f"below\n{SUPPRESSED:g}",
        "near 0\nnear top",
        "varies over\nimages",
        "of that\nover classes",
        "rank squeezed\nof hidden",
    )
    table = _table(heads, words=2)
    for profile in explained.profiles:
        table.add_row(
            profile.site,
            spoken(profile),
            f"{profile.mean.mean():.3f}\n{profile.mean.min():.3f} to {profile.mean.max():.3f}",
            share(profile.suppressed),
            f"{share(profile.low)}\n{share(profile.high)}",
            share(profile.per_image),
            share(profile.per_class),
            f"{profile.rank:.1f}" + (f"\nof {profile.hidden}" if profile.hidden is not None else ""),
        )
    return table


def removals_table(explained: Explained) -> Table:
    """Which blocks can go: one row a site, in network order, then all at once; bold green what may be constant."""
    timed = any(removal.latency_ms for removal in explained.removals)
    heads = (
        "site",
        f"made constant\n{INTERVAL}",
        f"bypassed\n{INTERVAL}",
        "accuracy\nconstant, bypassed",
        "parameters\nMACs",
        *([f"milliseconds\n{INTERVAL}"] if timed else []),
    )
    table = _table(heads, words=1)
    for removal in explained.removals:
        table.add_row(*_removal(removal, timed=timed), style="bold green" if can_go(removal) else None)
    if explained.together:
        table.add_section()
        table.add_row(
            *_removal(explained.together, timed=timed), style="bold green" if can_go(explained.together) else None
        )
    return table


def explained_csv(explained: Explained) -> str:
    """Numbers in full: one row a site, then one of all at once, which has no gate of its own."""
    rows: list[Sequence[object]] = []
    for profile, removal in zip(explained.profiles, explained.removals, strict=True):
        gate = (
            *(profile.mean.mean(), math.sqrt(float((profile.sd**2).mean())), profile.suppressed),
            *(profile.low, profile.high, profile.per_image, profile.per_class, profile.rank),
        )
        what = (profile.site, profile.block, profile.placement, profile.channels, profile.hidden)
        rows.append([*what, *map(float, gate), *_numbers(removal)])
    if explained.together:
        rows.append([TOGETHER, *[""] * (COLUMNS.index(INTERVALS[0]) - 1), *_numbers(explained.together)])
    return _written([COLUMNS, *rows])


def gates_csv(explained: Explained) -> str:
    """What the picture shows, in full: one row a site and channel, its mean, its spread, and its mean in each class."""
    rows = (
        [profile.site, channel, float(mean), float(sd), *map(float, profile.by_class[:, channel])]
        for profile in explained.profiles
        for channel, (mean, sd) in enumerate(zip(profile.mean, profile.sd, strict=True))
    )
    return _written([("site", "channel", "mean", "sd", *explained.classes), *rows])


def spoken(profile: Profile) -> str:
    """The block with its width as a ratio where one gives it."""
    return spoken_on(profile.block, profile.channels) if isinstance(profile.block, SEBlock) else str(profile.block)


def legend(explained: Explained) -> list[str]:
    """What the columns of both tables are."""
    tops = sorted({largest(profile.block) for profile in explained.profiles})
    blocks = [profile.block for profile in explained.profiles]
    local = any(isinstance(block, SEBlock) and block.squeeze is Squeeze.LOCAL for block in blocks)
    return [
        f"below {SUPPRESSED:g}: of all gates, one for each image and channel. near 0, near top: within {NEAR:.0%} of "
        f"the range, which ends at {' or '.join(f'{top:g}' for top in tops)}",
        "varies over images: of the variance over images and channels; the rest is a constant's, as in a batch norm",
        "over classes: less what chance would put there",
        "rank squeezed: effective rank of what the block reads, beside the hidden width",
        *(["of a local gate: over images and locations; classes and rank by means over locations"] * local),
    ]


def ranged(estimate: Estimate) -> str:
    """`+0.0012`, and its interval in a second line."""
    return f"{signed(estimate.mean)}\n{signed(estimate.low)} to {signed(estimate.high)}"


def _removal(removal: Removal, *, timed: bool) -> list[str]:
    costs = f"{removal.params:,}\n{spoken_number(removal.macs)}"
    latency = [ranged(removal.latency_ms) if removal.latency_ms else ""] if timed else []
    accuracies = "\n".join(f"{each:.2%}" for each in (removal.constant_accuracy, removal.bypassed_accuracy))
    return [removal.site, ranged(removal.constant), ranged(removal.bypassed), accuracies, costs, *latency]


def _numbers(removal: Removal) -> list[object]:
    found: list[object] = []
    for name in INTERVALS:
        estimate: Estimate | None = getattr(removal, name)
        found += ["", "", ""] if estimate is None else [estimate.mean, estimate.low, estimate.high]
    return [*found, removal.constant_accuracy, removal.bypassed_accuracy, removal.params, removal.macs]


def _table(heads: Sequence[str], words: int) -> Table:
    """Its first columns hold words, the others numbers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for n, name in enumerate(heads):
        table.add_column(name, justify="left" if n < words else "right", no_wrap=n >= words, overflow="fold")
    return table


def _written(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
