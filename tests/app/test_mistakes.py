"""A mistake ends in one line on standard error and exit code 2, and nothing was written."""

import errno
import os
import shutil
from types import SimpleNamespace

import optuna
import pytest

from senas.app.main import FULL, OURS, run
from senas.app.paths import StudyFolder, write_whole
from senas.training import datasets

SEARCH = [
    # a key that there is not
    (["study.trails=3"], 'study.trails: there is no such key; did you mean "study.trials"?'),
    (["dta=digits"], 'dta: there is no such key; did you mean "data"?'),
    (["pick=knee"], 'pick: there is no such key; did you mean "objective.pick"?'),
    (["trials=5"], 'trials: there is no such key; did you mean "study.trials"?'),
    (["epochs=3"], 'epochs: there is no such key; did you mean "trainer.epochs"?'),
    (["lr=0.1"], 'lr: there is no such key; did you mean "trainer.lr"?'),
    (["name=x"], 'name: there is no such key; did you mean "study.name"?'),
    (["trainer.lr.x=3"], 'trainer.lr.x: there is no such key; did you mean "trainer.lr"?'),
    (["backbone.args.depth=3"], "arguments are added one by one, with a +: +backbone.args.depth=..."),
    (["data.options={a: 1}"], "+data.options.KEY=...; data=custom takes them"),
    (["+nothing=3"], "nothing: there is no such key"),
    (["++study.foo=3"], "study.foo: there is no such key"),
    (["++trainer.epoch=3"], 'trainer.epoch: there is no such key; did you mean "trainer.epochs"?'),
    (["data.download=true"], "data.download: there is no such key here; "),
    (["objective.metrics=[val_loss]"], "objective.metrics: there is no such key here; objective=pareto has it"),
    (["~nothing"], "~nothing: there is no such key"),
    (["~study.nothing"], "~study.nothing: there is no such key"),
    (["~study.trials"], "study.trials must be given: study.trials=..."),
    (["~data"], "data must be given: data=..."),
    (["+study.trials=3"], "+study.trials: this key is there already; write study.trials=... to change it"),
    # flags
    (["--trials", "4"], "--trials: there is no such flag; keys are written without dashes: study.trials=4"),
    (["--trials=4"], "--trials: there is no such flag; keys are written without dashes: study.trials=4"),
    (["--nonsense"], "--nonsense: there is no such flag; there are --cfg, --package, --config-dir, --multirun"),
    (["-x", "study.trials=3"], "-x: there is no such flag"),
    (["--config-name", "other"], "--config-name: there is no such flag"),
    (["--cfg", "everything"], "--cfg must be followed by one of job, hydra, all, got everything"),
    (["--config-dir"], "--config-dir must be followed by a folder, got nothing"),
    (["--multirun", "trainer.epochs=0", "study.seed=1"], "trainer.epochs must be at least 1, got 0"),
    # what cannot be read
    (["study.trials =3"], "there is a space in the key; write study.trials=..., without spaces"),
    ([" study.trials=3"], "there is a space in the key; write study.trials=..., without spaces"),
    (["=3"], '"=3": there is no key before "="; write key=value'),
    (["study.trials='3"], "study.trials='3: this cannot be read; what is not plain letters and digits needs quotes"),
    (["study.name=a,b"], "study.name=a,b: several values need --multirun"),
    (["study.trials=range(1,3)"], "several values need --multirun, one study for each; a list is written key=[a,b]"),
    (["study.trials=[1,2"], "study.trials=[1,2: this cannot be read"),
    (["study..trials=3"], '"study..trials" is no key: one is words joined by dots'),
    (["space.reduction[0]=2"], '"space.reduction[0]" is no key: one is words joined by dots; a list is given whole'),
    (["space.reduction.9=2"], "a list has no such index; a list is given whole, as in space.reduction=[4,16]"),
    (["study.name=\udcff"], "study.name=\\udcff: this is not UTF-8"),
    (["trainer.lr=☃"], "trainer.lr=☃: this cannot be read"),
    (["study"], '"study": a key needs a value: study=...'),
    (["trials"], '"trials": a key needs a value: study.trials=...'),
    (["study.name='${nowhere}'"], "study.name: Interpolation key 'nowhere' not found; ${...} names another key"),
    (["root='${oc.env:SENAS_NOWHERE}'"], "'SENAS_NOWHERE' not found"),
    (["root='${study.name'"], "a value cannot be read"),
    (["study.trials='${study.trials}'"], "study.trials: Recursive interpolation detected"),
    # an option of a group that there is not
    (
        ["data=digitz"],
        'data: there is no "digitz"; there are ',
    ),
    (["data=digitz"], 'did you mean "digits"?'),
    (["backbone=resnet21"], "there are custom, resnet8, resnet14, resnet18, resnet20, "),
    (["backbone=resnet21"], 'did you mean "resnet20"?'),
    (["space=papers"], 'there are all_placements, default, paper, stripped; did you mean "paper"?'),
    (["objective=paretto"], 'objective: there is no "paretto"; there are pareto, penalized; did you mean "pareto"?'),
    (["trainer=tiny"], 'trainer: there is no "tiny"; there are default, '),
    (["sampler=annealing"], 'sampler: there is no "annealing"; there are effects, gp, nsga2, random, tpe'),
    (["pruner=hyper"], 'pruner: there is no "hyper"; there are median, none'),
    (["evaluator=fusd"], 'evaluator: there is no "fusd"; there are fused, standalone, supernet; did you mean "fused"?'),
    (["storage=redis"], 'storage: there is no "redis"; there is journal'),
    (["tracking=wandb"], 'tracking: there is no "wandb"; there are mlflow, none'),
    (["trainer="], 'trainer: there is no ""; there are default, '),
    (["+experiment=mine"], 'experiment: there is no "mine"'),
    (["experiment=fashion_mnist_two_cores"], "experiment: this group has no default; write +experiment=..."),
    (["hydra/job_logging=x"], "hydra/job_logging: there is no such group; there are backbone, data"),
    (["data=3"], 'data: there is no "3"; there are '),
    (["sampler=null"], 'sampler: there is no "null"; there are effects'),
    (["data=digits,cued_digits"], "several values need --multirun"),
    # a value of the wrong kind
    (["study.trials=many"], 'study.trials must be a whole number, got "many"'),
    (["study.trials="], 'study.trials must be a whole number, got ""'),
    (["study.trials=1.5"], 'study.trials must be a whole number, got "1.5"'),
    (["study.trials=1e400"], 'study.trials must be a whole number, got "inf"'),
    (["study.trials=null"], "study.trials must have a value, got null"),
    (["study.trials={a:1}"], "study.trials must be a whole number, got"),
    (["study=3"], "study must have keys below it, as in study.name=..., got 3"),
    (["space.optional=maybe"], "space.optional must be true or false, got maybe"),
    (["space.reduction=4"], "space.reduction must be a list, even of one: space.reduction=[...]"),
    (["space.reduction=[a]"], 'space.reduction[0] must be a whole number, got "a"'),
    (["space.placement=pre"], "space.placement must be a list, even of one: space.placement=[...]"),
    (["progress=maybe"], "progress must be true or false, got"),
    (["data.val=many"], "data.val: Value 'many'"),
    # a value out of range
    (["study.trials=0"], "study.trials must be at least 1, got 0"),
    (["study.trials=-1"], "study.trials must be at least 1, got -1"),
    (["study.margin=nan"], "study.margin must be at least 0, got nan"),
    (["study.start=[all4]"], 'study.start: "all4" is not among former, none, all16, theory'),
    (["study.name=a/b"], 'study.name must be a plain name, not a path, got "a/b"'),
    (["study.name=.."], 'study.name must be a plain name, not a path, got ".."'),
    (["study.name=''"], "study.name is empty; give a name, or leave study.name out"),
    (["study.name='a '"], "study.name must be one line without spaces around it, got 'a '"),
    (["study.name='\"a\"'"], 'study.name must be without quotes and $, which shells read, got " in it'),
    (["study.name=mlflow.db"], 'study.name: "mlflow.db" is what MLflow\'s store under root is called'),
    ([f"study.name={'x' * 300}"], "study.name must have at most 200 bytes"),
    (["study.seed=99999999999999999999"], "study.seed must be at least 0 and below 2^63"),
    (["study.seeds=0"], "study.seeds must be at least 1, got 0; null leaves it to the sampler"),
    (["study.seeds=many"], 'study.seeds must be a whole number, got "many"'),
    (["study.confirm=-1"], "study.confirm must be at least 0, got -1; 0 trains nothing again"),
    (["study.audit=maybe"], "study.audit must be true or false, got maybe"),
    (["root="], "root is empty"),
    (["trainer.epochs=0"], "trainer.epochs must be at least 1, got 0"),
    (["trainer.lr=0"], "trainer.lr must be a number above 0, got 0"),
    (["trainer.lr=nan"], "trainer.lr must be a number above 0, got nan"),
    (["trainer.batch_size=0"], "trainer.batch_size must be at least 1, got 0"),
    (["trainer.batch_size=902"], "trainer.batch_size must be between 1 and 901"),
    (["trainer.threads=0"], "trainer.threads must be at least 1, got 0"),
    (["trainer.optimizer=lion"], 'trainer.optimizer must be one of adamw, sgd, got "lion"'),
    (["trainer.precision=8"], "trainer.precision must be one of 32-true, bf16-mixed, 16-mixed, bf16-true"),
    (["trainer.precision=bf16"], "trainer.precision must be one of 32-true, bf16-mixed"),
    (
        ["trainer.precision=16-mixed", "trainer.accelerator=cpu"],
        "trainer.precision=16-mixed is not computed on this device; trainer.precision=bf16-mixed",
    ),
    (["evaluator.warmup=3"], 'evaluator.warmup: there is no such key; did you mean "evaluator"?'),
    (["trainer.accelerator=abacus"], "trainer.accelerator=abacus"),
    (["space.reduction=[0]"], "space.reduction must be at least 1, got 0; space.optional=true"),
    (
        ["space.reduction=[128]"],
        "space.reduction: 128 is more than the channels of every chosen site (16 to 64); give at most 64",
    ),
    (["space=paper", "space.sites=[layer1.*]"], "32 is more than the channels of every chosen site (16)"),
    (["space.reduction.0=[]"], "space.reduction is a list of single values, as in space.reduction=[a,b]; got [[], 16]"),
    (["study.start=[{a:1}]"], "study.start is a list of single values, as in study.start=[a,b]; got [{'a': 1}]"),
    (["space.reduction=[]"], "space.reduction is empty; give at least one value"),
    (["space.sites=[]"], "space.sites is empty; give at least one value"),
    (["space.sites=[layer9.*]"], 'space.sites: "layer9.*" matches no site; the sites are layer1.0, layer2.0, layer3.0'),
    (["space.placement=[]"], "space.placement is empty"),
    (["space.placement=[sideways]"], "space.placement must be one of pre, inner_before_relu, inner, standard"),
    (["space.squeeze=[median]"], 'space.squeeze must be one of avg, max, local, got "median"'),
    (["space.gate=[relu]"], 'space.gate must be one of sigmoid, hard_sigmoid, 2sigmoid, got "relu"'),
    (["space.activation=[gelu]"], 'space.activation must be one of relu, silu, got "gelu"'),
    (["space.per=layer"], 'space.per must be one of site, stage, network, got "layer"'),
    (["objective.penalty=nan"], "objective.penalty must be a number of at least 0"),
    (["objective.pick=nicest"], "objective.pick must be one of recommended, best, knee, smallest"),
    (["objective=pareto", "objective.metrics=[val_loss]"], "objective.metrics must be at least two"),
    (["objective=pareto", "objective.metrics=[val_loss,cost]"], '"cost" is not among val_loss'),
    (["objective=pareto", "pruner=median"], "several objectives cannot be pruned on; use objective=penalized"),
    (["backbone.name=vgg"], 'backbone.name: unknown backbone "vgg"'),
    (["backbone=torchvision"], "backbone.name must be given: backbone.name=..."),
    (["backbone=torchvision", "backbone.name=resnet19"], 'torchvision has no "resnet19"; did you mean resnet18 or '),
    (["backbone=torchvision", "backbone.name=ssd300_vgg16"], "is among torchvision's networks for detection; senas "),
    (["backbone=timm", "backbone.name=seresnt18"], 'timm has no "seresnt18"; did you mean seresnet18 or '),
    (["backbone=torchvision", "backbone.name=vgg11", "+backbone.args.depth=3"], "backbone.args.depth: vgg11 takes no"),
    (
        ["backbone=timm", "backbone.name=resnet18", "+backbone.args.pretrained=true"],
        "weights are named by backbone.weights",
    ),
    (["backbone=timm", "backbone.name=resnet18", "backbone.size=big"], "backbone.size must be a whole number, or two"),
    (
        ["backbone=torchvision", "backbone.name=resnet18", "backbone.weights=no.pt"],
        'there is no file "no.pt"; torchvis',
    ),
    (["backbone.weights=no.pt"], 'backbone.weights: there is no file "no.pt"'),
    (["backbone=custom"], "backbone.target must be given for a backbone of your own: package.module:name"),
    (["backbone=custom", "backbone.target=nowhere:build"], "backbone.target: there is no module nowhere, neither in "),
    (["backbone=vgg16"], "a network of a library is backbone=torchvision backbone.name=vgg16, or backbone=timm"),
    (["backbone=custom", "backbone.target=net.Net"], 'as package.module:name, got "net.Net"; did you mean "net:Net"?'),
    (["backbone=custom", "backbone.target=nonet.py:Net"], 'installed ones; did you mean "nonet:Net"?'),
    (["backbone=custom", "backbone.target=nowhere"], "backbone.target must name something of yours as package.module:"),
    (["backbone=custom", "backbone.target=math:sin"], "backbone.args: math:sin raised TypeError"),
    (["backbone=custom", "backbone.target=math:pi"], "backbone.target: math:pi is no function or class but 3.14"),
    (["backbone.target=math:pi"], "backbone.target: there is no such key here; backbone=custom has it"),
    (["backbone=resnet18", "backbone.width=8"], "backbone.width is for the CIFAR residual networks"),
    (["data.name=mnist"], 'data.name: there is no "mnist"'),
    (["+data.colour=red"], "data.colour"),
    (["data.split_seed=-1"], "data.split_seed must be at least 0 and below 2^63, got -1"),
    (["data=fashion_mnist", "data.root=."], "data.root: no Fashion-MNIST in ."),
    (["sampler._target_=optuna.samplers.Nothing"], "sampler: optuna.samplers.Nothing cannot be made"),
    (["sampler=tpe", "+sampler.n_startup=3"], "sampler: optuna.samplers.TPESampler cannot be made"),
    (["sampler=tpe", "sampler.n_startup_trials=many"], "n_startup_trials must be a number, got many"),
    (["pruner._target_=optuna.pruners.Nothing"], "pruner: optuna.pruners.Nothing cannot be made"),
    (["evaluator.name=other"], 'evaluator.name: there is no "other"; there are standalone, fused, supernet'),
    (["evaluator=supernet", "evaluator.trainings=29"], "evaluator.trainings must be at least 30, got 29; with fewer "),
    (["evaluator=supernet", "evaluator.keep=1"], "evaluator.keep must be between 0 and 1, got 1; evaluator=standalone"),
    (["evaluator=supernet", "evaluator.keep=0"], "evaluator.keep must be between 0 and 1, got 0"),
    (["evaluator=supernet", "evaluator.epochs=0"], "evaluator.epochs must be at least 1, or null for as many as a "),
    (
        ["evaluator=supernet", "evaluator.sampling=best"],
        'evaluator.sampling must be one of uniform, fair, sandwich, got "best"',
    ),
    (
        ["evaluator=supernet", "evaluator.distill=true", "evaluator.sampling=fair"],
        "evaluator.distill=true goes with evaluator.sampling=sandwich, whose largest configuration the others learn",
    ),
    (["tracking.name=diary"], 'tracking.name: there is no "diary"; there are mlflow, none'),
    (["tracking.experiment="], "tracking.experiment is empty"),
    (
        ["evaluator=supernet", "study.trials=99", "sampler=gp"],
        "evaluator=supernet ends proposals untrained, of which sampler=gp learns nothing: it proposes them again; sam",
    ),
    (
        ["evaluator=supernet", "study.trials=99", "space.per=network"],
        "evaluator=supernet trains the first 30 configurations by themselves, and the space has 7: nothing would be",
    ),
    (
        ["evaluator=supernet", "study.trials=99", "objective=pareto", "objective.metrics=[val_loss,val_error]"],
        "evaluator=supernet ranks by one score that training brings, and objective.metrics has 2: val_loss, val_error;",
    ),
    # servers
    (["tracking.uri=http://127.0.0.1:9"], "tracking.uri: nothing answers at http://127.0.0.1:9 (Connection refused)"),
    (["tracking.uri=http://127.0.0.1:9"], "start its server (`mlflow server --backend-store-uri sqlite:///mlflow.db`"),
    (["tracking.uri='http://[::1'"], "tracking.uri: nothing answers at http://[::1 (it is no address"),
    (
        ["storage.url=postgresql+psycopg://me:s3cret@127.0.0.1:9/x"],
        "storage.url: nothing answers at postgresql+psycopg://me:***@127.0.0.1:9/x (Connection refused); start its",
    ),
    (["storage.url=sqlite:////nowhere/at/all.db"], "storage.url: sqlite:////nowhere/at/all.db does not open"),
    (["storage.url=nonsense://me:s3cret@host/x"], "storage.url: nonsense://me:***@host/x does not open"),
    (["root=/proc/none"], "root: /proc/none/"),
    # two at once: the first is told
    (["study.trails=3", "data=digitz"], "study.trails: there is no such key"),
    (["data=digitz", "study.trails=3"], 'data: there is no "digitz"'),
    (["trainer.lr=nan", "study.seed=-1"], "trainer.lr must be a number above 0, got nan"),
    (["study.seed=-1", "trainer.lr=nan"], "study.seed must be at least 0"),
    (["trainer.epochs=many", "backbone=resnet21", "lr=3"], "trainer.epochs must be a whole number"),
    (["data.root=photos", "data=image_foldr"], 'data: there is no "image_foldr"'),
    (["trainer.epochs=0", "space.sites=[layer9.*]"], "trainer.epochs must be at least 1"),
]
OTHERS = [
    (["resume", "study.name=x", "sampler=tpe"], "sampler: a study is resumed as it was launched; senas search"),
    (["serch"], '"serch" is no command; there are search, resume, audit, front, '),
    (["serch"], 'did you mean "search"?'),
    (["--trials"], '"--trials" is no command'),
    (["study.trials=3"], '"study.trials=3" comes before the command: senas COMMAND study.trials=3; there are search'),
    (["front"], "study.name must be given: study.name=..."),
    (["front", "study.name=nothing"], 'study.name: there is no study "nothing" in runs; there are none yet'),
    (["front", "study.name=../runs"], "study.name must be a plain name"),
    (["front", "study.name=x", "pick"], '"pick": a key needs a value: pick=...'),
    (["front", "study.name=x", "study.margin=-1"], "study.margin must be at least 0, got -1"),
    (["export"], "study.name must be given: study.name=..."),
    (["export", "study.name=nothing"], 'study.name: there is no study "nothing" in runs; there are none yet'),
    (["front", "study.name=x", "trust='my pkg'"], 'trust must name packages, as in trust=mypkg, got "my pkg"'),
    (["export", "study.name=x", "trust=3"], "trust must be the name of a package, or several as [a,b], got 3"),
    (["sites", "backbone=resnet9"], 'backbone: there is no "resnet9"'),
    (["sites", "study.trials=3"], "study.trials"),
    (["sites", "backbone=resnet8", "space=paper", "space.reduction=[128]"], "128 is more than the channels"),
    (["train", "se=none", "name=a/b"], 'senas: name must be a plain name, not a path, got "a/b"'),
    (["dashboard", "port=-1"], "port must be between 0 and 65535, got -1"),
    (["dashboard", "port=http"], 'port must be a whole number, got "http"'),
    (["dashboard"], "root: no study was recorded in runs yet"),
    (["search", "--config-dir=nowhere"], "nowhere' not found"),
]
CASES = [(["search", *words], line) for words, line in SEARCH] + OTHERS


def in_one_line(said, words):
    assert said.code == 2
    assert said.err.startswith("senas: "), said.err
    assert len(said.err.splitlines()) == 1, said.err
    assert words in said.err


@pytest.mark.parametrize(("arguments", "words"), CASES, ids=[ascii(" ".join(arguments))[:90] for arguments, _ in CASES])
def test_a_mistake_is_one_line_and_nothing_is_written(senas, folder, monkeypatch, arguments, words):
    monkeypatch.setattr(datasets, "FASHION_PLACES", ("{root}",))  # wherever the machine may have it
    monkeypatch.setattr("senas.study.loop.Search.run", lambda *_: pytest.fail("it went on to train"))
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
            "pick must be one of recommended, best, knee, smallest, budget:<params> or trial:<n>",
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
    assert list(folder.iterdir()) == []


def test_an_error_of_the_program_is_not_taken_for_a_mistake(searched, monkeypatch):
    monkeypatch.setattr("senas.app.search.set_up", lambda config: SimpleNamespace())
    with pytest.raises(AttributeError) as caught:
        searched()
    assert caught.value.__notes__ == [OURS]


def test_an_error_of_the_program_while_it_trains_says_where_the_log_lies(searched, folder, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr("senas.study.loop.Search.run", broken)
    with pytest.raises(ZeroDivisionError) as caught:
        searched("study.name=pilot")
    assert caught.value.__notes__ == ["The log of this run: runs/pilot/log.txt", OURS]
    assert "ZeroDivisionError: deep inside" in (folder / "runs" / "pilot" / "log.txt").read_text()


# A disk that takes nothing more


@pytest.mark.parametrize("number", sorted(FULL))
def test_a_disk_that_fills_up_during_a_search_is_one_line_that_names_the_folder(searched, folder, monkeypatch, number):
    def full(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("senas.study.loop.Search.run", full)
    said = searched("study.name=pilot")
    in_one_line(said, f"runs/pilot cannot be written: {os.strerror(number)}; what finished is not lost")
    assert "Traceback" in (folder / "runs" / "pilot" / "log.txt").read_text()


def test_what_was_there_stays_whole_where_the_disk_is_full(folder, monkeypatch):
    path = folder / "front.csv"
    path.write_text("before")

    def full(self, content):
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"after")
    assert [(each.name, each.read_text()) for each in folder.iterdir()] == [("front.csv", "before")]


def test_a_database_that_goes_away_during_a_search_is_one_line_without_its_password(searched, monkeypatch):
    def gone(*_):
        raise optuna.exceptions.StorageInternalError("s3cret") from OSError("postgresql://me:s3cret@host/x: closed")

    monkeypatch.setattr("senas.study.loop.Search.run", gone)
    said = searched("storage.url=sqlite:///studies.db")
    in_one_line(said, "storage.url: sqlite:///studies.db failed (postgresql://me:***@host/x: closed); what finished")
    assert "s3cret" not in said.err
