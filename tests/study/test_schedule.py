"""Schedule: a fixed list of trainings, which survives whatever happens to the process."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest

from senas.core.block import SEBlock
from senas.core.config import SEConfig
from senas.core.ports import Proposer
from senas.core.trial import Failure, Status, Wanted
from senas.errors import SpaceError, StudyError
from senas.study.schedule import Schedule

NONE, SOME = SEConfig(), SEConfig({"layer1.0": SEBlock(hidden=2)})
JOBS = [(NONE, 1), (SOME, 1), (NONE, 2), (SOME, 2)]
SETTING = {"trainer.lr": 0.003, "data.size": (8, 8)}


@pytest.fixture
def schedule(tmp_path):
    def make(jobs=JOBS, **setting):
        return Schedule(file=tmp_path / "results.jsonl", jobs=jobs, fingerprint={**SETTING, **setting})

    return make


def ended(trial, **facts):
    return replace(
        trial,
        **{
            "status": Status.COMPLETE,
            "scores": {"test_loss": 0.25},
            "values": (0.25,),
            "curve": ({"val_loss": 0.5}, {"val_loss": 0.3}),
            "seconds": 2.0,
            **facts,
        },
    )


def train(schedule, count):
    for _ in range(count):
        schedule.tell(ended(schedule.ask()))


def test_it_is_a_proposer(schedule):
    proposer: Proposer = schedule()
    assert proposer.trials() == []
    assert proposer.report(proposer.ask(), 1, {}) is False


def test_it_goes_through_the_list_in_order(schedule):
    proposer = schedule()
    asked = []
    for _ in JOBS:
        trial = proposer.ask()
        asked.append((trial.number, trial.config, trial.seed))
        proposer.tell(ended(trial))
    assert asked == [(number, *job) for number, job in enumerate(JOBS)]


def test_what_was_told_comes_back_as_it_was(schedule):
    first = schedule()
    trial = ended(first.ask())
    first.tell(trial)
    failed = ended(first.ask(), status=Status.FAILED, failure=Failure.DIVERGED, reason="lost", scores={}, values=())
    first.tell(failed)
    assert schedule().trials() == [trial, failed]


def test_one_that_was_asked_and_never_told_is_asked_again(schedule):
    train(first := schedule(), 1)
    lost = first.ask()
    again = schedule().ask()
    assert (again.number, again.config, again.seed) == (lost.number, lost.config, lost.seed)


def test_a_longer_list_goes_on_with_what_is_missing(schedule):
    train(schedule(), 4)
    longer = schedule([*JOBS, (NONE, 3)])
    assert len(longer.trials()) == 4
    asked = longer.ask()
    assert (asked.number, asked.config, asked.seed) == (4, NONE, 3)


def test_results_of_another_list_are_kept_but_not_shown(schedule):
    train(schedule(), 4)
    other = schedule([(NONE, 2), (SOME, 7)])
    assert [(trial.config, trial.seed) for trial in other.trials()] == [(NONE, 2)]
    train(other, 1)
    assert len(schedule().trials()) == 4


def test_a_line_that_was_torn_is_done_again(schedule, tmp_path):
    train(schedule(), 2)
    file = tmp_path / "results.jsonl"
    file.write_text(file.read_text()[:-20])
    torn = schedule()
    assert len(torn.trials()) == 1
    train(torn, 3)
    assert len(schedule().trials()) == 4


def test_a_first_line_that_was_torn_is_no_trouble(schedule, tmp_path):
    (tmp_path / "results.jsonl").write_text('{"finger')
    train(schedule(), 1)
    assert len(schedule().trials()) == 1


def test_another_setting_is_refused_and_named(schedule):
    train(schedule(), 1)
    with pytest.raises(StudyError, match=r"trainer\.lr is 0\.003, you ask for 0\.1; give another name"):
        schedule(**{"trainer.lr": 0.1})


@pytest.mark.parametrize("text", ["no json\n", "[1]\n", json.dumps({"fingerprint": SETTING}) + '\n{"number": 1}\n'])
def test_a_file_of_something_else_is_refused_and_left_alone(schedule, tmp_path, text):
    file = tmp_path / "results.jsonl"
    file.write_text(text)
    with pytest.raises(StudyError, match="cannot be read as results of trainings"):
        schedule()
    assert file.read_text() == text


def test_there_is_nothing_untried_in_a_fixed_list(schedule):
    with pytest.raises(SpaceError):
        schedule().ask_untried()


def test_a_fixed_list_takes_no_other_training(schedule):
    with pytest.raises(SpaceError, match="takes no others"):
        schedule().ask_for(Wanted(NONE, 3, "audit"))


def test_a_full_disk_while_a_torn_line_is_mended_loses_no_training(schedule, tmp_path, monkeypatch):
    train(schedule(), 2)
    file = tmp_path / "results.jsonl"
    with file.open("a") as opened:
        opened.write('{"number": 2, "sta')
    torn = file.read_bytes()

    def full(path, text):
        path.write_bytes(b"")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            schedule()
    assert file.read_bytes() == torn
    assert len(schedule().trials()) == 2


def test_a_file_of_bytes_that_are_no_text_is_refused_in_one_line(schedule, tmp_path):
    (tmp_path / "results.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(StudyError, match="cannot be read as results of trainings"):
        schedule()
