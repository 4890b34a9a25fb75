"""Gates as a picture: what each channel's is by class, site by site, and how far it spreads.

After the figure of activations by class and depth in Hu et al., "Squeeze-and-Excitation Networks", arXiv:1709.01507.
"""

import io
import math
import textwrap
import warnings

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from senas.core.block import SEBlock
from senas.core.config import spoken_on
from senas.core.explained import SUPPRESSED, Explained, Profile, largest
from senas.report.figure import BLUE, DARK, GREY, ORANGE
from senas.report.removable import share

COLUMNS = 4
"""Panels beside each other, at most."""
PANEL, SPREAD, ROW = 2.9, 0.8, 0.13
"""Inches: the width of a panel, the height of its lower part, and of a class in its upper part."""
LOWEST, HIGHEST = 0.75, 2.6
"""Inches of its upper part."""
LEFT, RIGHT, BOTTOM, HEAD, GAP = 1.1, 0.8, 0.2, 0.45, 0.3
"""Inches around the panels, above each, and between them."""
LINE, LETTERS_AN_INCH = 0.16, 15
"""Of the caption: inches a line, and how many letters an inch holds."""
NAMED = 20
"""Classes, at most, that are named one by one."""
LETTERS = 16
"""Of a class's name, at most."""


def gates_png(explained: Explained, title: str) -> bytes:
    """`gates_figure` as a file."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # of a class's name; a box stands for it
        gates_figure(explained, title).savefig(buffer, format="png")
    return buffer.getvalue()


def gates_figure(explained: Explained, title: str) -> Figure:
    """A panel a site, in network order: class by channel the mean gate; below it, each channel's mean and spread.

    Channels are in the order of their means. Colours mean the same in all panels.
    """
    profiles, count = explained.profiles, len(explained.profiles)
    rows = math.ceil(count / COLUMNS)
    columns = math.ceil(count / rows)  # 5 are 3 and 2, not 4 and 1
    heat = min(max(ROW * len(explained.classes), LOWEST), HIGHEST)
    panel = HEAD + heat + 0.05 + SPREAD + GAP
    width = LEFT + columns * (PANEL + GAP) + RIGHT
    caption = textwrap.wrap(_caption(explained), int(width * LETTERS_AN_INCH))
    top = 0.55 + LINE * len(caption)
    height = top + rows * panel + BOTTOM
    figure = Figure(figsize=(width, height), dpi=130)
    FigureCanvasAgg(figure)
    values = np.concatenate([profile.by_class.ravel() for profile in profiles])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    largest_gate = max(largest(profile.block) for profile in profiles)

    def axes(left: float, above: float, wide: float, tall: float) -> Axes:
        """In inches from the upper left corner."""
        return figure.add_axes((left / width, 1 - (above + tall) / height, wide / width, tall / height))

    for n, profile in enumerate(profiles):
        left, above = LEFT + n % columns * (PANEL + GAP), top + n // columns * panel + HEAD
        by_class, spread = axes(left, above, PANEL, heat), axes(left, above + heat + 0.05, PANEL, SPREAD)
        order = np.argsort(profile.mean, kind="stable")
        image = by_class.imshow(
            profile.by_class[:, order],
            aspect="auto",
            cmap="viridis",
            vmin=low,
            vmax=max(high, low + 0.01),
            extent=(0.5, profile.channels + 0.5, len(explained.classes) - 0.5, -0.5),
        )
        by_class.set_facecolor(GREY)  # a class without images
        by_class.set_title(_title(profile), fontsize=8, loc="left", linespacing=1.3)
        by_class.set_xticks([])
        _classes(by_class, explained.classes, named=n % columns == 0)
        _spread(spread, profile, order, largest_gate, labelled=n % columns == 0)
        if n + columns >= count:
            spread.set_xlabel("channels, by their mean gate", fontsize=7)
    bar = axes(width - RIGHT + 0.1, top + HEAD, 0.16, heat)
    figure.colorbar(image, cax=bar).set_label("mean gate", fontsize=8)
    bar.tick_params(labelsize=7)
    figure.text(0.15 / width, 1 - 0.28 / height, title, fontsize=11, va="center", parse_math=False)
    figure.text(0.15 / width, 1 - 0.45 / height, "\n".join(caption), fontsize=7.5, va="top", color=DARK)
    return figure


def _caption(explained: Explained) -> str:
    return (
        f"{explained.images:,} validation images. Above: each channel's mean gate in each class. Below: its mean "
        "(black), its spread over images (blue: one sd to either side) and over classes (orange: lowest and highest "
        f"class), and {SUPPRESSED:g} (dotted), below which a channel is suppressed."
    )


def _title(profile: Profile) -> str:
    block = spoken_on(profile.block, profile.channels) if isinstance(profile.block, SEBlock) else str(profile.block)
    return (
        f"{profile.site}   {block}\n{profile.channels} channels, {share(profile.per_image)} of the variance over images"
    )


def _classes(axes: Axes, classes: tuple[str, ...], *, named: bool) -> None:
    """Names where there are few, numbers where there are many."""
    if not named:
        axes.set_yticks([])
    elif len(classes) <= NAMED:
        axes.set_yticks(range(len(classes)), [_short(name) for name in classes], fontsize=7, parse_math=False)
    else:
        axes.tick_params(axis="y", labelsize=7)
        axes.set_ylabel("class", fontsize=7)
    axes.tick_params(length=2)


def _spread(axes: Axes, profile: Profile, order: np.ndarray, top: float, *, labelled: bool) -> None:
    channels = np.arange(1, profile.channels + 1)
    mean, sd, by_class = profile.mean[order], profile.sd[order], profile.by_class[:, order]
    known = by_class[~np.isnan(by_class).all(1)]
    edges = np.repeat(np.r_[channels - 0.5, profile.channels + 0.5], 2)[1:-1]  # a step a channel
    below, above = (np.repeat(each, 2) for each in (mean - sd, mean + sd))
    axes.fill_between(edges, below, above, color=BLUE, alpha=0.3, lw=0)
    for each in (known.min(0), known.max(0)):
        axes.plot(edges, np.repeat(each, 2), color=ORANGE, linewidth=0.7)
    axes.plot(edges, np.repeat(mean, 2), color=DARK, linewidth=1)
    axes.axhline(SUPPRESSED, color=GREY, linewidth=0.7, linestyle="dotted")
    axes.set_xlim(0.5, profile.channels + 0.5)
    axes.set_ylim(0, top)
    axes.set_yticks([0, top / 2, top])
    axes.set_xticks(sorted({1, profile.channels}))
    axes.tick_params(labelsize=7, length=2, labelleft=labelled)
    if labelled:
        axes.set_ylabel("gate", fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
