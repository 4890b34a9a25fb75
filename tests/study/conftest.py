"""A space of 343 configurations with planted scores, and studies over it in each kind of storage."""

import hashlib
import os
import shutil
from dataclasses import replace
from functools import partial

import optuna
import pytest
import sqlalchemy

from senas.core.block import Placement
from senas.core.objective import Pareto, Penalized
from senas.core.seeds import Seeds
from senas.core.site import Place, Site
from senas.core.space import Axes, search_space
from senas.core.trial import Status
from senas.study.optuna import open_proposer

PLACEMENTS = (Placement.PRE, Placement.STANDARD, Placement.POST)
# Four trials at random and the rest by the model; random search has no model, and population-based NSGA-II starts late.
SAMPLERS = {
    "tpe": partial(optuna.samplers.TPESampler, multivariate=True, n_startup_trials=4),
    "random": optuna.samplers.RandomSampler,
    "nsga2": partial(optuna.samplers.NSGAIISampler, population_size=4),
    "gp": partial(optuna.samplers.GPSampler, n_startup_trials=4, deterministic_objective=False),
}


def sampler_of(name):
    """As the configuration files have it, with the seed given by the proposer."""
    return lambda seed: SAMPLERS[name](seed=seed)


@pytest.fixture(scope="package", autouse=True)
def _without_waiting_for_the_disk():
    """No test here cuts the power: what is written need not have reached the disk."""

    def hasty(connection, _):
        if "sqlite" in type(connection).__module__:
            connection.execute("PRAGMA synchronous=OFF")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", hasty)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield
    sqlalchemy.event.remove(sqlalchemy.Engine, "connect", hasty)


@pytest.fixture(scope="session")
def sites():
    """Those of a small residual network: three stages of one unit."""
    places = [Place(16, 8, 8), Place(32, 4, 4), Place(64, 2, 2)]
    return tuple(Site(f"layer{n}.0", dict.fromkeys(PLACEMENTS, place), place) for n, place in enumerate(places, 1))


@pytest.fixture(scope="session")
def space(sites):
    return search_space(sites, Axes(reduction=(4, 16), placement=PLACEMENTS))


@pytest.fixture(scope="session")
def tiny(sites):
    """Four configurations: one site with and without a block, and another."""
    return search_space(sites, Axes(sites=("layer1.0", "layer2.0"), reduction=(4,)))


@pytest.fixture(scope="session")
def penalized(space):
    return Penalized(0.1, space.largest_params)


@pytest.fixture(scope="session")
def pareto():
    return Pareto(("val_loss", "se_params"))


@pytest.fixture(scope="session")
def planted(sites):
    """The scores of a configuration: each site has its favourite, and no two configurations are equal."""

    def scores(config):
        digest = int.from_bytes(hashlib.sha256(str(config).encode()).digest()[:4], "big")
        loss = 2.0 + digest / 2**36
        for site in sites:
            block = config.get(site.name)
            loss -= 0.2 * (block is not None) + 0.3 * (block is not None and block.placement is Placement.POST)
        return {
            "val_loss": loss,
            "val_accuracy": 1 / loss,
            "val_error": 1 - 1 / loss,
            "se_params": float(config.params(sites)),
            "params": 75002.0 + config.params(sites),
            "macs": 747136.0 + config.macs(sites),
        }

    return scores


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """Without a study: making its tables takes a quarter of a second, copying it nothing."""
    file = tmp_path_factory.mktemp("empty") / "study.db"
    optuna.storages.RDBStorage(f"sqlite:///{file}")
    return file


@pytest.fixture(params=["journal", "sqlite"])
def storage(request, tmp_path):
    """Where the study lies: everything behind the proposer's port holds for each."""
    if request.param == "journal":
        return tmp_path / "journal.log"
    shutil.copy(request.getfixturevalue("empty_database"), tmp_path / "study.db")
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal.log"


@pytest.fixture
def open_study(space, penalized):
    """Opens a study as a new process would."""

    def open_(storage, *, sampler="tpe", **changes):
        facts = {
            "name": "pilot",
            "storage": storage,
            "space": space,
            "objective": penalized,
            "pruner": None,
            "seeds": Seeds(7),
            "fingerprint": {"trainer.epochs": 3, "study.seed": 7, "space.sites": ["*"]},
            "start": [],
        }
        return open_proposer(sampler=sampler_of(sampler), **{**facts, **changes})

    return open_


@pytest.fixture
def complete(planted):
    """A trial, trained to the end."""

    def finish(trial, objective, **changes):
        scores = planted(trial.config)
        curve = tuple({"val_loss": scores["val_loss"] + extra, "train_loss": extra} for extra in (0.5, 0.0))
        ended = replace(
            trial,
            status=Status.COMPLETE,
            scores=scores,
            values=objective.values(scores),
            curve=curve,
            seconds=1.5,
        )
        return replace(ended, **changes)

    return finish


@pytest.fixture
def go_on(complete):
    """Asks and tells until the study has so many trials, and returns what was proposed for each number."""

    def run(proposer, trials):
        while len(proposer.trials()) < trials:
            proposer.tell(complete(proposer.ask(), proposer.objective))
        return [(trial.number, trial.config, trial.values) for trial in proposer.trials()]

    return run
