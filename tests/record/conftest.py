"""A study to record, and MLflow stores to record it in."""

import shutil

import pytest
from mlflow import MlflowClient

from senas.core.block import Placement, SEBlock
from senas.core.config import SEConfig
from senas.core.site import Place, Site
from senas.core.trial import Status, Trial
from senas.record.mlflow import MlflowRecorder

PLACE = Place(16, 8, 8)
SITES = [Site(name, {Placement.STANDARD: PLACE}, PLACE) for name in ("layer1.0", "layer1.1")]
R4 = SEConfig({"layer1.0": SEBlock(hidden=4)})
EPOCHS = 3


def make_trial(number, status=Status.COMPLETE, *, config=R4, loss=0.5, **more):
    curve = [{"val_loss": loss + (EPOCHS - epoch) / 10, "train_loss": 0.1} for epoch in range(1, EPOCHS + 1)]
    facts = {
        "seed": 3,
        "scores": {"val_loss": loss, "se_params": 148.0, "macs": 1000.0},
        "values": (loss + 0.01,),
        "curve": curve,
        "seconds": 12.5,
        "started": 1_700_000_000.0 + 60 * number,
    }
    return Trial(number=number, status=status, config=config, **{**facts, **more})


@pytest.fixture
def trial():
    """Makes a finished trial."""
    return make_trial


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """An empty store: making one costs seconds, copying it nothing."""
    file = tmp_path_factory.mktemp("template") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def folder(tmp_path, template):
    (tmp_path / "store").mkdir()
    shutil.copy(template, tmp_path / "store" / "mlflow.db")
    return tmp_path / "store"


@pytest.fixture
def uri(folder):
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def opened(uri, folder, warnings):
    """Opens the study's recorder, as often as wanted."""

    def open_(study="pilot", uri=uri, artifacts=folder / "artifacts", **more):
        facts = {
            "experiment": "senas",
            "params": {"trainer.epochs": EPOCHS, "space.sites": ["layer1.*"], "data.name": "digits"},
            "config_yaml": "trainer:\n  epochs: 3\n",
            "versions": {"torch": "2.13.0"},
            "sites": SITES,
            "largest_params": 592,
            "objective": ("penalized_loss",),
            "warn": warnings.append,
        }
        return MlflowRecorder.open(uri, artifacts=artifacts, study=study, **{**facts, **more})

    return open_


@pytest.fixture
def store(uri):
    return Store(uri)


class Store:
    """What is in a store, read with a client of its own."""

    def __init__(self, uri):
        self.client = MlflowClient(tracking_uri=uri)

    @property
    def experiment(self):
        return self.client.get_experiment_by_name("senas")

    def runs(self, role):
        found = self.client.search_runs([self.experiment.experiment_id], f"tags.`senas.role` = '{role}'")
        return sorted(found, key=lambda run: int(run.data.tags.get("senas.trial", 0)))

    @property
    def parent(self):
        (run,) = self.runs("study")
        return run

    @property
    def trials(self):
        return self.runs("trial")

    def history(self, run, metric):
        return [
            (point.step, pytest.approx(point.value))
            for point in self.client.get_metric_history(run.info.run_id, metric)
        ]

    def pareto(self):
        return {int(run.data.tags["senas.trial"]) for run in self.trials if run.data.tags["pareto"] == "true"}
