"""What shared weights say of proposals, and that a study without them is no other: a tiny space on a few digits."""

import math
import random

import pytest
import torch
from safetensors.torch import load_file, save_file

from senas.core.block import Placement
from senas.core.objective import MINUS, Penalized
from senas.core.screening import Contenders, Screened
from senas.core.space import Axes, search_space
from senas.core.trial import Job, Status, Trial
from senas.training import screener
from senas.training.metric import OwnMetric
from senas.training.screener import Screener, Sharing

FIRST = 8


@pytest.fixture(scope="module")
def space(traced):
    return search_space(traced.sites, Axes(reduction=(4,), placement=(Placement.STANDARD, Placement.POST)))


@pytest.fixture(scope="module")
def configs(space):
    """All 27 of the space, shuffled."""
    return random.Random(0).sample(list(space), 27)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder that the shared weights stay in, once they were trained."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def screening(evaluator, space, tmp_path):
    """`screening(folder=...)`: a screener after FIRST trainings, and what it said."""

    def make(folder=tmp_path, metric="val_loss", own=None, **sharing):
        options = {"trainings": FIRST, "sampling": "uniform", "distill": False, "epochs": 1, "seed": 3, **sharing}
        contenders = Contenders.by(Penalized(0.1, space.largest_params, metric), 0.25)
        said = []
        made = Screener(own or evaluator(), space, contenders, Sharing(**options, folder=folder), said.append)
        made.said = said
        return made

    return make


@pytest.fixture
def trained(evaluator, configs):
    """Trials of the first FIRST configurations, with these losses."""

    def make(losses, name="val_loss"):
        own = evaluator()
        return [
            Trial(
                number=number,
                status=Status.COMPLETE,
                config=config,
                seed=0,
                curve=({},),
                scores={**own.costs(Job(config, 0, 1)), name: loss},
            )
            for number, (config, loss) in enumerate(zip(configs[:FIRST], losses, strict=True))
        ]

    return make


@pytest.fixture
def agreeing(screening, trained, configs, kept):
    """Trials whose losses are in the order of those by shared weights, each a little more apart."""
    one = screening(folder=kept)
    one._train()
    one.scores = {}
    shared = [one._measured(config)["shared_val_loss"] for config in configs[:FIRST]]
    return trained([math.exp(loss) for loss in shared])


def job(own, config):
    return Job(config, 0, 1, costs=own.costs(Job(config, 0, 1)))


def asked(made, config, trials):
    return made(job(made.own, config), trials)


def test_until_there_are_enough_trainings_nothing_is_said_and_all_is_trained(screening, trained, configs, tmp_path):
    one = screening()
    trials = trained(range(FIRST))
    assert asked(one, configs[FIRST], trials[:-1]) == Screened({})
    lost = Trial(number=7, status=Status.FAILED, config=trials[-1].config, seed=0)
    assert asked(one, configs[FIRST], [*trials[:-1], lost]) == Screened({})
    assert (one.said, list(tmp_path.iterdir())) == ([], [])


def test_where_they_rank_what_is_no_contender_is_told_its_place(screening, agreeing, configs, kept):
    one = screening(folder=kept)
    found = {config: asked(one, config, agreeing) for config in configs[FIRST:]}
    assert one.said[-1].endswith("shared weights rank the proposals")
    assert all(list(each.scores) == ["shared_val_loss"] for each in found.values())
    reasons = [each.reason for each in found.values() if each.reason]
    assert 0 < len(reasons) < len(found)
    assert all(reason.startswith("no contender: shared_val_loss ") for reason in reasons)
    losses = [each.scores["shared_val_loss"] for each in found.values()]
    assert not found[min(found, key=lambda config: found[config].scores["shared_val_loss"])].reason
    assert len(set(losses)) > len(losses) / 2


def test_what_was_screened_since_is_compared_with_too(screening, agreeing, configs, kept):
    one = screening(folder=kept)
    large = max(configs[FIRST:], key=lambda config: job(one.own, config).costs["se_params"])
    found = asked(one, large, agreeing)
    better = {"se_params": 1.0, "shared_val_loss": found.scores["shared_val_loss"] - 0.01}
    others = [
        Trial(number=10 + n, status=Status.PRUNED, config=config, seed=0, scores=better)
        for n, config in enumerate(c for c in configs[FIRST:] if c != large)
    ]
    reason = asked(one, large, [*agreeing, *others]).reason
    place = int(reason.split(" is number ")[1].split(" of ")[0])
    assert place > len(others)
    assert reason.endswith("of 27 that cost no more")


def test_where_they_do_not_rank_one_line_says_so_and_all_is_trained(screening, agreeing, configs, kept):
    backward = [
        Trial(**{**_fields(trial), "scores": {**trial.scores, "val_loss": -trial.scores["val_loss"]}})
        for trial in agreeing
    ]
    one = screening(folder=kept)
    assert [asked(one, config, backward) for config in configs[FIRST : FIRST + 3]] == [Screened({})] * 3
    assert sum("step aside, and every proposal is trained" in line for line in one.said) == 1


def test_the_same_study_gets_the_same_answers_whatever_came_later(screening, agreeing, configs, kept, tmp_path):
    one, other = screening(folder=kept), screening()
    later = Trial(number=99, status=Status.COMPLETE, config=configs[-1], seed=5, curve=({},), scores={"val_loss": 0.0})
    for config in configs[FIRST : FIRST + 4]:
        assert asked(one, config, agreeing) == asked(other, config, [*agreeing, later])
    assert one.said[-1] == other.said[-1]
    assert "shared weights of an earlier run" in one.said[0]
    assert other.said[0].startswith(
        "supernet: training weights that all configurations share, 1 epochs, uniform: 5 steps an epoch of 1 conf"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["shared-uniform-1-epochs.safetensors"]


def test_weights_that_are_shared_in_another_way_are_others(screening):
    names = {
        screening(**options).sharing.file.name
        for options in (
            *({}, {"epochs": 2}, {"study": "abc"}, {"sampling": "sandwich"}),
            {"sampling": "sandwich", "distill": True},
        )
    }
    assert len(names) == 5


def test_a_file_that_holds_no_weights_is_written_anew(screening, trained, configs):
    one = screening()
    one.sharing.file.write_bytes(b"torn")
    asked(one, configs[FIRST], trained(range(FIRST)))
    assert one.said[0].startswith("supernet: training weights")
    assert one.sharing.file.stat().st_size > 1000


def test_losses_that_are_lost_are_said_and_nothing_is_screened(screening, trained, configs, kept, monkeypatch):
    monkeypatch.setattr(screener, "measured", lambda *_: {"val_loss": math.nan, "val_accuracy": 0.1})
    one = screening(folder=kept)
    assert asked(one, configs[FIRST], trained(range(FIRST))) == Screened({})
    assert one.said[-1].startswith(f"supernet: with shared weights {FIRST} of {FIRST} losses are not finite, so shared")


def test_a_single_loss_that_is_lost_later_rules_nothing_out(screening, agreeing, configs, kept, monkeypatch):
    one = screening(folder=kept)
    asked(one, configs[FIRST], agreeing)
    monkeypatch.setattr(screener, "measured", lambda *_: {"val_loss": math.inf})
    assert asked(one, configs[-1], agreeing) == Screened({})


def test_what_does_not_fit_into_memory_is_said_and_all_is_trained(screening, trained, configs, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(screener, "Supernet", full)
    one = screening()
    assert asked(one, configs[FIRST], trained(range(FIRST))) == Screened({})
    assert one.said == [
        "supernet: shared weights do not fit into memory (CUDA out of memory), so shared weights step aside, and every "
        "proposal is trained"
    ]


def test_a_network_that_cannot_share_its_weights_costs_no_search(screening, trained, configs, monkeypatch):
    def wrong(*_, **__):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(screener, "Supernet", wrong)
    one = screening()
    assert asked(one, configs[FIRST], trained(range(FIRST))) == Screened({})
    assert one.said[0].startswith(
        "supernet: shared weights cannot be trained or measured here (shapes differ), so shar"
    )


def test_memory_that_is_short_later_lets_all_others_be_trained_and_is_free_again(
    screening, agreeing, configs, kept, monkeypatch
):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    one = screening(folder=kept)
    asked(one, configs[FIRST], agreeing)
    monkeypatch.setattr(screener, "measured", full)
    assert asked(one, configs[-1], agreeing) == Screened({})
    assert one.said[-1].startswith("supernet: shared weights do not fit into memory")
    assert (one.supernet, one.calibration) == (None, [])
    said = list(one.said)
    assert asked(one, configs[FIRST], agreeing) == Screened({})
    assert one.said == said


def test_weights_of_another_network_are_not_begun_with(screening, kept, agreeing):
    one, other = screening(), screening(folder=kept)
    other._train()
    weights = load_file(other.sharing.file)
    last = list(weights)[-1]
    save_file({**{name: 1 + weight for name, weight in weights.items()}, last: torch.zeros(99)}, one.sharing.file)
    one._train()
    found = load_file(one.sharing.file)
    assert all(torch.equal(found[name], weight) for name, weight in weights.items())


def test_weights_are_measured_in_the_precision_they_were_trained_in(screening, kept, agreeing):
    one, other = screening(), screening(folder=kept)
    other._train()
    weights = load_file(other.sharing.file)
    save_file({name: w.double() if w.is_floating_point() else w for name, w in weights.items()}, one.sharing.file)
    one._train()
    assert {weight.dtype for weight in one.supernet.net.parameters()} == {torch.float64}
    assert one.calibration[0][0].dtype == torch.float64


def test_a_metric_of_which_more_is_better_ranks_the_other_way_round(screening, evaluator, trained, configs, kept):
    own = evaluator()
    own.metrics = [OwnMetric("sure", lambda logits, labels: logits.softmax(1).max(1).values.mean(), True, "x")]
    one = screening(folder=kept, metric=f"{MINUS}sure", own=own)
    one._train()
    one.scores = {}
    shared = [one._measured(config)["shared_sure"] for config in configs[:FIRST]]
    again = screening(folder=kept, metric=f"{MINUS}sure", own=own)
    found = [asked(again, config, trained(shared, "sure")) for config in configs[FIRST:]]
    assert "Kendall's tau +1.00" in again.said[-1]
    ruled_out = [each.scores["shared_sure"] for each in found if each.reason]
    assert ruled_out
    assert max(each.scores["shared_sure"] for each in found) > max(ruled_out)


def test_trainings_after_it_are_what_they_are_without(screening, evaluator, agreeing, configs, se, go_on):
    own = evaluator()
    before = own.train(Job(se, 1, 1), go_on, None)
    one = screening(own=own)
    random_numbers = torch.get_rng_state()
    asked(one, configs[FIRST], agreeing)
    assert torch.equal(torch.get_rng_state(), random_numbers)
    after = own.train(Job(se, 1, 1), go_on, None)
    assert (after.curve, after.scores) == (before.curve, before.scores)


def test_clip_and_accumulation_of_the_recipe_are_followed(screening, evaluator, monkeypatch):
    given = {}
    own = evaluator(clip=0.5, accumulate=3)
    real = own.trainer
    monkeypatch.setattr(own, "trainer", lambda **options: real(**(given.update(options) or options)))
    screening(own=own)._train()
    assert given == {"max_epochs": 1, "gradient_clip_val": 0.5, "accumulate_grad_batches": 3}


def _fields(trial):
    return {name: getattr(trial, name) for name in trial.__slots__}
