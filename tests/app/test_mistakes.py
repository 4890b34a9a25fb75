"""A mistake ends in one line on standard error and exit code 2, and nothing was written."""

import shutil
from types import SimpleNamespace

import pytest

from senas.app.main import run
from senas.app.paths import StudyFolder
from senas.training import datasets

SEARCH = [
    (["study.trails=3"], 'study.trails: there is no such key; did you mean "study.trials"?'),
    (["dta=digits"], 'dta: there is no such key; did you mean "data"?'),
    (
        ["data=digitz"],
        'data: there is no "digitz"; there are cued_digits, custom, digits, fashion_mnist, image_folder; did you mean "digits"',
    ),
    (["trainer=tiny"], 'trainer: there is no "tiny"; there are default, gpu'),
    (["sampler=annealing"], 'sampler: there is no "annealing"; there are gp, nsga2, random, tpe'),
    (["+experiment=mine"], 'experiment: there is no "mine"'),
    (["++study.foo=3"], "study.foo"),
    (["study.trials=many"], "study.trials: Value 'many'"),
    (["space.optional=maybe"], "space.optional: Value 'maybe'"),
    (["space.reduction=4"], "space.reduction"),
    (["data=3"], "override"),
    (["sampler=null"], "override"),
    (["study"], "study"),
    (["study.trials=0"], "study.trials must be at least 1, got 0"),
    (["study.margin=nan"], "study.margin must be at least 0, got nan"),
    (["study.start=[all4]"], 'study.start: "all4" is not among none, all16'),
    (["study.name=a/b"], 'study.name must be a plain name, not a path, got "a/b"'),
    (["study.name=.."], 'study.name must be a plain name, not a path, got ".."'),
    (["trainer.epochs=0"], "trainer.epochs must be at least 1, got 0"),
    (["trainer.lr=0"], "trainer.lr must be a number above 0, got 0"),
    (["trainer.lr=nan"], "trainer.lr must be a number above 0, got nan"),
    (["trainer.batch_size=0"], "trainer.batch_size must be between 1 and 901"),
    (["trainer.threads=0"], "trainer.threads must be at least 1, got 0"),
    (["trainer.precision=8"], "trainer.precision=8"),
    (["trainer.accelerator=abacus"], "trainer.accelerator=abacus"),
    (["space.reduction=[0]"], "space.reduction must be at least 1, got 0; space.optional=true"),
    (["space.reduction=[]"], "space.reduction is empty; give at least one value"),
    (["space.sites=[]"], "space.sites is empty; give at least one value"),
    (["space.sites=[layer9.*]"], 'space.sites: "layer9.*" matches no site; the sites are layer1.0'),
    (["space.placement=[sideways]"], "space.placement must be one of pre, inner_before_relu, inner, standard"),
    (["objective.penalty=nan"], "objective.penalty must be a number of at least 0"),
    (["objective.pick=nicest"], "objective.pick must be one of best, knee, smallest"),
    (["objective=pareto", "objective.metrics=[val_loss]"], "objective.metrics must be at least two"),
    (["objective=pareto", "objective.metrics=[val_loss,cost]"], '"cost" is not among val_loss'),
    (["objective=pareto", "pruner=median"], "several objectives cannot be pruned on; use objective=penalized"),
    (["backbone.name=vgg"], 'backbone.name: unknown backbone "vgg"'),
    (["backbone=resnet18", "backbone.width=8"], "backbone.width is for the CIFAR residual networks"),
    (["data.name=mnist"], 'data.name: there is no "mnist"'),
    (["data.val=many"], "data.val: Value 'many'"),
    (["+data.colour=red"], "data.colour"),
    (["data.split_seed=-1"], "data.split_seed must be at least 0 and below 2^63, got -1"),
    (["study.seed=99999999999999999999"], "study.seed must be at least 0 and below 2^63"),
    (["space.placement=pre"], "space.placement must be a list, even of one: space.placement=[...]"),
    (["++trainer.epoch=3"], 'trainer.epoch: there is no such key; did you mean "trainer.epochs"?'),
    (["data=fashion_mnist", "data.root=."], "data.root: no Fashion-MNIST in ."),
    (["sampler._target_=optuna.samplers.Nothing"], "sampler: optuna.samplers.Nothing cannot be made"),
    (["+sampler.n_startup=3"], "sampler: optuna.samplers.TPESampler cannot be made"),
    (["sampler.n_startup_trials=many"], "n_startup_trials must be a number, got many"),
    (["pruner._target_=optuna.pruners.Nothing"], "pruner: optuna.pruners.Nothing cannot be made"),
    (["evaluator.name=fused"], 'evaluator.name: there is no "fused"'),
    (["tracking.name=diary"], 'tracking.name: there is no "diary"; there are mlflow, none'),
    (
        ["tracking=mlflow", "tracking.uri=http://127.0.0.1:9"],
        "tracking.uri: MLflow cannot be used at http://127.0.0.1:9",
    ),
    (["storage.url=sqlite:////nowhere/at/all.db"], "storage.url: sqlite:////nowhere/at/all.db does not open"),
    (["storage.url=nonsense://me:s3cret@host/x"], "storage.url: nonsense://me:***@host/x does not open"),
    (["root=/proc/none"], "root: /proc/none/"),
]
OTHERS = [
    (["serch"], '"serch" is no command; there are search, front, sites, export, dashboard; did you mean "search"?'),
    (["--trials"], '"--trials" is no command'),
    (["front"], "study.name must be given: study.name=..."),
    (["front", "study.name=nothing"], 'study.name: there is no study "nothing" in runs; there are none yet'),
    (["front", "study.name=../runs"], "study.name must be a plain name"),
    (["front", "study.name=x", "pick"], "pick"),
    (["export"], "study.name must be given: study.name=..."),
    (["export", "study.name=nothing"], 'study.name: there is no study "nothing" in runs; there are none yet'),
    (["sites", "backbone=resnet9"], 'backbone: there is no "resnet9"'),
    (["sites", "study.trials=3"], "study.trials"),
    (["dashboard"], "root: no study was recorded in runs yet"),
    (["search", "--config-dir=nowhere"], "nowhere' not found"),
]
CASES = [(["search", "trainer.epochs=1", "study.trials=2", *words], line) for words, line in SEARCH] + OTHERS


def in_one_line(said, words):
    assert said.code == 2
    assert said.err.startswith("senas: "), said.err
    assert len(said.err.splitlines()) == 1, said.err
    assert words in said.err


@pytest.mark.parametrize(("arguments", "words"), CASES, ids=[" ".join(arguments) for arguments, _ in CASES])
def test_a_mistake_is_one_line_and_nothing_is_written(senas, folder, monkeypatch, arguments, words):
    monkeypatch.setattr(datasets, "FASHION_PLACES", ("{root}",))  # wherever the machine may have it
    said = senas(*arguments)
    in_one_line(said, words)
    assert said.out == ""
    assert list(folder.iterdir()) == []
    assert "s3cret" not in said.err


# Mistakes about a study that is there


@pytest.fixture(scope="module")
def runs(pilot, tmp_path_factory):
    """Two studies: `pilot`, with six trials, and `empty`, which was interrupted before its first."""
    root = tmp_path_factory.mktemp("with_empty") / "runs"
    shutil.copytree(pilot, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["senas"])
        patch.setenv("HYDRA_FULL_ERROR", "1")
        patch.setattr("senas.study.loop.Search.run", interrupted)
        assert run(["search", "tracking=none", f"root={root}", "study.name=empty"]) == 130
    return root


def interrupted(*_):
    raise KeyboardInterrupt


PILOT = ["search", "study.name=pilot", "tracking=none", "study.trials=9"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*PILOT, "trainer.epochs=2"], 'study "pilot" is another one: trainer.epochs is 1, you ask for 2'),
        ([*PILOT, "trainer.epochs=1", "objective.penalty=0.2"], "objective.penalty is 0.1, you ask for 0.2"),
        ([*PILOT, "trainer.epochs=1", "study.seed=3"], "study.seed is 0, you ask for 3"),
        (["front", "study.name=pilto"], 'there is no study "pilto" in'),
        (["front", "study.name=pilto"], "there are empty, pilot"),
        (
            ["front", "study.name=pilot", "pick=cheapest"],
            "pick must be one of best, knee, smallest, budget:<params> or trial:<n>",
        ),
        (
            ["front", "study.name=pilot", "pick=trial:99"],
            "no trial 99 that was trained to the end; it has 0, 1, 2, 3, 4, 5",
        ),
        (["front", "study.name=pilot", "pick=budget:few"], "pick=budget:few: a budget is a whole number"),
        (["front", "study.name=pilot", "objective.penalty=-1"], "objective.penalty must be a number of at least 0"),
        (["front", "study.name=pilot", "pick=smallest", "study.margin=-1"], "study.margin must be at least 0"),
        (["front", "study.name=empty"], "no trial of this study was trained to the end yet"),
        (["export", "study.name=empty"], "no trial of this study was trained to the end yet"),
        (["export", "study.name=pilot", "pick=trial:x"], "no trial x that was trained to the end"),
        (["export", "study.name=pilot", "to=full"], "to: full holds something else (diary.txt); name a new folder"),
        (["export", "study.name=pilot", "to=full/diary.txt"], "to: full/diary.txt is a file; name a folder"),
    ],
)
def test_a_mistake_about_a_study_is_one_line_and_nothing_is_written(senas, folder, runs, tree, arguments, words):
    (folder / "full").mkdir()
    (folder / "full" / "diary.txt").write_text("mine")
    here, there = tree(folder), tree(runs)
    said = senas(*arguments, f"root={runs}")
    in_one_line(said, words)
    assert (said.out, tree(folder), tree(runs)) == ("", here, there)


def test_a_penalty_for_a_study_without_one_is_refused(senas, searched, folder):
    searched("objective=pareto", "study.name=pilot", "study.trials=1")
    in_one_line(senas("front", "study.name=pilot", "objective.penalty=0.1"), "this study has objective=pareto")


def test_a_configuration_that_was_spoilt_is_named(senas, folder):
    (folder / "runs" / "pilot").mkdir(parents=True)
    (folder / "runs" / "pilot" / "config.yaml").write_text("study: [")
    in_one_line(senas("front", "study.name=pilot"), "runs/pilot/config.yaml is not a configuration of senas any more")


def test_a_mistake_takes_nothing_away_that_was_there_before(searched, folder):
    (folder / "photos").mkdir()
    (folder / "photos" / "me.jpg").write_text("mine")
    in_one_line(searched("root=.", "study.name=photos", "storage.url=nonsense://x"), "does not open")
    assert (folder / "photos" / "me.jpg").read_text() == "mine"


def test_two_searches_of_one_study_at_once_are_refused(senas, runs, tree):
    with StudyFolder(runs, "pilot").locked():
        before = tree(runs)
        said = senas(*PILOT, "trainer.epochs=1", f"root={runs}")
        in_one_line(said, 'study "pilot" is being searched by another process; wait for it')
        assert tree(runs) == before


def test_the_second_job_of_several_does_not_start_after_a_mistake_in_the_first(senas, folder):
    said = senas("search", "--multirun", "tracking=none", "trainer.lr=0,0.01")
    in_one_line(said, "trainer.lr must be a number above 0")
    assert [path.name for path in (folder / "runs").iterdir() if path.is_dir()] == []


def test_an_error_of_the_program_is_not_taken_for_a_mistake(searched, monkeypatch):
    monkeypatch.setattr("senas.app.search.set_up", lambda config: SimpleNamespace())
    with pytest.raises(AttributeError):
        searched()
