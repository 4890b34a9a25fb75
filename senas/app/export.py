"""senas export: write an SE configuration and its trained weights to a folder, and check them."""

from pathlib import Path

from senas.app.folded import folding_of, left
from senas.app.schema import ExportConfig
from senas.app.show import exported, find
from senas.app.trusted import modules_of
from senas.app.weights import trained
from senas.app.wiring import set_up_again
from senas.core.trial import Trial
from senas.core.trust import suggested
from senas.errors import ConfigError
from senas.exported.card import Parity, same_loss
from senas.exported.folder import write
from senas.exported.onnx import check_installed
from senas.exported.target import replaced
from senas.report.console import Terminal
from senas.study.optuna import read_trials
from senas.training.folding import Folding

FORMATS = ("torch", "onnx")


def main(config: ExportConfig) -> None:
    """Writes se.yaml, weights.safetensors and README.md (format=onnx: model.onnx too), reloads them, and compares
    predictions on the validation images; with `fold`, of the network without the gates that may as well be constant."""
    terminal = Terminal()
    if config.format not in FORMATS:
        raise ConfigError(f'format must be one of {", ".join(FORMATS)}, got "{config.format}"')
    onnx = config.format == "onnx"
    if onnx:
        check_installed()
    setup = set_up_again(config.root, config.study.name, config.trust)
    name = setup.folder.name if config.fold is None else f"{setup.folder.name}-folded"  # beside what was not folded
    folder = Path(config.to or Path("exported") / name)
    trials = read_trials(setup.folder.name, setup.storage, setup.space)
    findings = find(setup, trials, config.pick, config.objective.penalty, config.study.margin)
    picked, why, decided = findings.pick
    package = exported(setup, trials, findings)
    before = replaced(folder, package.provenance, overwrite=config.overwrite)
    terminal.say(f"trial {picked.number} of {setup.folder.name}: {picked.config.words(setup.sites)} ({why})")
    net = trained(terminal, setup, picked)
    folding = folding_of(terminal, setup, picked, net, config.fold) if config.fold is not None else None
    if folding:
        net, package = folding.net, left(package, setup, picked, folding)
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
    _say_written(terminal, folder, parity, picked, folding)
    _say_how_to_load(terminal, folder, setup.config.backbone.target)
    if not decided:
        terminal.warn(f"trial {picked.number} only leads: what the study recommends is undecided at this budget")


def _say_written(terminal: Terminal, folder: Path, parity: Parity, picked: Trial, folding: Folding | None) -> None:
    onnx = parity.onnx_images is not None
    files = ["se.yaml", "weights.safetensors", *(["model.onnx"] if onnx else [])]
    study = f"the study measured {picked.scores['val_loss']:.4f}, {picked.scores['val_accuracy']:.2%}"
    lines = [
        f"wrote {folder}/{', '.join(files)} and README.md",
        f"reloaded and compared on {parity.images:,} validation images: largest difference of a logit "
        f"{parity.difference:.3g}; validation loss {parity.val_loss:.4f}, accuracy {parity.val_accuracy:.2%} "
        f"({'before it was folded, ' if folding and folding.folded else ''}{study})",
    ]
    if onnx:
        lines.append(
            f"model.onnx with onnxruntime on {parity.onnx_images:,} of them, in batches of 1, 4 and 7: largest "
            f"difference of a logit {parity.onnx_difference:.3g}"
        )
    terminal.say("\n".join(lines))
    if not same_loss(folding.before.loss if folding else parity.val_loss, picked.scores["val_loss"]):
        terminal.warn("these weights do not score what the study measured: another machine, precision or version?")


def _say_how_to_load(terminal: Terminal, folder: Path, target: str | None) -> None:
    trust = f', trust="{suggested(target)}"' if target else ""
    terminal.say(
        f"\nin Python:\n"
        f'  net = senas.load("{folder}"{trust})\n'
        f'  about = senas.read("{folder}")  # mean, std, classes, shape, scores\n'
        f'  net = senas.insert_se(your_network, "{folder}/se.yaml", example_input)'
    )
