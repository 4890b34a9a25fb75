"""An SE configuration on a network that is wider or narrower than the one of the search."""

from dataclasses import replace

import pytest

from senas.errors import ConfigError, SpaceError
from senas.exported.network import insert_se
from senas.model.backbones import named
from senas.model.se import SqueezeExcitation


@pytest.fixture
def twice_as_wide():
    return named("resnet8", classes=3, channels=1, width=8)


def blocks(net):
    return {n.removesuffix(".se"): m.block for n, m in net.named_modules() if isinstance(m, SqueezeExcitation)}


def test_a_width_is_kept_on_a_wider_network_unless_told_otherwise(folder, exported, twice_as_wide):
    assert blocks(insert_se(twice_as_wide, folder, (1, 8, 8))) == dict(exported.config)


def test_a_ratio_is_carried_over_to_a_wider_network(folder, exported, twice_as_wide):
    carried = blocks(insert_se(twice_as_wide, folder, (1, 8, 8), keep="ratio"))
    assert carried == {site: replace(block, hidden=2 * block.hidden) for site, block in exported.config.items()}


def test_a_ratio_on_a_narrower_network_leaves_at_least_one_unit(folder):
    narrow = named("resnet8", classes=3, channels=1, width=1)
    assert [block.hidden for block in blocks(insert_se(narrow, folder, (1, 8, 8), keep="ratio")).values()] == [1, 1]


def test_a_ratio_of_a_network_of_the_same_width_changes_nothing(folder, exported):
    same = named(**{**exported.backbone, "classes": 9})
    assert blocks(insert_se(same, folder, (1, 8, 8), keep="ratio")) == dict(exported.config)


def test_a_ratio_needs_the_network_that_it_is_of(exported, twice_as_wide):
    with pytest.raises(ConfigError, match=r'\Akeep="ratio" needs the se\.yaml: [^\n]*\Z'):
        insert_se(twice_as_wide, exported.config, (1, 8, 8), keep="ratio")


def test_another_keep_is_answered_with_those_there_are(folder, twice_as_wide):
    with pytest.raises(ConfigError, match=r'\Akeep must be one of width, ratio, got "channels"\Z'):
        insert_se(twice_as_wide, folder, (1, 8, 8), keep="channels")


def test_a_ratio_for_a_network_without_the_site_names_it(damaged, twice_as_wide):
    with pytest.raises(SpaceError, match=r"\Athe network has no site layer9\.0; its sites are "):
        insert_se(twice_as_wide, damaged(se={"layer9.0": {"hidden": 1}}), (1, 8, 8), keep="ratio")
