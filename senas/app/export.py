"""senas export: write an SE configuration and its trained weights to a folder, and check them."""

import tempfile
from pathlib import Path

from senas.app.schema import ExportConfig
from senas.app.show import exported
from senas.app.wiring import Setup, set_up_again
from senas.core.trial import Job, Status, Trial
from senas.errors import ExportError
from senas.exported.folder import refuse_foreign, write
from senas.exported.network import with_weights
from senas.report.console import Terminal
from senas.study.loop import weights_path
from senas.study.optuna import read_trials


def main(config: ExportConfig) -> None:
    """Writes se.yaml and weights.safetensors, reloads them, and compares predictions on the validation images."""
    terminal = Terminal()
    setup = set_up_again(config.root, config.study.name)
    folder = Path(config.to or Path("exported") / setup.folder.name)
    refuse_foreign(folder)
    trials = read_trials(setup.folder.name, setup.storage, setup.space)
    standing = setup.standing(trials, config.objective.penalty, config.study.margin)
    picked, why = standing.pick(config.pick or setup.config.objective.pick)
    terminal.say(f"trial {picked.number} of {setup.folder.name}: {picked.config.words(setup.sites)} ({why})")
    job = Job(picked.config, picked.seed, len(picked.curve))
    with tempfile.TemporaryDirectory() as spare:
        weights = weights_path(setup.folder.weights, picked.number)
        if not weights.exists():
            weights = _train_again(terminal, setup, picked, Path(spare) / weights.name)
        net = with_weights(setup.evaluator.network(job), weights)
    parity = write(folder, exported(setup, picked, why), setup.sites, net, setup.data.val_dataloader())
    terminal.say(
        f"wrote {folder}/se.yaml and weights.safetensors\n"
        f"reloaded and compared on {parity.images:,} validation images: largest difference of a logit "
        f"{parity.difference:.3g}; validation loss {parity.val_loss:.4f}, accuracy {parity.val_accuracy:.2%} "
        f"(the study measured {picked.scores['val_loss']:.4f}, {picked.scores['val_accuracy']:.2%})\n"
        f"\nin Python:\n"
        f'  net = senas.load("{folder}")\n'
        f'  net = senas.insert_se(your_network, "{folder}/se.yaml", example_input)'
    )


def _train_again(terminal: Terminal, setup: Setup, trial: Trial, weights: Path) -> Path:
    """The trial's weights from its seed: only those of the front are kept."""
    setup.evaluator.check()
    terminal.say(
        f"its weights were not kept, as it is not on the front: training it again, seed {trial.seed}, "
        f"{len(trial.curve)} epochs"
    )
    job = Job(trial.config, trial.seed, len(trial.curve), weights)
    (result,) = setup.evaluator.evaluate([job], lambda job, epoch, scores: False)
    if result.status is not Status.COMPLETE:
        raise ExportError(f"trial {trial.number} could not be trained again: {result.reason}")
    return weights
