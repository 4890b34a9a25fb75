"""A trial in MLflow: a run inside the run of its study. What it holds is made from the trial alone."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from mlflow.entities import Metric, Param

from senas.core.config import spoken_block
from senas.core.site import Site
from senas.core.trial import Status, Trial
from senas.record.limits import TAG_LENGTH, cut, key, run_params
from senas.record.study_run import ROLE, STUDY

TRIAL, PARENT, PARETO = "senas.trial", "mlflow.parentRunId", "pareto"
NAME_LENGTH = 80
ENDS = {Status.COMPLETE: "FINISHED", Status.PRUNED: "KILLED", Status.FAILED: "FAILED", Status.RUNNING: "RUNNING"}
FRONT_COLOR, OTHER_COLOR = "#D1242F", "#A8B4C0"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRuns:
    """What the runs of a study's trials hold.

    parent:          id of the study's run.
    largest_params:  SE parameters of the space's largest configuration: what `se_share` is a share of.
    objective:       what each of a trial's values is called.
    """

    parent: str
    study: str
    sites: Sequence[Site]
    largest_params: int
    objective: Sequence[str] = ()

    def tags(self, trial: Trial, *, on_front: bool) -> dict[str, str]:
        words = trial.config.words(self.sites)
        name = textwrap.shorten(f"trial {trial.number}: {words}", NAME_LENGTH, placeholder=" …")
        tags = {
            PARENT: self.parent,
            "mlflow.runName": name,
            STUDY: self.study,
            ROLE: "trial",
            TRIAL: str(trial.number),
            "senas.status": str(trial.status),
            "senas.origin": trial.origin,
            "senas.config": str(trial.config),
            "sites": words,
            **front_tags(on_front),
        }
        if trial.failure is not None:
            tags["senas.failure"] = str(trial.failure)
        if trial.reason:
            tags["senas.reason"] = trial.reason
        if trial.repeats is not None:
            tags["senas.repeats"] = str(trial.repeats)
        return {name: cut(value, TAG_LENGTH) for name, value in tags.items()}

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
            # An infinity would be stored as the largest number there is, and flatten every chart.
            Metric(
                key(name),
                float(value) if math.isfinite(value) else math.nan,
                start + (end - start) * epoch // epochs if epochs else end,
                epoch,
            )
            for (name, epoch), value in values.items()
        ]


def times(trial: Trial) -> tuple[int, int]:
    """When the trial began and ended, in milliseconds since 1970; it began at 0 where that is not known."""
    start = round(trial.started * 1000)
    return start, start + round(trial.seconds * 1000)


def front_tags(on_front: bool) -> dict[str, str]:
    """The tags that change when the front does."""
    return {PARETO: "true" if on_front else "false", "mlflow.runColor": FRONT_COLOR if on_front else OTHER_COLOR}
