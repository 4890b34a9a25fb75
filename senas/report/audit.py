"""An audit as tables, as Markdown and as CSV."""

import csv
import io
from collections.abc import Sequence

import numpy as np
from rich import box
from rich.table import Table

from senas.core.audit import POWER
from senas.core.audited import EVEN, LOSS, SHOWN_SEEDS, Audited
from senas.core.objective import bare
from senas.core.site import Site
from senas.report.advice import INTERVAL, advice, between, nats, percent

FIGURES = ("", "estimate", INTERVAL)
SEEDS = ("seeds each", f"smallest difference that shows, {percent(POWER)} of the time")
CONTENDERS = ("", "seeds", "mean", "sd", "against none", INTERVAL, "SE params", "configuration")
RUNGS = ("epoch", "tau with the last", "of one run is configuration")
LEFT = {"", "configuration"}
LEGEND = (
    "mean, sd: of the losses as they came out. against none: the difference with the noise allowed for, and so mostly "
    "smaller than that of the means; * where it can be told from 0."
)
"""Of the table of CONTENDERS."""

Rows = list[tuple[str, ...]]


def audit_tables(audited: Audited, sites: Sequence[Site]) -> list[Table]:
    """For the terminal."""
    return [_rich(header, rows, _legend(header)) for header, rows in _tables(audited, sites)]


def audit_markdown(audited: Audited, sites: Sequence[Site]) -> str:
    """The words, and then the tables."""
    words = "\n".join(f"- {line}" for line in advice(audited))
    parts = [words]
    for header, rows in _tables(audited, sites):
        parts += [_markdown(header, rows), *filter(None, [_legend(header)])]
    return "\n\n".join(parts) + "\n"


def audit_csv(audited: Audited, sites: Sequence[Site]) -> str:
    """Every training, numbers in full."""
    text = io.StringIO()
    own = [bare(audited.metric)] if bare(audited.metric) != LOSS else []
    writer = csv.writer(text, lineterminator="\n")
    scores = (LOSS, EVEN, *own, "val_accuracy", "train_loss", "se_params")
    writer.writerow(("name", "seed", "trial", "epochs", "seconds", *scores, "configuration", "blocks"))
    for longer in (False, True) if audited.longer else (False,):
        for name in audited.names:
            for t in audited.of(name, longer=longer):
                numbers = [t.scores.get(score, "") for score in scores]
                number = "" if longer else t.number  # trainings at full length are no trials of the study
                row = (name, t.seed, number, len(t.curve), round(t.seconds, 1), *numbers)
                writer.writerow((*row, t.config.words(sites), str(t.config)))
    return text.getvalue()


def _tables(audited: Audited, sites: Sequence[Site]) -> list[tuple[tuple[str, ...], Rows]]:
    tables = [
        (CONTENDERS, _contenders(audited, sites)),
        (FIGURES, _figures(audited)),
        (SEEDS, _detectable(audited)),
        _rungs(audited),
    ]
    return [(header, rows) for header, rows in tables if rows]


def _contenders(audited: Audited, sites: Sequence[Site]) -> Rows:
    rows: Rows = []
    for name in audited.names:
        config, losses = audited.contenders[name], audited.table()[audited.names.index(name)]
        against, count = ("", ""), len(audited.of(name))
        if name != "none" and "none" in audited.names:
            found = audited.difference(name, "none")
            mark = " *" if found.excludes_zero else ""
            against = (f"{found.mean:+.4f}{mark}", f"{found.low:+.4f} to {found.high:+.4f}")
        sd = nats(float(np.nanstd(losses, ddof=1))) if count > 1 else "-"
        costs = f"{config.params(sites):,}"
        rows.append((name, str(count), nats(audited.means[name]), sd, *against, costs, config.words(sites)))
    return rows


def _figures(audited: Audited) -> Rows:
    noise = audited.noise
    rows: Rows = [
        (what, nats(found.mean), between(found))
        for what, found in (
            ("spread between configurations (sd)", noise.spread),
            ("noise of one run, compared by a common seed (sd)", noise.noise),
            ("noise of one run, each with a seed of its own (sd)", noise.noise_with_seed),
        )
    ]
    shares = [
        ("of one run is configuration, by a common seed", noise.reliability),
        ("of one run is configuration, each with a seed of its own", noise.reliability_with_seed),
    ]
    if audited.halves:
        images = f"the {audited.images:,} validation images"
        shares.append((f"of the noise is {images}", audited.halves.noise))
        shares.append((f"of what separates the means is {images}", audited.halves.means))
    rows += [(what, percent(found.mean), between(found, percent)) for what, found in shares]
    if audited.agreement:
        found, (short, long) = audited.agreement, audited.epochs
        words = f"Kendall's tau of {short} epochs with {long}"
        rows.append((words, f"{found.mean:.2f}", f"{found.low:.2f} to {found.high:.2f}"))
    return rows


def _detectable(audited: Audited) -> Rows:
    return [(str(seeds), nats(audited.noise.detectable(seeds))) for seeds in sorted({*SHOWN_SEEDS, len(audited.seeds)})]


def _rungs(audited: Audited) -> tuple[tuple[str, ...], Rows]:
    """With the agreement with full length, where that was trained."""
    full = (f"tau with {audited.epochs[1]} epochs",) if audited.longer else ()
    rows: Rows = [
        (str(rung.epoch), f"{rung.tau:.2f}", *(f"{rung.full:.2f}" for _ in full), _share(rung.reliability))
        for rung in audited.rungs
    ]
    return (RUNGS[0], RUNGS[1], *full, RUNGS[2]), rows


def _share(value: float) -> str:
    return "-" if np.isnan(value) else percent(value)


def _legend(header: tuple[str, ...]) -> str | None:
    return LEGEND if header == CONTENDERS else None


def _rich(header: tuple[str, ...], rows: Rows, legend: str | None = None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=legend, caption_style="dim", caption_justify="left")
    for name in header:
        table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=name != "configuration")
    for row in rows:
        table.add_row(*row)
    return table


def _markdown(header: tuple[str, ...], rows: Rows) -> str:
    lines = [" | ".join(header), " | ".join("---" if name in LEFT else "---:" for name in header)]
    lines += [" | ".join(cell.replace("|", "/") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)
