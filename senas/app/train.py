"""senas train: SE configurations at full length, several seeds each, compared on the test part."""

from collections.abc import Sequence
from functools import partial

import yaml

from senas.app.contenders import Training, training_of
from senas.app.evaluators import evaluator_of
from senas.app.fingerprint import digest
from senas.app.paths import write_whole
from senas.app.recording import begin_log, open_recorder
from senas.app.schema import TrainConfig
from senas.app.show import built, split_of
from senas.core.comparison import Comparison, LossOnTest
from senas.core.ports import Recorder
from senas.core.seeds import Seeds
from senas.core.trial import Job, Trial
from senas.core.trust import module_of
from senas.errors import ConfigError, EvaluationError, SenasError
from senas.exported.folder import write
from senas.exported.network import with_weights
from senas.exported.package import Exported
from senas.report.comparison import comparison_png, csv_text, differences_table, markdown, means_table, verdicts
from senas.report.console import Terminal
from senas.report.time_left import duration
from senas.report.training import TrainingProgress
from senas.study.interrupt import Interrupt
from senas.study.loop import Plan, Search, weights_path
from senas.study.schedule import RESULTS, Schedule


def main(config: TrainConfig) -> None:
    """Trains what is missing, and shows the comparison."""
    run(config)


def run(config: TrainConfig) -> tuple[Training, Comparison]:
    """`main`, and the comparison as it stands when everything is trained."""
    terminal = Terminal()
    training = training_of(config)
    training.evaluator.check()
    if config.evaluator.name == "supernet":
        raise ConfigError(
            "evaluator=supernet: everything here is to be trained, and nothing to be screened; evaluator=standalone"
        )
    if config.evaluator.name == "fused":
        raise ConfigError(
            "evaluator=fused: each training here is saved after every epoch, which those of one network together are "
            "not; evaluator=standalone"
        )
    evaluator = evaluator_of(training.evaluator, config.evaluator, len(training.jobs), terminal.say)
    with Interrupt() as interrupt, training.folder.locked() as fresh:
        folder = training.folder.path
        try:
            proposer = Schedule(file=folder / RESULTS, jobs=training.jobs, fingerprint=training.fingerprint)
            write_whole(folder / "train.yaml", yaml.safe_dump(training.shown(), sort_keys=False).encode())
            recorder = _recorder(training, terminal)
        except (SenasError, OSError):
            if fresh:
                training.folder.remove()
            raise
        begin_log(terminal, folder / "log.txt")
        known = proposer.trials()
        plan = Plan(
            trials=len(training.jobs),
            epochs=config.trainer.epochs,
            size=None,
            seeds=Seeds(config.first_seed, config.seeds),
            weights=training.folder.weights,
            objective=LossOnTest(),
            standing=partial(training.comparison, others=[trial.number for trial in proposer.done]),
            checkpoints=folder / "checkpoints",
            test=True,
        )
        progress = TrainingProgress(
            terminal,
            total=len(training.jobs),
            sites=training.sites,
            bar=config.progress,
            contenders=training.contenders,
        )
        search = Search(plan, proposer, evaluator, recorder, progress, trials=known)
        finished = False
        try:
            _greet(terminal, training, known)
            with progress:
                for trial in recorder.missing(known):
                    recorder.record(trial, (), float("nan"))
                search.run(interrupt)
            finished = True
        except Exception as error:
            terminal.note_error(error)
            error.add_note(f"The log of this run: {folder / 'log.txt'}")
            raise
        finally:
            with interrupt.shield():
                _conclude(training, search.trials, recorder, finished=finished)
                if not finished:
                    terminal.say(
                        f"stopped with {len(search.trials)} of {plan.trials} trainings done. The same command goes on, "
                        "within a training too."
                    )
        comparison = training.comparison(search.trials)
        _show(terminal, training, comparison)
        _export(terminal, training, comparison)
    return training, comparison


def _recorder(training: Training, terminal: Terminal) -> Recorder:
    from senas.app.recorded import parts_used

    return open_recorder(
        training.config.tracking,
        training.folder,
        training.shown(),
        terminal,
        sites=training.sites,
        largest_params=max(1, *(config.params(training.sites) for config in training.contenders.values())),
        objective=LossOnTest().names,
        data=parts_used(training.source, training.data, training.fingerprint, test=True),
        contenders=training.contenders,
    )


def _greet(terminal: Terminal, training: Training, known: Sequence[Trial]) -> None:
    config, data = training.config, training.data
    lines = [
        f"{training.folder.name} in {training.folder.path}",
        f"{len(training.contenders)} configurations x {config.seeds} seeds x {config.trainer.epochs} epochs on "
        f"{data.counts.train:,} training images, measured at the end on {training.tested_on}",
        *(f"  {name}: {se.words(training.sites)}" for name, se in training.contenders.items()),
        *training.notes,
    ]
    lines += [f"{len(known)} of {len(training.jobs)} trainings are there already"] if known else []
    terminal.say("\n".join(lines))


def _conclude(training: Training, trials: list[Trial], recorder: Recorder, *, finished: bool) -> None:
    comparison = training.comparison(trials)
    if not comparison.measured:
        recorder.conclude(finished=finished, front=(), description="No training has finished yet.", files={})
        return
    table = csv_text(comparison, training.sites)
    text = markdown(comparison, training.sites)
    png = comparison_png(comparison, title=training.folder.name)
    folder = training.folder.path
    write_whole(folder / "comparison.csv", table.encode())
    write_whole(folder / "comparison.md", f"{text}\n".encode())
    write_whole(folder / "comparison.png", png)
    config = training.config
    description = (
        f"SE configurations on **{training.backbone.name}**, trained {config.trainer.epochs} epochs with the same "
        f"seeds each, and measured on {training.tested_on}.\n\n{text}"
    )
    files = {"comparison.csv": table.encode(), "comparison.png": png}
    recorder.conclude(finished=finished, front=(), description=description, files=files)


def _show(terminal: Terminal, training: Training, comparison: Comparison) -> None:
    seconds = sum(trial.seconds for trial in comparison.trials)
    terminal.say(f"\n{len(comparison.trials)} trainings in {duration(seconds)}")
    if not comparison.measured:
        raise EvaluationError("every training failed; lower trainer.lr")
    terminal.show(means_table(comparison, training.sites))
    if comparison.pairs():
        terminal.show(differences_table(comparison))
        terminal.say("\n".join(verdicts(comparison)))


def _export(terminal: Terminal, training: Training, comparison: Comparison) -> None:
    """The first seed's network of each contender. Not the best seed's: that one would be lucky."""
    for name in comparison.contenders:
        trials = comparison.of(name)
        if not trials:
            continue
        first = trials[0]
        folder = training.folder.path / "trained" / name
        network = training.evaluator.network(Job(first.config, first.seed, len(first.curve)))
        net = with_weights(network, weights_path(training.folder.weights, first.number))
        images = training.data.test_dataloader()
        target = training.backbone.target
        trust = [module_of(target)] if target else []
        write(folder, _package(training, first, name), training.sites, net, images, part="test", trust=trust)
        terminal.say(f"{name}: the network of seed {first.seed} is in {folder}")


def _package(training: Training, trial: Trial, name: str) -> Exported:
    data = training.data
    return Exported(
        config=trial.config,
        backbone=built(training.backbone, data),
        shape=data.shape,
        mean=tuple(round(float(value), 8) for value in data.mean),
        std=tuple(round(float(value), 8) for value in data.std),
        classes=data.classes,
        scores=dict(trial.scores),
        provenance={
            "trained_by": f"senas train, {training.folder.name}",
            "contender": name,
            "data": training.source["name"],
            **split_of(training.source),
            "seed": trial.seed,
            "epochs": len(trial.curve),
            **({"initial_weights": training.initial} if training.initial else {}),
            "setting": digest(training.fingerprint)[:12],
        },
    )
