"""What is longer or odder than MLflow accepts is made to fit, and parameters that changed are not lost."""

from senas.core.block import Placement, SEBlock
from senas.core.config import SEConfig
from senas.core.site import Place, Site
from senas.core.trial import Status


def test_150_parameters_and_2000_points_are_kept_whole(opened, store, trial):
    recorder = opened(params={f"key{number}": number for number in range(150)})
    recorder.record(trial(0, curve=[{"val_loss": 0.5, "train_loss": 0.5}] * 1000), [0], 0.1)
    assert len(store.parent.data.params) == 150
    assert [step for step, _ in store.history(store.trials[0], "val_loss")] == list(range(1, 1001))


def test_long_values_are_cut_and_odd_names_are_made_to_fit(opened, store, trial):
    recorder = opened(params={"long": "x" * 7000, "odd(name)": None, "list": [1, "a"], "empty": ""})
    recorder.record(trial(0, Status.FAILED, reason="y" * 9000), [], 0.0)
    params = store.parent.data.params
    assert (params["long"], params["odd_name_"], params["list"]) == ("x" * 5999 + "…", "null", '[1, "a"]')
    assert store.trials[0].data.tags["senas.reason"] == "y" * 7999 + "…"


def test_a_long_description_is_cut_after_a_whole_line_and_says_so(opened, store):
    opened().conclude(front=(), finished=True, description="| a row |\n" * 1000, files={})
    *rows, empty, note = store.parent.data.tags["mlflow.note.content"].split("\n")
    assert set(rows) == {"| a row |"}
    assert len(rows) > 780
    assert (empty, note) == ("", "*Cut here: MLflow keeps 8,000 characters of 10,000.*")


def test_a_long_name_is_cut_between_words(opened, store, trial):
    place = Place(16, 8, 8)
    sites = [Site(f"layer{n}", {Placement.STANDARD: place}, place) for n in range(40)]
    config = SEConfig({site.name: SEBlock(hidden=4) for site in sites[1:]})
    opened(sites=sites).record(trial(0, config=config), [0], 0.1)
    (run,) = store.trials
    assert run.info.run_name.startswith("trial 0: r4 standard: layer1, layer2")
    assert run.info.run_name.endswith(", …")
    assert len(run.info.run_name) <= 80


def test_a_parameter_that_changed_on_resuming_is_a_tag(opened, store):
    opened(params={"study.trials": 10, "trainer.epochs": 3})
    opened(params={"study.trials": 20, "trainer.epochs": 3, "new": 1})
    parent = store.parent
    assert parent.data.params == {"study.trials": "10", "trainer.epochs": "3", "new": "1"}
    assert {key: value for key, value in parent.data.tags.items() if key.startswith("resumed.")} == {
        "resumed.study.trials": "20"
    }
