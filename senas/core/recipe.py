"""How a network is trained, and on what: values that can be checked before any framework is there."""

from dataclasses import dataclass

from senas.errors import ConfigError

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("one_cycle", "cosine", "constant")
AVERAGES = ("none", "ema", "swa")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true", "64-true")
"""Of Lightning's those that need no package beside torch. It knows short names too, but each should have one here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained. `lr` is the highest learning rate of the schedule, which spans the planned epochs.

    average:     of the weights along the training, in the place of the last ones; see `training.average`.
    clip:        the largest norm of all gradients together, to which larger ones are scaled; None leaves them.
    accumulate:  batches whose gradients make a step together, as their mean; the last step of an epoch takes those
                 that are left.
    flip, crop:  how training images are changed at random; see `training.augment`.
    """

    optimizer: str
    lr: float
    weight_decay: float
    schedule: str
    label_smoothing: float
    channels_last: bool = False
    average: str = "none"
    clip: float | None = None
    accumulate: int = 1
    flip: bool = False
    crop: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f'trainer.optimizer must be one of {", ".join(OPTIMIZERS)}, got "{self.optimizer}"')
        if self.schedule not in SCHEDULES:
            raise ConfigError(f'trainer.schedule must be one of {", ".join(SCHEDULES)}, got "{self.schedule}"')
        if self.average not in AVERAGES:
            raise ConfigError(f'trainer.average must be one of {", ".join(AVERAGES)}, got "{self.average}"')
        if not 0 < self.lr < float("inf"):
            raise ConfigError(f"trainer.lr must be a number above 0, got {self.lr}")
        if not 0 <= self.weight_decay < float("inf"):
            raise ConfigError(f"trainer.weight_decay must be a number of at least 0, got {self.weight_decay}")
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"trainer.label_smoothing must be in [0, 1), got {self.label_smoothing}")
        if self.clip is not None and not 0 < self.clip < float("inf"):
            raise ConfigError(f"trainer.clip must be a number above 0, got {self.clip}; null clips nothing")
        if self.accumulate < 1:
            raise ConfigError(f"trainer.accumulate must be at least 1, got {self.accumulate}")
        if self.crop < 0:
            raise ConfigError(f"trainer.crop must be at least 0, got {self.crop}; 0 leaves images where they are")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where and how arithmetic is done. Threads: of torch on a CPU; None chooses, see `threads_for`."""

    accelerator: str = "auto"
    precision: str = "32-true"
    compile: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError(f'trainer.precision must be one of {", ".join(PRECISIONS)}, got "{self.precision}"')
        if self.threads is not None and self.threads < 1:
            raise ConfigError(f"trainer.threads must be at least 1, got {self.threads}; null chooses")
