"""trainer.callbacks, clip, accumulate, flip and crop from the command line."""

import sys

import pytest
import yaml

from senas.app.calls import called
from senas.app.wiring import set_up

CODE = """
from pathlib import Path
from pytorch_lightning import Callback

class Stops(Callback):
    def on_validation_end(self, trainer, pl_module):
        trainer.should_stop = trainer.current_epoch == 1

class Fails(Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        raise ValueError("not today")

Path(__file__).with_name("imported").touch()
"""
SMALL = ("backbone.width=4", "study.name=mine", "study.trials=1", "trainer.epochs=4")


@pytest.fixture
def own(folder, monkeypatch):
    """mine.py with callbacks in the working directory; importing it leaves a file `imported` there."""
    (folder / "mine.py").write_text(CODE)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield folder
    sys.modules.pop("mine", None)


def fingerprint(*words):
    return set_up(called("search", words, {})).fingerprint


def test_what_is_set_is_in_the_fingerprint_and_what_was_always_done_is_not(own):
    more = {"trainer.clip": 1.0, "trainer.accumulate": 2, "trainer.callbacks": ["mine:Stops"]}
    more |= {"trainer.flip": True, "trainer.crop": 1}
    before = (
        "trainer.clip=null",
        "trainer.accumulate=1",
        "trainer.callbacks=[]",
        "trainer.flip=false",
        "trainer.crop=0",
    )
    plain = fingerprint(*before)
    assert not set(more) & set(plain)
    given = fingerprint(
        *("trainer.clip=1", "trainer.accumulate=2", "trainer.callbacks=[mine:Stops]"),
        *("trainer.flip=true", "trainer.crop=1"),
    )
    assert given == {**plain, **more}


@pytest.mark.slow
def test_a_callback_may_stop_trainings_and_the_study_is_read_with_trust_alone(own, senas, searched):
    more = ("trainer.clip=1", "trainer.accumulate=2", "trainer.flip=true", "trainer.crop=1")
    said = searched(*SMALL, "trainer.callbacks=[mine:Stops]", *more)
    assert (said.code, said.err) == (0, "")
    assert "trust=mine" in said.out
    sys.modules.pop("mine")
    (own / "imported").unlink()
    said = senas("front", "study.name=mine")
    assert said.code == 2
    assert said.err == (
        "senas: trainer.callbacks: runs/mine/config.yaml names code, mine:Stops, and a file imports none by itself; if "
        "it is yours, say trust=mine\n"
    )
    assert not (own / "imported").exists()
    assert senas("export", "study.name=mine", "trust=mine", "to=out").code == 0
    told = yaml.safe_load((own / "out" / "se.yaml").read_text())["provenance"]["trainer"]
    assert (told["clip"], told["accumulate"], told["callbacks"]) == (1.0, 2, ["mine:Stops"])
    assert (told["flip"], told["crop"]) == (True, 1)


@pytest.mark.slow
def test_a_study_from_before_there_were_these_goes_on(senas, searched, folder):
    assert searched(*SMALL).code == 0
    file = folder / "runs" / "mine" / "config.yaml"
    plain = yaml.safe_load(file.read_text())
    for key in ("clip", "accumulate", "callbacks", "flip", "crop"):
        del plain["trainer"][key]
    file.write_text(yaml.safe_dump(plain))
    said = senas("resume", "study.name=mine", "study.trials=2")
    assert (said.code, said.err) == (0, "")


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("trainer.clip=0", "trainer.clip must be a number above 0, got 0.0; null clips nothing"),
        ("trainer.accumulate=0", "trainer.accumulate must be at least 1, got 0"),
        ("trainer.crop=-1", "trainer.crop must be at least 0, got -1; 0 leaves images where they are"),
        ("trainer.crop=8", "trainer.crop must be below 8, the shorter side of the images, got 8"),
        ("trainer.callbacks=[mine]", 'trainer.callbacks must name something of yours as package.module:name, got "mi'),
        ("trainer.callbacks=[mine:Stopps]", 'mine.py) has no Stopps; did you mean "Stops"?'),
        ("trainer.callbacks=[mine:Path]", "trainer.callbacks: mine:Path gives no Callback of Lightning's but some"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(own, searched, word, words):
    said = searched(word)
    assert (said.code, said.out, len(said.err.splitlines())) == (2, "", 1), said.err
    assert words in said.err
    assert not (own / "runs").exists()


def test_what_a_callback_raises_amid_a_study_is_one_line(own, searched):
    said = searched(*SMALL, "trainer.callbacks=[mine:Fails]")
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "trainer.callbacks: mine:Fails raised ValueError: not today (" in said.err
