"""A small study to report on, with sites in all its placements."""

import pytest

from senas.core.block import Placement, SEBlock
from senas.core.config import SEConfig
from senas.core.site import Place, Site
from senas.core.trial import Status, Trial

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
