"""The front as a table: for the terminal, as Markdown and as CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from senas.core.site import Site
from senas.core.trial import Trial

HEADER = ("trial", "val loss", "val acc", "SE params", "of backbone", "MACs", "configuration")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontTable:
    """The trials of a front, fewest SE parameters first.

    picked:  number of the recommended trial.
    own:     names of the scores that are metrics of the user's own.
    """

    trials: Sequence[Trial]
    picked: int
    sites: Sequence[Site]
    own: Sequence[str] = ()

    @property
    def header(self) -> tuple[str, ...]:
        return (*HEADER[:3], *self.own, *HEADER[3:])

    def rich(self) -> Table:
        """For the terminal; the recommended one is bold and starred."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in self.header:
            words = name == "configuration"
            table.add_column(name, justify="left" if words else "right", no_wrap=not words)
        for trial, row in zip(self.trials, self._rows(), strict=True):
            table.add_row(*row, style="bold green" if trial.number == self.picked else None)
        return table

    def markdown(self) -> str:
        """With the recommended one in bold; `|` within a configuration becomes `/`, which Markdown leaves alone."""
        lines = [" | ".join(self.header)]
        lines.append(" | ".join("---" if name == "configuration" else "---:" for name in self.header))
        for trial, row in zip(self.trials, self._rows(), strict=True):
            cells = [cell.replace("|", "/") for cell in row]
            lines.append(" | ".join(f"**{cell}**" if trial.number == self.picked else cell for cell in cells))
        return "\n".join(f"| {line} |" for line in lines)

    def csv(self) -> str:
        """Numbers in full, one trial a line."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        scores = ("val_loss", "val_accuracy", "val_error", *self.own, "se_params", "params", "macs")
        writer.writerow(("trial", "recommended", "seed", "epochs", *scores, "configuration", "blocks"))
        for trial in self.trials:
            numbers = (trial.scores[name] for name in scores)
            recommended = "yes" if trial.number == self.picked else "no"
            words = trial.config.words(self.sites)
            writer.writerow(
                (trial.number, recommended, trial.seed, len(trial.curve), *numbers, words, str(trial.config))
            )
        return text.getvalue()

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                f"{trial.number}{' *' if trial.number == self.picked else ''}",
                f"{trial.scores['val_loss']:.4f}",
                f"{trial.scores['val_accuracy']:.2%}",
                *(f"{trial.scores[name]:.4f}" for name in self.own),
                f"{trial.scores['se_params']:,.0f}",
                f"{trial.scores['se_params'] / (trial.scores['params'] - trial.scores['se_params']):.2%}",
                spoken(trial.scores["macs"]),
                trial.config.words(self.sites),
            )
            for trial in self.trials
        ]


def spoken(count: float) -> str:
    """A count in three or four digits: `747 k`, `40.55 M`, `4.089 G`."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count:.0f}"
