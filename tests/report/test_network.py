"""SE configurations drawn on the network."""

import re

import pytest

from senas.core.block import Placement, SEBlock
from senas.core.config import SEConfig
from senas.core.site import Place, Site
from senas.report.network import WIDTH, Drawn, network


def site(name, place, *placements):
    return Site(name, dict.fromkeys(placements, place), place)


UNIT = (*(p for p in Placement if p is not Placement.POST_BEFORE_RELU),)


def drawn(config, sites, **more):
    return network([Drawn(name="pick", config=config, **more)], sites, (1, 8, 8), 10)


def place_of_gate(placement):
    unit = site("layer1.0", Place(16, 8, 8), *UNIT)
    text = drawn(SEConfig({"layer1.0": SEBlock(hidden=4, placement=Placement(placement))}), [unit])
    bar = re.search(rf'class="gate p-{placement}" x="([\d.]+)" y="([\d.]+)"[^>]* height="([\d.]+)"', text)
    x, y, height = bar.groups()
    return float(x), float(y) + float(height) / 2


def test_gates_sit_along_the_unit_in_the_order_in_which_it_computes():
    order = ["pre", "inner_before_relu", "inner", "standard", "post"]
    places = [place_of_gate(placement)[0] for placement in order]
    assert places == sorted(places)
    assert len(set(places)) == len(places)


def test_only_the_gate_on_the_shortcut_sits_above_the_line():
    assert place_of_gate("identity")[1] < place_of_gate("standard")[1] == place_of_gate("pre")[1]


def test_the_addition_lies_between_standard_and_post():
    unit = site("layer1.0", Place(16, 8, 8), *UNIT)
    addition = float(re.search(r'class="sum" cx="([\d.]+)"', drawn(SEConfig(), [unit]))[1])
    assert place_of_gate("standard")[0] < addition < place_of_gate("post")[0]


def test_a_unit_without_a_shortcut_has_no_addition():
    alone = site("features.0", Place(16, 8, 8), Placement.PRE, Placement.STANDARD)
    assert 'class="sum"' not in drawn(SEConfig(), [alone])


def test_a_wider_block_is_a_higher_bar(sites):
    def height(hidden):
        text = drawn(SEConfig({"layer1.0": SEBlock(hidden=hidden)}), sites)
        return float(re.search(r'class="gate[^>]* height="([\d.]+)"', text)[1])

    assert height(8) > height(4) > height(1)


def test_each_block_tells_its_ratio_and_its_width_and_each_site_without_one_that(sites):
    text = drawn(SEConfig({"layer1.0": SEBlock(hidden=4)}), sites)
    assert re.findall(r'text-anchor="middle">(r4|4 of 16|none)<', text) == ["r4", "4 of 16", "none"]


def test_the_stages_are_told_with_what_their_units_give_out(sites):
    assert re.findall(r">(\d+ x \d+ x \d+)<", drawn(SEConfig(), sites)) == ["16 x 8 x 8", "32 x 4 x 4"]
    assert "image 1 x 8 x 8" in drawn(SEConfig(), sites)


@pytest.mark.parametrize("count", [1, 9, 20, 54])
def test_a_network_of_any_length_stays_within_the_picture(count):
    sites = [site(f"layer1.{n}", Place(16, 8, 8), *UNIT) for n in range(count)]
    text = drawn(SEConfig.everywhere(sites, 4), sites)
    ends = [float(x) + float(w) for x, w in re.findall(r'class="gate[^>]* x="([\d.]+)"[^>]* width="([\d.]+)"', text)]
    assert len(ends) == count
    assert max(ends) < WIDTH
    height = float(re.search(r'viewBox="0 0 \d+ (\d+)"', text)[1])
    assert max(float(y) for y in re.findall(r' y="([\d.]+)"', text)) < height


def test_names_from_elsewhere_are_text(sites):
    text = drawn(SEConfig(), [site("<script>", Place(16, 8, 8), *UNIT)], told=["<b>"])
    assert "<script>" not in text
    assert "<b>" not in text
    assert "&lt;script&gt;" in text
