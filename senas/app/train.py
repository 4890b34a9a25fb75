"""senas train: SE configurations at full length, several seeds each, compared on the test part."""

import platform
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from senas.app.paths import MlflowStore, StudyFolder, conf_dir
from senas.app.schema import BackboneConfig, TrainConfig
from senas.app.search import PACKAGES, _NoRecord
from senas.app.wiring import bench, digest, flatten, setting_of
from senas.core.comparison import Comparison, TestLoss
from senas.core.config import SEConfig
from senas.core.ports import Recorder
from senas.core.site import Site
from senas.core.trial import Job, Trial
from senas.errors import ConfigError, EvaluationError
from senas.exported.folder import write
from senas.exported.network import with_weights
from senas.exported.package import Exported, read
from senas.model.sites import Traced
from senas.report.comparison import comparison_png, csv_text, differences_table, markdown, means_table, verdicts
from senas.report.console import Terminal
from senas.report.progress import duration
from senas.report.training import TrainingProgress
from senas.study.interrupt import Interrupt
from senas.study.loop import Plan, Search, weights_path
from senas.study.schedule import Schedule
from senas.training.data import ImageData
from senas.training.standalone import Standalone

BASELINES = ("none", "all16")


@dataclass(frozen=True, slots=True)
class Training:
    """The parts of one comparison of trainings."""

    config: TrainConfig
    folder: StudyFolder
    fingerprint: Mapping[str, object]
    data: ImageData
    traced: Traced
    evaluator: Standalone
    contenders: Mapping[str, SEConfig]
    backbone: BackboneConfig
    notes: Sequence[str]

    @property
    def sites(self) -> tuple[Site, ...]:
        return self.traced.sites

    def comparison(self, trials: list[Trial]) -> Comparison:
        return Comparison(
            trials=trials,
            objective=TestLoss(),
            classes=len(self.data.classes),
            largest_params=max(config.params(self.sites) for config in self.contenders.values()),
            contenders=self.contenders,
        )

    @property
    def jobs(self) -> list[tuple[SEConfig, int]]:
        """Seed by seed, so that a comparison that is broken off has pairs."""
        seeds = range(self.config.first_seed, self.config.first_seed + self.config.seeds)
        return [(config, seed) for seed in seeds for config in self.contenders.values()]


def main(config: TrainConfig) -> None:
    """Trains what is missing, and shows the comparison."""
    run(config)


def run(config: TrainConfig) -> Comparison:
    """The comparison as it stands when everything is trained."""
    terminal = Terminal()
    training = _set_up(config)
    training.evaluator.check()
    with Interrupt() as interrupt, training.folder.locked():
        folder = training.folder.path
        proposer = Schedule(file=folder / "results.jsonl", jobs=training.jobs, fingerprint=training.fingerprint)
        (folder / "train.yaml").write_text(yaml.safe_dump(_resolved(training), sort_keys=False))
        recorder = _recorder(training, terminal)
        known = proposer.trials()
        plan = Plan(
            trials=len(training.jobs),
            epochs=config.trainer.epochs,
            size=len(training.contenders) + 1,
            weights=training.folder.weights,
            objective=TestLoss(),
            standing=training.comparison,
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
        search = Search(plan, proposer, training.evaluator, recorder, progress, trials=known)
        finished = False
        try:
            _greet(terminal, training, known)
            with progress:
                for trial in recorder.missing(known):
                    recorder.record(trial, (), float("nan"))
                search.run(interrupt)
            finished = True
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
    return comparison


def _set_up(config: TrainConfig) -> Training:
    """Everything the trainings need. Writes nothing; mistakes end here."""
    if config.seeds < 1:
        raise ConfigError(f"seeds must be at least 1, got {config.seeds}")
    if not 0 <= config.first_seed < 2**62:
        raise ConfigError(f"first_seed must be at least 0 and below 2^62, got {config.first_seed}")
    wanted = _names("se", config.se) + [name for name in config.against if name not in _names("se", config.se)]
    packages = {name: read(name) for name in wanted if name not in BASELINES}
    if bad := [name for name in config.against if name in packages and not Path(name).exists()]:
        raise ConfigError(f'against: there is no "{bad[0]}"; it takes {", ".join(BASELINES)} and exported folders')
    backbone = _backbone(config, packages)
    data = _data(config, packages)
    images, traced, evaluator = bench(backbone, data, config.trainer)
    contenders, notes = _contenders(wanted, packages, traced.sites)
    seeds = range(config.first_seed, config.first_seed + config.seeds)
    for name, package in packages.items():
        if package.provenance.get("seed") in seeds:
            notes.append(
                f"{name} was chosen by seed {package.provenance['seed']}, which is among these: it flatters it there; "
                "another first_seed would not"
            )
    parts = {"data": data, "backbone": asdict(backbone), "trainer": asdict(config.trainer)}
    fingerprint = setting_of(parts)
    name = config.name or f"train-{data['name']}-{backbone.name}-{digest(fingerprint)[:6]}"
    return Training(
        config=config,
        folder=StudyFolder(Path(config.root), name),
        fingerprint=fingerprint,
        data=images,
        traced=traced,
        evaluator=evaluator,
        contenders=contenders,
        backbone=backbone,
        notes=notes,
    )


def _names(key: str, given: Any) -> list[str]:
    names = given if isinstance(given, list) else [given]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"{key} must be an exported folder, none, all16, or a list of these, got {given}")
    return list(dict.fromkeys(names))


def _backbone(config: TrainConfig, packages: Mapping[str, Exported]) -> BackboneConfig:
    """The one that was asked for, else the one that the configurations were exported with."""
    if not config.backbone:
        found = {name: _built(package.backbone) for name, package in packages.items()}
        first = next(iter(found), None)
        if first is None:
            raise ConfigError("backbone must be given where no exported configuration names one: backbone=resnet20")
        if other := next((name for name in found if found[name] != found[first]), None):
            raise ConfigError(
                f"se: {first} is for {found[first]['name']}, {other} for {found[other]['name']}; name the backbone "
                "for both: backbone=..."
            )
        return BackboneConfig(**found[first])
    made: BackboneConfig = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(BackboneConfig), config.backbone))  # type: ignore[assignment]
    return made


def _built(backbone: Mapping[str, Any]) -> dict[str, Any]:
    """What `conf/backbone` says of it: classes and channels come from the data."""
    return {"name": backbone["name"], "width": backbone.get("width")}


def _data(config: TrainConfig, packages: Mapping[str, Exported]) -> dict[str, Any]:
    """Those that were asked for, else those that the configurations were found on."""
    if "name" in config.data:
        return config.data
    found = [_data_of(Path(config.root), package) for package in packages.values()]
    if not found:
        raise ConfigError("data must be given where no exported configuration names them: data=fashion_mnist")
    if any(data != found[0] for data in found):
        raise ConfigError("se: these configurations were found on different data; name those to train on: data=...")
    return {**found[0], **config.data}


def _data_of(root: Path, package: Exported) -> dict[str, Any]:
    """From the study's folder where it is still there: it knows where the images lie. Else from the export."""
    study = str(package.provenance.get("study", ""))
    launched = root / study / "config.yaml"
    if study and launched.is_file():
        data: dict[str, Any] = yaml.safe_load(launched.read_text())["data"]
        return data
    name = str(package.provenance.get("data", ""))
    default = conf_dir() / "data" / f"{name}.yaml"
    if Path(name).name != name or not default.is_file():
        raise ConfigError(f'data must be given: the export says "{name}", which senas does not know by that name')
    return {**yaml.safe_load(default.read_text()), **dict(package.provenance.get("data_options", {}))}


def _contenders(
    wanted: Sequence[str], packages: Mapping[str, Exported], sites: tuple[Site, ...]
) -> tuple[dict[str, SEConfig], list[str]]:
    """SE configurations by the name they are shown under, baselines first; equal ones once, and what is to be said."""
    known = {"none": SEConfig(), "all16": SEConfig.everywhere(sites, 16)}
    contenders: dict[str, SEConfig] = {}
    notes = []
    for name in sorted(wanted, key=lambda name: BASELINES.index(name) if name in BASELINES else len(BASELINES)):
        config = known[name] if name in known else packages[name].config
        config.params(sites)  # raises where the backbone has not these sites, or not these placements
        label = name if name in known else _label(name, contenders)
        if same := next((other for other in contenders if contenders[other] == config), None):
            notes.append(f"{label} is the same configuration as {same}: trained once, shown as {same}")
        else:
            contenders[label] = config
    return contenders, notes


def _label(name: str, taken: Mapping[str, SEConfig]) -> str:
    path = Path(name)
    short = path.parent.name if path.is_file() else path.name
    return short if short and short not in taken else name


def _resolved(training: Training) -> dict[str, Any]:
    config = training.config
    return {
        **asdict(config),
        "name": training.folder.name,
        "backbone": asdict(training.backbone),
        "contenders": {name: se.plain() for name, se in training.contenders.items()},
    }


def _recorder(training: Training, terminal: Terminal) -> Recorder:
    tracking = training.config.tracking
    if tracking.name == "none":
        return _NoRecord()
    from senas.record.mlflow import MlflowRecorder

    store = MlflowStore(training.folder.root)
    resolved = _resolved(training)
    with nullcontext() if tracking.uri else store.locked():
        return MlflowRecorder.open(
            tracking.uri or store.uri,
            artifacts=None if tracking.uri else store.artifacts,
            experiment=tracking.experiment,
            study=training.folder.name,
            params=flatten(resolved),
            config_yaml=yaml.safe_dump(resolved, sort_keys=False),
            versions={"python": platform.python_version(), **{package: version(package) for package in PACKAGES}},
            sites=training.sites,
            largest_params=max(1, *(config.params(training.sites) for config in training.contenders.values())),
            objective=TestLoss().names,
            warn=terminal.warn,
        )


def _greet(terminal: Terminal, training: Training, known: Sequence[Trial]) -> None:
    config, data = training.config, training.data
    lines = [
        f"{training.folder.name} in {training.folder.path}",
        f"{len(training.contenders)} configurations x {config.seeds} seeds x {config.trainer.epochs} epochs on "
        f"{data.counts.train:,} training images, measured at the end on "
        f"{data.counts.test:,} test images that no search saw",
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
    (folder / "comparison.csv").write_text(table)
    (folder / "comparison.md").write_text(f"{text}\n")
    (folder / "comparison.png").write_bytes(png)
    config = training.config
    description = (
        f"SE configurations on **{training.backbone.name}**, trained {config.trainer.epochs} epochs with the same "
        f"seeds each, and measured on {training.data.counts.test:,} test images that no search saw.\n\n{text}"
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
        folder = training.folder.path / "trained" / Path(name).name
        network = training.evaluator.network(Job(first.config, first.seed, len(first.curve)))
        net = with_weights(network, weights_path(training.folder.weights, first.number))
        write(folder, _package(training, first, name), training.sites, net, training.data.test_dataloader())
        terminal.say(f"{name}: the network of seed {first.seed} is in {folder}")


def _package(training: Training, trial: Trial, name: str) -> Exported:
    data, width = training.data, training.backbone.width
    built = {"name": training.backbone.name, "classes": len(data.classes), "channels": data.shape[0]}
    return Exported(
        config=trial.config,
        backbone=built if width is None else {**built, "width": width},
        shape=data.shape,
        mean=tuple(round(float(value), 8) for value in data.mean),
        std=tuple(round(float(value), 8) for value in data.std),
        classes=data.classes,
        scores=dict(trial.scores),
        provenance={
            "trained_by": f"senas train, {training.folder.name}",
            "contender": name,
            "seed": trial.seed,
            "epochs": len(trial.curve),
            "setting": digest(training.fingerprint)[:12],
        },
    )
