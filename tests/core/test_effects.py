"""The effects model: what every SE block is worth, from all trainings together."""

from unittest.mock import patch

import numpy as np
import pytest

from senas.core.block import Placement
from senas.core.config import SEConfig
from senas.core.effects import (
    BLOCK,
    CONFIGURATION,
    OPTION,
    PAIR,
    PLACEMENT,
    SEED,
    SITE,
    STAGE,
    WIDTH,
    Design,
    Effects,
    Observation,
    fit,
)
from senas.core.mixed import draw_effects
from senas.core.site import Place, Site
from senas.core.space import Axes, search_space
from senas.errors import SpaceError

P = (Placement.STANDARD, Placement.PRE)
SITES = tuple(
    Site(f"layer{stage}.{unit}", dict.fromkeys(P, Place(8 * stage, 8, 8)), Place(8 * stage, 8, 8))
    for stage in (1, 2)
    for unit in (0, 1)
)
SPACE = search_space(SITES, Axes(reduction=(2, 4), placement=P))
ALL4 = SPACE.draw(lambda name, options: "r4 standard")


def drawn(rng, count):
    return [SPACE.draw(lambda _, options: options[int(rng.integers(len(options)))]) for _ in range(count)]


def worth(config):
    """A loss that is the sum of its blocks: 0.5, and less for each block, least for layer2's and for `pre`."""
    options = SPACE.encode(config)
    gain = {"layer1.0": 0.04, "layer1.1": 0.03, "layer2.0": 0.0, "layer2.1": -0.02}
    factor = {"none": 0.0, "r2 standard": 1.0, "r4 standard": 0.8, "r2 pre": 0.4, "r4 pre": 0.3}
    return 0.5 - sum(gain[name] * factor[option] for name, option in options.items())


def observed(rng, count, noise, seed_effects=(0.0,)):
    return [
        Observation(
            config, n % len(seed_effects), worth(config) + seed_effects[n % len(seed_effects)] + noise * rng.normal()
        )
        for n, config in enumerate(drawn(rng, count))
    ]


def test_a_configuration_is_the_sum_of_its_parts():
    columns = Design(SPACE).columns(ALL4)
    assert columns[BLOCK, ""] == columns[WIDTH, "r4"] == columns[PLACEMENT, "standard"] == 4
    assert columns[SITE, "layer1.0"] == columns[OPTION, ("layer1.0", "r4 standard")] == 1
    assert columns[STAGE, ""] == 2  # two stages of two blocks
    assert columns[PAIR, ("layer2.0", "layer2.1")] == 1
    assert (PAIR, ("layer1.0", "layer2.0")) not in columns


def test_no_se_has_the_mean_alone():
    assert Design(SPACE).columns(SEConfig()) == {("mean", ""): 1.0}


def test_what_is_not_in_the_space_has_no_parts():
    with pytest.raises(SpaceError, match="not in the search space"):
        Design(SPACE).columns(SEConfig.everywhere(SITES, 1))


def test_kinds_that_cannot_be_told_apart_are_left_out():
    narrow = search_space(SITES, Axes(reduction=(4,), placement=(Placement.STANDARD,)))
    assert Design(narrow).kinds == (BLOCK, SITE, STAGE, PAIR, CONFIGURATION, SEED)
    network = search_space(SITES, Axes(reduction=(2, 4), placement=P, per="network"))
    assert Design(network).kinds == (BLOCK, PLACEMENT, WIDTH, OPTION, CONFIGURATION, SEED)
    assert STAGE not in Design(SPACE, interactions=False).kinds


def test_configurations_that_were_never_trained_are_predicted():
    rng = np.random.default_rng(0)
    effects = fit(SPACE, observed(rng, 60, noise=0.003))
    untrained = [config for config in drawn(rng, 200) if config not in effects.trained]
    # By one seed it is not known what that seed does to all of them alike: so it is about differences from no SE.
    losses = effects.losses(untrained) - effects.losses([SEConfig()])
    true = np.array([worth(config) - worth(SEConfig()) for config in untrained])
    low, high = np.quantile(losses, [0.05, 0.95], axis=0)
    assert np.corrcoef(losses.mean(0), true)[0, 1] > 0.95
    assert ((low <= true) & (true <= high)).mean() >= 0.85
    assert (high - low).mean() < 0.3 * (true.max() - true.min())


def test_what_a_seed_does_to_all_alike_is_not_taken_for_a_configuration():
    rng = np.random.default_rng(1)
    effects = fit(SPACE, observed(rng, 60, noise=0.003, seed_effects=(0.1, -0.1, 0.05, -0.05)))
    apart = effects.losses([ALL4])[:, 0] - effects.losses([SEConfig()])[:, 0]
    low, high = np.quantile(apart, [0.05, 0.95])
    assert low <= worth(ALL4) - worth(SEConfig()) <= high
    assert high - low < 0.05  # the seeds alone differ by 0.2


def test_a_training_more_narrows_what_is_known_of_its_configuration():
    rng = np.random.default_rng(2)
    seen = observed(rng, 20, noise=0.02, seed_effects=(0.0, 0.0, 0.0, 0.0))
    config = seen[0].config
    again = [Observation(config, seed, worth(config) + 0.02 * rng.normal()) for seed in range(4, 16)]
    before, after = (fit(SPACE, some).losses([config]).std() for some in (seen, seen + again))
    assert after < 0.7 * before


def test_draws_are_joint_so_that_what_is_shared_cancels_in_differences():
    effects = fit(SPACE, observed(np.random.default_rng(3), 20, noise=0.01, seed_effects=(0.1, -0.1)))
    one, other = effects.losses([ALL4, SEConfig()]).T
    assert (one - other).std() < one.std()


def test_the_same_trainings_give_the_same_draws():
    seen = observed(np.random.default_rng(4), 12, noise=0.01)
    untrained = SPACE.draw(lambda name, options: options[-1])
    one, same, other = (fit(SPACE, seen, seed=seed).losses([ALL4, untrained]) for seed in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()


DRAWN = {("mean", ""): 0, (BLOCK, ""): 1, (SITE, "layer1.0"): 2, (CONFIGURATION, ALL4): 3}


def known(draws=2000):
    """Effects that are known as written here, all others but for their kind's standard deviation, the same for all."""
    kinds = Design(SPACE).kinds
    return Effects(
        Design(SPACE), np.tile([0.5, -0.1, 0.03, 0.2], (draws, 1)), DRAWN, np.full((draws, len(kinds) + 1), 0.01), {}
    )


def test_a_loss_is_the_sum_of_all_effects_that_a_configuration_has():
    losses = known().losses([ALL4])[:, 0]
    counts = Design(SPACE).columns(ALL4)
    unknown = sum(count**2 for column, count in counts.items() if column not in DRAWN)
    assert losses.mean() == pytest.approx(0.5 - 4 * 0.1 + 0.03 + 0.2, abs=0.01)
    assert losses.std() == pytest.approx(0.01 * np.sqrt(unknown), rel=0.1)


def test_what_no_training_showed_is_the_same_for_all_that_have_it():
    one, other = ({("mean", ""): 1.0, (SITE, site): 1.0} for site in ("layer2.0", "layer2.1"))
    first, second, both = known().sums([one, other, {**one, **other}]).T
    assert both == pytest.approx(first + second - 0.5)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1


def test_the_noise_is_the_last_of_the_standard_deviations():
    scales = np.arange(20.0).reshape(2, 10)
    assert Effects(Design(SPACE), np.zeros((2, 1)), {("mean", ""): 0}, scales, {}).noise.tolist() == [9.0, 19.0]


def test_every_training_of_a_configuration_counts():
    seen = [Observation(ALL4, seed, 0.4) for seed in range(3)] + [Observation(SEConfig(), 0, 0.5)]
    assert fit(SPACE, seen, effort=0.1).trained == {ALL4: 3, SEConfig(): 1}


def test_effort_is_passed_on():
    assert len(fit(SPACE, [Observation(ALL4, 0, 0.4)], effort=0.25).draws) == 128


def test_each_kind_has_its_own_share_and_seeds_have_none():
    given = {}

    def spy(losses, free, groups, shares, rng, **options):
        given.update(zip(Design(SPACE).kinds, zip(groups, shares, strict=True), strict=True))
        return draw_effects(losses, free, groups, shares, rng, **options)

    with patch("senas.core.effects.draw_effects", spy):
        fit(SPACE, observed(np.random.default_rng(0), 6, 0.01, seed_effects=(0.0, 0.1)), effort=0.1)
    assert (given[SEED][0] == np.tile(np.eye(2), (3, 1))).all()
    assert [kind for kind, (_, share) in given.items() if share is None] == [SEED]
    assert sum(share for _, share in given.values() if share is not None) == pytest.approx(1.0)
    assert min(given[kind][1] for kind in (BLOCK, PLACEMENT, WIDTH, SITE)) > max(
        given[kind][1] for kind in (OPTION, STAGE, PAIR, CONFIGURATION)
    )


def test_without_interactions_no_configuration_has_any():
    assert not {STAGE, PAIR} & {kind for kind, _ in Design(SPACE, interactions=False).columns(ALL4)}


def test_a_former_block_is_a_placement_of_its_own_and_has_no_width_to_share():
    assert Design.of_option("layer1.0", "former") == [
        (BLOCK, ""),
        (SITE, "layer1.0"),
        (OPTION, ("layer1.0", "former")),
        (PLACEMENT, "former"),
    ]


def test_one_training_is_enough_for_an_answer_and_for_little_certainty():
    effects = fit(SPACE, [Observation(ALL4, 0, 0.4)])
    assert np.isfinite(effects.losses([ALL4, SEConfig()])).all()


def test_without_trainings_there_is_nothing_to_learn():
    with pytest.raises(ValueError, match="no training"):
        fit(SPACE, [])


def test_standard_deviations_that_are_known_are_not_drawn():
    seen = observed(np.random.default_rng(6), 20, noise=0.01)
    scales = fit(SPACE, seen, effort=0.1).scales[:5]
    effects = fit(SPACE, seen, scales=scales)
    assert effects.scales == pytest.approx(scales)
    assert effects.draws.shape[0] == 5


def test_a_design_that_has_met_other_trainings_gives_the_same_draws():
    rng, met = np.random.default_rng(0), Design(SPACE)
    seen = [Observation(config, n % 3, float(rng.normal())) for n, config in enumerate(drawn(rng, 20))]
    fit(SPACE, seen[10:], effort=0.1, design=met)
    one, other = fit(SPACE, seen, effort=0.1, design=met), fit(SPACE, seen, effort=0.1)
    assert list(one.columns) == list(other.columns)
    assert np.array_equal(one.draws, other.draws)
