"""Progress of a search in the terminal: a bar below, and one line a finished trial above it."""

import time
from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn

from senas.core.site import Site
from senas.core.standing import Standing
from senas.core.trial import Status, Trial
from senas.report.console import Terminal


class SearchProgress:
    """Listens to a search. Without `bar`, or where the output is no terminal, there are only the lines."""

    def __init__(self, terminal: Terminal, *, total: int, sites: tuple[Site, ...], bar: bool) -> None:
        self.terminal, self.total, self.sites = terminal, total, sites
        self.seconds: list[float] = []
        self.since = time.monotonic()
        self.done = 0
        self.found: list[str] = []
        self.bar: Progress | None = None
        if bar and terminal.console.is_terminal:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[found]}"),
                console=terminal.console,
                transient=True,
            )
            self.task = self.bar.add_task("starting", total=float(total), found="")

    def __enter__(self) -> "SearchProgress":
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def started(self, trial: Trial, standing: Standing) -> None:
        self.since = time.monotonic()
        self.done = sum(t.counts for t in standing.trials)
        self.found = _found(standing)
        self._draw(0.0)

    def epoch(self, trial: Trial, epoch: float, epochs: int) -> None:
        self._draw(epoch / epochs)

    def _draw(self, share: float) -> None:
        """The bar, with `share` of the running trial behind it."""
        if self.bar is None:
            return
        parts = [*self.found]
        if self.seconds:
            left = (self.total - self.done - share) * sum(self.seconds) / len(self.seconds)
            parts.append(f"{duration(left)} left")
        self.bar.update(
            self.task,
            completed=self.done + share,
            description=f"trial {self.done + 1} of {self.total}",
            found="  ".join(parts),
        )

    def finished(self, trial: Trial, standing: Standing) -> None:
        if trial.repeats is None:
            self.seconds.append(time.monotonic() - self.since)
        self.terminal.say(self._line(trial, standing))

    def _line(self, trial: Trial, standing: Standing) -> str:
        words = trial.config.words(self.sites)
        head = f"trial {trial.number:>3}"
        if trial.repeats is not None:
            return f"{head}  repeats trial {trial.repeats}, not trained again: {words}"
        if trial.status is Status.FAILED:
            return f"{head}  failed, {trial.reason}: {words}"
        scores = (
            f"val loss {trial.scores['val_loss']:.4f}  acc {trial.scores['val_accuracy']:.2%}  "
            f"SE params {trial.scores['se_params']:>6,.0f}  {trial.seconds:5.1f} s"
        )
        if trial.status is Status.PRUNED:
            return f"{head}  pruned after epoch {len(trial.curve)}: {scores}  {words}"
        mark = "*" if trial.number in {t.number for t in standing.front()} else " "
        return f"{head} {mark} {scores}  {words}"


def _found(standing: Standing) -> list[str]:
    """What the study has so far: the best value, and the size of the front."""
    measured, objective = standing.measured, standing.objective
    if not measured:
        return []
    if len(objective.names) == 1:
        lowest = f"best {min(objective.values(trial.scores)[0] for trial in measured):.4f}"
    else:
        lowest = f"lowest loss {min(trial.scores['val_loss'] for trial in measured):.4f}"
    return [lowest, f"front {len(standing.front())}"]


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
