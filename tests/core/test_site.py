"""Sites: their places, the stages they form, and how they are selected."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senas.core.block import Placement
from senas.core.site import Place, Site, select, stages
from senas.errors import SpaceError

shapes = st.builds(Place, st.sampled_from([8, 16]), st.sampled_from([4, 8]), st.just(8))
runs_of_sites = st.lists(shapes, max_size=8).map(
    lambda outputs: [Site(f"unit{n}", {Placement.STANDARD: output}, output) for n, output in enumerate(outputs)]
)


def test_a_site_says_what_is_found_at_a_placement(resnet50):
    assert resnet50[3].place(Placement.PRE) == Place(channels=256, height=56, width=56)


def test_a_placement_that_a_site_lacks_is_answered_with_those_it_has(refused, resnet50):
    with refused(SpaceError, "layer2.0", "inner", "pre, standard, identity, post"):
        resnet50[3].place(Placement.INNER)


def test_resnet50_has_stages_of_3_4_6_and_3_units(resnet50):
    assert [len(stage) for stage in stages(resnet50)] == [3, 4, 6, 3]


@given(runs_of_sites)
def test_stages_are_the_longest_runs_of_equal_output_in_network_order(sites):
    found = stages(sites)
    assert list(itertools.chain(*found)) == sites
    assert all(site.output == run[0].output for run in found for site in run)
    assert all(one[-1].output != other[0].output for one, other in itertools.pairwise(found))


def test_a_shape_that_comes_back_is_another_stage():
    wide, narrow = Place(16, 8, 8), Place(8, 8, 8)
    sites = [Site(name, {}, output) for name, output in (("a", wide), ("b", narrow), ("c", wide))]
    assert [[site.name for site in stage] for stage in stages(sites)] == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize("changed", [Place(8, 8, 8), Place(16, 4, 8), Place(16, 8, 4)])
def test_a_stage_ends_where_channels_height_or_width_change(changed):
    before = Place(16, 8, 8)
    assert len(stages([Site("a", {}, before), Site("b", {}, changed)])) == 2


def test_a_star_selects_all_sites(resnet50):
    assert select(resnet50, ["*"]) == list(resnet50)


def test_selected_sites_come_once_and_in_network_order(resnet50):
    assert [site.name for site in select(resnet50, ["layer4.0", "layer1.*", "layer1.1"])] == [
        "layer1.0",
        "layer1.1",
        "layer1.2",
        "layer4.0",
    ]


def test_sites_may_come_from_an_iterator(resnet50):
    assert select(iter(resnet50), ["layer4.*", "layer1.0"]) == [resnet50[0], *resnet50[-3:]]


def test_a_pattern_is_sensitive_to_case(refused, resnet50):
    with refused(SpaceError, '"LAYER1.0"'):
        select(resnet50, ["LAYER1.0"])


def test_a_pattern_that_matches_nothing_is_answered_with_the_sites(refused, resnet50):
    with refused(SpaceError, "space.sites", '"layer5.*"', *(site.name for site in resnet50)):
        select(resnet50, ["layer1.*", "layer5.*"])
