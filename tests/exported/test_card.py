"""The model card: renders what is known of an export, and nothing else."""

import contextlib
import io
import re
from dataclasses import replace

import pytest

from senas.core.block import SEBlock, Squeeze
from senas.core.config import BASELINES, SEConfig
from senas.exported.card import MARK, Parity, card
from senas.exported.folder import write

PARITY = Parity(images=539, difference=0.0, val_loss=0.4, val_accuracy=0.875)
WITH_ONNX = replace(PARITY, onnx_images=504, onnx_difference=3.5e-7)
FOUND = {
    "study": "pilot",
    "trial": 3,
    "pick": "lowest validation loss",
    "data": "digits",
    "seed": 7,
    "seeds_behind_each_score": 1,
    "epochs": 12,
    "sampler": "TPESampler, n_startup_trials 10",
    "setting": "00a7ec",
    "baselines": {
        "none": {"trial": 0, "scores": {"val_loss": 0.5, "val_accuracy": 0.85, "se_params": 0}},
        "all16": {"trial": 1, "scores": {"val_loss": 0.38, "val_accuracy": 0.9, "se_params": 791}},
    },
}
SCORES = {"val_loss": 0.4, "val_accuracy": 0.875, "se_params": 100, "params": 1100, "macs": 5000}


@pytest.fixture
def found(exported):
    return replace(exported, scores=SCORES, provenance=FOUND)


@pytest.fixture
def write_card(traced):
    def text(exported, parity=PARITY):
        return card(exported, traced.sites, parity, {"python": "3.11.7", "torch": "2.13.0"})

    return text


def line(text, start):
    (found,) = [line for line in text.splitlines() if line.startswith(start)]
    return found


def test_equal_exports_have_equal_cards(found, write_card):
    assert write_card(found) == write_card(replace(found)) != write_card(replace(found, classes=("a",) * 5))


def test_every_site_is_there_with_what_it_has(found, write_card):
    text = write_card(found)
    assert line(text, "| `layer1.0`") == "| `layer1.0` | r2 pre | 2 | 4 at 8 x 8 | 22 |"
    assert line(text, "| `layer2.0`") == "| `layer2.0` | none |  |  |  |"
    assert line(text, "| `layer3.0`").startswith(
        "| `layer3.0` | h3 standard max 2sigmoid silu no\\_bias | 3 | 16 at 2 x 2 |"
    )
    assert "- pre: before the residual branch" in text
    assert "- identity:" not in text


def test_what_a_local_gate_is_is_told_where_there_is_one(found, write_card):
    local = replace(found, config=SEConfig({"layer1.0": SEBlock(hidden=2, squeeze=Squeeze.LOCAL)}))
    assert "one that is called local, from the channels' values at each location" in write_card(local)
    assert "called local" not in write_card(found)


def test_what_the_network_takes_and_gives_is_there(found, write_card):
    text = write_card(found)
    assert line(text, "| input |") == (
        "| input | float32 (batch, 1, 8, 8); pixels in [0, 1] become (pixel - mean) / std, channel by channel |"
    )
    assert "0, yes, Ünï: code, T-shirt, \\#4" in line(text, "| output |")
    assert line(text, "| parameters |") == "| parameters | 1,100, of which SE 100 (10.00% of the backbone's) |"


def test_data_that_normalise_by_themselves_are_not_said_to_be_pixels(found, write_card):
    assert "which normalise by themselves" in line(write_card(replace(found, mean=(0.0,), std=(1.0,))), "| input |")


def test_each_baseline_has_its_scores_and_the_difference(found, write_card):
    text = write_card(found)
    assert line(text, "| no SE |") == (
        "| no SE | 0 | 0.5000 (this one: -0.1000) | 85.00% (this one: +2.50 points) | 0 (this one: +100) |"
    )
    assert "| 1 | 0.3800 (this one: +0.0200) |" in line(text, "| SE everywhere at r = 16")


@pytest.mark.parametrize("name", ["none", "all16"])
def test_a_baseline_that_was_not_measured_is_said_to_be_missing(found, write_card, name):
    others = {key: value for key, value in FOUND["baselines"].items() if key != name}
    text = write_card(replace(found, provenance={**FOUND, "baselines": others}))
    assert f"Not measured in this study: {BASELINES[name]}." in text
    assert f"| {BASELINES[name]} |" not in text


def test_how_it_was_found_has_what_was_recorded_and_no_more(found, write_card):
    assert line(write_card(found), "| proposals by |") == "| proposals by | TPESampler, n\\_startup\\_trials 10 |"
    assert "| search space |" not in write_card(found)
    assert "## How it was found\n\nNot recorded." in write_card(replace(found, provenance={}))


def test_one_seed_is_said_to_allow_no_ranking(found, write_card):
    text = write_card(found)
    assert "One training each, with seed 7." in text
    assert "it cannot be concluded from the table" in text
    assert "flatters those scores" in text


def test_a_trial_asked_for_by_number_is_not_said_to_be_chosen_by_its_score(found, write_card):
    text = write_card(replace(found, provenance={**FOUND, "pick": "named by you"}))
    assert "flatters" not in text
    assert line(text, "| chosen as |") == "| chosen as | this trial was asked for by its number |"


def test_weights_that_score_otherwise_are_owned_up_to(found, write_card):
    assert "do not score what the study measured" not in write_card(found)
    assert "do not score what the study measured (0.4000)" in write_card(found, replace(PARITY, val_loss=0.42))


def test_onnx_is_spoken_of_only_where_it_is_there(found, write_card):
    assert "onnx" not in write_card(found)
    assert "on 504 validation images in batches of 1, 4 and 7: largest difference of a logit to PyTorch 3.5e-07." in (
        write_card(found, WITH_ONNX)
    )


def test_a_metric_of_ones_own_is_a_column(found, write_card):
    text = write_card(replace(found, scores={**SCORES, "f1": 0.8125}))
    assert line(text, "| configuration |") == (
        "| configuration | trial | validation loss | validation accuracy | f1 | SE parameters |"
    )
    assert line(text, "| this one |") == "| this one | 3 | 0.4000 | 87.50% | 0.8125 | 100 |"


@pytest.mark.parametrize("hostile", ["a|b", "<script>alert(1)</script>", "[x](http://y)", "line\nbreak", "`tick`"])
def test_names_mean_nothing_in_markdown(found, write_card, hostile):
    text = write_card(replace(found, classes=(hostile, *found.classes[1:]), provenance={**FOUND, "study": hostile}))
    assert "<script" not in text
    assert "x](http" not in text
    for row in (line(text, "| study |"), line(text, "| output |")):
        assert len(re.findall(r"(?<!\\)\|", row)) == 3
        assert not re.search(r"(?<!\\)`", row)


FOLDED = {
    "rise_of_val_loss_allowed": 0.01,
    "sites": {"layer2.0": {"block": "h4 pre", "rise_alone": -0.00012}},
    "stayed": {"layer3.0": "constant, the validation loss would rise by 0.2000"},
    "factors": "means of the gates over 901 training images",
    "difference_of_a_logit": 1e-6,
    "before": {"val_loss": 0.39, "val_accuracy": 0.88, "se_params": 120, "params": 1120, "macs": 5020},
    "after": {"val_loss": 0.4, "val_accuracy": 0.875, "se_params": 100, "params": 1100, "macs": 5000},
}


def test_what_was_folded_is_there_and_what_it_changed_and_what_stays(found, write_card):
    text = write_card(replace(found, provenance={**FOUND, "folded": FOLDED}))
    assert "1 more of its SE blocks was folded into the layers around them" in text.splitlines()[4]
    assert "**The weights are not as they were trained.** 1 of the SE blocks" in text
    assert line(text, "| validation loss |") == "| validation loss | 0.3900 | 0.4000 |"
    assert line(text, "| `layer2.0` | h4") == "| `layer2.0` | h4 pre | -0.0001 |"
    assert line(text, "- `layer3.0`") == "- `layer3.0`: constant, the validation loss would rise by 0.2000"
    assert "This one was measured after it was folded." in text


def test_where_nothing_could_be_folded_the_card_says_why(found, write_card):
    text = write_card(replace(found, provenance={**FOUND, "folded": {**FOLDED, "sites": {}}}))
    assert "No gate could be folded as long as the validation loss rose by no more than 0.01. What stays" in text
    assert "not as they were trained" not in text
    assert "after it was folded" not in text


def test_a_card_of_an_export_that_nobody_asked_to_fold_says_nothing_of_it(found, write_card):
    assert "folded" not in write_card(found).lower()


def test_a_card_of_a_training_says_nothing_of_a_search_and_names_its_part(found, write_card):
    trained = replace(found, provenance={"trained_by": "senas train, full", "setting": "00a7ec", "epochs": 2})
    text = write_card(trained, replace(PARITY, part="test", val_loss=0.9))
    assert [
        word for word in ("A search tried", "Compared with", "validation images", "do not score") if word in text
    ] == []
    assert "539 test images: largest difference" in text
    assert line(text, "| trained by |") == "| trained by | senas train, full |"


def test_the_configuration_without_se_has_a_card_too(found, write_card):
    text = write_card(replace(found, config=SEConfig()))
    assert "# resnet8 on digits, without SE blocks" in text
    assert "Placements" not in text


def test_the_export_has_its_card_with_what_was_checked(folder, exported, traced, net, validation):
    text = (folder / "README.md").read_text()
    assert text.startswith(f"{MARK}\n\n# resnet8")
    assert "on 700 validation images: largest difference of a logit 0;" in text
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write(folder, exported, traced.sites, net, [validation])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("onnx", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["torch", "onnx"])
def test_the_code_on_the_card_runs_as_it_stands(tmp_path, exported, traced, net, validation, monkeypatch, onnx):
    if onnx:
        pytest.importorskip("onnxruntime")
    write(tmp_path / "best", exported, traced.sites, net, [validation], onnx=onnx)
    monkeypatch.chdir(tmp_path / "best")
    snippets = re.findall(r"```python\n(.*?)```", (tmp_path / "best" / "README.md").read_text(), re.DOTALL)
    assert len(snippets) == 1 + onnx
    for snippet in snippets:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(snippet, {})
        assert set(eval(said.getvalue())) <= set(exported.classes)


KNOWN = {
    "verdict": "recommended",
    "expected_val_loss": {"mean": 0.41, "low": 0.38, "high": 0.44},
    "trainings": 3,
    "minus_none": {"mean": -0.05, "low": -0.09, "high": -0.01},
    "interval_probability": 0.9,
    "in_words": ["val loss minus that of no SE: -0.0500 (-0.0900 to -0.0100)"],
}


@pytest.fixture
def known(found):
    def with_(**changes):
        more = {"certainty": {**KNOWN, **changes}, "seeds_of_this_configuration": [7, 8, 9]}
        return replace(found, provenance={**FOUND, **more})

    return with_


def test_what_all_trainings_say_is_there_with_intervals_and_in_words(known, write_card):
    text = write_card(known())
    assert "of one training, with seed 7" in text
    assert "trained with the seeds 7 8 9" in text
    assert line(text, "| expected val loss |") == "| expected val loss | mean 0.41, low 0.38, high 0.44 |"
    assert "- val loss minus that of no SE: -0.0500 (-0.0900 to -0.0100)" in text
    assert "flatters those scores" not in text


def test_what_trainings_say_is_of_the_configuration_before_it_was_folded(known, write_card):
    told = known()
    assert "before gates of it were folded" not in write_card(told)
    folded = replace(told, provenance={**told.provenance, "folded": FOLDED})
    assert "is of the configuration as it was trained, before gates of it were folded" in write_card(folded)
    like_none = {**told.provenance["certainty"], "minus_none": {"mean": 0.0, "low": -0.1, "high": 0.1}}
    doubted = replace(folded, provenance={**folded.provenance, "certainty": like_none})
    assert "**As it was trained, before gates of it were folded, it could not be told apart" in write_card(doubted)


def test_a_leader_is_said_to_be_undecided_where_the_card_begins(known, write_card):
    head = write_card(known(verdict="undecided")).partition("## What it is")[0]
    assert "It only leads" in head
    assert "It only leads" not in write_card(known())


def test_blocks_that_cannot_be_told_from_none_are_said_to_be_so_where_the_card_begins(known, write_card):
    unsure = known(minus_none={"mean": -0.05, "low": -0.11, "high": 0.01})
    assert (
        "could not be told apart from the same network without SE" in write_card(unsure).partition("## What it is")[0]
    )
    assert "could not be told apart" not in write_card(known())
