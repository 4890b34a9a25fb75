"""senas export: write an SE configuration and its trained weights to a folder, and check them."""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from senas.app.fingerprint import digest
from senas.app.schema import ExportConfig
from senas.app.show import exported
from senas.app.trusted import modules_of
from senas.app.wiring import Setup, set_up_again
from senas.core.trial import Job, Status, Trial
from senas.core.trust import suggested
from senas.errors import ConfigError, ExportError
from senas.exported.card import Parity, same_loss
from senas.exported.folder import write
from senas.exported.network import with_weights
from senas.exported.onnx import check_installed
from senas.exported.target import replaced
from senas.report.console import Terminal
from senas.study.loop import weights_path
from senas.study.optuna import read_trials

FORMATS = ("torch", "onnx")


def main(config: ExportConfig) -> None:
    """Writes se.yaml, weights.safetensors and README.md (format=onnx: model.onnx too), reloads them, and compares
    predictions on the validation images."""
    terminal = Terminal()
    if config.format not in FORMATS:
        raise ConfigError(f'format must be one of {", ".join(FORMATS)}, got "{config.format}"')
    onnx = config.format == "onnx"
    if onnx:
        check_installed()
    setup = set_up_again(config.root, config.study.name, config.trust)
    folder = Path(config.to or Path("exported") / setup.folder.name)
    trials = read_trials(setup.folder.name, setup.storage, setup.space)
    standing = setup.standing(trials, config.objective.penalty, config.study.margin)
    picked, why = standing.pick(config.pick or setup.config.objective.pick)
    package = exported(setup, standing, picked, why)
    before = replaced(folder, package.provenance, overwrite=config.overwrite)
    terminal.say(f"trial {picked.number} of {setup.folder.name}: {picked.config.words(setup.sites)} ({why})")
    net = _trained(terminal, setup, picked)
    validation = setup.data.val_dataloader()
    parity = write(
        folder,
        package,
        setup.sites,
        net,
        validation,
        onnx=onnx,
        overwrite=config.overwrite,
        trust=modules_of(setup.config),
    )
    if before:
        terminal.say(f"replaced {before} in {folder}")
    _say_written(terminal, folder, parity, picked, setup.config.backbone.target)


def _say_written(terminal: Terminal, folder: Path, parity: Parity, picked: Trial, target: str | None) -> None:
    onnx = parity.onnx_images is not None
    files = ["se.yaml", "weights.safetensors", *(["model.onnx"] if onnx else [])]
    lines = [
        f"wrote {folder}/{', '.join(files)} and README.md",
        f"reloaded and compared on {parity.images:,} validation images: largest difference of a logit "
        f"{parity.difference:.3g}; validation loss {parity.val_loss:.4f}, accuracy {parity.val_accuracy:.2%} "
        f"(the study measured {picked.scores['val_loss']:.4f}, {picked.scores['val_accuracy']:.2%})",
    ]
    if onnx:
        lines.append(
            f"model.onnx with onnxruntime on {parity.onnx_images:,} of them, in batches of 1, 4 and 7: largest "
            f"difference of a logit {parity.onnx_difference:.3g}"
        )
    terminal.say("\n".join(lines))
    if not same_loss(parity.val_loss, picked.scores["val_loss"]):
        terminal.warn("these weights do not score what the study measured: another machine, precision or version?")
    trust = f', trust="{suggested(target)}"' if target else ""
    terminal.say(
        f"\nin Python:\n"
        f'  net = senas.load("{folder}"{trust})\n'
        f'  about = senas.read("{folder}")  # mean, std, classes, shape, scores\n'
        f'  net = senas.insert_se(your_network, "{folder}/se.yaml", example_input)'
    )


def _trained(terminal: Terminal, setup: Setup, trial: Trial) -> Any:
    """The trial's network with its weights: those of the search, of an earlier export, or trained again."""
    job = Job(trial.config, trial.seed, len(trial.curve))
    kept = _retrained(setup, trial)
    for weights in (weights_path(setup.folder.weights, trial.number), kept):
        if weights.exists():
            try:
                return with_weights(setup.evaluator.network(job), weights)
            except ExportError as error:
                terminal.warn(f"{error}; they are not used")
    with tempfile.TemporaryDirectory() as spare:
        weights = _train_again(terminal, setup, trial, Path(spare) / "weights.safetensors")
        net = with_weights(setup.evaluator.network(job), weights)
        try:
            kept.parent.mkdir(exist_ok=True)
            partial = kept.with_suffix(".partial")
            shutil.copyfile(weights, partial)
            partial.replace(kept)
        except OSError as error:
            terminal.warn(f"the weights cannot be kept in {kept.parent} for another export: {error.strerror}")
    return net


def _retrained(setup: Setup, trial: Trial) -> Path:
    """Where weights that an export trained are kept, by all that they depend on: the search's folder has its own."""
    identity = f"{digest(setup.fingerprint)} {trial.config} {trial.seed} {len(trial.curve)}"
    return setup.folder.path / "retrained" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.safetensors"


def _train_again(terminal: Terminal, setup: Setup, trial: Trial, weights: Path) -> Path:
    """The trial's weights from its seed: a search keeps only those of the front."""
    setup.evaluator.check()
    terminal.say(f"its weights were not kept: training it again, seed {trial.seed}, {len(trial.curve)} epochs")
    job = Job(trial.config, trial.seed, len(trial.curve), weights)
    (result,) = setup.evaluator.evaluate([job], lambda job, epoch, scores: False)
    if result.status is not Status.COMPLETE:
        raise ExportError(f"trial {trial.number} could not be trained again: {result.reason}")
    return weights
