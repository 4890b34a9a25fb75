"""The table of sites: one line each, in 80 columns."""

import io

import pytest
from rich.console import Console

from senas.core.block import Activation, Placement, SEBlock
from senas.core.site import Former, Place, Site
from senas.report.sites import legend, site_rows, sites_table

STANDARD, PRE, INNER, POST = Placement.STANDARD, Placement.PRE, Placement.INNER, Placement.POST


def unit(name, channels, side, *, before=None, former=None, places=(PRE, STANDARD, POST)):
    place = Place(channels, side, side)
    found = dict.fromkeys(places, place) | ({PRE: Place(before, side, side)} if before else {})
    return Site(name, found, place, former)


def printed(sites, width=80):
    console = Console(width=width, file=io.StringIO())
    console.print(sites_table(sites))
    return [line.split() for line in console.file.getvalue().splitlines() if line.strip()]


def test_a_row_has_stage_channels_size_and_costs_of_the_usual_block():
    head, _, *rows = printed([unit("layer1.0", 64, 56), unit("layer1.1", 64, 56), unit("layer2.0", 128, 28)])
    assert head == ["site", "stage", "at", "C", "H", "x", "W", "params", "MACs"]
    assert rows == [
        ["layer1.0", "1", "A", "64", "56", "x", "56", "580", "512"],
        ["layer1.1", "1", "A", "64", "56", "x", "56", "580", "512"],
        ["layer2.0", "2", "A", "128", "28", "x", "28", "2,184", "2,048"],
    ]


def test_a_column_tells_the_channels_of_a_placement_that_sees_others():
    head, _, *rows = printed([unit("a", 128, 8, before=64), unit("b", 128, 8)])
    assert head[3:5] == ["pre", "C"]
    assert [row[3:5] for row in rows] == [["64", "128"], ["128", "128"]]


def test_sites_that_offer_the_same_placements_share_a_letter():
    sites = [unit("a", 8, 8), unit("b", 8, 8, places=(POST,)), unit("c", 8, 8)]
    assert [row[2] for row in printed(sites)[2:]] == ["A", "B", "A"]
    assert legend(sites)[:2] == ["at A: pre, standard, post", "at B: post"]


def test_the_block_that_a_backbone_came_with_is_told():
    block = SEBlock(hidden=4, placement=INNER, activation=Activation.SILU)
    ours = Former(INNER, block, params=1, macs=1)
    theirs = Former(INNER, None, params=1, macs=1)
    sites = [unit("a", 64, 8, former=ours, places=(INNER,)), unit("b", 64, 8, former=theirs, places=(INNER,))]
    assert [row["former"] for row in site_rows(sites)] == ["r16 inner silu", "original"]
    assert [row[7:-2] for row in printed(sites)[2:]] == [["r16", "inner", "silu"], ["original"]]


def test_a_site_without_a_usual_placement_has_no_costs():
    (row,) = site_rows([unit("a", 8, 8, places=(PRE,))])
    assert (row["params"], row["macs"]) == (None, None)


@pytest.mark.parametrize("former", [None, Former(INNER, SEBlock(hidden=144, placement=INNER), params=1, macs=1)])
def test_names_and_costs_fit_into_80_columns_whole(former):
    names = [f"features.{n}.0.block.2" for n in range(16)]
    places = (PRE, INNER, STANDARD, POST)
    sites = [unit(name, 2304, 112, before=384, former=former, places=places) for name in names]
    rows = printed(sites)
    whole = [row for row in rows[2:] if len(row) > 3]  # others are the second lines of folded words
    assert [(row[0], row[-2], row[-1]) for row in whole] == [(name, "666,000", "663,552") for name in names]
