"""The front as a page: one file that needs no network, for a browser or MLflow's preview.

Picture and strips are SVG in the page; a few lines of script show what is under the pointer and sort the table.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from string import Template

from senas.core.config import BASELINES
from senas.core.site import Site
from senas.core.verdict import RANDOM, Point
from senas.report.course import course
from senas.report.drawing import strip
from senas.report.findings import WORDS, Findings, between, percent, signed_between, size
from senas.report.look import DRAWN, LIGHT
from senas.report.page import PAGE
from senas.report.scatter import Scatter, kind_of, number_of, roles
from senas.report.table import spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPage:
    """What the page shows of a study.

    subtitle:      data and backbone.
    question:      a sentence for whoever never saw senas.
    hypervolumes:  after each trial, by its number; in nats x parameters.
    """

    title: str
    subtitle: str
    question: str
    findings: Findings
    sites: Sequence[Site]
    hypervolumes: Mapping[int, float]

    def html(self) -> str:
        """The whole page."""
        found, pick = self.findings, self.findings.pick
        words = f"trial {pick.trial.number}: {pick.trial.config.words(self.sites)}"
        return Template(PAGE).substitute(
            light=LIGHT,
            drawn=DRAWN,
            title=escape(self.title),
            subtitle=escape(self.subtitle),
            question=escape(self.question),
            cards=_cards(found),
            scatter=Scatter(found, tuple(self.sites)).svg(),
            strip=strip(found.picked.config, self.sites, named=True),
            pick=f"{found.kind.capitalize() if pick.decided else 'Undecided; what leads'}: {escape(words)}",
            kind=kind_of(found),
            why=escape(pick.why.removesuffix(". It leads")),
            ways="".join(f"<pre>{escape(command)}</pre>" for command in found.ways_out),
            metric=escape(found.spoken),
            beside="".join(f"<li>{escape(line)}</li>" for line in found.comparisons),
            rows="".join(map(self._row, self._listed())),
            volume=course(self.hypervolumes),
            behind=escape(found.behind),
            trainings=f"{len(found.measured)}",
            configurations=f"{len(found.points)}",
        )

    def _listed(self) -> list[Point]:
        """The front first, then the others, the lowest loss first."""
        on_front = {point.config for point in self.findings.front}
        rest = sorted((p for p in self.findings.points if p.config not in on_front), key=lambda p: p.loss.mean)
        return [*self.findings.front, *rest]

    def _row(self, point: Point) -> str:
        loss, titles = self.findings.shown(point.loss), roles(self.findings, point)
        none = self.findings.shown(point.from_none) if point.from_none and point.config else None
        macs = point.trial.scores.get("macs", 0) if point.trial else 0
        cells = [
            (number_of(point), f"{number_of(point)}"),
            (loss.mean, f"{loss.mean:.4f}<small>{between(loss)}</small>"),
            (none.mean if none else 0, f"{none.mean:+.4f}<small>{signed_between(none)}</small>" if none else ""),
            (point.on_front, escape(percent(point.on_front))),
            (point.trainings, f"{point.trainings}"),
            (size(point), f"{size(point):,.0f}"),
            (macs, spoken(macs)),
        ]
        numbers = "".join(f'<td class="n" data-v="{value!r}">{text}</td>' for value, text in cells)
        kind = (" pick" if self.findings.is_picked(point) else "") + (" onfront" if "front" in titles else "")
        label = "".join(f"<span class='tag t-{re.split('[ ,]', role)[0]}'>{escape(role)}</span>" for role in titles)
        words = escape(point.config.words(self.sites))
        return (
            f'<tr class="config{kind}" data-n="{number_of(point)}">{numbers}'
            f'<td data-v="{words}" title="{words}">{strip(point.config, self.sites)}</td>'
            f'<td data-v="{escape(", ".join(titles))}">{label}</td>'
            "</tr>\n"
        )


def _cards(found: Findings) -> str:
    """The pick beside the baselines and random places, in figures."""
    known = {point.config: point for point in found.points}
    shown = [(found.kind if found.pick.decided else "leads, undecided", found.picked)]
    shown += [(f"{BASELINES[name]} ({name})", known[c]) for name, c in found.baselines.items() if c in known]
    cards = [(name, found.shown(point.loss), f"{size(point):,.0f} SE parameters") for name, point in shown]
    if found.elsewhere:
        params, loss = found.elsewhere
        cards.append((WORDS[RANDOM], found.shown(loss), f"about {params:,.0f} SE parameters"))
    return "".join(
        f'<div class="card"><div class="dim">{escape(name)}</div><div class="big">{loss.mean:.4f}</div>'
        f'<div class="dim">{escape(found.spoken)}, {between(loss)}</div><div>{params}</div></div>'
        for name, loss, params in cards
    )
