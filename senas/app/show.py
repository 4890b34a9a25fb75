"""What several commands show of a study: its front, its pick, and the pick as an export."""

from senas.app.wiring import Setup, digest
from senas.core.standing import Standing
from senas.core.trial import Trial
from senas.exported.package import Exported
from senas.report.console import Terminal
from senas.report.table import FrontTable


def front_table(setup: Setup, standing: Standing, picked: Trial) -> FrontTable:
    """The front over (validation loss, SE parameters), and the pick where it is not on it."""
    trials = standing.front()
    if picked.number not in {trial.number for trial in trials}:
        trials = sorted([*trials, picked], key=lambda trial: trial.scores["se_params"])
    return FrontTable(trials=trials, picked=picked.number, sites=setup.sites)


def show_front(terminal: Terminal, setup: Setup, standing: Standing, picked: Trial, why: str) -> None:
    """The front, what is recommended and why."""
    terminal.show(front_table(setup, standing, picked).rich())
    terminal.say(f"* recommended: trial {picked.number}, {picked.config.words(setup.sites)}", style="bold")
    terminal.say(f"  {why}")
    terminal.say(f"  {one_seed(setup)}", style="dim")


def one_seed(setup: Setup) -> str:
    """What stands behind every number of this study."""
    return (
        f"Each figure is one training with seed {setup.config.study.seed}. Two seeds of one configuration often differ "
        "by more than two configurations do."
    )


def exported(setup: Setup, trial: Trial, why: str) -> Exported:
    """A trial as what se.yaml says of it."""
    config, data = setup.config, setup.data
    width = {} if config.backbone.width is None else {"width": config.backbone.width}
    return Exported(
        config=trial.config,
        backbone={"name": config.backbone.name, "classes": len(data.classes), "channels": data.shape[0], **width},
        shape=data.shape,
        mean=tuple(round(float(value), 8) for value in data.mean),
        std=tuple(round(float(value), 8) for value in data.std),
        classes=data.classes,
        scores=dict(trial.scores),
        provenance={
            "study": setup.folder.name,
            "trial": trial.number,
            "pick": why,
            "data": config.data["name"],
            "seed": trial.seed,
            "seeds_behind_each_score": 1,
            "epochs": len(trial.curve),
            "setting": digest(setup.fingerprint)[:12],
        },
    )
