"""senas sites: where in a backbone SE blocks can go, what they cost there, and how large a search space is on them."""

from senas.app.schema import SitesConfig
from senas.app.wiring import backbone_on_data, space_on
from senas.core.config import SEConfig
from senas.core.space import SearchSpace
from senas.model.cost import macs, params
from senas.report.console import Terminal
from senas.report.table import sites_table, spoken


def found(config: SitesConfig) -> list[dict[str, object]]:
    """One row a site: its placements, shape, and what a standard block at r = 16 costs there."""
    _, _, traced = backbone_on_data(config.backbone, config.data)
    rows = []
    for site in traced.sites:
        everywhere, place = SEConfig.everywhere([site]), site.output
        rows.append(
            {
                "site": site.name,
                "placements": ", ".join(site.places),
                "channels": place.channels,
                "height": place.height,
                "width": place.width,
                "params": everywhere.params(traced.sites),
                "macs": everywhere.macs(traced.sites),
            }
        )
    return rows


def main(config: SitesConfig) -> None:
    """Prints the table of sites, and the choices of the search space. Trains nothing."""
    data, construct, traced = backbone_on_data(config.backbone, config.data)
    space = space_on(traced.sites, config.space)
    backbone = construct()
    rows = [
        (everywhere.params(traced.sites), everywhere.macs(traced.sites))
        for everywhere in (SEConfig.everywhere([site]) for site in traced.sites)
    ]
    channels, height, width = data.shape
    terminal = Terminal()
    terminal.say(
        f"{config.backbone.name} on images of {channels} x {height} x {width}: {params(backbone):,} parameters, "
        f"{spoken(macs(backbone, data.shape))} MACs, {len(traced.sites)} sites"
    )
    for remark in data.remarks:
        terminal.say(remark)
    terminal.show(sites_table(traced.sites, rows))
    total = SEConfig.everywhere(traced.sites)
    terminal.say(
        f"SE everywhere at r = 16: {total.params(traced.sites):,} parameters, {total.macs(traced.sites):,} MACs"
    )
    terminal.say(f"\n{spoken_space(space)}")


def spoken_space(space: SearchSpace) -> str:
    """Options of each choice, choices with equal options together, and how many configurations that makes."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for choice in space.choices:
        alike.setdefault(tuple(choice.options), []).append(choice.name)
    lines = [
        f"search space: {space.size:,} configurations from {len(space.choices)} choices, "
        f"at most {space.largest_params:,} SE parameters"
    ]
    lines += [f"  {', '.join(names)}: {len(options)} options: {', '.join(options)}" for options, names in alike.items()]
    return "\n".join(lines)
