"""The registry: the recommended network as a version that loads, and no version twice."""

import os
import subprocess
import sys

import numpy as np
import pytest

from senas.record.registry import Recommended, model_name

LOAD = """
import sys
import senas  # beside a CPU build of torch, torchvision does not load without it
import mlflow, mlflow.pytorch, numpy, torch
mlflow.set_tracking_uri(sys.argv[1])
net = mlflow.pytorch.load_model("models:/senas-pilot@recommended")
assert not any(name.startswith("senas.model") for name in sys.modules)
images = numpy.load(sys.argv[2])
for count in (1, 3, 7):
    numpy.save(f"{sys.argv[2]}.{count}.npy", net(torch.from_numpy(images[:count])).detach().numpy())
"""


@pytest.fixture
def recommended():
    def make(network=lambda: None, decided=True, description="found by **pilot**", **tags):
        return Recommended(
            network=network,
            decided=decided,
            example=np.zeros((2, 1, 8, 8), "float32"),
            classes=10,
            description=description,
            about="what pilot recommends",
            tags={"trial": "0", "seed": "0", "configuration": "", "se_params": "148", **tags},
        )

    return make


@pytest.fixture
def saved(monkeypatch):
    """Writes a file in place of a network, which takes seconds; its name each time."""
    written = []

    def save(recommended, folder):
        folder.mkdir()
        (folder / "MLmodel").write_text("a model")
        written.append(folder.name)

    monkeypatch.setattr("senas.record.registry._save", save)
    return written


def version(store, name="senas-pilot"):
    return store.client.get_model_version_by_alias(name, "recommended")


@pytest.mark.usefixtures("saved")
def test_the_pick_is_a_version_with_alias_description_and_facts(opened, store, recommended):
    assert opened().register(recommended()) == "models:/senas-pilot@recommended"
    found = version(store)
    assert (int(found.version), found.description, found.run_id) == (1, "found by **pilot**", store.parent.info.run_id)
    assert (found.tags["trial"], found.tags["se_params"], found.tags["study"]) == ("0", "148", "pilot")
    assert store.client.get_registered_model("senas-pilot").description == "what pilot recommends"
    held = [item.path for item in store.client.list_artifacts(store.parent.info.run_id, "model-trial-0")]
    assert held == ["model-trial-0/MLmodel"]


def test_a_version_is_added_only_where_the_pick_changed(opened, store, recommended, saved):
    opened().register(recommended())
    assert opened().register(recommended()) is None
    assert saved == ["model-trial-0"]
    opened().register(recommended(trial="4", configuration="layer1.0=h4 standard"))
    assert (int(version(store).version), version(store).tags["trial"]) == (2, "4")


@pytest.fixture
def aliases(store):
    """Which version each alias is at."""

    def read():
        return {
            alias: int(number) for alias, number in store.client.get_registered_model("senas-pilot").aliases.items()
        }

    return read


@pytest.mark.usefixtures("saved")
def test_what_only_leads_has_an_alias_of_its_own(opened, recommended, aliases):
    assert opened().register(recommended(decided=False)) == "models:/senas-pilot@leading"
    assert aliases() == {"leading": 1}


@pytest.mark.usefixtures("saved")
def test_a_recommendation_that_no_longer_holds_is_taken_away(opened, recommended, aliases):
    opened().register(recommended())
    opened().register(recommended(decided=False, trial="4"))
    assert aliases() == {"leading": 2}


def test_a_leader_that_is_recommended_later_is_the_same_version(opened, store, recommended, aliases, saved):
    opened().register(recommended(decided=False, description="leads", verdict="undecided"))
    found = recommended(description="surely", verdict="recommended")
    assert opened().register(found) == "models:/senas-pilot@recommended"
    assert aliases() == {"recommended": 1}
    assert saved == ["model-trial-0"]
    assert (version(store).description, version(store).tags["verdict"]) == ("surely", "recommended")


def test_what_is_known_of_a_version_is_brought_up_to_date(opened, store, recommended, saved):
    opened().register(recommended(trainings="1"))
    assert opened().register(recommended(trainings="5", description="known better")) is None
    assert (version(store).tags["trainings"], version(store).description) == ("5", "known better")


def test_where_there_is_no_time_for_a_version_one_that_is_there_gets_the_alias(opened, recommended, aliases, saved):
    opened().register(recommended())
    opened().register(recommended(trial="4"))
    assert opened().register(recommended(network=None)) == "models:/senas-pilot@recommended"
    assert aliases() == {"recommended": 1}
    assert saved == ["model-trial-0", "model-trial-4"]


def test_where_there_is_no_time_for_a_version_an_alias_that_no_longer_holds_goes_all_the_same(
    opened, recommended, aliases, saved
):
    opened().register(recommended())
    assert opened().register(recommended(network=None, decided=False, trial="4")) is None
    assert aliases() == {}
    assert saved == ["model-trial-0"]


def test_an_older_recommendation_does_not_outlive_one_that_cannot_be_written(
    opened, recommended, aliases, saved, warnings, monkeypatch
):
    opened().register(recommended())

    def broken(recommended, folder):
        raise ValueError("cannot be traced")

    monkeypatch.setattr("senas.record.registry._save", broken)
    opened().register(recommended(trial="4"))
    assert len(warnings) == 1
    assert aliases() == {}


def test_a_network_that_cannot_be_written_is_one_warning(opened, store, recommended, warnings, monkeypatch):
    def broken(recommended, folder):
        raise RuntimeError("cannot be traced\nin many lines")

    monkeypatch.setattr("senas.record.registry._save", broken)
    recorder = opened()
    assert recorder.register(recommended()) is None
    assert len(warnings) == 1
    assert "senas-pilot in MLflow (cannot be traced); nothing else is lost" in warnings[0]
    recorder.conclude(finished=True, front=(), description="", files={})
    assert store.parent.info.status == "FINISHED"


def test_names_of_models_are_plain_and_different_studies_have_different_ones():
    assert model_name("digits-resnet8_v1.2") == "senas-digits-resnet8_v1.2"
    odd = [model_name(name) for name in ("a b", "a'b", 'a"b', "a:b", "a-b")]
    assert len(set(odd)) == 5
    assert not set("".join(odd)) & set(" '\":/")


@pytest.mark.slow
def test_what_is_registered_loads_in_a_process_of_its_own_for_any_batch(opened, uri, recommended, tmp_path):
    import torch

    from senas.model.backbones import named

    net = named("resnet8", classes=10, channels=1).eval()
    opened().register(recommended(network=lambda: net))
    images = np.random.default_rng(0).random((7, 1, 8, 8), "float32")
    np.save(file := tmp_path / "images.npy", images)
    subprocess.run([sys.executable, "-c", LOAD, uri, file], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    for count in (1, 3, 7):
        with torch.no_grad():
            wanted = net(torch.from_numpy(images[:count])).numpy()
        np.testing.assert_allclose(np.load(f"{file}.{count}.npy"), wanted, atol=1e-5)
