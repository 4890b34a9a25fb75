"""Metrics of the user's own: found, tried, measured."""

import math
import sys

import numpy as np
import pytest
import torch

from senas.core.config import SEConfig
from senas.core.trial import Job, Status
from senas.errors import ConfigError
from senas.training.metric import OwnMetric, own_metric

SOURCE = """
import numpy as np, torch
def accuracy(logits, labels): return (logits.argmax(1) == labels).float().mean()
def brier(logits, labels): return 0.5
brier.higher_is_better = False
def raises(logits, labels): return 1 / 0
def nan(logits, labels): return float("nan")
def many(logits, labels): return logits
def words(logits, labels): return "good"
def nothing(logits, labels): return None
def one_argument(logits): return 0.5
def random(logits, labels): return torch.rand(()).item()
val_loss = test_loss = accuracy
number = 3
class Kind:
    higher_is_better = False
    def __init__(self, num_classes): self.num_classes, self.seen = num_classes, 0
    def __call__(self, logits, labels):
        self.seen += len(labels)
        return float(self.num_classes + self.seen)
    def reset(self): self.seen = 0
class NeedsMore:
    def __init__(self, colour): pass
class Holder:
    inner = accuracy
"""


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """The module `measures` in the working directory, forgotten again afterwards."""
    (tmp_path / "measures.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield
    sys.modules.pop("measures", None)


def found(name, mode=None, classes=3):
    return own_metric(f"measures:{name}", mode, classes)


LOGITS, LABELS = torch.eye(3).repeat(2, 1), torch.tensor([0, 1, 2, 0, 1, 1])


def test_a_function_is_called_with_logits_and_labels_and_named_by_its_name(beside):
    metric = found("accuracy")
    assert metric.name == "accuracy"
    assert metric(LOGITS, LABELS) == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("name", "mode", "maximise"),
    [
        ("accuracy", None, True),
        ("accuracy", "min", False),
        ("accuracy", "max", True),
        ("brier", None, False),
        ("brier", "max", True),
        ("Kind", None, False),
    ],
)
def test_the_mode_is_what_is_asked_for_else_what_it_says_itself_else_max(beside, name, mode, maximise):
    assert found(name, mode).maximise is maximise


def test_a_class_is_made_with_the_number_of_classes_and_forgets_what_it_saw(beside):
    metric = found("Kind", classes=5)
    assert metric(LOGITS, LABELS) == metric(LOGITS, LABELS) == 11


def test_a_metric_of_torchmetrics_works_as_it_is():
    metric = own_metric("torchmetrics.classification:MulticlassF1Score", None, 3)
    assert (metric.name, metric.maximise) == ("MulticlassF1Score", True)
    first = metric(LOGITS, LABELS)
    assert metric(LOGITS, LABELS) == first == pytest.approx((1 + 0.8 + 2 / 3) / 3)


def test_something_inside_a_class_is_found_by_its_dots(beside):
    assert found("Holder.inner").name == "inner"


def test_what_it_draws_at_random_is_drawn_from_nobody_elses_numbers(beside):
    torch.manual_seed(1)
    expected = float(torch.rand(()))
    torch.manual_seed(1)
    found("random")(LOGITS, LABELS)
    assert float(torch.rand(())) == expected


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (
            "measures:accurate",
            r'objective\.metric: measures \(.*\) has no accurate; did you mean "accuracy"\?',
        ),
        ("nowhere.at.all:f1", r"objective\.metric: there is no module nowhere, neither in .*"),
        ("measures:number", r"objective\.metric: measures:number is no function but 3; .*"),
        ("measures:val_loss", r'objective\.metric: "val_loss" is the name of a score of senas; rename your function'),
        ("measures:test_loss", r'objective\.metric: "test_loss" is the name of a score of senas; .*'),
        ("measures:NeedsMore", r"objective\.metric: measures:NeedsMore cannot be made: TypeError: .*"),
        ("measures", r"objective\.metric must name something of yours as package\.module:name, got \"measures\""),
    ],
)
def test_a_target_that_is_no_metric_is_refused(beside, target, words):
    with pytest.raises(ConfigError, match=rf"\A{words}\Z"):
        own_metric(target, None, 3)


def test_another_mode_is_refused(beside):
    with pytest.raises(ConfigError, match=r'\Aobjective\.mode must be max, min or null, got "most"\Z'):
        found("accuracy", "most")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raises", r"raised ZeroDivisionError: division by zero \(.*measures\.py, line 6\)"),
        ("nan", "gave nan; it must give one finite number"),
        ("many", r"raised .*"),
        ("words", r"raised ValueError: .*"),
        ("nothing", r"raised TypeError: .*"),
        ("one_argument", r"raised TypeError: .*"),
    ],
)
def test_what_does_not_give_one_finite_number_is_found_before_anything_is_trained(beside, name, words):
    with pytest.raises(ConfigError, match=rf"\Aobjective\.metric: measures:{name} {words}\Z"):
        found(name).check(classes=3)


def test_a_metric_is_tried_on_predictions_of_every_class():
    seen = []
    OwnMetric("seen", lambda *given: seen.append(given) or 0.0, True, "it").check(classes=4)
    ((logits, labels),) = seen
    assert logits.shape == (len(labels), 4)
    assert sorted(set(labels.tolist())) == [0, 1, 2, 3]


# In training


def measured(evaluator, report, *metrics, **fields):
    trainer = evaluator(**fields)
    trainer.metrics = metrics
    (result,) = trainer.evaluate([Job(SEConfig(), seed=0, epochs=2)], report)
    return result


def test_it_is_measured_after_each_epoch_on_the_whole_validation_part(evaluator, go_on, few):
    seen = []

    def error(logits, labels):
        assert logits.device.type == labels.device.type == "cpu"
        seen.append(labels.clone())
        return float(np.mean(logits.argmax(1).numpy() != labels.numpy()))

    result = measured(evaluator, go_on, OwnMetric("error", error, False, "it"))
    assert [scores["error"] for scores in result.curve] == [scores["val_error"] for scores in result.curve]
    assert result.scores["error"] == result.scores["val_error"]
    assert all(torch.equal(labels, few.val.labels) for labels in seen)
    assert len(seen) == 2


def test_it_changes_nothing_else(evaluator, go_on):
    plain = measured(evaluator, go_on)
    more = measured(evaluator, go_on, OwnMetric("mine", lambda logits, labels: float(torch.rand(())), True, "it"))
    assert {name: value for name, value in more.scores.items() if name != "mine"} == dict(plain.scores)


def test_a_loss_that_is_lost_is_a_failed_trial_whatever_the_metric_makes_of_it(evaluator, go_on):
    def strict(logits, labels):
        if not logits.isfinite().all():
            raise ValueError("not finite")
        return 1.0

    metric = OwnMetric("strict", strict, True, "it")
    trainer = evaluator(optimizer="sgd", lr=1e6, schedule="constant")
    trainer.metrics = [metric]
    (result,) = trainer.evaluate([Job(SEConfig(), seed=0, epochs=30)], go_on)
    assert result.status is Status.FAILED


def test_what_it_raises_amid_a_study_is_one_line(evaluator, go_on):
    with pytest.raises(ConfigError, match=r"\Aobjective\.metric: it gave inf; it must give one finite number\Z"):
        measured(evaluator, go_on, OwnMetric("late", lambda logits, labels: math.inf, True, "it"))
