"""How a search went: the hypervolume of its front after each trial; SVG as text."""

from collections.abc import Mapping

from senas.report.drawing import RIGHT, TOP, WIDTH, Axes, svg, ticks
from senas.report.time_left import duration

HEIGHT = 190
LABEL = "Hypervolume of the front after each trial"


def course(
    volumes: Mapping[int, float],
    expected: Mapping[int, float] | None = None,
    seconds: Mapping[int, float] | None = None,
    height: int = HEIGHT,
) -> str:
    """A line through the hypervolumes after each trial, by its number, in nats x parameters.

    expected:  the same by what is known of each configuration at the end; then this is the line, and `volumes`, which
               single trainings flatter, a thin one.
    seconds:   of training until the end of each trial, told along the top.
    """
    if len(volumes) < 2:
        return "<p class='dim'>one trial has no course yet</p>"
    known = dict(volumes if expected is None else expected)
    last = max(volumes)
    known |= {last: known[max(known)]}  # what was trained again adds no configuration: the line goes on as it is
    values = [*volumes.values(), *known.values()]
    # Where nothing changes there is no course: what the last digits of a sum do is not drawn.
    low, high = min(values), max(values)
    y_ticks = ticks(low, high, padded=True, count=3) if high - low > 1e-6 * abs(high) else ticks(0.0, high, count=3)
    axes = Axes((min(volumes), last), (y_ticks[0], y_ticks[-1]), height)
    x_ticks = sorted({float(round(tick)) for tick in ticks(min(volumes), last, count=6)})
    parts = [axes.frame(x_ticks, y_ticks, "trial", "nats x parameters")]
    if expected is not None:
        parts.append(f'<path class="single" d="{_steps(axes, volumes)}"/>')
    parts.append(f'<path class="front" d="{_steps(axes, known)}"/>')
    if seconds:
        parts.append(_times(axes, x_ticks, seconds))
    return svg("".join(parts), LABEL, height)


def _steps(axes: Axes, volumes: Mapping[int, float]) -> str:
    return "".join(
        f"{'H' if i else 'M'}{axes.x(n):.1f}{'V' if i else ' '}{axes.y(volume):.1f}"
        for i, (n, volume) in enumerate(sorted(volumes.items()))
    )


def _times(axes: Axes, x_ticks: list[float], seconds: Mapping[int, float]) -> str:
    """Above each tick, how long had been trained by then."""
    texts = []
    for tick in x_ticks:
        if axes.xs[0] <= tick <= axes.xs[1]:
            spent = max((total for number, total in seconds.items() if number <= tick), default=0.0)
            end = "end" if axes.x(tick) > WIDTH - RIGHT - 20 else "middle"
            texts.append(
                f'<text class="tick" x="{axes.x(tick):.1f}" y="{TOP - 8}" text-anchor="{end}">{duration(spent)}</text>'
            )
    return "".join(texts)
