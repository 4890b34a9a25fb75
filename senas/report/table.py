"""The front as a table: for the terminal, as Markdown and as CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from senas.core.certainty import Estimate
from senas.core.site import Site
from senas.core.trial import Trial
from senas.core.verdict import Point
from senas.report.findings import INTERVAL, Findings, between, percent, ranged, signed, signed_between, size

RECOMMENDED, LEADS = "bold green", "bold"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontTable:
    """The configurations of a front, fewest SE parameters first, and the pick.

    own:  names of further scores that the objective reads: as the first training of each measured them.
    """

    findings: Findings
    sites: Sequence[Site]
    own: Sequence[str] = ()

    @property
    def header(self) -> tuple[str, ...]:
        numbers = ("trial", self._expected, "minus no SE", "on front", "trainings", "SE params", "of backbone")
        return (*numbers, *self.own, "MACs", "configuration")

    def rich(self) -> Table:
        """For the terminal, two lines a configuration; the recommended one is bold and starred, the leader named."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        heads = [
            "trial",
            f"{self._expected}\n{INTERVAL}",
            f"minus no SE\n{INTERVAL}",
            "on front\ntrainings",
            "SE params\nMACs",
            *self.own,
            "SE blocks",
        ]
        for name in heads:
            words = name == heads[-1]
            table.add_column(name, justify="left" if words else "right", no_wrap=not words, overflow="fold")
        for point, trial in self._rows:
            loss, none = self.findings.shown(point.loss), self._from_none(point)
            picked, decided = self.findings.is_picked(point), self.findings.pick.decided
            table.add_row(
                f"{trial.number}{' *' if picked and decided else ''}\n{'leads' if picked and not decided else ''}",
                f"{loss.mean:.4f}\n{between(loss)}",
                f"{none.mean:+.4f}\n{signed_between(none)}" if none else "",
                f"{percent(point.on_front)}\n{self._trainings(point)}",
                f"{size(point):,.0f}\n{spoken(trial.scores['macs'])}",
                *(f"{trial.scores[name]:.4f}" for name in self.own),
                trial.config.words(self.sites),
                style=(RECOMMENDED if decided else LEADS) if picked else None,
            )
        return table

    def markdown(self) -> str:
        """With the recommended one in bold; `|` within a configuration becomes `/`, which Markdown leaves alone."""
        lines = [" | ".join(self.header)]
        lines.append(" | ".join("---" if name == "configuration" else "---:" for name in self.header))
        for point, trial in self._rows:
            none = self._from_none(point)
            picked, decided = self.findings.is_picked(point), self.findings.pick.decided
            cells = [
                f"{trial.number}{(' *' if decided else ' leads') if picked else ''}",
                ranged(self.findings.shown(point.loss)),
                signed(none) if none else "",
                percent(point.on_front),
                self._trainings(point),
                f"{size(point):,.0f}",
                f"{size(point) / (trial.scores['params'] - size(point)):.2%}",
                *(f"{trial.scores[name]:.4f}" for name in self.own),
                spoken(trial.scores["macs"]),
                trial.config.words(self.sites).replace("|", "/"),
            ]
            lines.append(" | ".join(f"**{cell}**" if picked and decided and cell else cell for cell in cells))
        return "\n".join(f"| {line} |" for line in lines)

    def csv(self) -> str:
        """Numbers in full, one configuration a line: what is known of it, then what its first training came to."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        name = self.findings.name
        known = (f"expected_{name}", "expected_low", "expected_high", "trainings", "probability_on_front")
        apart = ("minus_none", "minus_none_low", "minus_none_high")
        scores = [*dict.fromkeys(("val_loss", "val_accuracy", "val_error", name, *self.own))]
        costs = ("se_params", "params", "macs")
        head = ("trial", "recommended", "leads", *known, *apart, "seed", "epochs", *scores, *costs)
        writer.writerow((*head, "configuration", "blocks"))
        for point, trial in self._rows:
            picked, decided = self.findings.is_picked(point), self.findings.pick.decided
            loss, none = self.findings.shown(point.loss), self._from_none(point)
            writer.writerow(
                (
                    trial.number,
                    "yes" if picked and decided else "no",
                    "yes" if picked and not decided else "no",
                    *(loss.mean, loss.low, loss.high, point.trainings, point.on_front),
                    *((none.mean, none.low, none.high) if none else ("", "", "")),
                    *(trial.seed, len(trial.curve)),
                    *(trial.scores[score] for score in (*scores, *costs)),
                    *(trial.config.words(self.sites), str(trial.config)),
                )
            )
        return text.getvalue()

    @property
    def legend(self) -> list[str]:
        """What the columns say, a line or two to stand below the table."""
        failed = any(self.findings.failed.get(point.config) for point, _ in self._rows)
        return [
            "expected: the mean over seeds as all trainings together tell it, not what one of them came to",
            "on front: the probability that no other that was trained, of as few SE parameters, is better; trainings: "
            + ("its own, without those that failed" if failed else "its own"),
        ]

    @property
    def _expected(self) -> str:
        return f"expected {self.findings.spoken}"

    def _trainings(self, point: Point) -> str:
        failed = self.findings.failed.get(point.config, 0)
        return f"{point.trainings}, {failed} failed" if failed else f"{point.trainings}"

    @property
    def _rows(self) -> list[tuple[Point, Trial]]:
        return [(point, point.trial) for point in self.findings.listed if point.trial]

    def _from_none(self, point: Point) -> Estimate | None:
        """Nothing for no SE itself, and where no SE is not in the space."""
        return self.findings.shown(point.from_none) if point.from_none and point.config else None


def spoken(count: float) -> str:
    """A count in three or four digits: `747 k`, `40.55 M`, `4.089 G`."""
    for unit, one in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= one:
            return f"{count / one:.4g} {unit}"
    return f"{count:.0f}"
