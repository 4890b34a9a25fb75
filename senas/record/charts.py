"""What MLflow's page shows of a study: which runs in which order, and which charts of them.

The form was read off MLflow 3.17, as that of the saved view which holds it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from senas.record.trial_run import PARENT, STANDING

LOADED = 100
"""Runs that the page loads by itself; no view and no address changes it. The others come on a click."""
AXES = 9  # sites in the parallel coordinates: more cannot be read
HEIGHT = 400  # of a chart, in pixels
CERTAINTY = ("expected_low", "expected_high", "probability_on_front", "trainings")
"""Metrics of the first trial of a configuration: what all trainings together say of it."""
BESIDE = 4  # sites up to which they can be read in half the width, beside the front


def front_state(run_id: str, sites: Sequence[str], judged: str = "val_loss") -> dict[str, Any]:
    """Of a search: its front, the learning curves, and what each site got.

    sites:   names of the parameters that say what each site has.
    judged:  the score of which a study tells what it expects.
    """
    every = -(-len(sites) // AXES) or 1
    front, expected = _scatter(run_id, "front", "val_loss"), f"expected_{judged}"
    beside = len(sites) <= BESIDE
    choices = _chart(
        run_id,
        "PARALLEL",
        "front" if beside else "choices",
        selectedParams=list(sites[::every]),
        selectedMetrics=["val_loss"] if beside else ["se_params", "val_loss"],  # each axis takes room
        showAllRuns=False,
    )
    curves = [_line(run_id, "curves" if beside else "front", name) for name in ("val_loss", "running_train_loss")]
    if beside:
        sections = [
            _section(run_id, "front", "Front, and what each site got"),
            _section(run_id, "curves", "Learning curves"),
        ]
    else:
        sections = [
            _section(run_id, "front", "Front and curves"),
            _section(run_id, "choices", "What each site got", columns=1),
        ]
    return {
        # Pruned trials are left out: their losses are those of fewer epochs, and belong in no comparison.
        # One that is training has a curve, and no place in the front's picture yet.
        "searchFilter": f"tags.{PARENT} = '{run_id}' and attributes.status != 'KILLED' and "
        "attributes.status != 'FAILED'",
        # What is loaded first: the whole front, the baselines, the latest trials.
        "orderByKey": f"tags.`{STANDING}`",
        "orderByAsc": False,
        **_page(
            columns=("val_loss", expected, *CERTAINTY, "val_error", "se_params", "macs", "seconds"),
            tags=(STANDING, "sites"),
            sections=sections,
            # The page leaves out what is empty: nothing is expected before a search ends.
            charts=[_scatter(run_id, "front", expected), front, choices, *curves],
            run_id=run_id,
        ),
    }


def comparison_state(run_id: str, objective: Sequence[str]) -> dict[str, Any]:
    """Of trainings that are compared: what each came to, against what it costs, and the learning curves.

    objective:  the metrics that count, the first before all.
    """
    counts = objective[0]
    return {
        "searchFilter": f"tags.{PARENT} = '{run_id}' and attributes.status != 'FAILED'",
        "orderByKey": f"metrics.`{counts}`",
        "orderByAsc": True,
        **_page(
            columns=(counts, "test_accuracy", "val_loss", "se_params", "macs", "seconds"),
            tags=("contender", "sites"),
            sections=[_section(run_id, "results", "Each training on the test part, and its curve")],
            charts=[
                _scatter(run_id, "results", counts),
                _line(run_id, "results", "val_loss"),
                _chart(run_id, "BAR", "results", counts, metricKey=counts),
                _scatter(run_id, "results", "test_accuracy"),
            ],
            run_id=run_id,
        ),
    }


def _page(
    *,
    columns: Sequence[str],
    tags: Sequence[str],
    sections: Sequence[Mapping[str, Any]],
    charts: Sequence[Mapping[str, Any]],
    run_id: str,
) -> dict[str, Any]:
    rest = [
        _section(run_id, "rest", "Model metrics", shown=False),
        _section(run_id, "system", "System metrics", shown=False),
    ]
    return {
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*(f"metrics.`{name}`" for name in columns), *(f"tags.`{name}`" for name in tags)],
        "runsHiddenMode": "SHOW_ALL",
        "viewMaximized": True,
        "hideEmptyCharts": True,
        "autoRefreshEnabled": True,
        "compareRunSections": [*sections, *rest],
        "compareRunCharts": list(charts),
    }


def _section(run_id: str, name: str, title: str, *, shown: bool = True, columns: int = 2) -> dict[str, Any]:
    # A section that counts as generated is filled by the page with a chart of each metric.
    kept = {"display": shown, "isReordered": False, "deleted": False, "isGenerated": not shown}
    return {"uuid": f"{run_id}-{name}", "name": title, "columns": columns, "cardHeight": HEIGHT, **kept}


def _chart(run_id: str, kind: str, section: str, name: str = "", **fields: Any) -> dict[str, Any]:
    return {
        "uuid": f"{run_id}-{section}-{kind.lower()}-{name}",
        "type": kind,
        "metricSectionId": f"{run_id}-{section}",
        "runsCountToCompare": LOADED,
        "deleted": False,
        "isGenerated": False,
        **fields,
    }


def _scatter(run_id: str, section: str, metric: str) -> dict[str, Any]:
    axes = {axis: {"key": key, "type": "METRIC"} for axis, key in (("xaxis", "se_params"), ("yaxis", metric))}
    return _chart(run_id, "SCATTER", section, metric, **axes)


def _line(run_id: str, section: str, metric: str) -> dict[str, Any]:
    return _chart(
        run_id,
        "LINE",
        section,
        metric,
        metricKey=metric,
        selectedMetricKeys=[metric],
        xAxisKey="step",
        lineSmoothness=0,
        scaleType="log",  # the last epochs, where trials differ, are the smallest losses
        xAxisScaleType="linear",
        useGlobalXaxisKey=False,
        useGlobalLineSmoothing=False,
    )
