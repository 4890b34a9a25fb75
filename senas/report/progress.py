"""Progress of a search: a bar in a terminal, and one line a finished trial; elsewhere a sign of life now and then."""

import time
from types import TracebackType

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from senas.core.objective import own_scores
from senas.core.site import Site
from senas.core.standing import Standing
from senas.core.trial import THEORY, Status, Trial
from senas.report.console import Terminal
from senas.report.time_left import TimeLeft

SILENCE_SECONDS = 120.0
"""Without a bar, a search says how far it is after so long without a line."""


class SearchProgress:
    """Listens to a search. Without `bar`, or where the output is no terminal, there are only lines.

    seeds:  how many its proposals have; with several, each line says which.
    """

    what = "trial"

    def __init__(self, terminal: Terminal, *, total: int, sites: tuple[Site, ...], bar: bool, seeds: int = 1) -> None:
        self.terminal, self.total, self.sites, self.seeds = terminal, total, sites, seeds
        self.running: dict[int, Trial] = {}
        self.left: TimeLeft | None = None
        self.shares: dict[int, float] = {}  # of the running trials, that are behind them
        self.done = 0
        self.found: list[str] = []
        self.rejected = 0
        self.unsaid = 0  # of those rejected
        self.said = time.monotonic()
        self.bar: Progress | None = None
        if bar and terminal.moves:
            self.bar = Progress(
                TextColumn("{task.description}", table_column=Column(no_wrap=True)),
                BarColumn(bar_width=min(24, max(terminal.console.width // 5, 4))),
                _Found(self),
                console=terminal.console,
                transient=True,
            )
            self.task = self.bar.add_task("starting", total=float(total))

    def __enter__(self) -> "SearchProgress":
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._say_rejected()
        if self.bar is not None:
            self.bar.stop()

    def started(self, trial: Trial, standing: Standing) -> None:
        self._say_rejected()
        self.done = sum(map(self._counts, standing.trials))
        self.found = _found(standing)
        if self.left is None:
            earlier = [t.seconds for t in standing.trials if self._counts(t)]
            self.left = TimeLeft(self.total, self.done, earlier, time.monotonic)
        self.left.started()
        self.running[trial.number] = trial
        self._draw(trial, 0.0)

    def epoch(self, trial: Trial, epoch: float, epochs: int) -> None:
        """`epoch` may be a fraction: 1.5 is half way through the second."""
        self._draw(trial, epoch / epochs)
        if self.bar is None and time.monotonic() - self.said > SILENCE_SECONDS:
            self._say(f"trial {trial.number:>3}   epoch {epoch:.3g} of {epochs}  {self.words()}".rstrip())

    def words(self) -> str:
        """What the study has so far, and how long it will take."""
        known = any(map(self._planned, self.running.values()))  # how many replicates there will be is not
        left = self.left.words(*self.shares.values()) if self.left and known else ""
        rejected = f"{self.rejected} rejected" if self.rejected else ""
        return "  ".join(words for words in (*self.found, rejected, left) if words)

    def _draw(self, trial: Trial, share: float) -> None:
        """The bar, with `share` of a running trial behind it; a replicate does not move it."""
        if self._planned(trial):
            self.shares[trial.number] = share
        if self.bar is None:
            return
        if not self.shares:
            words = f"{trial.origin}, seed {trial.seed}"
            self.bar.update(self.task, completed=self.done, description=words)
        else:
            first, last = (min(self.done + count, self.total) for count in (1, len(self.shares)))
            numbers = f"{self.what} {first}" if first == last else f"{self.what}s {first} to {last}"
            behind = self.done + sum(self.shares.values())
            self.bar.update(self.task, completed=behind, description=f"{numbers} of {self.total}")

    def finished(self, trial: Trial, standing: Standing) -> None:
        if trial.status is Status.REJECTED:
            self.rejected = sum(t.status is Status.REJECTED for t in standing.trials)
            self._keep_rejected(trial)
            return
        self._say_rejected()
        self.running.pop(trial.number, None)
        self.shares.pop(trial.number, None)
        if self.left is not None:
            if self._planned(trial):
                self.left.ended(counts=self._counts(trial))
            else:
                self.left.passed()
        silent = time.monotonic() - self.said > SILENCE_SECONDS
        self._say(self._line(trial, standing))
        self.done = sum(map(self._counts, standing.trials))
        self.found = _found(standing)
        if self.bar is None and silent and self.done < self.total and self.left:
            self._say(f"{self.done} of {self.total} {self.what}s  {self.words()}")

    def _planned(self, trial: Trial) -> bool:
        """Whether it is one of those that `total` is about."""
        return trial.proposed

    def _counts(self, trial: Trial) -> bool:
        """Whether it brings the end nearer."""
        return trial.counts

    def _keep_rejected(self, trial: Trial) -> None:
        """One line for many: with a narrow bound most proposals are rejected. Starting points have their own."""
        if trial.origin in ("start", THEORY):
            self._say(f"trial {trial.number:>3}  rejected, {trial.reason}: {trial.config.words(self.sites)}")
            return
        self.unsaid += 1
        if self.bar is None and time.monotonic() - self.said > SILENCE_SECONDS:
            self._say_rejected()

    def _say_rejected(self) -> None:
        if self.unsaid:
            count, self.unsaid = self.unsaid, 0
            self._say(f"{count} proposal{'s' * (count > 1)} broke a constraint, not trained; {self.rejected} so far")

    def _say(self, line: str) -> None:
        self.said = time.monotonic()
        self.terminal.say(line)

    def _line(self, trial: Trial, standing: Standing) -> str:
        words = f"{self._seed(trial)}{trial.config.words(self.sites)}"
        head = f"trial {trial.number:>3}"
        if trial.repeats is not None:
            return f"{head}  repeats trial {trial.repeats}, not trained again: {words}"
        if trial.status is Status.FAILED:
            return f"{head}  failed, {trial.reason}: {words}"
        if trial.screened_out:
            return f"{head}  not trained, {trial.reason}: {words}"
        names = [*own_scores(standing.objective), *(["latency_ms"] if "latency_ms" in trial.scores else [])]
        own = "".join(f"{name} {trial.scores[name]:.4f}  " for name in names)
        scores = (
            f"val loss {trial.scores['val_loss']:.4f}  acc {trial.scores['val_accuracy']:.2%}  {own}"
            f"SE params {trial.scores['se_params']:>6,.0f}  {trial.seconds:5.1f} s"
        )
        if trial.status is Status.PRUNED:
            return f"{head}  pruned after epoch {len(trial.curve)}: {scores}  {words}"
        mark = "*" if trial.number in {t.number for t in standing.front()} else " "
        return f"{head} {mark} {scores}  {words}"

    def _seed(self, trial: Trial) -> str:
        """Where trials have several seeds, or this one is a replicate."""
        if not trial.proposed:
            return f"{trial.origin}, seed {trial.seed}: "
        return f"seed {trial.seed}: " if self.seeds > 1 else ""


def _found(standing: Standing) -> list[str]:
    """What the study has so far: the best value, and the size of the front."""
    measured, objective = standing.measured, standing.objective
    if not measured:
        return []
    if len(objective.names) == 1:
        lowest = f"best {objective.sign * min(objective.values(trial.scores)[0] for trial in measured):.4f}"
    else:
        lowest = f"lowest loss {min(trial.scores['val_loss'] for trial in measured):.4f}"
    return [lowest, f"front {len(standing.front())}"]


class _Found(ProgressColumn):
    """Drawn ten times a second, so that the time left runs within an epoch too. Cut where the terminal is narrow."""

    max_refresh = 0.5

    def __init__(self, progress: SearchProgress) -> None:
        super().__init__(table_column=Column(no_wrap=True, overflow="ellipsis"))
        self.progress = progress

    def render(self, task: Task) -> Text:
        return Text(self.progress.words())
