"""What can be checked of a configuration before torch is imported, which takes seconds. Nothing is written."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from senas.app.paths import StudyFolder, conf_dir
from senas.app.schema import (
    BackboneConfig,
    EvaluatorConfig,
    ExplainConfig,
    LatencyConfig,
    ObjectiveConfig,
    SearchConfig,
    SitesConfig,
    SpaceConfig,
    StudyConfig,
    TrackingConfig,
    TrainConfig,
    TrainerConfig,
)
from senas.core.address import hidden, silence
from senas.core.backbone import Backbone
from senas.core.block import Activation, Gate, Init, Placement, Squeeze, member
from senas.core.constraint import Constraints
from senas.core.latency import Timing
from senas.core.objective import Penalized
from senas.core.recipe import Device, Recipe
from senas.core.sampling import SAMPLINGS
from senas.core.screening import FEWEST
from senas.core.space import Axes
from senas.core.trust import packages
from senas.core.verdict import PICKS
from senas.errors import ConfigError

SEARCHING = ("search", "audit")
"""Commands that take the configuration of a search."""
EVALUATORS = ("standalone", "fused", "supernet")
TOGETHER = ("measured", "always")
"""When the evaluator `fused` trains several as one network."""
ANSWER_SECONDS = 4.0
"""How long a server may take to answer at all."""


def check(command: str, config: Any) -> None:
    """Raises SenasError for the first key that no command of this kind can accept."""
    if command in SEARCHING:
        _study(config.study)
        _audit(config)
    elif command in ("front", "export"):
        _margin(config.study.margin)
        _penalty(config.objective.penalty)
        _fold(getattr(config, "fold", None))
    elif command == "report":
        _margin(config.study.margin)
        _latency_within(config.latency_within)
    elif command == "explain":
        _explain(config)
    elif command == "train":
        _seeds(config)
    elif command == "dashboard" and not 0 <= config.port < 65536:
        raise ConfigError(f"port must be between 0 and 65535, got {config.port}")
    packages(getattr(config, "trust", ()))
    if not config.root.strip():
        raise ConfigError("root is empty; name the folder that everything is written to")
    if trainer := getattr(config, "trainer", None):
        _trainer(trainer)
        recipe(trainer)
        device(trainer)
    if trains := getattr(config, "evaluator", None):
        evaluator(trains)
    if space := getattr(config, "space", None):
        axes(space)
        constraints(space)
    if latency := getattr(config, "latency", None):
        timing(latency)
    if command == "sites":
        shape(config)
    if network := getattr(config, "backbone", None):
        backbone(network)
    if command in SEARCHING:
        _objective(config.objective)
    if tracking := getattr(config, "tracking", None):
        _tracking(tracking)


def evaluator(config: EvaluatorConfig) -> None:
    """Raises ConfigError for an evaluator that is not there, or the first of its keys that cannot be."""
    if config.name not in EVALUATORS:
        raise ConfigError(f'evaluator.name: there is no "{config.name}"; there are {", ".join(EVALUATORS)}')
    if config.workers is not None and config.workers < 1:
        raise ConfigError(f"evaluator.workers must be at least 1, or null to have senas choose, got {config.workers}")
    if config.members < 2:
        raise ConfigError(
            f"evaluator.members must be at least 2, got {config.members}; evaluator=standalone trains each by itself"
        )
    if config.together not in TOGETHER:
        raise ConfigError(f'evaluator.together must be one of {", ".join(TOGETHER)}, got "{config.together}"')
    _screening(config)


def _screening(config: EvaluatorConfig) -> None:
    if config.trainings < FEWEST:
        raise ConfigError(
            f"evaluator.trainings must be at least {FEWEST}, got {config.trainings}; with fewer stand-alone trainings "
            "nobody can tell what a ranking is worth"
        )
    if not 0 < config.keep < 1:
        raise ConfigError(
            f"evaluator.keep must be between 0 and 1, got {config.keep:g}; evaluator=standalone trains every proposal"
        )
    if config.sampling not in SAMPLINGS:
        raise ConfigError(f'evaluator.sampling must be one of {", ".join(SAMPLINGS)}, got "{config.sampling}"')
    if config.distill and config.sampling != "sandwich":
        raise ConfigError(
            "evaluator.distill=true goes with evaluator.sampling=sandwich, whose largest configuration the others "
            f"learn from; got {config.sampling}"
        )
    if config.epochs is not None and config.epochs < 1:
        raise ConfigError(f"evaluator.epochs must be at least 1, or null for as many as a trial's, got {config.epochs}")


def check_surroundings(command: str, config: Any) -> None:
    """Raises StudyError for a study that is not there, ConfigError within seconds for a server that does not answer."""
    if command in ("resume", "front", "effects", "export") or (command == "explain" and config.study.name is not None):
        StudyFolder(Path(config.root), config.study.name).existing()
    if (storage := getattr(config, "storage", None)) and storage.url:
        _answers("storage.url", storage.url, "leave storage.url out for a file")
    tracking = getattr(config, "tracking", None)
    if tracking and tracking.name == "mlflow" and tracking.uri:
        _answers("tracking.uri", tracking.uri, "keep the record in a file: tracking.uri=sqlite:///mlflow.db")


def axes(space: SpaceConfig) -> Axes:
    """The axes of a search space. Raises SpaceError for a word or a number that none can have."""
    return Axes(
        sites=tuple(space.sites),
        per=space.per,
        reduction=tuple(space.reduction),
        placement=tuple(member(Placement, word, "space.placement") for word in space.placement),
        squeeze=tuple(member(Squeeze, word, "space.squeeze") for word in space.squeeze),
        gate=_gates(space),
        activation=tuple(member(Activation, word, "space.activation") for word in space.activation),
        bias=tuple(space.bias),
        optional=space.optional,
    )


def constraints(space: SpaceConfig) -> Constraints:
    """What networks may cost. Raises SpaceError for what is no bound."""
    return Constraints.parse({} if space.constraints is None else space.constraints)


def timing(latency: LatencyConfig) -> Timing:
    """How latency is measured. Raises ConfigError for a value that none can have."""
    return Timing(**{**asdict(latency), "hardware": latency.hardware or ""})


def shape(config: SitesConfig) -> tuple[int, int, int] | None:
    """Of the images to come, where the data are not to be read. Raises ConfigError for what no image has."""
    if config.shape is None:
        if config.classes is not None:
            raise ConfigError("classes goes with shape, as in shape=[3,224,224]; without it the data have their own")
        return None
    sides = config.shape if isinstance(config.shape, list | tuple) else []
    if len(sides) != 3 or not all(type(side) is int and side >= 1 for side in sides):
        raise ConfigError(
            f"shape must be [channels,height,width], whole numbers of at least 1, as in [3,224,224]; got {config.shape}"
        )
    if config.classes is not None and config.classes < 1:
        raise ConfigError(f"classes must be at least 1, got {config.classes}")
    if config.backbone.size is not None:
        raise ConfigError(
            f"shape says how large images are, and backbone.size too, {config.backbone.size}; leave one of them out"
        )
    return sides[0], sides[1], sides[2]


def _gates(space: SpaceConfig) -> tuple[Gate, ...]:
    gates = tuple(member(Gate, word, "space.gate") for word in space.gate)
    return gates if init(space.init, "space.init") is Init.DEFAULT else (Gate.TWICE_SIGMOID,)


def init(word: str, key: str = "init") -> Init:
    """How blocks begin. Raises SpaceError, naming the key, for another word."""
    return member(Init, word, key)


def backbone(config: BackboneConfig) -> Backbone:
    """Which network it is. Raises ConfigError for a value that none can have."""
    told: dict[str, Any] = {**asdict(config), "size": _size(config.size)}
    return Backbone(**told | {key: tuple(told[key]) for key in ("leaves", "modules")})


def _size(given: Any) -> tuple[int, int] | None:
    sides = given if isinstance(given, list | tuple) else [given, given]
    if given is None:
        return None
    if len(sides) != 2 or not all(type(side) is int for side in sides):
        raise ConfigError(f"backbone.size must be a whole number, or two as [height,width], got {given}")
    return sides[0], sides[1]


def recipe(trainer: TrainerConfig) -> Recipe:
    """How networks are trained. Raises ConfigError for a value that none can have."""
    return Recipe(
        optimizer=trainer.optimizer,
        lr=trainer.lr,
        weight_decay=trainer.weight_decay,
        schedule=trainer.schedule,
        label_smoothing=trainer.label_smoothing,
        channels_last=trainer.channels_last,
        average=trainer.average,
        clip=trainer.clip,
        accumulate=trainer.accumulate,
        flip=trainer.flip,
        crop=trainer.crop,
    )


def device(trainer: TrainerConfig) -> Device:
    """Where they are trained. Raises ConfigError for a value that none can have."""
    return Device(
        accelerator=trainer.accelerator,
        precision=trainer.precision,
        compile=trainer.compile,
        threads=trainer.threads,
    )


def _study(study: StudyConfig) -> None:
    if study.trials < 1:
        raise ConfigError(f"study.trials must be at least 1, got {study.trials}")
    if not 0 <= study.seed < 2**63:
        raise ConfigError(f"study.seed must be at least 0 and below 2^63, got {study.seed}")
    if study.seeds is not None and study.seeds < 1:
        raise ConfigError(f"study.seeds must be at least 1, got {study.seeds}; null leaves it to the sampler")
    if study.confirm is not None and study.confirm < 0:
        raise ConfigError(f"study.confirm must be at least 0, got {study.confirm}; 0 trains nothing again")
    _margin(study.margin)
    if study.name is not None:
        StudyFolder(Path(), study.name)


def full_epochs() -> int:
    """The length of trainer=full."""
    return int(yaml.safe_load((conf_dir() / "trainer" / "full.yaml").read_text())["epochs"])


def _audit(config: SearchConfig) -> None:
    audit, short = config.audit, config.trainer.epochs
    if audit.configs < 2:
        raise ConfigError(f"audit.configs must be at least 2, got {audit.configs}; one alone differs from nothing")
    if audit.seeds < 2:
        raise ConfigError(f"audit.seeds must be at least 2, got {audit.seeds}; one alone shows no noise")
    if audit.full and short >= (full := full_epochs()):
        raise ConfigError(f"audit.full compares trainer.epochs with the {full} of trainer=full, got {short}; lower it")


def _seeds(config: TrainConfig) -> None:
    init(config.init)
    if config.seeds < 1:
        raise ConfigError(f"seeds must be at least 1, got {config.seeds}")
    if not 0 <= config.first_seed < 2**62:
        raise ConfigError(f"first_seed must be at least 0 and below 2^62, got {config.first_seed}")
    if config.name is not None:
        StudyFolder(Path(), config.name, "name")


def _explain(config: ExplainConfig) -> None:
    _margin(config.study.margin)
    _penalty(config.objective.penalty)
    if (config.study.name is None) == (config.se is None):
        both = "both were given" if config.se else "neither was given"
        raise ConfigError(f"study.name or se says what to explain, and {both}: study.name=NAME, or se=exported/NAME")
    if config.se is not None and not config.se.strip():
        raise ConfigError("se is empty; name a folder that `senas export` wrote")
    for key, given in (("pick", config.pick), ("objective.penalty", config.objective.penalty)):
        if config.se is not None and given is not None:
            raise ConfigError(f"{key} picks a trial of a study, and se={config.se} is one already; leave it out")
    if config.data and config.se is None:
        raise ConfigError("data goes with se=DIR; a study is explained on its own data")
    _latency_within(config.latency_within)


def _latency_within(seconds: float) -> None:
    if not seconds >= 0:
        raise ConfigError(f"latency_within must be at least 0 seconds, got {seconds:g}")


def _margin(margin: float | None) -> None:
    if margin is not None and not margin >= 0:
        raise ConfigError(f"study.margin must be at least 0, got {margin}")


def _fold(most: float | None) -> None:
    if most is not None and not 0 <= most < math.inf:
        raise ConfigError(
            f"fold must be at least 0, how much the validation loss may rise, got {most:g}; null folds nothing"
        )


def _penalty(penalty: float | None) -> None:
    if penalty is not None:
        Penalized(penalty, 1)


def _trainer(trainer: TrainerConfig) -> None:
    if trainer.epochs < 1:
        raise ConfigError(f"trainer.epochs must be at least 1, got {trainer.epochs}")
    if trainer.batch_size < 1:
        raise ConfigError(f"trainer.batch_size must be at least 1, got {trainer.batch_size}")


def _objective(objective: ObjectiveConfig) -> None:
    if objective.name == "penalized":
        _penalty(objective.penalty)
    if objective.pick not in PICKS:
        raise ConfigError(f'objective.pick must be one of {", ".join(PICKS)}, got "{objective.pick}"')


def _tracking(tracking: TrackingConfig) -> None:
    if tracking.name not in ("mlflow", "none"):
        raise ConfigError(f'tracking.name: there is no "{tracking.name}"; there are mlflow, none')
    if tracking.name == "mlflow" and not tracking.experiment.strip():
        raise ConfigError("tracking.experiment is empty; name the MLflow experiment, such as senas")


def _answers(key: str, address: str, way_out: str) -> None:
    if why := silence(address, ANSWER_SECONDS):
        raise ConfigError(
            f"{key}: nothing answers at {hidden(address)} ({why}); start its server ({_start(address)}), or {way_out}"
        )


def _start(address: str) -> str:
    if address.startswith("postgres"):
        return "`pg_ctl start` or `service postgresql start`"
    if address.startswith("http"):
        return "`mlflow server --backend-store-uri sqlite:///mlflow.db`, or `senas dashboard`"
    return "as its manual says"
