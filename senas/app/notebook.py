"""The commands as functions, for notebooks and scripts: each is one call, and gives something to go on with.

Settings are given as on the command line (`"trainer.epochs=2"`), or as keywords: a text chooses a file of a group
(`data="digits"`), a mapping sets keys (`trainer={"epochs": 2}`), and both together are
`search("data=image_folder", data={"root": "photos"})`. Mistakes raise a `senas.errors.SenasError` of one line.
"""

import atexit
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from senas.app.calls import Config, called
from senas.app.show import estimates, find, front_table
from senas.app.trusted import modules_of, named_code, refuse_untrusted
from senas.app.wiring import Setup, set_up_again
from senas.core.trial import Trial
from senas.core.trust import packages
from senas.report.findings import Findings
from senas.study.optuna import read_trials

if TYPE_CHECKING:
    import pandas as pd

    from senas.core.audited import Audited


class Study:
    """A study: what was tried, where it stands, and what to take from it.

    Read anew each time it is asked, so that a study that is still being searched can be watched.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._trust = modules_of(setup.config)  # imported already
        self._known: tuple[object, Findings] | None = None

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

    def plot(self) -> Any:
        """The front as a matplotlib figure: every training, the front with its intervals, the pick circled."""
        from senas.report.figure import front_figure

        return front_figure(title=self.name, findings=self._findings(), sites=self._setup.sites)

    def table(self) -> str:
        """The front as Markdown, the recommended configuration in bold."""
        return front_table(self._setup, self._findings()).markdown()

    def export(self, to: Path | str | None = None, *, pick: str | None = None, **settings: Any) -> Path:
        """Writes the recommended configuration with its weights, checks them, and gives their folder.

        The settings are those of `senas export`: format, overwrite, objective={"penalty": ...}, ...
        """
        chosen = {"root": str(self._setup.folder.root), "trust": self._trust, **settings}
        return export(self.name, to, pick=pick, **chosen)

    @property
    def _trials(self) -> list[Trial]:
        return read_trials(self.name, self._setup.storage, self._setup.space)

    def _findings(self, pick: str | None = None, penalty: float | None = None, margin: float | None = None) -> Findings:
        """Found out once for as long as no trial is added."""
        asked = self._trials, pick, penalty, margin
        if self._known is None or self._known[0] != asked:
            self._known = asked, find(self._setup, *asked)
        return self._known[1]


def _numbers(findings: Findings) -> list[int]:
    return [point.trial.number for point in findings.front if point.trial]


def search(*overrides: str, config: Config | None = None, trust: str | Sequence[str] = (), **settings: Any) -> Study:
    """Launches a study, or resumes it, and gives it back: `senas search`.

    config:  a whole configuration to begin from; None: senas's own, as `senas search --cfg job` shows it.
    trust:   the package, or packages, of yours that `config`, where it is a file, may name code of.

    >>> study = senas.search(
    ...     data="digits", trainer={"epochs": 1}, study={"name": "demo", "trials": 3}, tracking="none", progress=False
    ... )
    study demo in runs/demo...
    >>> study.front[["expected_val_loss", "se_params", "configuration"]]
           expected_val_loss  se_params ...
    trial...
    >>> study.best().config
    SEConfig(...)
    >>> study.plot().savefig("front.png")
    """
    from senas.app.search import launch

    checked = called("search", overrides, settings, config)
    if isinstance(config, str | Path):
        refuse_untrusted(named_code(checked), config, packages(trust))
    return Study(launch(checked))


@dataclass(frozen=True)
class NoiseAudit:
    """What `audit` found.

    figures:  `.noise` (spread, noise, reliability, `detectable(seeds)`), `.halves`, `.rungs`, `.agreement`, `.means`,
              `.difference(name, other)`, `.told_apart`, each with its interval where it has one.
    study:    in which it was trained.
    """

    figures: "Audited"
    study: Study

    @property
    def undecided(self) -> bool:
        """Whether the configurations cannot be told apart at this budget."""
        return self.figures.undecided

    @property
    def advice(self) -> list[str]:
        """What it says, in words: the verdict first, last what would help most."""
        from senas.report.advice import advice

        return advice(self.figures)

    @cached_property
    def runs(self) -> "pd.DataFrame":
        """Every training of it, one row each."""
        from senas.report.frame import trials_frame

        names = self.figures.names
        return trials_frame([trial for name in names for trial in self.figures.of(name)], self.study._setup.sites)

    def plot(self) -> Any:
        """Its losses, what so many seeds can show, and the rungs, as a matplotlib figure."""
        from senas.report.audit_figure import audit_figure

        return audit_figure(self.figures, title=self.study.name)

    def __repr__(self) -> str:
        return f"<NoiseAudit of {self.study.name}: {self.advice[0]}>"


def audit(
    *overrides: str, config: Config | None = None, trust: str | Sequence[str] = (), **settings: Any
) -> NoiseAudit:
    """Measures how much of what a search would see is noise, in the study that `search` would launch: `senas audit`.

    It takes what `search` takes.

    >>> found = senas.audit(
    ...     data="digits", trainer={"epochs": 1}, audit={"configs": 2, "seeds": 2}, tracking="none", progress=False
    ... )
    study digits-resnet8-...
    >>> found.figures.noise.freedom, found.undecided
    (1, ...)
    """
    from senas.app.audit import launch

    checked = called("audit", overrides, settings, config)
    if isinstance(config, str | Path):
        refuse_untrusted(named_code(checked), config, packages(trust))
    setup, found = launch(checked)
    return NoiseAudit(found, Study(setup))


def open_study(name: str, root: str = "runs", trust: str | Sequence[str] = ()) -> Study:
    """A study that was launched before, from its folder: `senas front`. Nothing is trained.

    trust:  the package, or packages, of yours whose code the study names: a backbone, data, a metric.

    >>> study = senas.open_study("demo")
    >>> int(study.best("smallest", margin=10).scores["se_params"])
    0

    Raises StudyError where there is none of that name, listing those there are, and
    ConfigError where it names code that is not trusted.
    """
    return Study(set_up_again(root, name, trust))


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


@dataclass(frozen=True)
class Trained:
    """What `train` found.

    comparison:  means, spreads and paired differences: `.interval(name, "test_loss")`, `.difference(a, b, metric)`.
    folder:      comparison.csv and .png, and trained/<name>/ with the first seed's network of each.
    """

    comparison: Any
    folder: Path
    sites: Sequence[Any]

    @cached_property
    def runs(self) -> "pd.DataFrame":
        """Every training, one row each."""
        from senas.report.frame import trials_frame

        return trials_frame(self.comparison.trials, self.sites)

    def __repr__(self) -> str:
        return f"<Trained {self.folder.name}: {', '.join(self.comparison.contenders)}; {len(self.runs)} trainings>"

    @property
    def verdicts(self) -> list[str]:
        """For each pair, whether their difference is more than chance, in words."""
        from senas.report.comparison import verdicts

        return verdicts(self.comparison)

    def plot(self) -> Any:
        """Test losses and paired differences with their intervals, as a matplotlib figure."""
        from senas.report.comparison import comparison_figure

        return comparison_figure(self.comparison, title=self.folder.name)


def train(se: Path | str | Sequence[str], *overrides: str, **settings: Any) -> Trained:
    """Trains SE configurations at full length with several seeds, and compares them on the test part: `senas train`.

    se:  an exported folder or its se.yaml, `none`, `all16`, or several of these.

    >>> found = senas.train(
    ...     "all16", data="digits", backbone="resnet8", seeds=2, against=["none"],
    ...     trainer={"epochs": 1}, tracking="none", progress=False
    ... )
    train-digits-resnet8-...
    >>> found.comparison.difference("all16", "none", "test_loss").count
    2
    """
    from senas.app.train import run

    names = [str(name) for name in se] if isinstance(se, list | tuple) else str(se)
    training, comparison = run(called("train", overrides, {**settings, "se": names}))
    return Trained(comparison, training.folder.path, training.sites)


def sites(*overrides: str, **settings: Any) -> "pd.DataFrame":
    """Where in a backbone SE blocks can go, and what a standard block of r = 16 costs there: `senas sites`.

    >>> int(senas.sites(backbone="resnet8")["params"].sum())
    791
    """
    import pandas as pd

    from senas.app.sites import found

    return pd.DataFrame(found(called("sites", overrides, settings))).set_index("site")


class Dashboard:
    """A running MLflow on the studies. `url` opens on the front; `close` ends it, as does the end of the process."""

    def __init__(self, config: Any) -> None:
        from senas.app.dashboard import served

        self._stack = ExitStack()
        self.url: str = self._stack.enter_context(served(config))[0]
        atexit.register(self.close)

    def close(self) -> None:
        self._stack.close()
        atexit.unregister(self.close)

    def __enter__(self) -> "Dashboard":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def dashboard(*overrides: str, **settings: Any) -> Dashboard:
    """Starts MLflow on the studies, in the background: `senas dashboard`.

    with senas.dashboard(study={"name": "demo"}) as board:
        print(board.url)
    """
    return Dashboard(called("dashboard", overrides, {"port": 0, **settings}))
