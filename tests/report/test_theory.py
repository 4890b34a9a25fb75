"""What theory says of the best ratio, in words."""

from senas.core.block import Placement, SEBlock
from senas.core.certainty import Estimate
from senas.core.config import SEConfig
from senas.core.site import Place, Site
from senas.core.theory import RatioTheory
from senas.report.theory import best_ratio_lines, kappa_line

KNOWN = RatioTheory(Estimate(2e-4, 1e-4, 4e-4), 1e-6, (4.0, 16.0), 20)
SITES = tuple(
    Site(name, {Placement.STANDARD: Place(c, 8, 8)}, Place(c, 8, 8))
    for name, c in (("layer1.0", 16), ("layer1.1", 16), ("layer2.0", 64))
)


def changed(**fields):
    return RatioTheory(**{name: fields.get(name, getattr(KNOWN, name)) for name in KNOWN.__slots__})


def test_an_identified_kappa_is_told_with_its_interval():
    assert "of the ratios 4, 16 that were trained: kappa +0.0002 (90% interval +0.0001 to +0.0004)" in kappa_line(KNOWN)
    assert "not identified" not in kappa_line(KNOWN)


def test_a_kappa_that_may_be_zero_is_told_to_be_no_ground_for_a_ratio():
    line = kappa_line(changed(kappa=Estimate(1e-4, -1e-4, 4e-4)))
    assert "kappa not identified (90% interval -0.0001 to +0.0004: it includes 0), and no best ratio follows" in line


def test_a_loss_that_falls_with_the_ratio_is_told():
    assert "the loss falls with r" in kappa_line(changed(kappa=Estimate(-2e-4, -4e-4, -1e-4)))


def test_too_few_configurations_are_told():
    assert "6 configurations were trained, and 8 are the least" in kappa_line(changed(configurations=6))


def test_what_leaves_no_kappa_to_be_seen_is_told():
    for ratios, said in (
        ((), "had no SE block with a ratio"),
        ((4.0,), "had one ratio, 4"),
        ((4.0, 16.0), "had 4, 16 as their ratios, but"),
    ):
        assert said in kappa_line(changed(kappa=None, ratios=ratios))


def test_the_best_ratio_of_each_stage_is_told_beside_the_picks():
    pick = SEConfig({"layer1.0": SEBlock(hidden=4), "layer2.0": SEBlock(hidden=4)})
    assert best_ratio_lines(KNOWN, SITES, pick) == [
        "  layer1.0 to layer1.1, C = 16: r* = 1.1 (0.9 to 1.4), beyond the ratios trained; the pick has r = 4, no SE",
        "  layer2.0, C = 64: r* = 2.7 (2.2 to 3.4), beyond the ratios trained; the pick has r = 16",
    ]


def test_a_best_ratio_within_those_trained_stands_alone_and_one_that_no_block_has_says_so():
    assert ", " not in best_ratio_lines(changed(ratios=(2.0, 16.0)), SITES, SEConfig())[1].partition("r* = ")[2]
    dear = changed(kappa=Estimate(2e-3, 1e-3, 4e-3))
    assert "r* = 0.5 (0.4 to 0.6), which no block can have (1 to 16)" in best_ratio_lines(dear, SITES, SEConfig())[0]


def test_a_ratio_that_a_stage_has_twice_is_told_once():
    pick = SEConfig({"layer1.0": SEBlock(hidden=4), "layer1.1": SEBlock(hidden=4)})
    assert best_ratio_lines(KNOWN, SITES, pick)[0].endswith("the pick has r = 4")


def test_without_a_penalty_no_best_ratio_is_told():
    assert best_ratio_lines(changed(price=None), SITES, SEConfig()) == []
