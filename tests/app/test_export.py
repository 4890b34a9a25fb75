"""senas export from the command line: formats, folders, weights that are trained again."""

import pytest

import senas as package
from senas.exported.package import read

TRAINED_AGAIN = "its weights were not kept: training it again"


@pytest.fixture
def lost(copied):
    """The number of a trial whose weights are gone."""
    (copied / "pilot" / "weights" / "trial-3.safetensors").unlink()
    return 3


def test_a_second_export_does_not_train_again(senas, copied, folder, lost):
    first = senas("export", "study.name=pilot", f"pick=trial:{lost}")
    second = senas("export", "study.name=pilot", f"pick=trial:{lost}", "to=again")
    assert (first.code, second.code, first.err, second.err) == (0, 0, "", "")
    assert (TRAINED_AGAIN in first.out, TRAINED_AGAIN in second.out) == (True, False)
    one, other = ((folder / name / "weights.safetensors").read_bytes() for name in ("exported/pilot", "again"))
    assert one == other


@pytest.mark.slow
def test_weights_that_were_trained_again_outlive_the_next_search(senas, searched, copied, lost):
    senas("export", "study.name=pilot", f"pick=trial:{lost}")
    assert searched("study.name=pilot", "study.trials=7").code == 0
    assert TRAINED_AGAIN not in senas("export", "study.name=pilot", f"pick=trial:{lost}", "to=again").out


def test_weights_that_were_spoilt_are_trained_again(senas, copied, lost):
    senas("export", "study.name=pilot", f"pick=trial:{lost}")
    (kept,) = (copied / "pilot" / "retrained").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-10])
    said = senas("export", "study.name=pilot", f"pick=trial:{lost}", "to=again")
    assert said.code == 0
    assert "cannot be read" in said.out
    assert TRAINED_AGAIN in said.out
    assert kept.read_bytes() == whole


def test_an_export_of_the_same_study_is_replaced_and_that_is_said(senas, copied, folder):
    senas("export", "study.name=pilot", "pick=trial:0")
    said = senas("export", "study.name=pilot", "pick=trial:1")
    assert said.code == 0
    assert "replaced the export of trial 0 of pilot in exported/pilot" in said.out
    assert read(folder / "exported" / "pilot").provenance["trial"] == 1


def test_an_export_of_another_study_is_replaced_only_when_asked_for(senas, copied, folder, tree):
    senas("export", "study.name=pilot", "pick=trial:0", "to=out")
    written = (folder / "out" / "se.yaml").read_text()
    (folder / "out" / "se.yaml").write_text(written.replace("study: pilot", "study: cohort"))
    before = tree(folder)
    refused = senas("export", "study.name=pilot", "pick=trial:0", "to=out")
    assert (refused.code, refused.out) == (2, "")
    assert 'to: out holds the export of another study, "cohort"; name a new folder, or say' in refused.err
    assert tree(folder) == before
    assert senas("export", "study.name=pilot", "pick=trial:0", "to=out", "overwrite=true").code == 0
    assert (folder / "out" / "se.yaml").read_text() == written


def test_a_budget_is_exported_and_the_words_say_it(senas, copied, folder):
    said = senas("export", "study.name=pilot", "pick=budget:0", "to=out")
    assert said.code == 0
    assert "trial 0 of pilot: none (lowest validation loss with at most 0 SE parameters)" in said.out
    assert read(folder / "out").provenance["pick"] == "lowest validation loss with at most 0 SE parameters"


def test_what_was_measured_beside_it_is_in_the_export(senas, copied, folder):
    senas("export", "study.name=pilot", "pick=trial:2", "to=out")
    about = package.read(folder / "out")
    baselines = about.provenance["baselines"]
    assert {name: there["scores"]["se_params"] for name, there in baselines.items()} == {"none": 0, "all16": 791}
    assert about.provenance["trials"]["trained to the end"] == 6
    assert about.provenance["space"]["configurations"] == 343
    card = (folder / "out" / "README.md").read_text()
    assert "| no SE | 0 |" in card
    assert "| SE everywhere at r = 16 | 1 |" in card


# Gates that are folded into the layers around them


def test_folded_gates_leave_a_smaller_network_and_files_that_tell_it(senas, copied, folder):
    said = senas("export", "study.name=pilot", "pick=trial:1", "fold=10")
    assert (said.code, said.err) == (0, "")
    assert "3 of 3 SE blocks are folded: validation loss " in said.out
    assert "SE parameters 791 -> 0, " in said.out
    assert "the loss rises by +" in said.out or "the loss rises by -" in said.out
    assert "paired over 539 images" in said.out
    about = read(folder / "exported" / "pilot-folded")
    assert (str(about.config), about.scores["se_params"], about.is_folded) == ("none", 0, True)
    told = about.provenance["folded"]
    assert told["factors"] == "means of the gates over 901 training images"
    assert (told["before"]["se_params"], told["after"]["se_params"]) == (791, 0)
    assert about.scores["val_loss"] == told["after"]["val_loss"] != told["before"]["val_loss"]
    net = package.load(folder / "exported" / "pilot-folded")
    assert sum(tensor.numel() for tensor in net.parameters()) == about.scores["params"] == 75_002
    assert "| SE parameters | 791 | 0 |" in (folder / "exported" / "pilot-folded" / "README.md").read_text()


def test_what_would_raise_the_loss_stays_and_the_reason_is_said(senas, copied, folder):
    said = senas("export", "study.name=pilot", "pick=trial:1", "fold=0")
    assert said.code == 0
    about = read(folder / "exported" / "pilot-folded")
    told = about.provenance["folded"]
    assert told["after"]["val_loss"] <= told["before"]["val_loss"] + 1e-6
    assert sorted({**told["sites"], **told["stayed"]}) == ["layer1.0", "layer2.0", "layer3.0"]
    for site in told["stayed"]:
        assert f"  {site}: stays; constant" in said.out


def test_a_configuration_without_blocks_has_nothing_to_fold(senas, copied, folder):
    said = senas("export", "study.name=pilot", "pick=trial:0", "fold=1")
    assert said.code == 0
    assert "there is no SE block to fold" in said.out
    assert not read(folder / "exported" / "pilot-folded").is_folded


@pytest.mark.slow
def test_a_folded_export_is_trained_as_what_is_left_and_that_is_said(senas, copied, folder):
    senas("export", "study.name=pilot", "pick=trial:1", "fold=10")
    said = senas("train", "se=exported/pilot-folded", "trainer.epochs=1", "seeds=1", "tracking=none", "progress=false")
    assert said.code == 0
    assert (
        "exported/pilot-folded is folded: what is trained, from scratch, is the configuration that is left of it"
        in said.out
    )


@pytest.mark.slow
def test_onnx_lies_beside_the_weights(senas, copied, folder):
    pytest.importorskip("onnxruntime")
    said = senas("export", "study.name=pilot", "format=onnx", "to=out")
    assert (said.code, said.err) == (0, "")
    assert "wrote out/se.yaml, weights.safetensors, model.onnx and README.md" in said.out
    assert "model.onnx with onnxruntime on 504 of them, in batches of 1, 4 and 7: largest difference" in said.out
    held = {path.name for path in (folder / "out").iterdir()}
    assert held == {"README.md", "model.onnx", "se.yaml", "weights.safetensors"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["format=tflite"], 'format must be one of torch, onnx, got "tflite"'),
        (["pick=budget:lots"], "pick=budget:lots: a budget is a whole number of SE parameters"),
        (["fold=-0.1"], "fold must be at least 0, how much the validation loss may rise, got -0.1; null folds nothing"),
        (["fold=nan"], "fold must be at least 0, how much the validation loss may rise, got nan"),
        (["fold=little"], 'fold must be a number, got "little"'),
        (["overwrite=perhaps"], "overwrite must be true or false, got perhaps"),
    ],
)
def test_a_mistake_in_an_export_is_one_line_and_nothing_is_written(senas, copied, folder, tree, arguments, words):
    before = tree(folder)
    said = senas("export", "study.name=pilot", *arguments)
    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1)
    assert words in said.err
    assert tree(folder) == before


def test_a_missing_extra_is_said_before_anything_is_trained_or_written(senas, copied, folder, tree, lost, monkeypatch):
    monkeypatch.setattr("senas.exported.onnx.find_spec", lambda name: None)
    before = tree(folder)
    said = senas("export", "study.name=pilot", f"pick=trial:{lost}", "format=onnx")
    assert (said.code, said.out) == (2, "")
    assert "format=onnx needs onnx, onnxscript, onnxruntime, which is not installed: pip install" in said.err
    assert tree(folder) == before
