"""Every configuration composes into what its command is checked against."""

import dataclasses
from functools import cache

import hydra
import pytest
import yaml

from senas.app.compose import checked
from senas.app.fingerprint import digest, fingerprint_of
from senas.app.main import COMMANDS
from senas.app.paths import conf_dir
from senas.app.schema import SCHEMAS
from senas.app.wiring import pruner, sampler_factory, set_up
from senas.core.trial import Status, Trial
from senas.errors import ConfigError
from senas.training import datasets

GROUPS = sorted(path.name for path in conf_dir().iterdir() if path.is_dir() and path.name != "experiment")
OPTIONS = [(group, path.stem) for group in GROUPS for path in sorted((conf_dir() / group).glob("*.yaml"))]
EXPERIMENTS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))
SMALL = {
    ("backbone", "torchvision"): ["backbone.name=resnet18"],
    ("backbone", "timm"): ["backbone.name=resnet18"],
    ("backbone", "custom"): ["backbone.target=torchvision.models:resnet18"],
    ("data", "cued_digits"): ["data.train=64", "data.val=64", "data.test=64"],
    ("data", "image_folder"): ["data.root=photos"],
    ("data", "custom"): ["data.target=mypkg.data:MyData"],
}
STUDIED = ("resume", "front", "effects", "explain", "report", "export")
MANDATORY = {name: ["study.name=x"] for name in STUDIED} | {"train": ["se=none"]}
NEEDS_FILES = {("data", name) for name in ("fashion_mnist", "image_folder", "custom", "cifar10", "cifar100")}


@cache
def composed(command, *overrides):
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return checked(command, hydra.compose(command, [*overrides]))


@pytest.fixture
def fashion(tmp_path, monkeypatch):
    """Fashion-MNIST's names and shapes, a hundred images of each part."""
    for name, images in (("train", 100), ("t10k", 100)):
        pixels = bytes(range(256)) * 307
        head = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (images, 28, 28))
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(head + pixels[: images * 784])
        labels = bytes(i % 10 for i in range(images))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + images.to_bytes(4, "big") + labels)
    monkeypatch.setattr(datasets, "FASHION_PLACES", ("{root}",))
    return [f"data.root={tmp_path}", "data.train=70", "data.val=30"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_composes_as_it_is(command):
    assert isinstance(composed(command, *MANDATORY.get(command, [])), SCHEMAS[command])


def test_every_command_has_a_schema_and_a_config_file():
    assert set(SCHEMAS) == set(COMMANDS)
    assert {path.stem for path in conf_dir().glob("*.yaml")} == {*COMMANDS, "base"}


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_every_option_of_every_group_composes(group, name):
    config = composed("search", f"{group}={name}", *SMALL.get((group, name), []))
    plain = dataclasses.asdict(config)[group]
    assert plain
    assert set(yaml.safe_load((conf_dir() / group / f"{name}.yaml").read_text())) - {"defaults"} <= set(plain)


@pytest.mark.parametrize(
    ("group", "name"), [option for option in OPTIONS if option not in {*NEEDS_FILES, ("trainer", "gpu")}]
)
def test_every_option_can_be_set_up(group, name):
    if (group, name) in {("backbone", "resnet110"), ("backbone", "resnet50")}:
        pytest.skip("takes seconds; it differs from a shallower one in a number")
    config = composed("search", f"{group}={name}", *SMALL.get((group, name), []))
    setup = set_up(config)
    assert setup.space.size > 1
    assert len(setup.sites) >= 3
    sampler_factory(config, setup.space, setup.objective)(0)
    pruner(config)


def test_fashion_mnist_can_be_set_up(fashion):
    setup = set_up(composed("search", "data=fashion_mnist", *fashion))
    assert setup.data.shape == (1, 28, 28)
    assert len(setup.data.train), len(setup.data.val) == (70, 30)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes(name):
    assert composed("search", f"+experiment={name}") != composed("search")


def test_the_experiment_is_what_its_file_says():
    config = composed("search", "+experiment=fashion_mnist_two_cores")
    assert (config.data["name"], config.data["train"], config.backbone.name) == ("fashion_mnist", 10000, "resnet20")
    assert (config.trainer.epochs, config.trainer.batch_size, config.study.trials) == (3, 128, 12)


@pytest.mark.parametrize("path", sorted(conf_dir().rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_says_what_it_is(path):
    head = path.read_text().removeprefix("# @package _global_\n")
    assert head.startswith("# ")


@pytest.mark.parametrize(
    ("space", "backbone", "size"),
    [
        ("default", "resnet8", 343),
        ("default", "resnet20", 40_353_607),
        ("all_placements", "resnet8", 3375),
        ("paper", "resnet8", 17 * 20 * 21),  # two ratios are one width at C = 16: wherever, and before the second stage
    ],
)
def test_a_space_is_as_large_as_its_file_states(space, backbone, size):
    assert set_up(composed("search", f"space={space}", f"backbone={backbone}")).space.size == size


# What a study is: its fingerprint


@pytest.mark.parametrize(
    "override",
    [
        "trainer.epochs=9",
        "data.split_seed=1",
        "backbone=resnet14",
        "backbone.width=8",
        "space.reduction=[4]",
        "objective.penalty=0.2",
        "objective=pareto",
        "study.seed=1",
        "trainer.precision=bf16-mixed",
    ],
)
def test_what_changes_a_score_makes_another_study(override):
    config, other = composed("search"), composed("search", override)
    assert digest(fingerprint_of(config)) != digest(fingerprint_of(other))


@pytest.mark.parametrize(
    "override",
    [
        "study.trials=99",
        "objective.pick=knee",
        "trainer.threads=2",
        "trainer.accelerator=cpu",
        "tracking=none",
        "evaluator=fused",
        "evaluator=supernet",
        "evaluator.workers=2",
        "study.margin=0.5",
        "study.interactions=false",
        "sampler=random",
        "root=elsewhere",
        "progress=false",
    ],
)
def test_what_changes_no_score_leaves_the_study_the_same(override):
    config, other = composed("search"), composed("search", override)
    assert fingerprint_of(config) == fingerprint_of(other)


def test_a_study_says_of_its_evaluator_what_studies_before_others_came_said():
    told = {key: value for key, value in fingerprint_of(composed("search")).items() if key.startswith("evaluator")}
    assert told == {"evaluator.name": "standalone"}


def test_where_the_data_lie_does_not_make_another_study(fashion):
    config = composed("search", "data=fashion_mnist")
    assert fingerprint_of(config) == fingerprint_of(composed("search", "data=fashion_mnist", "data.root=elsewhere"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"_target_": "optuna.samplers.Nothing"}, "optuna.samplers.Nothing cannot be made"),
        ({"_target_": "nowhere.Sampler"}, "nowhere.Sampler cannot be made"),
        ({"_target_": ""}, "cannot be made"),
        ({"_target_": "optuna.samplers.TPESampler", "n_startup": 3}, "unexpected keyword argument 'n_startup'"),
        ({"_target_": "optuna.samplers.TPESampler", "n_startup_trials": "many"}, "n_startup_trials must be a number"),
    ],
)
def test_a_sampler_that_cannot_be_made_is_refused_before_it_is_used(caplog, options, words):
    config = dataclasses.replace(composed("search"), sampler=options)
    setup = set_up(composed("search"))
    with pytest.raises(ConfigError, match=words) as caught:
        sampler_factory(config, setup.space, setup.objective)(0)
    assert "\n" not in str(caught.value)
    assert caplog.records == []  # outside of pytest they would be lines on standard error


def test_a_study_without_interactions_neither_claims_nor_proposes_by_them():
    setup = set_up(composed("search", "study.interactions=false"))
    trials = [
        Trial(
            number=n,
            status=Status.COMPLETE,
            config=config,
            seed=0,
            scores={"val_loss": 0.5 + n / 100, "se_params": 1.0},
        )
        for n, config in enumerate(setup.baselines.values())
    ]
    assert not setup.verdict(trials).effects.design.interactions
    assert not sampler_factory(setup.config, setup.space, setup.objective)(0).interactions


def test_a_study_is_named_after_its_data_backbone_and_fingerprint():
    config = composed("search")
    assert set_up(config).folder.name == f"digits-resnet8-{digest(fingerprint_of(config))[:6]}"
