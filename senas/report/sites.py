"""A backbone's sites as a table that stays readable in 80 columns, however many there are."""

from collections.abc import Sequence
from string import ascii_uppercase

from rich import box
from rich.table import Table

from senas.core.block import Placement
from senas.core.config import SEConfig, spoken_block
from senas.core.site import Site, stages

COSTS_RATIO = 16
"""The ratio that the costs of a site are told for."""
LONGEST_NAME = 28
"""Characters of a site's name that are not folded, however narrow the terminal is."""
TWINS = {Placement.INNER_BEFORE_RELU: Placement.INNER, Placement.POST_BEFORE_RELU: Placement.POST}
"""What sees the same channels as another placement, and needs no column of its own."""


def site_rows(sites: Sequence[Site]) -> list[dict[str, object]]:
    """What there is to know of each site, by name, in network order.

    params, macs:  of its usual block at r = 16; None where the site offers no usual placement.
    former:        the block that the backbone came with, in words; empty where there was none.
    """
    stage_of = {site.name: number for number, run in enumerate(stages(sites), 1) for site in run}
    rows: list[dict[str, object]] = []
    for site in sites:
        usual = SEConfig.everywhere([site], COSTS_RATIO)
        rows.append(
            {
                "site": site.name,
                "stage": stage_of[site.name],
                "placements": ", ".join(site.places),
                "channels": site.output.channels,
                "height": site.output.height,
                "width": site.output.width,
                "former": spoken_block(site.former.option, site) if site.former else "",
                "params": usual.params(sites) if usual else None,
                "macs": usual.macs(sites) if usual else None,
            }
        )
    return rows


def sites_table(sites: Sequence[Site]) -> Table:
    """One line a site. The lists of placements, which many sites share, are letters; see `legend`."""
    letters, elsewhere = _letters(sites), _elsewhere(sites)
    former = any(site.former for site in sites)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    longest = max(len(site.name) for site in sites)
    table.add_column("site", overflow="fold", no_wrap=longest <= LONGEST_NAME)
    for name in ("stage", "at", *elsewhere, "C", "H x W"):
        table.add_column(name, justify="right", no_wrap=True)
    if former:
        table.add_column("former", overflow="fold", min_width=len("former"))
    for name in ("params", "MACs"):
        table.add_column(name, justify="right", no_wrap=True)
    for site, row in zip(sites, site_rows(sites), strict=True):
        table.add_row(
            site.name,
            str(row["stage"]),
            letters[tuple(site.places)],
            *(str(site.places[p].channels) if p in site.places else "" for p in elsewhere),
            str(site.output.channels),
            f"{site.output.height} x {site.output.width}",
            *([str(row["former"])] if former else []),
            *(f"{cost:,}" if isinstance(cost := row[name], int) else "" for name in ("params", "macs")),
        )
    return table


def legend(sites: Sequence[Site]) -> list[str]:
    """Lines that say what the table's letters and columns stand for."""
    lines = [f"at {letter}: {', '.join(places)}" for places, letter in _letters(sites).items()]
    if elsewhere := _elsewhere(sites):
        lines.append(f"C: channels of the output, which gates see but for those at {' and '.join(elsewhere)}")
    if any(site.former for site in sites):
        lines.append("former: the SE block that the backbone came with there, taken out")
    lines.append(f"params, MACs: of the usual block there at r = {COSTS_RATIO} (1 MAC is 1 multiply-accumulate)")
    return lines


def _letters(sites: Sequence[Site]) -> dict[tuple[Placement, ...], str]:
    """A letter for each list of placements, in the order in which they occur."""
    lists = list(dict.fromkeys(tuple(site.places) for site in sites))
    return {
        places: ascii_uppercase[n] if len(lists) <= len(ascii_uppercase) else str(n + 1)
        for n, places in enumerate(lists)
    }


def _elsewhere(sites: Sequence[Site]) -> list[Placement]:
    """Placements that at some site see other channels than the output has."""
    different = {TWINS.get(p, p) for site in sites for p, place in site.places.items() if place[0] != site.output[0]}
    return [placement for placement in Placement if placement in different]
