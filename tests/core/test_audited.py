"""What the trainings of an audit came to: which of them count, as which number, and what follows."""

from types import SimpleNamespace

import numpy as np
import pytest

from senas.core.audited import EVEN, Audited
from senas.core.certainty import Estimate
from senas.core.config import SEConfig
from senas.core.halves import Halves
from senas.core.rungs import Rung
from senas.core.trial import Status, Trial

from .test_effects import ALL4, SPACE

TWO = SPACE.draw(lambda name, _: "r2 pre" if name.startswith("layer1") else "none")
CONTENDERS = {"none": SEConfig(), "all4": ALL4, "two": TWO}
LOSSES = np.array([[0.5, 0.7], [0.3, 0.4], [0.9, 0.8]])


def trial(config, seed, scores, curve=()):
    return Trial(number=0, status=Status.COMPLETE, config=config, seed=seed, scores=scores, curve=curve)


def trials(losses=LOSSES, *, score="val_loss", seeds=(0, 1), epochs=1):
    """Configurations x seeds; the loss falls by 0.1 an epoch until it is what it is."""
    return [
        trial(config, seed, {score: loss}, tuple({score: loss + 0.1 * left} for left in reversed(range(epochs))))
        for config, row in zip(CONTENDERS.values(), losses, strict=False)
        for seed, loss in zip(seeds, row, strict=True)
    ]


def test_the_table_has_a_row_a_configuration_and_a_column_a_seed():
    assert (Audited(CONTENDERS, (0, 1), trials()[::-1]).table() == LOSSES).all()


def test_trainings_with_other_seeds_are_none_of_an_audits():
    others = [trial(config, 7, {"val_loss": 9.0}) for config in CONTENDERS.values()]
    found = Audited(CONTENDERS, (0, 1), [*trials(LOSSES[:2]), *others])
    assert found.names == ["none", "all4"]
    assert [t.seed for t in found.of("none")] == [0, 1]


def test_trainings_are_in_the_order_of_their_seeds():
    assert [t.seed for t in Audited(CONTENDERS, (0, 1), trials()[::-1]).of("two")] == [0, 1]


def test_what_is_to_be_high_is_low_where_it_is_negative():
    found = Audited(CONTENDERS, (0, 1), trials(score="val_accuracy", epochs=2), metric="minus_val_accuracy")
    assert (found.table() == -LOSSES).all()
    assert [rung.epoch for rung in found.rungs if rung.tau == 1.0] == [1, 2]


def test_halves_are_those_of_the_images_of_even_index():
    rng = np.random.default_rng(0)
    losses, even = rng.normal(size=(2, 3, 4))
    both = [
        trial(config, seed, {"val_loss": losses[row, seed], EVEN: even[row, seed]})
        for row, config in enumerate(CONTENDERS.values())
        for seed in range(4)
    ]
    found = Audited(CONTENDERS, range(4), both).halves
    assert found.noise.mean > 0.1  # they differ, and by as much as losses do


def test_halves_of_the_loss_tell_nothing_of_another_score():
    both = [trial(t.config, t.seed, {"val_error": 0.1, EVEN: 0.2}) for t in trials()]
    assert Audited(CONTENDERS, (0, 1), both, metric="val_error").halves is None


def test_rungs_are_the_epochs_that_all_trainings_have():
    long, short = trials(epochs=5), trials(epochs=3)
    assert [rung.epoch for rung in Audited(CONTENDERS, (0, 1), [*long[:3], *short[3:]]).rungs] == [1, 2, 3]


def test_rungs_are_held_against_full_length_where_there_is_one():
    turned = Audited(CONTENDERS, (0, 1), trials(epochs=2), longer=trials(-LOSSES))
    assert [(rung.tau, rung.full) for rung in turned.rungs] == [(1.0, -1.0), (1.0, -1.0)]


def test_means_are_those_over_seeds():
    assert Audited(CONTENDERS, (0, 1), trials()).means == pytest.approx({"none": 0.6, "all4": 0.35, "two": 0.85})


def test_three_configurations_are_three_pairs():
    assert Audited(CONTENDERS, (0, 1), trials()).pairs == 3


def test_who_is_better_is_told_by_name():
    found = Audited(CONTENDERS, (0, 1), trials())
    found.__dict__["noise"] = SimpleNamespace(told_apart=[(1, 2)], difference=lambda one, other: (one, other))
    assert found.told_apart == [("all4", "two")]
    assert found.difference("all4", "two") == (1, 2)


def rung(epoch, reliability):
    return Rung(epoch, 1.0, reliability)


def with_rungs(*reliabilities):
    found = Audited(CONTENDERS, (0, 1), trials())
    found.__dict__["rungs"] = [rung(epoch, each) for epoch, each in enumerate(reliabilities, 1)]
    return found


def test_epochs_leave_what_the_second_half_of_them_did():
    """Noise over spread is 4 after two of four epochs, and 1 at the end."""
    assert with_rungs(0.1, 0.2, 0.9, 0.5).epochs_leave == pytest.approx(1 / 4)


def test_of_an_odd_number_of_epochs_it_is_told_by_doubling():
    """From the first of three epochs to the last they double 1.58 times."""
    assert with_rungs(0.2, 0.9, 0.5).epochs_leave == pytest.approx((1 / 4) ** (1 / np.log2(3)))


def test_two_epochs_are_enough_to_tell_and_one_is_not():
    assert with_rungs(0.2, 0.5).epochs_leave == pytest.approx(1 / 4)
    assert with_rungs(0.2).epochs_leave is None


@pytest.mark.parametrize(("half", "last"), [(0.0, 0.5), (0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (float("nan"), 0.5)])
def test_epochs_tell_nothing_where_there_is_no_spread_or_no_noise(half, last):
    assert with_rungs(half, last).epochs_leave is None


def test_full_length_tells_what_epochs_leave_where_it_was_trained():
    """Four times the epochs; the noise is a third of what it was, its variance a ninth: a third a doubling."""
    spread, noise = np.array([[0.0], [1.0], [2.0]]), np.array([[0.3, -0.3], [-0.3, 0.3], [0.0, 0.0]])
    found = Audited(CONTENDERS, (0, 1), trials(spread + noise), longer=trials(spread + noise / 3), epochs=(5, 20))
    assert found.epochs_leave == pytest.approx(1 / 3, abs=0.03)


def lever(*, reliable=0.5, images=None, leaves=None, undecided=False):
    """What would help most, where these are what an audit found. images: of the noise, and of the means."""
    found = Audited(CONTENDERS, (0, 1), trials())
    surely = Estimate(0.5 * (1 + reliable), reliable, 1.0)
    found.__dict__["noise"] = SimpleNamespace(reliability=surely, undecided=undecided)
    found.__dict__["halves"] = images and Halves(*(Estimate(each, 0.0, 1.0) for each in images))
    if leaves is not None:
        found.__dict__["rungs"] = [rung(1, 0.5), rung(2, 1 / (1 + leaves))]
    return found.lever


@pytest.mark.parametrize(
    ("found", "helps"),
    [
        ({"reliable": 0.8, "images": (0.9, 0.9), "leaves": 0.1}, "nothing"),
        ({"reliable": 0.7, "images": (0.1, 0.1)}, "seeds"),  # 0.85 on average is not sure
        ({"images": (0.3, 0.1), "leaves": 0.1}, "images"),
        ({"images": (0.1, 0.3), "leaves": 0.1}, "images"),
        ({"images": (0.2, 0.2), "leaves": 0.4}, "epochs"),
        ({"leaves": 0.6}, "seeds"),
        ({"leaves": 0.4, "undecided": True}, "seeds"),
    ],
)
def test_what_costs_least_helps_first_if_it_helps(found, helps):
    assert lever(**found) == helps
