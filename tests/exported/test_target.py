"""The folder of an export: what it may be written over, and what not."""

from dataclasses import replace

import pytest
import yaml

from senas.core.config import SEConfig
from senas.errors import ExportError
from senas.exported.folder import write
from senas.exported.target import replaced
from senas.model.backbones import named

SAME = {"study": "pilot", "trial": 9, "setting": "abc"}


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(tmp_path, exported, traced, net, validation):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ExportError, match=r"\Ato: .* holds something else \(thesis\.tex\); name a new folder\Z"):
        write(tmp_path, exported, traced.sites, net, [validation])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_place_of_the_folder_is_refused_and_left_alone(tmp_path, exported, traced, net, validation):
    (tmp_path / "best").write_text("mine")
    with pytest.raises(ExportError, match=r"\Ato: .*best is a file; name a folder\Z"):
        write(tmp_path / "best", exported, traced.sites, net, [validation])
    assert (tmp_path / "best").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path, exported, traced, net, validation):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"\Ato: .* cannot be written: .*\Z"):
        write(tmp_path / "file" / "best", exported, traced.sites, net, [validation])


def test_an_export_that_fails_leaves_the_one_that_was_there(folder, exported, traced, validation):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    wrong = named("resnet14", classes=5, channels=1, width=4)
    with pytest.raises(ExportError, match=r"\A.*holds the weights of another network.*\Z"):
        write(folder, replace(exported, config=SEConfig()), traced.sites, wrong, [validation])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.fixture
def of_pilot(damaged):
    """An export of trial 3 of the study pilot."""
    return damaged(provenance={"study": "pilot", "trial": 3, "setting": "abc"})


def test_an_empty_or_a_missing_folder_is_welcome(tmp_path):
    (tmp_path / "empty").mkdir()
    assert [replaced(tmp_path / name, SAME) for name in ("empty", "missing")] == ["", ""]


def test_an_export_of_the_same_study_may_be_replaced_and_is_named(of_pilot):
    assert replaced(of_pilot, SAME) == "the export of trial 3 of pilot"


@pytest.mark.parametrize("other", [{"study": "cohort"}, {"setting": "def"}, {"setting": None}])
def test_an_export_of_another_study_is_refused_unless_told_otherwise(of_pilot, other):
    wanted = {**SAME, **other}
    with pytest.raises(ExportError, match=r'\Ato: .* holds the export of another study, "pilot"; .*overwrite=true\Z'):
        replaced(of_pilot, wanted)
    assert replaced(of_pilot, wanted, overwrite=True) == "the export of trial 3 of pilot"


def test_a_damaged_export_is_refused_unless_told_otherwise(of_pilot):
    (of_pilot / "se.yaml").write_text("format: [")
    with pytest.raises(ExportError, match=r"\Ato: .*se\.yaml cannot be read: .*, or say overwrite=true\Z"):
        replaced(of_pilot, SAME)
    assert replaced(of_pilot, SAME, overwrite=True) == "a damaged export"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["thesis.tex", "README.md"])
def test_what_no_export_wrote_is_never_replaced(of_pilot, name, overwrite):
    (of_pilot / name).write_text("# Years of work")
    with pytest.raises(ExportError, match=rf"\Ato: .*best holds something else \({name}\); name a new folder\Z"):
        replaced(of_pilot, SAME, overwrite=overwrite)


@pytest.mark.parametrize("name", ["README.md", "weights.safetensors", "model.onnx"])
def test_a_file_of_such_a_name_alone_is_no_export(tmp_path, name):
    (tmp_path / name).write_text("<!-- Written by senas export, which replaces it. -->")
    with pytest.raises(ExportError, match=rf"\Ato: .* holds something else \({name}\); name a new folder\Z"):
        replaced(tmp_path, SAME, overwrite=True)


def test_a_model_of_an_earlier_export_goes_with_its_weights(folder, exported, traced, net, validation):
    (folder / "model.onnx").write_bytes(b"of other weights")
    write(folder, exported, traced.sites, net, [validation])
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "se.yaml", "weights.safetensors"]


def test_an_export_of_another_study_is_not_written_over(of_pilot, exported, traced, net, validation):
    before = {path.name: path.read_bytes() for path in of_pilot.iterdir()}
    other = replace(exported, provenance={"study": "cohort"})
    with pytest.raises(ExportError, match="another study"):
        write(of_pilot, other, traced.sites, net, [validation])
    assert {path.name: path.read_bytes() for path in of_pilot.iterdir()} == before
    write(of_pilot, other, traced.sites, net, [validation], overwrite=True)
    assert yaml.safe_load((of_pilot / "se.yaml").read_text())["provenance"] == {"study": "cohort"}
