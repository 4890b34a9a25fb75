"""Of a study's report: the pick on the network beside the alternatives, and the front with all that is known of it."""

from html import escape

from senas.core.objective import METRICS, bare
from senas.core.verdict import Point
from senas.report.drawing import legend, strip, titled
from senas.report.findings import Findings, between, percent, ranged, signed_between, size
from senas.report.markup import Markup, figure, folded, said, table
from senas.report.network import Drawn, network
from senas.report.scatter import Scatter, kind_of, number_of, roles, trained_baselines
from senas.report.study import StudyReport
from senas.report.table import spoken

RUNNERS_UP, ROWS = 4, 60
"""Configurations of the front that are drawn beside the pick, and of others, or of an objective's front, in a table."""


def alternatives(study: StudyReport) -> str:
    """The pick, the baselines, and others of the front, below each other on the same sites."""
    found = study.findings
    rows = [
        Drawn(
            name=kind_of(found).capitalize(), config=found.picked.config, told=_told(found, found.picked), strong=True
        )
    ]
    known = trained_baselines(found)
    for name, config in found.baselines.items():
        if config != found.picked.config:
            told = _told(found, known[name]) if name in known else ("not trained",)
            rows.append(Drawn(name=_short(name), config=config, told=told))
    drawn = {row.config for row in rows}
    rivals = sorted((p for p in found.front if p.config not in drawn), key=lambda p: -p.on_front)[:RUNNERS_UP]
    rows += [
        Drawn(name=f"trial {number_of(p)}", config=p.config, told=_told(found, p)) for p in sorted(rivals, key=size)
    ]
    left = len([p for p in found.front if p.config not in drawn]) - len(rivals)
    more = f" Of the front's others, {left} more are in the table below." if left else ""
    caption = (
        f"Below each name: the expected {found.spoken}, and the parameters of its SE blocks. Baselines come after the "
        f"pick, then what else is on the front, where it is so most probably.{more}"
    )
    drawing = network(rows, study.sites, study.shape, study.classes)
    return figure("network", drawing, caption) + legend(study.sites, [row.config for row in rows])


def the_front(study: StudyReport) -> str:
    """Picture, table, and the front of an objective of several numbers."""
    found = study.findings
    caption = (
        f"Large dots: the front, what no other configuration beats in both, each with its 90 % interval, the paler the "
        f"less sure. Small dots: single trainings ({len(found.measured)}). Ringed: what "
        f"{'leads' if not found.pick.decided else f'is {found.kind}'}. Diamonds: baselines."
    )
    caption += " Square: as many SE blocks at random places." if found.elsewhere else ""
    drawing = titled(Scatter(found, tuple(study.sites)).svg())
    return (
        f'<div class="plot">{figure("front", drawing, caption)}</div>{_table(study)}{_random(found)}{_objective(study)}'
    )


def _told(found: Findings, point: Point) -> tuple[str, ...]:
    return f"{found.spoken} {found.shown(point.loss).mean:.4f}", f"{size(point):,.0f} SE parameters"


def _short(name: str) -> str:
    return {"none": "no SE", "all16": "SE everywhere, r16", "former": "as it came"}.get(name, name)


def _table(study: StudyReport) -> str:
    """The front, the pick and the baselines; the others where somebody asks for them."""
    found = study.findings
    on_front = {point.config for point in found.front}
    named = {found.picked.config, *found.baselines.values()}
    beaten = sorted((p for p in found.points if p.config not in on_front), key=lambda p: p.loss.mean)
    first = [*found.front, *(p for p in beaten if p.config in named)]
    rest = [p for p in beaten if p.config not in named]
    head = ("trial", f"expected {found.spoken}", "minus no SE", "on the front", "trained", "SE params", "MACs")
    columns = (*head, *study.own, "SE over the sites")
    words = (0, len(columns) - 1)
    caption = (
        "The front, fewest SE parameters first, then the baselines that are not on it. Each configuration is called "
        "after the first trial that trained it. Expected: the mean over seeds, as all trainings together tell it, with "
        "its 90 % interval. On the front: the probability that no other that was trained, of as few SE parameters, is "
        "better."
    )
    shown = table(caption, columns, [_row(study, point) for point in first], words=words)
    if not rest:
        return shown
    left = f"; the {len(rest) - ROWS} beyond these are in front.html" if len(rest) > ROWS else ""
    more = table(f"By their expected {found.spoken}.", columns, [_row(study, p) for p in rest[:ROWS]], words=words)
    others = "The other configuration" if len(rest) == 1 else f"The {len(rest)} other configurations"
    return shown + folded(f"{others} trained{left}", more)


def _row(study: StudyReport, point: Point) -> list[str]:
    found = study.findings
    loss, trial = found.shown(point.loss), point.trial
    none = found.shown(point.from_none) if point.from_none and point.config else None
    scores = trial.scores if trial else {}
    failed = found.failed.get(point.config, 0)
    chance = f'<span class="chance"><i style="width:{100 * point.on_front:.0f}%"></i></span>'
    return [
        Markup(f"{number_of(point)}{_role(found, point)}"),
        Markup(f"{loss.mean:.4f}<small>{between(loss)}</small>"),
        Markup(f"{none.mean:+.4f}<small>{signed_between(none)}</small>" if none else ""),
        Markup(chance + escape(percent(point.on_front))),
        f"{point.trainings}" + (f", {failed} failed" if failed else ""),
        f"{size(point):,.0f}",
        spoken(scores["macs"]) if "macs" in scores else "",
        *(f"{scores[name]:.4g}" if name in scores else "" for name in study.own),
        Markup(titled(strip(point.config, study.sites))),
    ]


def _role(found: Findings, point: Point) -> str:
    """What it is, below its number."""
    titles = escape(", ".join(roles(found, point)))
    return f"<small{' class=pick' * found.is_picked(point)}>{titles}</small>" if titles else ""


def _random(found: Findings) -> str:
    """What the places are worth, beside how many blocks there are."""
    if not found.elsewhere:
        return ""
    loss = found.shown(found.elsewhere.loss)
    return said(
        f"As many SE blocks at random places, about {found.elsewhere.se_params:,.0f} SE parameters, come to an "
        f"expected {found.spoken} of {ranged(loss)}: where they are as large as the pick, how far it is below "
        "that is what its places add."
    )


def _objective(study: StudyReport) -> str:
    """Where several numbers were minimised at once, what no other trial beats in all of them."""
    if study.front_of is None:
        return ""
    names, trials = study.front_of
    head = ("trial", *map(bare, names), "SE blocks")
    rows = [
        [f"{t.number}", *(_score(name, t.scores[bare(name)]) for name in names), t.config.words(study.sites)]
        for t in trials[:ROWS]
    ]
    spoken_names = ", ".join(METRICS.get(name, bare(name)).partition(" (")[0] for name in names)
    more = f" The first {ROWS} of {len(trials)}." if len(trials) > ROWS else ""
    caption = (
        f"The objective was several numbers: {spoken_names}. These trials no other beats in all of them, by what "
        f"single trainings came to.{more}"
    )
    return "<h3>The front of the objective</h3>" + table(caption, head, rows, words=(0, len(head) - 1))


def _score(name: str, value: float) -> str:
    return spoken(value) if name in ("params", "macs", "se_params") else f"{value:.4g}"
