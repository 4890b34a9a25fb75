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
from senas.app.studied import Study
from senas.app.trusted import named_code, refuse_untrusted
from senas.app.wiring import set_up_again
from senas.core.trust import packages

if TYPE_CHECKING:
    import pandas as pd

    from senas.app.explain import Explanation
    from senas.core.audited import Audited


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
    >>> study.effects.columns[:6].tolist()
    ['kind', 'name', 'option', 'mean', 'low', 'high']
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


def explain(*overrides: str, **settings: Any) -> "Explanation | None":
    """What the gates of a trained network do, and which of its SE blocks can go: `senas explain`.

    Of a study's pick, or of an export: `explain(se="exported/demo")`. None where the network has no SE block.

    >>> found = senas.explain(study={"name": "demo"}, pick="trial:1")
    trial 1 of demo: r16 standard: all...
    >>> [removal.site for removal in found.figures.removals]
    ['layer1.0', 'layer2.0', 'layer3.0']
    >>> found.plot().savefig("gates.png")
    """
    from senas.app.explain import explain as run

    return run(called("explain", overrides, settings))


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
