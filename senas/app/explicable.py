"""What `senas explain` explains: a study's trial, or an export, with all that its network is measured with."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from senas.app.bench import BATCH_FOR_LOOKING, bench
from senas.app.commands import ROOT, command, override
from senas.app.paths import StudyFolder, conf_dir
from senas.app.schema import ExplainConfig, TrainerConfig
from senas.app.show import find
from senas.app.taken_over import backbone_of_export, data_for
from senas.app.weights import trained
from senas.app.wiring import set_up_again
from senas.core.config import SEConfig
from senas.core.trial import Job
from senas.core.trust import packages
from senas.errors import ConfigError
from senas.exported.network import WEIGHTS_FILE, with_weights
from senas.exported.package import Exported, read
from senas.report.console import Terminal
from senas.report.removable import NEGLIGIBLE
from senas.study.optuna import read_trials
from senas.training.data import Images
from senas.training.standalone import Standalone

FOLD = f"fold={NEGLIGIBLE:g}"
SAME = 1e-4
"""Means and standard deviations of pixels that differ by less are the same, but for rounding."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One trained network.

    words:      its SE configuration, and how it was picked.
    trained:    gives the network with its weights, which may have to be trained again.
    folder:     that what is found is written into.
    fold:       the command that folds what can go; "" where there is none.
    undecided:  whether it was picked, but only leads.
    """

    name: str
    words: str
    config: SEConfig
    evaluator: Standalone
    trained: Callable[[Terminal], Any]
    folder: Path
    fold: str
    undecided: bool = False


def of_study(config: ExplainConfig) -> Subject:
    """The pick of a study."""
    name = config.study.name
    assert name is not None
    setup = set_up_again(config.root, name, config.trust)
    trials = read_trials(setup.folder.name, setup.storage, setup.space)
    findings = find(setup, trials, config.pick, config.objective.penalty, config.study.margin)
    picked, why, decided = findings.pick
    return Subject(
        name=f"trial {picked.number} of {setup.folder.name}",
        words=f"{picked.config.words(setup.sites)} ({why})",
        config=picked.config,
        evaluator=setup.evaluator,
        trained=lambda terminal: trained(terminal, setup, picked),
        folder=setup.folder.path,
        fold=command("export", setup, f"pick=trial:{picked.number}", FOLD),
        undecided=not decided,
    )


def of_export(config: ExplainConfig, terminal: Terminal) -> Subject:
    """An exported folder, on the data of its study or those that are given."""
    assert config.se is not None
    if not Path(config.se).exists():
        raise ConfigError(f'se: there is no "{config.se}"; name a folder that `senas export` wrote')
    path = Path(config.se)
    folder, package = (path.parent if path.is_file() else path), read(path)
    backbone = backbone_of_export(config.se, package, config.trust)
    data = data_for(config.data, Path(config.root), config.trust, {config.se: package})
    trainer: TrainerConfig = TrainerConfig(**yaml.safe_load((conf_dir() / "trainer" / "default.yaml").read_text()))
    images, builder, traced, evaluator = bench(backbone, data, replace(trainer, batch_size=BATCH_FOR_LOOKING))
    _fits(images, package, terminal)
    for remark in (*images.remarks, *builder.remarks):
        terminal.say(remark)
    return Subject(
        name=str(folder),
        words=package.config.words(traced.sites),
        config=package.config,
        evaluator=evaluator,
        trained=lambda _: with_weights(evaluator.network(Job(package.config, 0, 1)), folder / WEIGHTS_FILE),
        folder=folder,
        fold=_fold(config, package, folder),
    )


def _fold(config: ExplainConfig, package: Exported, folder: Path) -> str:
    """The command that exports it again from its study, folded; "" where it is folded, or its study is not here."""
    study, trial = package.provenance.get("study"), package.provenance.get("trial")
    if package.is_folded or not isinstance(study, str) or type(trial) is not int:
        return ""
    try:
        if not StudyFolder(Path(config.root), study).config.exists():
            return ""
    except ConfigError:  # no name that a study of senas can have
        return ""
    to = folder.with_name(f"{folder.resolve().name}-folded")
    words = [override("study.name", study), f"pick=trial:{trial}", FOLD, override("to", str(to))]
    words += [] if config.root == ROOT else [override("root", config.root)]
    if trust := packages(config.trust):
        words.append(shlex.quote(f"trust=[{','.join(trust)}]"))
    return f"senas export {' '.join(words)}"


def _fits(images: Images, package: Exported, terminal: Terminal) -> None:
    """Raises ConfigError where the network cannot take these images."""
    for what, ours, theirs in (
        ("classes", len(images.classes), len(package.classes)),
        ("(C, H, W)", images.shape, package.shape),
    ):
        if ours != theirs:
            raise ConfigError(
                f"data: {what} of these images: {ours}, of those that the export was trained on: {theirs}; name data "
                "that it was trained on: data=..."
            )
    pairs = zip((*images.mean.tolist(), *images.std.tolist()), (*package.mean, *package.std), strict=True)
    if any(abs(ours - theirs) > SAME for ours, theirs in pairs):
        terminal.warn(
            "these images are normalised by other means and spreads than those that the network was trained on: they "
            "are other images, or split otherwise"
        )
