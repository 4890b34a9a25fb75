"""A study as Python sees it: what was tried, where it stands, and what to take from it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from senas.app.calls import called
from senas.app.show import estimates, find, front_table
from senas.app.trusted import modules_of
from senas.app.wiring import Setup
from senas.core.trial import Trial
from senas.core.verdict import Verdict
from senas.core.worth import Worth, worths
from senas.report.findings import Findings
from senas.study.optuna import read_trials

if TYPE_CHECKING:
    import pandas as pd

    from senas.app.explain import Explanation


class Study:
    """A study: what was tried, where it stands, and what to take from it.

    Read anew each time it is asked, so that a study that is still being searched can be watched.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._trust = modules_of(setup.config)  # imported already
        self._known: tuple[object, Findings] | None = None
        self._weighed: tuple[object, tuple[Verdict, list[Worth]]] | None = None

    def __repr__(self) -> str:
        trials = self._trials
        there = len(self._findings().front) if self._setup.standing(trials).measured else 0
        return f"<Study {self.name}: {len(trials)} trials, {there} on the front>"

    @property
    def name(self) -> str:
        return self._setup.folder.name

    @property
    def folder(self) -> Path:
        """Where its files lie: config.yaml, front.csv, front.png, weights/, ..."""
        return self._setup.folder.path

    @property
    def trials(self) -> "pd.DataFrame":
        """Every trial, one row each, indexed by its number: scores, what each site has, how it came about.

        What is known of a configuration, such as `expected_val_loss`, is with its first trial.
        """
        from senas.report.frame import trials_frame

        trials, sites = self._trials, self._setup.sites
        if not self._setup.standing(trials).measured:
            return trials_frame(trials, sites, on_front=[])
        findings = self._findings()
        return trials_frame(trials, sites, estimates(findings), on_front=_numbers(findings))

    @property
    def front(self) -> "pd.DataFrame":
        """The configurations that no other beats in both loss, as far as it is known, and SE parameters.

        Each is the first trial that trained it, fewest parameters first, with `expected_val_loss`, its 90 % interval
        from `expected_low` to `expected_high`, `probability_on_front`, and how many `trainings` it had.
        """
        from senas.report.frame import trials_frame

        if not self._setup.standing(self._trials).measured:
            return trials_frame([], self._setup.sites)
        findings = self._findings()
        first = [point.trial for point in findings.front if point.trial]
        return trials_frame(first, self._setup.sites, estimates(findings))

    def best(self, pick: str | None = None, *, penalty: float | None = None, margin: float | None = None) -> Trial:
        """The recommended trial, or what leads where nothing is decided: `.config`, `.scores`, `.number`, `.seed`.

        pick:     recommended, best, knee, smallest, budget:<params> or trial:<n>; None: as the study has it.
        penalty:  of the objective; None: as the study has it.
        margin:   nats by which `recommended` and `smallest` may miss the lowest loss; None: as the study has it.

        Raises StudyError where no trial was trained to its end, or where `pick` names none.
        """
        return self._findings(pick, penalty, margin).pick.trial

    @property
    def verdict(self) -> str:
        """What is recommended, or that it is undecided, and how it compares with no SE and other baselines."""
        findings = self._findings()
        pick, words = findings.pick, findings.pick.trial.config.words(self._setup.sites)
        named = f"trial {pick.trial.number}, {words}"
        head = f"recommended: {named} ({pick.why})" if pick.decided else f"{pick.why}: {named}"
        return "\n".join([head, *findings.comparisons])

    @property
    def effects(self) -> "pd.DataFrame":
        """What SE blocks are worth, with 90 % intervals, from all trainings together: the rows of `senas effects`.

        `mean`, from `low` to `high`, is what something adds to the loss: `name` is that of a placement, a width, a
        place, or a pair of places in one stage, as `kind` says, and `option` the block that a place has.
        `probability_that_it_lowers` is that of a mean below 0, and `trainings` counts those that had it.

        Raises StudyError where no trial was trained to its end.
        """
        import pandas as pd

        from senas.report.effects import COLUMNS, effects_records

        return pd.DataFrame(effects_records(self._worths()[1]), columns=list(COLUMNS))

    def plot_effects(self) -> Any:
        """`effects` as a matplotlib figure, a bar from low to high each: blue lowers the loss, orange raises it."""
        from senas.app.effects import captions
        from senas.report.effects import effects_figure

        verdict, rows = self._worths()
        return effects_figure(rows, **captions(self._setup, verdict))

    def plot(self) -> Any:
        """The front as a matplotlib figure: every training, the front with its intervals, the pick circled."""
        from senas.report.figure import front_figure

        return front_figure(title=self.name, findings=self._findings(), sites=self._setup.sites)

    def table(self) -> str:
        """The front as Markdown, the recommended configuration in bold."""
        return front_table(self._setup, self._findings()).markdown()

    def explain(self, pick: str | None = None, **settings: Any) -> "Explanation | None":
        """What the gates of the recommended network do, and which of its SE blocks can go; None where it has none.

        The settings are those of `senas explain`: accelerator, latency_within, ...
        """
        from senas.app.explain import explain

        named = {"root": str(self._setup.folder.root), "trust": self._trust}
        study = {**settings.pop("study", {}), "name": self.name}
        return explain(called("explain", (), {**named, **settings, "study": study, **({"pick": pick} if pick else {})}))

    def export(self, to: Path | str | None = None, *, pick: str | None = None, **settings: Any) -> Path:
        """Writes the recommended configuration with its weights, checks them, and gives their folder.

        The settings are those of `senas export`: format, overwrite, objective={"penalty": ...}, ...
        """
        chosen = {"root": str(self._setup.folder.root), "trust": self._trust, **settings}
        return export(self.name, to, pick=pick, **chosen)

    def report(self, pick: str | None = None, **settings: Any) -> Path:
        """Writes report.html, the study on one page, with the gates of what is picked, and gives its path.

        The settings are those of `senas report`: gates, latency_within, study={"margin": ...}.
        """
        from senas.app.report import main

        named = {"root": str(self._setup.folder.root), "trust": self._trust}
        study = {**settings.pop("study", {}), "name": self.name}
        main(called("report", (), {**named, **settings, "study": study, **({"pick": pick} if pick else {})}))
        return self._setup.folder.report_html

    @property
    def _trials(self) -> list[Trial]:
        return read_trials(self.name, self._setup.storage, self._setup.space)

    def _findings(self, pick: str | None = None, penalty: float | None = None, margin: float | None = None) -> Findings:
        """Found out once for as long as no trial is added."""
        asked = self._trials, pick, penalty, margin
        if self._known is None or self._known[0] != asked:
            self._known = asked, find(self._setup, *asked)
        return self._known[1]

    def _worths(self) -> tuple[Verdict, list[Worth]]:
        """What all trainings say, and the rows of what blocks are worth. Found out once, as `_findings` is."""
        trials = self._trials
        if self._weighed is None or self._weighed[0] != trials:
            verdict = self._setup.verdict(trials)
            self._weighed = trials, (verdict, worths(verdict.effects))
        return self._weighed[1]


def export(study: str, to: Path | str | None = None, *overrides: str, **settings: Any) -> Path:
    """Writes a study's recommended configuration and its weights, checks them, and gives their folder: `senas export`.

    >>> folder = senas.export("demo", "exported/demo", pick="trial:0")
    trial 0 of demo...
    >>> senas.load(folder).training
    False
    """
    from senas.app.export import main

    chosen = {key: value for key, value in {**settings, "to": to}.items() if value is not None}
    config = called("export", overrides, {**chosen, "study": {**chosen.get("study", {}), "name": study}})
    main(config)
    return Path(config.to or Path("exported") / study)


def _numbers(findings: Findings) -> list[int]:
    return [point.trial.number for point in findings.front if point.trial]
