"""What the configuration must look like. Hydra's result is checked against this, once.

Not frozen, because OmegaConf cannot merge into frozen dataclasses; nothing writes to them afterwards.
"""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class BackboneConfig:
    """`size` is a number or two: height and width."""

    name: str = MISSING
    library: str = "senas"
    target: str | None = None
    args: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    width: int | None = None
    size: Any = None
    strip_se: bool = False
    leaves: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)


@dataclass
class SpaceConfig:
    """`constraints` maps names to numbers, or to texts such as 12e6, which YAML takes for text."""

    sites: list[str] = MISSING
    per: str = MISSING
    reduction: list[int] = MISSING
    placement: list[str] = MISSING
    squeeze: list[str] = MISSING
    gate: list[str] = MISSING
    init: str = "default"
    activation: list[str] = MISSING
    bias: list[bool] = MISSING
    optional: bool = MISSING
    constraints: Any = None


@dataclass
class ObjectiveConfig:
    name: str = MISSING
    penalty: float = 0.0
    metric: str = "val_loss"
    mode: str | None = None
    metrics: list[str] = field(default_factory=list)
    pick: str = MISSING


@dataclass
class TrainerConfig:
    epochs: int = MISSING
    batch_size: int = MISSING
    optimizer: str = MISSING
    lr: float = MISSING
    weight_decay: float = MISSING
    schedule: str = MISSING
    label_smoothing: float = MISSING
    precision: str = MISSING
    accelerator: str = MISSING
    channels_last: bool = MISSING
    compile: bool = MISSING
    threads: int | None = None
    average: str = "none"
    clip: float | None = None
    accumulate: int = 1
    flip: bool = False
    crop: int = 0
    callbacks: list[str] = field(default_factory=list)


@dataclass
class EvaluatorConfig:
    name: str = MISSING
    workers: int | None = None
    members: int = 8
    together: str = "measured"
    trainings: int = 30
    keep: float = 0.25
    sampling: str = "sandwich"
    distill: bool = False
    epochs: int | None = None


@dataclass
class LatencyConfig:
    """`hardware` is filled in where latency is measured."""

    runtime: str = "eager"
    device: str = "cpu"
    batch_size: int = 1
    threads: int = 1
    repeats: int = 30
    hardware: str | None = None


@dataclass
class StorageConfig:
    url: str | None = None


@dataclass
class TrackingConfig:
    name: str = MISSING
    uri: str | None = None
    experiment: str = MISSING
    register: bool = True


@dataclass
class StudyConfig:
    name: str | None = None
    trials: int = MISSING
    seed: int = MISSING
    seeds: int | None = None
    confirm: int | None = None
    audit: bool = False
    margin: float = MISSING
    interactions: bool = True
    start: list[str] = MISSING


@dataclass
class AuditConfig:
    configs: int = 6
    seeds: int = 4
    full: bool = False


@dataclass
class SearchConfig:
    """`data`, `sampler` and `pruner` are checked against what they are handed to."""

    root: str = MISSING
    data: dict[str, Any] = MISSING
    backbone: BackboneConfig = MISSING
    space: SpaceConfig = MISSING
    objective: ObjectiveConfig = MISSING
    sampler: dict[str, Any] = MISSING
    pruner: dict[str, Any] = MISSING
    evaluator: EvaluatorConfig = MISSING
    latency: LatencyConfig = field(default_factory=LatencyConfig)
    trainer: TrainerConfig = MISSING
    storage: StorageConfig = MISSING
    tracking: TrackingConfig = MISSING
    study: StudyConfig = MISSING
    audit: AuditConfig = field(default_factory=AuditConfig)
    progress: bool = True


@dataclass
class Resumed:
    """None leaves it as the study has it."""

    name: str = MISSING
    trials: int | None = None
    confirm: int | None = None
    margin: float | None = None


@dataclass
class ResumeConfig:
    root: str = MISSING
    study: Resumed = MISSING
    progress: bool = True
    trust: Any = field(default_factory=list)


@dataclass
class StudyName:
    name: str = MISSING
    margin: float | None = None


@dataclass
class Rescore:
    penalty: float | None = None


@dataclass
class FrontConfig:
    """`trust` is a text or a list of texts, as in all that reads what was written before."""

    root: str = MISSING
    study: StudyName = MISSING
    objective: Rescore = MISSING
    pick: str | None = None
    trust: Any = field(default_factory=list)


@dataclass
class Named:
    name: str = MISSING


@dataclass
class EffectsConfig:
    root: str = MISSING
    study: Named = MISSING
    trust: Any = field(default_factory=list)


@dataclass
class ReportConfig:
    root: str = MISSING
    study: StudyName = MISSING
    pick: str | None = None
    gates: bool = True
    latency: LatencyConfig = field(default_factory=LatencyConfig)
    latency_within: float = MISSING
    trust: Any = field(default_factory=list)


@dataclass
class ExportConfig:
    root: str = MISSING
    study: StudyName = MISSING
    objective: Rescore = MISSING
    pick: str | None = None
    trust: Any = field(default_factory=list)
    format: str = MISSING
    fold: float | None = None
    to: str | None = None
    overwrite: bool = MISSING


@dataclass
class Explicable:
    name: str | None = None
    margin: float | None = None


@dataclass
class ExplainConfig:
    """Either `study.name` or `se`; `data` is checked against what it is handed to."""

    root: str = MISSING
    study: Explicable = MISSING
    objective: Rescore = MISSING
    pick: str | None = None
    se: str | None = None
    data: dict[str, Any] | None = None
    accelerator: str | None = None
    latency: LatencyConfig = field(default_factory=LatencyConfig)
    latency_within: float = MISSING
    trust: Any = field(default_factory=list)


@dataclass
class SitesConfig:
    """`shape` is a list of three whole numbers; with it `data` are not read."""

    root: str = MISSING
    data: dict[str, Any] = MISSING
    backbone: BackboneConfig = MISSING
    space: SpaceConfig = MISSING
    latency: LatencyConfig | None = None
    shape: Any = None
    classes: int | None = None


@dataclass
class TrainConfig:
    """`se` is a text or a list of texts; `data` is checked against what it is handed to."""

    root: str = MISSING
    se: Any = MISSING
    against: list[str] = MISSING
    init: str = "default"
    seeds: int = MISSING
    first_seed: int = MISSING
    name: str | None = None
    trainer: TrainerConfig = MISSING
    evaluator: EvaluatorConfig = field(default_factory=lambda: EvaluatorConfig("standalone"))
    tracking: TrackingConfig = MISSING
    data: dict[str, Any] | None = None
    backbone: BackboneConfig | None = None
    trust: Any = field(default_factory=list)
    progress: bool = True


@dataclass
class Newest:
    name: str | None = None


@dataclass
class DashboardConfig:
    root: str = MISSING
    tracking: TrackingConfig = MISSING
    dashboard: str = MISSING
    study: Newest = MISSING
    port: int = MISSING


SCHEMAS: dict[str, type] = {
    "search": SearchConfig,
    "audit": SearchConfig,
    "resume": ResumeConfig,
    "front": FrontConfig,
    "effects": EffectsConfig,
    "explain": ExplainConfig,
    "report": ReportConfig,
    "train": TrainConfig,
    "sites": SitesConfig,
    "export": ExportConfig,
    "dashboard": DashboardConfig,
}
