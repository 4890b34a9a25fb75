"""senas sites: where in a backbone SE blocks can go, what they cost there, and how large a search space is on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from senas.app.bench import backbone_on_data, space_on, stopwatches
from senas.app.checks import backbone as backbone_of
from senas.app.checks import constraints, shape, timing
from senas.app.greeting import configurations
from senas.app.schema import SitesConfig
from senas.core.config import SEConfig
from senas.core.space import SearchSpace
from senas.model.backbones import Builder
from senas.model.cost import macs, params
from senas.model.sites import Traced, trace
from senas.model.surgery import insert
from senas.report.console import Terminal
from senas.report.sites import COSTS_RATIO, legend, site_rows, sites_table
from senas.report.table import spoken

CLASSES = 1000
"""Of images to come, where nothing is said: ImageNet's."""

NAMED = 6
"""Choices with equal options that are named; the table above has them all."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A backbone, traced, and the images that it was traced for."""

    shape: tuple[int, int, int]
    classes: int
    remarks: Sequence[str]
    backbone: Any
    traced: Traced


def found(config: SitesConfig) -> list[dict[str, object]]:
    """One row a site: its stage, placements, shape, former block, and what a usual block at r = 16 costs there."""
    return site_rows(_look(config).traced.sites)


def main(config: SitesConfig) -> None:
    """Prints the table of sites, the totals, and the choices of the search space. Trains nothing."""
    looked = _look(config)
    traced, sites, images = looked.traced, looked.traced.sites, looked.shape
    bare = insert(looked.backbone, SEConfig(), traced)  # stripped of its own blocks, where they become sites
    own_params, own_macs = params(bare), macs(bare, images)
    everywhere = SEConfig.everywhere(sites, COSTS_RATIO)
    space = space_on(sites, config.space).capped(constraints(config.space), own_params, own_macs)
    terminal = Terminal()
    terminal.say(
        f"{config.backbone.name} on images of {images[0]} x {images[1]} x {images[2]}, {looked.classes:,} classes: "
        f"{len(sites)} sites"
    )
    for remark in looked.remarks:
        terminal.say(remark)
    terminal.show(sites_table(sites))
    terminal.say("\n".join(legend(sites)))
    lines = [("", ""), ("without SE", f"{own_params:,} parameters, {spoken(own_macs)} MACs for one image")]
    if any(site.former for site in sites):
        lines.append(("as it came", _with(SEConfig.former(sites), traced, own_params, own_macs)))
    lines.append((f"SE everywhere at r = {COSTS_RATIO}", _with(everywhere, traced, own_params, own_macs)))
    width = max(len(name) for name, _ in lines)
    terminal.say("\n".join(f"{name:<{width}}  {words}".rstrip() for name, words in lines))
    if config.latency:
        _say_latency(terminal, config, [bare, insert(looked.backbone, everywhere, traced)], images)
    terminal.say(f"\n{spoken_space(space)}")


def spoken_space(space: SearchSpace) -> str:
    """Options of each choice, choices with equal options together, and how many configurations that makes."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for choice in space.choices:
        alike.setdefault(tuple(choice.options), []).append(choice.name)
    lines = [
        f"search space: {configurations(space)} from {len(space.choices)} choices, "
        f"at most {space.largest_params:,} SE parameters, {spoken(space.largest_macs)} MACs"
    ]
    for options, names in alike.items():
        shown = names if len(names) <= NAMED else [*names[: NAMED - 1], f"{len(names) - NAMED + 1} more"]
        lines.append(f"  {', '.join(shown)}: {len(options)} options: {', '.join(options)}")
    return "\n".join(lines)


def _look(config: SitesConfig) -> Looked:
    """On the data, or for images of the shape that was given: then no data are read."""
    given = shape(config)
    if given is None:
        data, builder, traced = backbone_on_data(config.backbone, config.data)
        return Looked(data.shape, len(data.classes), (*data.remarks, *builder.remarks), builder(), traced)
    wanted, classes = backbone_of(config.backbone), config.classes or CLASSES
    builder = Builder(wanted, classes=classes, channels=given[0], size=given[1:])
    remarks = list(builder.remarks)
    if builder.channels != given[0]:
        remarks.append(f"it takes {builder.channels} channels: grey images are repeated")
    images, backbone = (builder.channels, given[1], given[2]), builder()
    traced = trace(backbone, images, strip_se=wanted.strip_se, leaves=wanted.leaves, modules=wanted.modules)
    return Looked(images, classes, remarks, backbone, traced)


def _with(config: SEConfig, traced: Traced, own_params: int, own_macs: int) -> str:
    added, added_macs = config.params(traced.sites), config.macs(traced.sites)
    return (
        f"{own_params + added:,} parameters (+{added:,}, {added / own_params:.2%}), "
        f"{spoken(own_macs + added_macs)} MACs (+{spoken(added_macs)}, {added_macs / own_macs:.2%})"
    )


def _say_latency(terminal: Terminal, config: SitesConfig, nets: Sequence[Any], images: tuple[int, int, int]) -> None:
    """Without SE and with SE everywhere, measured in turn."""
    assert config.latency is not None
    plain, everywhere = stopwatches(nets, example=images, timing=timing(config.latency))
    ratio, low, high = everywhere.times_as_long(plain)
    noise = "; here that cannot be told from noise" if low <= 1 <= high else ""
    terminal.say(
        f"latency: without SE {plain}, with SE everywhere {everywhere}\n"
        f"  {ratio:.3f} times as long ({low:.3f} to {high:.3f}){noise}\n"
        f"  medians (quartiles), passes in turn; {plain.timing.words}"
    )
