"""A small study to report on, with sites in all its placements."""

from dataclasses import replace

import pytest

from senas.core.block import Placement, SEBlock
from senas.core.certainty import Estimate
from senas.core.config import SEConfig, baselines
from senas.core.site import Place, Site
from senas.core.trial import Status, Trial
from senas.core.verdict import Pick, Point
from senas.report.findings import Elsewhere, Findings

PLACES = [Place(16, 8, 8), Place(32, 4, 4)]


@pytest.fixture(scope="session")
def sites():
    kinds = (Placement.STANDARD, Placement.PRE)
    return tuple(Site(f"layer{n}.0", dict.fromkeys(kinds, place), place) for n, place in enumerate(PLACES, 1))


@pytest.fixture(scope="session")
def mixed():
    """A configuration whose words have a `|` and a comma-free list."""
    return SEConfig({"layer1.0": SEBlock(hidden=4), "layer2.0": SEBlock(hidden=2, placement=Placement.PRE, bias=False)})


@pytest.fixture(scope="session")
def make(sites):
    """A trial of a configuration, with the scores that an evaluator would give."""

    def trial(number, config, loss, **changes):
        added = config.params(sites)
        scores = {
            "val_loss": loss,
            "val_accuracy": 0.9375,
            "val_error": 0.0625,
            "se_params": float(added),
            "params": 75_002.0 + added,
            "macs": 747_136.0 + config.macs(sites),
        }
        facts = {
            "status": Status.COMPLETE,
            "scores": scores,
            "values": (loss,),
            "curve": (scores, scores, scores),
            "seconds": 2.5,
            "seed": 3,
        }
        return Trial(number=number, config=config, **{**facts, **changes})

    return trial


@pytest.fixture(scope="session")
def front(make, sites, mixed):
    return [make(4, SEConfig(), 0.51234567), make(11, SEConfig.everywhere(sites, 4), 0.4), make(2, mixed, 0.3)]


@pytest.fixture(scope="session")
def about():
    """What is known of a number: its mean, and so far to either side."""

    def estimate(mean, half=0.05):
        return Estimate(mean, mean - half, mean + half)

    return estimate


@pytest.fixture(scope="session")
def point(about):
    """What is known of the configuration of a trial."""

    def known(trial, mean, *, on_front=0.95, trainings=1, from_none=None):
        apart = None if from_none is None else about(from_none, 0.03)
        return Point(trial.config, trial, about(mean), trainings, on_front, apart)

    return known


@pytest.fixture(scope="session")
def findings(front, make, point, about, sites):
    """Of a study of three configurations on the front and one beaten; the pick is trial 11."""
    none, everywhere, other = front
    beaten = make(7, SEConfig.everywhere(sites, 16), 0.8)
    again = replace(none, number=9, seed=4)
    points = [
        point(none, 0.52, trainings=2, on_front=1.0, from_none=0.0),
        point(everywhere, 0.41, on_front=0.625, from_none=-0.11),
        point(other, 0.33, on_front=0.12, from_none=-0.19),
        point(beaten, 0.7, on_front=0.0, from_none=0.18),
    ]
    return Findings(
        measured=[*front, beaten, again],
        points=points,
        front=points[:3],
        pick=Pick(everywhere, "fewest SE parameters within 0.1 of the lowest", decided=True),
        picked=points[1],
        against={"none": about(-0.11, 0.03), "all16": about(-0.29, 0.03), "random": about(0.01, 0.03)},
        baselines=baselines(sites),
        elsewhere=Elsewhere(700.0, about(0.4)),
        behind="Behind these figures stand 5 trainings.",
    )


@pytest.fixture(scope="session")
def undecided(findings):
    """The same study, where nothing is sure enough."""
    return replace(findings, pick=Pick(findings.pick.trial, "undecided at this budget: more. It leads", decided=False))
