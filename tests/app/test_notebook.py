"""The commands as functions: what a notebook gets from them."""

import doctest
import subprocess
import sys
import urllib.request

import pandas as pd
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import senas
from senas.app.calls import called
from senas.errors import ConfigError, SenasError, StudyError

QUICK = {"trainer": {"epochs": 1}, "tracking": "none", "progress": False}


@pytest.fixture
def study(copied):
    return senas.open_study("pilot", root=str(copied))


@pytest.mark.parametrize("name", ["search", "open_study", "audit", "explain", "export", "train", "sites"])
def test_there_is_an_example(name):
    assert ">>> " in getattr(senas, name).__doc__


@pytest.mark.slow
def test_the_examples_run_as_they_are_written(folder):
    """In the order in which a reader meets them: later ones use the study that the first one makes."""
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=options)
    parser = doctest.DocTestParser()
    for name in ("search", "open_study", "audit", "explain", "export", "train", "sites"):
        text = getattr(senas, name).__doc__
        runner.run(parser.get_doctest(text, {"senas": senas}, name, __file__, 0))
    assert runner.summarize(verbose=False) == (0, 17)
    assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")


def test_trials_are_a_frame_with_a_column_a_site(study):
    frame = study.trials
    assert list(frame.index) == [0, 1, 2, 3, 4, 5]
    assert frame.loc[0, ["layer1.0", "layer2.0", "layer3.0"]].tolist() == ["none"] * 3
    assert frame.loc[1, "layer3.0"] == "r16 standard"
    assert pd.api.types.is_float_dtype(frame["val_loss"])
    assert frame["on_front"].sum() == len(study.front)
    assert frame["sampler"].tolist() == 2 * [""] + 4 * ["EffectsSampler, startup 10"]


def test_the_front_is_sorted_by_its_price(study):
    front = study.front
    assert front["se_params"].is_monotonic_increasing
    assert front["val_loss"].is_monotonic_decreasing


def test_best_is_what_the_command_says_that_leads(study, request):
    said = request.getfixturevalue("senas")("front", "study.name=pilot")
    assert f"leads: trial {study.best().number}," in said.out
    free = study.best(penalty=0)
    assert free.scores["val_loss"] == study.trials["val_loss"].min()


def test_effects_are_the_rows_that_the_command_writes(study, request, copied):
    assert request.getfixturevalue("senas")("effects", "study.name=pilot").code == 0
    written = pd.read_csv(copied / "pilot" / "effects.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(study.effects, written)
    assert set(study.effects["name"]) >= {"layer1.0", "layer2.0", "layer3.0"}


@pytest.mark.slow
def test_a_study_explains_its_pick_as_the_command_does(study, request, copied):
    found = study.explain("trial:1", latency_within=0)
    written = (copied / "pilot" / "explain.csv").read_bytes()
    assert [each.site for each in found.figures.removals] == ["layer1.0", "layer2.0", "layer3.0"]
    assert len(found.advice) >= 4
    assert len(found.plot().axes) == 7
    said = request.getfixturevalue("senas")(
        "explain", "study.name=pilot", "pick=trial:1", "latency_within=0", f"root={copied}"
    )
    assert said.code == 0
    assert all(line in said.out for line in found.advice)
    assert (copied / "pilot" / "explain.csv").read_bytes() == written


@pytest.mark.slow
def test_a_study_writes_its_report_as_the_command_does(study, request, copied):
    path = study.report("trial:1", study={"margin": 9}, latency_within=0)
    assert path == copied / "pilot" / "report.html"
    written = path.read_bytes()
    words = ("study.name=pilot", "pick=trial:1", "study.margin=9", "latency_within=0", f"root={copied}")
    assert request.getfixturevalue("senas")("report", *words).code == 0
    assert path.read_bytes() == written


def test_effects_are_drawn_as_the_command_draws_them(study):
    (axes,) = study.plot_effects().axes
    assert len(axes.get_yticklabels()) == len(study.effects)
    assert axes.get_title() == "pilot: what an SE block adds"


@pytest.mark.slow
def test_a_search_goes_on_where_the_command_left_it_and_effects_are_found_out_anew(study, copied):
    before = study.effects
    assert study._worths() is study._worths()
    went_on = senas.search(study={"name": "pilot", "trials": 7}, **QUICK)
    assert len(went_on.trials) >= 7
    assert repr(went_on).startswith("<Study pilot: ")
    assert not study.effects.equals(before)


@pytest.mark.slow
def test_a_whole_config_launches_the_same_study(copied, tmp_path):
    plain = yaml.safe_load((copied / "pilot" / "config.yaml").read_text())
    plain["root"], plain["study"]["trials"] = str(copied), 7
    assert len(senas.search(config=plain).trials) >= 7
    file = copied / "pilot" / "config.yaml"
    assert len(senas.search("study.trials=8", f"root={copied}", config=file).trials) >= 8


def test_a_text_chooses_a_file_of_a_group_and_a_mapping_sets_keys():
    config = called("search", ["data=image_folder"], {"data": {"root": "photos"}, "sampler": "random"})
    assert (config.data["name"], config.data["root"]) == ("image_folder", "photos")
    assert config.sampler["_target_"].endswith("RandomSampler")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: senas.search(trials=5), "trials"),
        (lambda: senas.search(study={"trails": 5}), "study.trails"),
        (lambda: senas.search(study={"trials": "many"}), "study.trials"),
        (lambda: senas.search(data="digitz"), 'there is no "digitz"'),
        (lambda: senas.search("study.trials=1 2 =", trainer={"epochs": 1}), ""),
        (lambda: senas.search(config="nowhere.yaml"), "config: nowhere.yaml cannot be read"),
        (lambda: senas.search("data=digits", config={"root": "runs"}), "no group can be chosen"),
        (lambda: senas.open_study("nothing"), 'there is no study "nothing"'),
        (lambda: senas.train("nothing"), 'se: there is no "nothing"'),
        (lambda: senas.export("nothing"), 'there is no study "nothing"'),
    ],
)
def test_a_mistake_is_an_error_of_one_line(folder, call, words):
    with pytest.raises(SenasError) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1
    assert words in str(caught.value)
    assert list(folder.iterdir()) == []


def test_an_unknown_pick_is_an_error(study):
    with pytest.raises(StudyError, match="trial:99"):
        study.best("trial:99")


def test_it_can_be_called_within_a_hydra_program(folder):
    (folder / "mine.yaml").write_text("a: 1\n")
    with initialize_config_dir(str(folder), version_base="1.3"):
        assert len(senas.sites(backbone="resnet8")) == 3
        assert GlobalHydra.instance().is_initialized()
        assert compose("mine").a == 1


def test_the_names_are_listed_and_cost_nothing_until_used():
    code = "import senas, sys; print([n for n in dir(senas) if n in senas.__all__], 'torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    values, commands = (
        ["SEBlock", "SEConfig"],
        ["audit", "dashboard", "explain", "export", "insert_se", "load", "open_study", "read"],
    )
    assert said.stdout.strip() == f"{[*values, *commands, 'search', 'sites', 'train']} False"


def test_config_errors_are_config_errors(folder):
    with pytest.raises(ConfigError):
        senas.search(sampler="annealing")


@pytest.mark.slow
def test_the_dashboard_runs_beside_the_notebook(folder):
    senas.search(study={"name": "demo", "trials": 1}, trainer={"epochs": 1}, progress=False)
    with senas.dashboard(study={"name": "demo"}) as board:
        base = board.url.partition("/#/")[0]
        assert urllib.request.urlopen(f"{base}/health", timeout=5).status == 200
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{base}/health", timeout=5)
