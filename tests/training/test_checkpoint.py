"""Trainings that are broken off, and measured on the test part."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from senas.core.config import SEConfig
from senas.core.trial import Job, Status
from senas.model.backbones import named
from senas.training.standalone import Standalone


class Dropping(nn.Module):
    """A tiny network in which something is random."""

    def __init__(self):
        super().__init__()
        self.body = named("resnet8", classes=10, channels=1, width=4)

    def forward(self, images):
        return self.body(nn.functional.dropout(images, 0.3, self.training))


def broken_off(after):
    def report(job, epoch, scores):
        if epoch == after:
            raise KeyboardInterrupt
        return False

    return report


def train(evaluator: Standalone, job, report):
    (result,) = evaluator.evaluate([job], report)
    return result


@pytest.fixture
def dropping(evaluator, monkeypatch):
    """`dropping(average="ema")`: an evaluator of a network with dropout, without SE."""

    def make(**fields):
        made = evaluator(**fields)
        monkeypatch.setattr(made, "network", lambda job: seeded(job.seed))
        return made

    return make


def seeded(seed):
    torch.manual_seed(seed)
    return Dropping()


@pytest.mark.parametrize(
    ("average", "after", "length"), [("none", 2, 4), ("none", 3, 4), ("ema", 3, 4), ("swa", 2, 8), ("swa", 8, 8)]
)
def test_a_training_that_goes_on_ends_as_one_that_was_never_broken_off(
    tmp_path, dropping, go_on, average, after, length
):
    made = dropping(average=average)
    whole = train(made, Job(SEConfig(), 5, length, tmp_path / "whole.safetensors"), go_on)
    job = Job(SEConfig(), 5, length, tmp_path / "parts.safetensors", tmp_path / "saved.ckpt")
    with pytest.raises(KeyboardInterrupt):
        train(made, job, broken_off(after))
    epochs = []
    torch.rand(3)  # another process would not stand at the same random number
    result = train(made, job, lambda job, epoch, scores: epochs.append(epoch) or False)
    # the epoch that was being reported when it broke off is done again
    assert epochs == list(range(after, length + 1))
    assert (result.curve, result.scores) == (whole.curve, whole.scores)
    mine, theirs = load_file(tmp_path / "parts.safetensors"), load_file(tmp_path / "whole.safetensors")
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("average", ["none", "ema", "swa"])
def test_one_that_was_killed_after_its_last_epoch_is_not_trained_again(tmp_path, evaluator, go_on, se, average):
    job = Job(se, 0, 2, tmp_path / "net.safetensors", tmp_path / "saved.ckpt", test=True)
    first = train(evaluator(average=average), job, go_on)
    weights = load_file(job.weights)
    job.weights.unlink()
    reported = []
    again = train(evaluator(average=average), job, lambda *report: reported.append(report) or False)
    assert reported == []
    assert (again.status, again.scores, again.curve) == (Status.COMPLETE, first.scores, first.curve)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in load_file(job.weights).items())


def test_a_job_without_a_checkpoint_leaves_no_file(tmp_path, evaluator, go_on, se, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(evaluator(), Job(se, 0, 1), go_on)
    assert list(tmp_path.iterdir()) == []


def test_the_test_part_is_measured_only_where_that_is_asked_for(evaluator, go_on, se):
    assert not {"test_loss", "test_accuracy"} & set(train(evaluator(), Job(se, 0, 1), go_on).scores)
    assert {"test_loss", "test_accuracy"} <= set(train(evaluator(), Job(se, 0, 1, test=True), go_on).scores)


def test_test_scores_are_those_of_the_trained_network_on_the_test_part(tmp_path, few, evaluator, go_on, se):
    made = evaluator()
    job = Job(se, 0, 2, tmp_path / "net.safetensors", test=True)
    scores = train(made, job, go_on).scores
    net = made.network(job)
    net.load_state_dict(load_file(tmp_path / "net.safetensors"))
    net.eval()
    with torch.no_grad():
        logits = net(few.test.images)
    loss = nn.functional.cross_entropy(logits, few.test.labels)
    assert scores["test_loss"] == pytest.approx(float(loss), abs=1e-6)
    assert scores["test_accuracy"] == pytest.approx(float((logits.argmax(1) == few.test.labels).float().mean()))


def test_measuring_the_test_part_changes_nothing_else(evaluator, go_on, se):
    tested = train(evaluator(), Job(se, 0, 2, test=True), go_on)
    plain = train(evaluator(), Job(se, 0, 2), go_on)
    assert tested.curve == plain.curve
    assert plain.scores.items() <= tested.scores.items()
