"""Of a study's report: what SE is worth at each site, by placement and by width."""

from collections.abc import Sequence

from senas.core.worth import ANY, Worth
from senas.report.findings import INTERVAL
from senas.report.forest import Bar, Group, forest
from senas.report.markup import figure, folded, listed, said, table
from senas.report.study import StudyReport

READ = "Blue lowers it, orange raises it, grey may do either: the bar is the 90 % interval, the dot its mean."
OPTIONS = 120
"""Bars of single options beyond which they are only in effects.csv."""


def worth(study: StudyReport) -> str:
    """Placements, widths and sites as wholes; single options, and pairs, where somebody asks for them."""
    rows, adds_to = study.effects.rows, study.effects.adds_to
    if not rows:
        return said("The space has one configuration: there is nothing to compare.")
    groups = _groups(rows)
    axis = f"what it adds to the {adds_to}"
    caption = (
        f"{READ} A site's bar is the mean over the blocks that it can have, each meant for a network that has no "
        "other; a placement's, and a width's, is the mean over all sites. Right: how many trainings had it."
    )
    drawing = forest(groups, axis, f"What SE blocks add to the {adds_to}, with intervals")
    return (
        said(study.effects.words)
        + figure("effects", drawing, caption)
        + _single(rows, axis)
        + _table(rows, groups)
        + ("<h3>What theory says of the ratios</h3>" if study.effects.theory else "")
        + listed(study.effects.theory)
    )


def _groups(rows: Sequence[Worth]) -> list[Group]:
    """Of sites, the mean over their options; where they have but one, that."""
    whole = {row.name for row in rows if row.option == ANY}
    groups: list[Group] = []
    for heading, kind in (("by placement", "placement"), ("by width", "width")):
        bars = [Bar(row.name, row.loss, _trained(row)) for row in rows if row.kind == kind]
        groups += [(heading, bars)] if bars else []
    sites = [row for row in rows if row.kind == "place" and (row.option == ANY or row.name not in whole)]
    return [*groups, ("by site", [Bar(row.name, row.loss, _trained(row)) for row in sites])]


def _single(rows: Sequence[Worth], axis: str) -> str:
    options = [row for row in rows if row.kind == "place" and row.option != ANY]
    pairs = [row for row in rows if row.kind == "pair"]
    if not 0 < len(options) + len(pairs) <= OPTIONS:
        return said("Every option of every site is in effects.csv (`senas effects`).") if options else ""
    groups: list[Group] = []
    for name in dict.fromkeys(row.name for row in options):
        groups.append((name, [Bar(row.option, row.loss, _trained(row)) for row in options if row.name == name]))
    if pairs:
        bars = [Bar(row.name, row.loss, _trained(row)) for row in pairs]
        groups.append(("two blocks in one stage, beyond what each adds alone", bars))
    drawing = forest(groups, axis, "What each option of each site adds, with intervals")
    return folded("Every option of every site", figure("options", drawing, READ))


def _table(rows: Sequence[Worth], groups: Sequence[Group]) -> str:
    """The same numbers, to be read or copied."""
    named = [(heading, bar) for heading, bars in groups for bar in bars]
    head = ("", "adds", INTERVAL, "probability that it lowers", "trainings")
    lowers = {(row.kind, row.name, row.loss): row for row in rows}
    kinds = {"by placement": "placement", "by width": "width", "by site": "place"}
    cells = []
    for heading, bar in named:
        row = lowers[kinds[heading], bar.name, bar.known]
        span = f"{bar.known.low:+.4f} to {bar.known.high:+.4f}"
        title = bar.name if heading == "by site" else f"{kinds[heading]} {bar.name}"
        cells.append([title, f"{bar.known.mean:+.4f}", span, f"{row.lowers:.2f}", f"{row.trainings}"])
    return folded("The same as a table", table("What a block adds, all trainings read together.", head, cells))


def _trained(row: Worth) -> str:
    return f"{row.trainings} training{'s' * (row.trainings != 1)}"
