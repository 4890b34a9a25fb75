"""The front as a page: one file that needs no network, for a browser or MLflow's preview.

Picture and strips are SVG in the page; a few lines of script show what is under the pointer and sort the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from string import Template

from senas.core.block import Block, SEBlock
from senas.core.config import BASELINES, SEConfig
from senas.core.site import Site
from senas.core.trial import Trial
from senas.report.page import PAGE
from senas.report.table import spoken

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 18, 18, 46


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPage:
    """What the page shows of a study.

    subtitle:      data and backbone.
    question:      a sentence for whoever never saw senas.
    measured:      every trial trained to the end; `front` those that no other beats, fewest SE parameters first.
    picked, why:   the recommended trial, and how it was chosen.
    hypervolumes:  after each trial, by its number; in nats x parameters.
    seeds:         what stands behind each figure, in words.
    baselines:     configurations that every study is measured against, by name.
    """

    title: str
    subtitle: str
    question: str
    measured: Sequence[Trial]
    front: Sequence[Trial]
    picked: Trial
    why: str
    sites: Sequence[Site]
    hypervolumes: Mapping[int, float]
    seeds: str
    baselines: Mapping[str, SEConfig]

    def html(self) -> str:
        """The whole page."""
        baselines = _baselines(self.measured, self.baselines)
        scores = self.picked.scores
        return Template(PAGE).substitute(
            title=escape(self.title),
            subtitle=escape(self.subtitle),
            question=escape(self.question),
            cards=_cards(self, baselines),
            scatter=self._scatter(baselines),
            strip=_strip(self.picked.config, self.sites, named=True),
            pick=f"trial {self.picked.number}: {escape(self.picked.config.words(self.sites))}",
            why=escape(self.why),
            pickfacts=f"validation loss {scores['val_loss']:.4f} · {scores['se_params']:,.0f} SE parameters",
            rows="".join(self._row(trial, baselines) for trial in self._listed()),
            volume=_volume(self.hypervolumes),
            seeds=escape(self.seeds),
            trials=f"{len(self.measured)}",
        )

    def _listed(self) -> list[Trial]:
        """The front first, then the others, the lowest loss first."""
        on_front = {trial.number for trial in self.front}
        rest = sorted((t for t in self.measured if t.number not in on_front), key=lambda t: t.scores["val_loss"])
        return [*self.front, *rest]

    def _role(self, trial: Trial, baselines: Mapping[int, str]) -> str:
        words = ["recommended"] if trial.number == self.picked.number else []
        words += ["front"] if trial.number in {t.number for t in self.front} else []
        words += [f"baseline {baselines[trial.number]}"] if trial.number in baselines else []
        return ", ".join(words)

    def _row(self, trial: Trial, baselines: Mapping[int, str]) -> str:
        s, role = trial.scores, self._role(trial, baselines)
        accuracy = s.get("val_accuracy")
        cells = [
            (trial.number, f"{trial.number}"),
            (s["val_loss"], f"{s['val_loss']:.4f}"),
            (accuracy or 0, "" if accuracy is None else f"{accuracy:.2%}"),
            (s["se_params"], f"{s['se_params']:,.0f}"),
            (s.get("macs", 0), spoken(s.get("macs", 0))),
        ]
        numbers = "".join(f'<td class="n" data-v="{value!r}">{text}</td>' for value, text in cells)
        kind = " pick" if "recommended" in role else ""
        kind += " onfront" if "front" in role else ""
        label = "".join(
            f"<span class='tag t-{word.split()[0]}'>{escape(word)}</span>" for word in role.split(", ") if word
        )
        words = escape(trial.config.words(self.sites))
        strip = _strip(trial.config, self.sites)
        return (
            f'<tr class="trial{kind}" data-n="{trial.number}">{numbers}'
            f'<td data-v="{escape(words)}" title="{words}">{strip}</td><td data-v="{role}">{label}</td></tr>\n'
        )

    def _scatter(self, baselines: Mapping[int, str]) -> str:
        xs = [trial.scores["se_params"] for trial in self.measured]
        ys = [trial.scores["val_loss"] for trial in self.measured]
        x_ticks, y_ticks = ticks(0, max(xs) * 1.04 or 1), ticks(min(ys), max(ys), padded=True)
        axes = _Axes((-0.02 * max(xs), max(x_ticks[-1], max(xs) * 1.04)), (y_ticks[0], y_ticks[-1]))
        parts = [axes.frame(x_ticks, y_ticks, "SE parameters", "validation loss (nats)")]
        stairs = [(t.scores["se_params"], t.scores["val_loss"]) for t in self.front]
        if stairs:
            path = f"M{axes.at(*stairs[0])}" + "".join(f"H{axes.x(x):.1f}V{axes.y(y):.1f}" for x, y in stairs[1:])
            parts.append(f'<path class="front" d="{path}H{axes.x(axes.xs[1]):.1f}"/>')
        on_front = {trial.number for trial in self.front}
        for trial in sorted(self.measured, key=lambda t: t.number in on_front):
            x, y = axes.x(trial.scores["se_params"]), axes.y(trial.scores["val_loss"])
            kind = "on" if trial.number in on_front else "off"
            tip = (
                f"trial {trial.number}{' · ' + self._role(trial, baselines) if self._role(trial, baselines) else ''}\n"
                f"{trial.config.words(self.sites)}\nvalidation loss {trial.scores['val_loss']:.4f}\n"
                f"{trial.scores['se_params']:,.0f} SE parameters"
            )
            if "latency_ms" in trial.scores:
                tip += f"\n{trial.scores['latency_ms']:.4g} ms"
            parts.append(
                f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="{6 if kind == "on" else 4.5}" tabindex="0" '
                f'data-n="{trial.number}" data-tip="{escape(tip)}"/>'
            )
        for trial in self.measured:
            x, y = axes.x(trial.scores["se_params"]), axes.y(trial.scores["val_loss"])
            if trial.number == self.picked.number:
                parts.append(f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="13"/>')
            if trial.number in baselines:
                parts.append(f'<path class="base" d="M{x:.1f} {y - 10:.1f}l10 10l-10 10l-10 -10z"/>')
                parts.append(f'<text class="label" x="{x + 8:.1f}" y="{y - 12:.1f}">{baselines[trial.number]}</text>')
        return _svg("".join(parts), "Validation loss against SE parameters")


@dataclass(frozen=True, slots=True)
class _Axes:
    """From values to places in the picture."""

    xs: tuple[float, float]
    ys: tuple[float, float]
    height: int = HEIGHT

    def x(self, value: float) -> float:
        return LEFT + (value - self.xs[0]) / ((self.xs[1] - self.xs[0]) or 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return (
            self.height
            - BOTTOM
            - (value - self.ys[0]) / ((self.ys[1] - self.ys[0]) or 1) * (self.height - TOP - BOTTOM)
        )

    def at(self, x: float, y: float) -> str:
        return f"{self.x(x):.1f} {self.y(y):.1f}"

    def frame(self, x_ticks: Sequence[float], y_ticks: Sequence[float], x_title: str, y_title: str) -> str:
        bottom, middle = self.height - BOTTOM, (self.height - BOTTOM + TOP) / 2
        lines = [
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{self.y(t):.1f}" y2="{self.y(t):.1f}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{self.y(t) + 4:.1f}" text-anchor="end">{text}</text>'
            for t, text in zip(y_ticks, alike(y_ticks), strict=True)
        ]
        lines += [
            f'<text class="tick" x="{self.x(t):.1f}" y="{bottom + 18}" text-anchor="middle">{number(t)}</text>'
            for t in x_ticks
            if self.xs[0] <= t <= self.xs[1]
        ]
        lines.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
        lines.append(
            f'<text class="title" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{self.height - 8}" text-anchor="middle">'
            f'{x_title}</text><text class="title" transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">'
            f"{y_title}</text>"
        )
        return "".join(lines)


def alike(values: Sequence[float]) -> list[str]:
    """Numbers of an axis, with as many decimals each."""
    texts = [f"{value:,.4g}" for value in values]
    if any("e" in text for text in texts):
        return texts
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return [f"{value:,.{decimals}f}" for value in values]


def number(value: float) -> str:
    """A tick: whole where it is whole."""
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.3g}"


def ticks(low: float, high: float, *, padded: bool = False, count: int = 5) -> list[float]:
    """About `count` round numbers from low to high; padded: one beyond each end."""
    span = (high - low) or abs(high) or 1.0
    size = 10.0 ** len(f"{int(span / count)}") if span >= count else 1.0
    while size > span / count:
        size /= 10
    step = min((factor * size for factor in (1, 2, 2.5, 5, 10)), key=lambda s: abs(span / s - count))
    first, last = int(low // step), -int(-high // step)
    if not padded:
        last = int(high // step)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


def _svg(inside: str, label: str, height: int = HEIGHT) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{inside}</svg>'


def _volume(volumes: Mapping[int, float], height: int = 190) -> str:
    """The hypervolume after each trial, as a line."""
    if len(volumes) < 2:
        return "<p class='dim'>one trial has no course yet</p>"
    numbers, values = list(volumes), list(volumes.values())
    # Where nothing changes there is no course: what the last digits of a sum do is not drawn.
    low, high = min(values), max(values)
    y_ticks = ticks(low, high, padded=True, count=3) if high - low > 1e-6 * abs(high) else ticks(0.0, high, count=3)
    axes = _Axes((min(numbers), max(numbers)), (y_ticks[0], y_ticks[-1]), height)
    path = "".join(
        f"{'H' if i else 'M'}{axes.x(n):.1f}{'V' if i else ' '}{axes.y(v):.1f}"
        for i, (n, v) in enumerate(zip(numbers, values, strict=True))
    )
    x_ticks = sorted({float(round(tick)) for tick in ticks(min(numbers), max(numbers), count=6)})
    frame = axes.frame(x_ticks, y_ticks, "trial", "nats x parameters")
    return _svg(f'{frame}<path class="front" d="{path}"/>', "Hypervolume of the front after each trial", height)


def _strip(config: SEConfig, sites: Sequence[Site], *, named: bool = False) -> str:
    """A configuration over the sites in network order: a bar a site, the higher the more hidden units a channel."""
    room = 46 if named else 14
    width, high = len(sites) * room, 34 if named else 22
    parts = []
    for place, site in enumerate(sites):
        block = config.get(site.name)
        x, spoken_site = place * room + 1, f"{site.name}: {_spoken(block, site)}"
        bar = 3.0 if block is None else high * _fullness(block, site)
        kind = "none" if block is None else f"p-{site.placement(block)}"
        parts.append(
            f'<g data-tip="{escape(spoken_site)}"><rect class="slot" x="{x}" y="0" width="{room - 2}" height="{high}"/>'
            f'<rect class="{kind}" x="{x}" y="{high - bar:.1f}" width="{room - 2}" height="{bar:.1f}"/></g>'
        )
    labels = ""
    if named:
        labels = "".join(
            f'<text class="tick" transform="translate({place * room + room / 2} {high + 10}) rotate(40)">'
            f"{escape(site.name)}</text>"
            for place, site in enumerate(sites)
        )
    tall = high + (64 if named else 0)
    return (
        f'<svg class="strip" width="{width + (40 if named else 0)}" height="{tall}" role="img" '
        f'aria-label="{escape(config.words(sites))}">{"".join(parts)}{labels}</svg>'
    )


def _fullness(block: Block, site: Site) -> float:
    """Height of a block's bar: 1 for r = 2, less by a fixed step for each halving of its width."""
    seen = site.seen(block).channels
    # Of a module that has no width that senas knows, the width that would cost as much.
    share = (block.hidden if isinstance(block, SEBlock) else site.params(block) / (2 * seen)) / seen
    halvings = 0
    while share < 0.4 and halvings < 5:
        share, halvings = share * 2, halvings + 1
    return 1.0 - 0.15 * halvings


def _spoken(block: Block | None, site: Site) -> str:
    if block is None:
        return "no SE"
    channels, added = site.seen(block).channels, f"{site.params(block):,} parameters"
    if not isinstance(block, SEBlock):
        return f"the backbone's own block on {channels} channels, {added}"
    return f"{block.traits}, {block.hidden} hidden of {channels} channels, {added}"


def _baselines(measured: Sequence[Trial], named: Mapping[str, SEConfig]) -> dict[int, str]:
    """The usual choices among the trials, by number."""
    usual = {config: name for name, config in named.items()}
    return {trial.number: usual[trial.config] for trial in reversed(measured) if trial.config in usual}


def _cards(page: FrontPage, baselines: Mapping[int, str]) -> str:
    """The recommended one beside the baselines, in figures."""
    found = {name: next(t for t in page.measured if t.number == n) for n, name in baselines.items()}
    shown = [("recommended", page.picked)]
    shown += [(f"{words} ({name})", found[name]) for name, words in BASELINES.items() if name in found]
    return "".join(
        f'<div class="card"><div class="dim">{escape(name)}</div><div class="big">{t.scores["val_loss"]:.4f}</div>'
        f'<div class="dim">validation loss</div><div>{t.scores["se_params"]:,.0f} SE parameters</div>'
        f'<div class="dim">trial {t.number}</div></div>'
        for name, t in shown
    )
