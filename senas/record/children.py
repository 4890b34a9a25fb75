"""The runs of a study's trials, as they stand in MLflow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from mlflow import MlflowClient
from mlflow.entities import Metric, Run

from senas.record.study_run import ROLE
from senas.record.trial_run import PARENT, TRIAL, same_value

PAGE = 200  # runs read at once: few enough for a slow server to answer in time


@dataclass(slots=True)
class Child:
    """What the store has of a trial: its run, whether that was written to its end, and what it holds.

    points:  values of metrics by (name, step), while the run is not ended; `claimed` the latest of all metrics.
    """

    run_id: str
    ended: bool
    tags: dict[str, str]
    params: bool = False
    points: dict[tuple[str, int], float] = field(default_factory=dict)
    claimed: dict[str, float] = field(default_factory=dict)

    def new(self, metrics: Sequence[Metric]) -> list[Metric]:
        """Those that the run does not have: a trial that is trained anew writes no point twice."""
        return [m for m in metrics if not same_value(self.points.get((m.key, m.step), math.inf), m.value)]


def children(client: MlflowClient, experiment_id: str, parent: str) -> dict[int, Child]:
    """By the number of the trial; where one has two runs, the one that was written to its end."""
    found: dict[int, Child] = {}
    token = None
    while True:
        page = client.search_runs(
            [experiment_id],
            f"tags.`{PARENT}` = '{parent}' and tags.`{ROLE}` = 'trial'",
            max_results=PAGE,
            page_token=token,
        )
        for run in page:
            number, ended = int(run.data.tags[TRIAL]), run.info.status != "RUNNING"
            if number not in found or ended:
                points = {} if ended else _points(client, run)
                params = ended or bool(run.data.params)
                found[number] = Child(
                    run.info.run_id, ended, dict(run.data.tags), params, points, dict(run.data.metrics)
                )
        token = page.token
        if not token:
            return found


def _points(client: MlflowClient, run: Run) -> dict[tuple[str, int], float]:
    histories = [client.get_metric_history(run.info.run_id, name) for name in run.data.metrics]
    return {(point.key, point.step): point.value for history in histories for point in history}
