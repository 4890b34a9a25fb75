"""The command that launches a study like one that is there: it composes to the same."""

import shlex
from dataclasses import asdict

import hydra
import pytest

from senas.app.compose import checked
from senas.app.launched import launch_words
from senas.app.paths import conf_dir


def composed(words):
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return asdict(checked("search", hydra.compose("search", [*words])))


@pytest.mark.parametrize(
    "words",
    [
        ["space.reduction=[2,8]", "trainer.lr=5e-4", "progress=false", "data.val=100", "root=my runs"],
        ["data=cued_digits", "sampler=nsga2", "sampler.population_size=7", "space=paper", "trainer.epochs=3"],
        ["objective=pareto", "objective.metrics=[val_loss,macs,latency_ms]", "latency=onnx", "tracking=none"],
        ["backbone=torchvision", "backbone.name=resnet18", "backbone.strip_se=true", "+backbone.args.groups=2"],
        ["+experiment=fashion_mnist_two_cores", "trainer=full", "storage.url=sqlite:///a b.db"],
        [
            'tracking.experiment="my \\"own\\" runs"',
            "study.start=[none]",
            "space.constraints.params=12e6",
            "study.confirm=0",
        ],
        ["data=custom", "data.target=mine:Images", "+data.args.f=inf", "+data.args.g=-inf", "+data.args.empty={}"],
    ],
    ids=["keys", "groups", "objective", "backbone", "experiment", "quotes", "endless"],
)
def test_its_words_compose_to_what_the_study_ran_with(words):
    study = composed(words)
    assert composed(shlex.split(" ".join(launch_words(study)))) == study


def test_of_the_defaults_nothing_is_said():
    assert launch_words(composed([])) == []


def test_a_chosen_file_is_named_and_not_its_keys():
    assert launch_words(composed(["data=cued_digits", "trainer=full"])) == ["data=cued_digits", "trainer=full"]
