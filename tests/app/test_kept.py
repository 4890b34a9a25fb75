"""Which weights a study keeps, and what it has to train again."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from senas.app import kept
from senas.app import weights as weights_of
from senas.app.kept import worth_keeping
from senas.app.wiring import set_up_again
from senas.core.trial import CONFIRM, Job, Result, Status
from senas.exported.network import with_weights
from senas.report.console import Terminal
from senas.study.loop import weights_path
from senas.study.optuna import read_trials
from senas.training import side_by_side
from senas.training.standalone import Standalone


@pytest.fixture
def setup(copied):
    return set_up_again(str(copied), "pilot")


@pytest.fixture
def trials(setup):
    """Of the pilot, and a replicate of trial 2 with weights as large as the others'."""
    there = read_trials("pilot", setup.storage, setup.space)
    weights = [weights_path(setup.folder.weights, number) for number in (2, 6)]
    weights[1].write_bytes(weights[0].read_bytes())
    return [*there, replace(there[2], number=6, seed=99, origin=CONFIRM)]


def bytes_of(setup, numbers):
    return sum(weights_path(setup.folder.weights, number).stat().st_size for number in numbers)


def test_all_weights_are_kept_where_there_is_room(setup, trials):
    assert worth_keeping(setup, trials) == {0, 1, 2, 3, 4, 5, 6}


def test_what_a_pick_can_name_is_kept_where_there_is_no_room(setup, trials, monkeypatch):
    monkeypatch.setattr(kept, "ROOM", 0)
    stays = worth_keeping(setup, trials)
    named = {setup.verdict(trials).pick(how).trial.number for how in ("best", "smallest", "knee", "budget:0")}
    assert named | {0, 1} <= stays
    assert len(stays) < 6


def test_of_the_others_those_stay_that_fit_and_a_replicate_is_none_of_them(setup, trials, monkeypatch):
    monkeypatch.setattr(kept, "ROOM", 0)
    least = worth_keeping(setup, trials)
    monkeypatch.setattr(kept, "ROOM", bytes_of(setup, {*least, 6}))
    more = worth_keeping(setup, trials)
    assert more > least
    assert 6 not in more
    assert bytes_of(setup, more) <= kept.ROOM


def test_each_file_has_the_weights_that_its_trial_was_measured_with(setup):
    for trial in read_trials("pilot", setup.storage, setup.space):
        network = setup.evaluator.network(Job(trial.config, trial.seed, len(trial.curve)))
        net = with_weights(network, weights_path(setup.folder.weights, trial.number))
        with torch.no_grad():
            losses = [cross_entropy(net(x), y, reduction="none") for x, y in setup.data.val_dataloader()]
        assert torch.cat(losses).mean().item() == pytest.approx(trial.scores["val_loss"], rel=1e-4)


@pytest.mark.parametrize(("workers", "expected"), [(2, 2), (4, 1), (None, 1)])
def test_what_is_trained_again_has_as_many_threads_as_one_of_those_in_the_search(
    setup, monkeypatch, tmp_path, workers, expected
):
    threads, before = [], torch.get_num_threads()
    setup.config.evaluator.workers = workers
    monkeypatch.setattr(side_by_side, "threads_for", lambda macs: torch.get_num_threads())  # a large network

    def train(own, job, *_):
        threads.append(own.device.threads)
        return Result(job=job, status=Status.COMPLETE)

    monkeypatch.setattr(Standalone, "train", train)
    trial = replace(read_trials("pilot", setup.storage, setup.space)[0], curve=({},))
    torch.set_num_threads(4)
    try:
        weights_of._train_again(Terminal(), setup, trial, tmp_path / "net.safetensors")
    finally:
        torch.set_num_threads(before)
    assert threads == [expected]
    assert setup.evaluator.device.threads is None
