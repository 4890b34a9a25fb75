"""The weights of a trial's network: those that the search kept, those of an earlier command, or trained again."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from senas.app.evaluators import trainer_of_one
from senas.app.fingerprint import digest
from senas.app.wiring import Setup
from senas.core.trial import Job, Status, Trial
from senas.errors import ExportError
from senas.exported.network import with_weights
from senas.report.console import Terminal
from senas.study.loop import weights_path


def trained(terminal: Terminal, setup: Setup, trial: Trial) -> Any:
    """The trial's network with its weights. Raises ExportError where it has to be trained again and cannot be."""
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
            partial = kept.with_suffix(f".{os.getpid()}.partial")  # another export may write the same at the same time
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
    """The trial's weights from its seed: a search keeps what `app/kept` says."""
    setup.evaluator.check()
    terminal.say(f"its weights were not kept: training it again, seed {trial.seed}, {len(trial.curve)} epochs")
    job = Job(trial.config, trial.seed, len(trial.curve), weights)
    config = setup.config
    pruned = bool(config.pruner.get("_target_"))
    evaluator = trainer_of_one(setup.evaluator, config.evaluator, config.study.trials, pruned=pruned)
    (result,) = evaluator.evaluate([job], lambda job, epoch, scores: False)
    if result.status is not Status.COMPLETE:
        raise ExportError(f"trial {trial.number} could not be trained again: {result.reason}")
    return weights
