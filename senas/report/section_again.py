"""Of a study's report: what it took, what the pick costs, and all that is needed to do it again."""

import statistics
from collections.abc import Sequence

from senas.core.trial import AUDIT, CONFIRM, Trial
from senas.report.markup import commands, folded, listed, said, table
from senas.report.study import StudyReport
from senas.report.table import spoken
from senas.report.time_left import duration

KINDS = (("trials of the search", None), ("for the noise audit", AUDIT), ("again, to confirm", CONFIRM))


def time_and_cost(study: StudyReport) -> str:
    """Trainings and their time; then parameters, MACs and latency."""
    return (
        _time(study.trials)
        + listed([f"{count} {words}" for words, count in study.outcomes.items() if count])
        + _costs(study)
    )


def _time(trials: Sequence[Trial]) -> str:
    trained = [trial for trial in trials if trial.trained]
    rows = []
    for words, origin in KINDS:
        some = [t.seconds for t in trained if (t.proposed if origin is None else t.origin == origin)]
        if some:
            rows.append(
                [words, f"{len(some)}", duration(sum(some)), _seconds(statistics.median(some)), _seconds(max(some))]
            )
    every = [trial.seconds for trial in trained]
    if len(rows) > 1:
        rows.append(
            ["in all", f"{len(every)}", duration(sum(every)), _seconds(statistics.median(every)), _seconds(max(every))]
        )
    head = ("trainings", "how many", "in all", "median of one", "longest")
    starts = [trial.started for trial in trained if trial.started]
    wall = max((t.started + t.seconds for t in trained if t.started), default=0.0) - min(starts, default=0.0)
    span = (
        f" From the first one's start to the last one's end it took {duration(wall)}, pauses included."
        if starts
        else ""
    )
    return table(f"Time of training.{span}", head, rows)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def _costs(study: StudyReport) -> str:
    timed = any(each.latency_ms for each in study.costs)
    head = (
        "network",
        "SE parameters",
        "of the backbone's",
        "parameters",
        "MACs an image",
        *(("latency",) if timed else ()),
    )
    rows = [
        [
            each.name,
            f"{each.se_params:,.0f}",
            f"{each.se_params / (each.params - each.se_params):.2%}",
            f"{each.params:,.0f}",
            spoken(each.macs),
            *((_latency(each.latency_ms),) if timed else ()),
        ]
        for each in study.costs
    ]
    note = " Latency: median of the repeats, and how far its quartiles are apart." if timed else ""
    return table(f"What the networks cost: counted, of one image.{note}", head, rows)


def _latency(known: tuple[float, float] | None) -> str:
    return "" if known is None else f"{known[0]:.4g} ms ± {known[1]:.2g}"


def again(study: StudyReport) -> str:
    """Commands, versions and the configuration."""
    made = study.origins
    ran = f"<h3>What it ran with</h3>{listed(made.ran_with)}" if made.ran_with else ""
    versions = ", ".join(f"{name} {number}" for name, number in made.read_with.items())
    return (
        commands(made.commands)
        + ran
        + said(f"This report was written with {versions}.")
        + folded("The whole configuration, config.yaml", commands([("", made.config)]))
    )
