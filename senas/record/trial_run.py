"""A trial in MLflow: a run inside the run of its study. What it holds is made from the trial alone."""

import math
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from mlflow.entities import Metric, Param

from senas.core.config import SEConfig, spoken_block
from senas.core.objective import COSTS, SHARED, Scores
from senas.core.ports import Pulse
from senas.core.site import Site
from senas.core.trial import Status, Trial
from senas.record.limits import TAG_LENGTH, cut, key, run_params
from senas.record.study_run import ROLE, STUDY

CONFIG, SEED = "senas.config", "senas.seed"
TRIAL, PARENT, PARETO, STANDING = "senas.trial", "mlflow.parentRunId", "pareto", "standing"
ON_FRONT, COLOR = "front", "mlflow.runColor"
NAME_LENGTH = 80
ENDS = {Status.COMPLETE: "FINISHED", Status.PRUNED: "KILLED", Status.FAILED: "FAILED", Status.RUNNING: "RUNNING"}
RUNNING_LOSS, EPOCHS_DONE = "running_train_loss", "epochs_done"
FRONT_COLOR, OTHER_COLOR = "#D1242F", "#A8B4C0"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRuns:
    """What the runs of a study's trials hold.

    parent:          id of the study's run.
    largest_params:  SE parameters of the space's largest configuration: what `se_share` is a share of.
    objective:       what each of a trial's values is called.
    named:           configurations with a name of their own: the baselines.
    judged:          the score that says how good a network is.
    """

    with_front: ClassVar[bool] = True
    parent: str
    study: str
    sites: Sequence[Site]
    largest_params: int
    objective: Sequence[str] = ()
    named: Mapping[str, SEConfig] = field(default_factory=dict)
    judged: str = "val_loss"

    def tags(self, trial: Trial, *, on_front: bool) -> dict[str, str]:
        tags = {
            PARENT: self.parent,
            "mlflow.runName": self.run_name(trial),
            STUDY: self.study,
            ROLE: "trial",
            TRIAL: str(trial.number),
            "senas.status": str(trial.status),
            "senas.origin": trial.origin,
            CONFIG: str(trial.config),
            SEED: str(trial.seed),
            "sites": trial.config.words(self.sites),
            **self.marks(trial, on_front),
        }
        if trial.sampler:
            tags["senas.sampler"] = trial.sampler
        if trial.failure is not None:
            tags["senas.failure"] = str(trial.failure)
        if trial.reason:
            tags["senas.reason"] = trial.reason
        if trial.repeats is not None:
            tags["senas.repeats"] = str(trial.repeats)
        return {name: cut(value, TAG_LENGTH) for name, value in tags.items()}

    def run_name(self, trial: Trial) -> str:
        words = trial.config.words(self.sites)
        replicate = "" if trial.proposed else f", {trial.origin} with seed {trial.seed}"
        return textwrap.shorten(f"trial {trial.number}{replicate}: {words}", NAME_LENGTH, placeholder=" …")

    def marks(self, trial: Trial, on_front: bool) -> dict[str, str]:
        """The tags by which a run stands out in the page."""
        names = [f"baseline {name}" for name, config in self.named.items() if config == trial.config]
        return front_tags(on_front, ", ".join(names if trial.repeats is None else []))

    def is_of(self, tags: Mapping[str, str], trial: Trial) -> bool:
        """Whether a run with these tags is of the same configuration and seed as the trial."""
        told = {CONFIG: str(trial.config), SEED: str(trial.seed)}
        return all(tags.get(name, value) == value for name, value in told.items())

    def params(self, trial: Trial) -> list[Param]:
        """The seed, and what each site has."""
        spoken = {
            site.name: spoken_block(trial.config[site.name], site) if site.name in trial.config else "none"
            for site in self.sites
        }
        return run_params({"seed": trial.seed, **spoken})

    def metrics(self, trial: Trial) -> list[Metric]:
        """The curve, a step an epoch from 1 on, and the scores at its end.

        Times are made from the trial alone, so that writing a trial again adds nothing.
        """
        start, end = times(trial)
        epochs = len(trial.curve)
        values = {(name, epoch): value for epoch, scores in enumerate(trial.curve, 1) for name, value in scores.items()}
        in_curve = {name for name, _ in values}
        last = {"seconds": trial.seconds, **trial.scores}
        if self.largest_params and "se_params" in trial.scores:
            last["se_share"] = trial.scores["se_params"] / self.largest_params
        last = {**dict(zip(self.objective, trial.values, strict=False)), **last}
        values |= {(name, epochs if name in in_curve else 0): value for name, value in last.items()}
        return [
            _metric(name, value, start + (end - start) * epoch // epochs if epochs else end, epoch)
            for (name, epoch), value in values.items()
        ]

    def epoch_metrics(self, epoch: int, scores: Scores) -> list[Metric]:
        """The point of the curve that an epoch of a running trial adds, now."""
        now = round(time.time() * 1000)
        known = {name for name in scores if name in COSTS or name.startswith(SHARED)}  # before the training
        return [_metric(name, value, now, epoch) for name, value in scores.items() if name not in known]

    def pulse_metrics(self, pulse: Pulse) -> list[Metric]:
        """How far a running trial is, and its training loss so far, by step of the optimizer."""
        now = round(time.time() * 1000)
        values = {EPOCHS_DONE: pulse.epochs}
        if "train_loss" in pulse.scores:
            values[RUNNING_LOSS] = pulse.scores["train_loss"]
        return [_metric(name, value, now, pulse.steps) for name, value in values.items()]


def _metric(name: str, value: float, milliseconds: int, step: int) -> Metric:
    # An infinity would be stored as the largest number there is, and flatten every chart.
    return Metric(key(name), float(value) if math.isfinite(value) else math.nan, milliseconds, step)


def claimed(scores: Scores, told: Mapping[str, float], milliseconds: int, step: int) -> list[Metric]:
    """What can be claimed by now, where it is not what was told last."""
    new = {name: value for name, value in scores.items() if told.get(key(name)) != value}
    return [_metric(name, value, milliseconds, step) for name, value in new.items()]


def same_value(one: float, other: float) -> bool:
    """Whether two values of a metric are one: NaN equals itself."""
    return one == other or (math.isnan(one) and math.isnan(other))


def times(trial: Trial) -> tuple[int, int]:
    """When the trial began and ended, in milliseconds since 1970; it began at 0 where that is not known."""
    start = round(trial.started * 1000)
    return start, start + round(trial.seconds * 1000)


def front_tags(on_front: bool, standing: str = "") -> dict[str, str]:
    """The tags that change when the front does; `standing` is the one that was.

    So spelled that descending order has the front first, then the baselines, then all others.
    """
    words = [ON_FRONT] * on_front + [word for word in standing.split(", ") if word not in ("", ON_FRONT)]
    return {
        PARETO: "true" if on_front else "false",
        STANDING: ", ".join(words),
        COLOR: FRONT_COLOR if on_front else OTHER_COLOR,
    }
