"""time_to_front.py's tables and figure, from what it measured."""

import statistics
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from fronts import Anew, Point, Truth, claim_of, equals, lowest
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullFormatter
from measured import sessions, told_sessions

SIDES = ("plain", "senas")
COLOURS = {"plain": "#8c959f", "senas": "#1f6feb"}
PENALTY = 0.1
"""As objective=penalized has it: what all the SE one could buy would have to be worth, in nats."""
DRAWS = 500
VALUES = ("hypervolume", "followed")
TIMES = ("wall", "processors")


def summary(found: dict) -> dict:
    """By side and number of trials; and the times to equal values."""
    if not (runs := whole(found)):
        raise SystemExit("no study was run to its end on both sides and judged; run it again without --figure")
    seeds = min(map(len, found["fresh"].values()))
    fresh = {config: np.array(losses[:seeds]) for config, losses in found["fresh"].items()}
    params = {p[0]: p[2] for run in runs for claim in run["claims"] for p in claim["points"]} | {"none": 0.0}
    fresh = {config: fresh[config] for config in params}
    anew = Anew(fresh, params, found["largest"], "none")
    ends = {side: _ends(runs, side) for side in SIDES}
    seconds = {time: {side: _grid(ends[side], lambda end, t=time: end[t]) for side in SIDES} for time in TIMES}
    rng = np.random.default_rng(0)
    picks = [rng.integers(seeds, size=seeds) for _ in range(DRAWS)]
    made: dict = {"truth": _truth(anew), "ends": [], "equal": {}}
    for value in VALUES:
        areas = _areas(ends, anew, value)
        curves = {side: each.mean(-1) for side, each in areas.items()}
        others = [{side: each[..., pick].mean(-1) for side, each in areas.items()} for pick in picks]
        error = {side: np.std([each[side].mean(0) for each in others], axis=0, ddof=1) for side in SIDES}
        for side in SIDES:
            for n, trials in enumerate(ends[side]):
                row = _row(made["ends"], side, trials)
                row |= {value: _middle(curves[side][:, n]), f"{value}_error": float(error[side][n])}
        trials = {side: list(ends[side]) for side in SIDES}
        for time in TIMES if value == "hypervolume" else TIMES[:1]:
            equal = equals(seconds[time], curves, others, trials)
            made["equal"][f"{value}, {time}"] = [
                {key: None if of == np.inf else of for key, of in vars(each).items()}
                | {"points": {side: _points(ends[side], getattr(each, side), time) for side in SIDES}}
                for each in equal
            ]
    for row in made["ends"]:
        row |= _claims(ends[row["side"]][row["trials"]], anew.means, found["largest"])
    return made


def whole(found: dict) -> list[dict]:
    """The runs of the studies that were run to the end on both sides, and whose claims were all judged."""
    lacking = {
        run["study"]
        for run in found["runs"]
        if any(point[0] not in found["fresh"] for claim in run["claims"] for point in claim["points"])
    }
    made = Counter(run["study"] for run in found["runs"])
    each = 1 + len(found["setting"]["budgets"])
    return [run for run in found["runs"] if made[run["study"]] == each and run["study"] not in lacking]


def _ends(runs: list[dict], side: str) -> dict[int, list[dict]]:
    """By number of trials: of each study its claim, and the seconds until it. Of the processors' time of a command a
    claim before its end has the same share as of wall time.

    What a claim says itself to be beaten is not claimed: front.csv lists the recommended pick although it may not be on
    the front, and it would be a point more than the other side has.
    """
    ends: dict[int, list[dict]] = {}
    for run in sorted((r for r in runs if r["side"] == side), key=lambda r: (r["trials"], r["study"])):
        for claim in run["claims"]:
            share = claim["seconds"] / run["wall_seconds"]
            points = claim_of([Point(*point) for point in claim["points"]])
            trainings = run["trainings"] if side == "senas" else claim["trials"]
            end = {"wall": claim["seconds"], "processors": share * run["cpu_seconds"], "trainings": trainings}
            ends.setdefault(claim["trials"], []).append(end | {"points": points})
    return dict(sorted(ends.items()))


def _grid(ends: dict[int, list[dict]], of) -> np.ndarray:
    return np.array([[of(end) for end in each] for each in ends.values()]).T


def _areas(ends: dict[str, dict[int, list[dict]]], anew: Anew, value: str) -> dict[str, np.ndarray]:
    """Of the claims by each fresh seed, nats on average over the SE parameters: (studies, ends, seeds)."""
    areas = {
        "hypervolume": lambda end: anew.hypervolume([point.config for point in end["points"]]),
        "followed": lambda end: anew.followed(end["points"]),
    }
    return {
        side: np.array([[areas[value](end) for end in each] for each in ends[side].values()]).swapaxes(0, 1)
        / anew.largest
        for side in ends
    }


def _points(ends: dict[int, list[dict]], seconds: float, time: str) -> float:
    """How many points a side claims by then, on average over its studies; at its last end where it never gets there."""
    for each in ends.values():
        if np.mean([end[time] for end in each]) >= seconds:
            break
    return statistics.mean(len(end["points"]) for end in each)


def _row(rows: list[dict], side: str, trials: int) -> dict:
    for row in rows:
        if (row["side"], row["trials"]) == (side, trials):
            return row
    rows.append({"side": side, "trials": trials})
    return rows[-1]


def _claims(ends: list[dict], truth: Truth, largest: float) -> dict:
    """Of the studies' claims after so many trials: times, points, optimism, and where their single picks lead."""
    best, said = truth.non_dominated(), [end["points"] for end in ends]
    picks = {name: [lowest(claim, penalty / largest) for claim in said] for name, penalty in PICKS.items()}
    return {
        **{key: _middle([end[key] for end in ends]) for key in (*TIMES, "trainings")},
        "claimed": _middle([len(claim) for claim in said]),
        "non_dominated": _middle([len({point.config for point in claim} & best) for claim in said]),
        "optimism": _middle([np.mean([truth.loss[p.config] - p.claimed for p in claim]) for claim in said]),
        **{
            f"pick_{name}": _middle([truth.loss[p.config] + PICKS[name] * p.params / largest for p in each])
            for name, each in picks.items()
        },
        "pick_lowest_optimism": _middle([truth.loss[p.config] - p.claimed for p in picks["lowest"]]),
    }


PICKS = {"lowest": 0.0, "penalised": PENALTY}


def _truth(anew: Anew) -> dict:
    fresh, truth, whole = anew.fresh, anew.means, anew.hypervolume(list(anew.fresh)) / anew.largest
    errors = [losses.std(ddof=1) / len(losses) ** 0.5 for losses in fresh.values()]
    apart = [(losses - fresh["none"]) for config, losses in fresh.items() if config != "none"]
    best = min(truth.loss, key=lambda config: truth.loss[config])
    on_front = sorted(truth.non_dominated(), key=lambda config: truth.params[config])
    return {
        "configurations": len(fresh),
        "seeds": len(fresh["none"]),
        "whole": float(whole.mean()),
        "whole_error": float(whole.std(ddof=1) / len(whole) ** 0.5),
        "no_se": truth.loss["none"],
        "lowest": truth.loss[best],
        "lowest_config": best,
        "spread": float(np.std(list(truth.loss.values()), ddof=1)),
        "error": float(np.median(errors)),
        "error_from_no_se": float(np.median([each.std(ddof=1) / len(each) ** 0.5 for each in apart])),
        "front": [[config, truth.params[config], truth.loss[config]] for config in on_front],
    }


def _middle(values) -> dict[str, float]:
    values = [float(value) for value in values]
    middle = {"mean": statistics.mean(values), "median": statistics.median(values)}
    return {**middle, "lowest": min(values), "highest": max(values)}


def told(found: dict) -> list[str]:
    made = found["summary"]
    truth, studies = made["truth"], len({run["study"] for run in whole(found)})
    lines = [
        *told_sessions(found, whole(found)),
        "{configurations} configurations with {seeds} fresh seeds each: no SE {no_se:.4f}, the lowest mean "
        "{lowest:.4f} ({lowest_config}); sd between configurations {spread:.4f}, standard error of one {error:.4f}, of "
        "its difference from no SE {error_from_no_se:.4f}".format(**truth),
        f"areas in mnat, on average over up to {found['largest']:.0f} SE parameters; hypervolume: one half of the "
        "fresh seeds says what is on the front, the other what that is worth; what is no better than no SE has 0. "
        f"Of the front of them all: {1000 * truth['whole']:.2f} +- {1000 * truth['whole_error']:.2f}",
        f"{studies} studies a side: mean (lowest to highest) +- error of the fresh seeds; other columns: median "
        "(lowest to highest)",
        "",
        "| side | trials | trainings | wall, s | processors, s | hypervolume, mnat | as claimed, mnat |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in made["ends"]:
        areas = [f"{_span(_mnat(row[value]), '.2f', 'mean')} +- {1000 * row[f'{value}_error']:.2f}" for value in VALUES]
        times = [_span(row[time], ".1f") for time in TIMES]
        cells = [row["side"], row["trials"], _span(row["trainings"], ".0f"), *times, *areas]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += [
        "",
        f"| side | trials | points claimed | non-dominated | optimism | lowest: true loss | its optimism | "
        f"penalised ({PENALTY}): true |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in made["ends"]:
        cells = [row["side"], row["trials"], _span(row["claimed"], ".0f"), _span(row["non_dominated"], ".0f")]
        cells += [_span(row["optimism"], "+.4f"), _span(row["pick_lowest"], ".4f")]
        cells += [_span(row["pick_lowest_optimism"], "+.4f"), _span(row["pick_penalised"], ".4f")]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    for name, rows in made["equal"].items():
        lines += [
            "",
            f"Equal {name}: seconds, and how many times as long plain takes (90 % interval)",
            "",
            "| as good as | level, mnat | plain, s (points) | senas, s (points) | plain / senas |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        for each in rows:
            ratio = f"{_times(each['ratio'])} ({_times(each['low'])} to {_times(each['high'])})"
            if each["level"] <= 0:
                ratio = "no SE is as good"
            cells = [f"{each['side']}, {each['trials']} trials", f"{1000 * each['level']:.2f}"]
            cells += [f"{_seconds(each[side])} ({each['points'][side]:.1f})" for side in SIDES]
            lines.append(f"| {' | '.join([*cells, ratio])} |")
    return lines


def _span(of: dict[str, float], how: str, which: str = "median") -> str:
    if of["lowest"] == of["highest"]:
        return f"{of[which]:{how}}"
    return f"{of[which]:{how}} ({of['lowest']:{how}} to {of['highest']:{how}})"


def _mnat(of: dict[str, float]) -> dict[str, float]:
    return {key: 1000 * nats for key, nats in of.items()}


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f}"


def _times(ratio: float | None) -> str:
    return "plain never" if ratio is None else "senas never" if ratio == 0 else f"{ratio:.2f}"


def draw(found: dict, path: Path) -> None:
    made = found["summary"]
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    for panel, value in zip(panels, VALUES, strict=False):
        for side in SIDES:
            rows = [row for row in made["ends"] if row["side"] == side]
            walls, colour = [row["wall"]["median"] for row in rows], COLOURS[side]
            low, high, means = ([1000 * row[value][key] for row in rows] for key in ("lowest", "highest", "mean"))
            panel.fill_between(walls, low, high, color=colour, alpha=0.15, linewidth=0)
            errors = [1000 * row[f"{value}_error"] for row in rows]
            panel.errorbar(
                walls, means, errors, color=colour, marker="o", markersize=4, elinewidth=1, label=f"{side}, mean"
            )
            for row, wall, mean in zip(rows, walls, means, strict=True):
                panel.annotate(
                    str(row["trials"]), (wall, mean), NUMBERS[side], textcoords="offset points", fontsize=8,
                    color=colour, path_effects=[withStroke(linewidth=2, foreground="white")],
                )  # fmt: skip
        panel.axhline(0, color="black", linewidth=0.5)
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:g}")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_xlabel("wall time of the command, s (numbers: trials)")
    panels[0].set_ylabel("true hypervolume, mnat (no SE: 0)")
    panels[1].set_ylabel("true area, taken as claimed, mnat (no SE: 0)")
    panels[0].legend(fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.05))
    front, study = made["truth"]["front"], min(run["study"] for run in whole(found))
    panels[2].step([p[1] for p in front], [p[2] for p in front], where="post", color="black", label="lowest means")
    for side in SIDES:
        ended = max(
            (run for run in whole(found) if (run["side"], run["study"]) == (side, study)), key=lambda run: run["trials"]
        )
        last = claim_of([Point(*point) for point in ended["claims"][-1]["points"]])
        params, true = [p.params for p in last], [np.mean(found["fresh"][p.config]) for p in last]
        claimed, colour = [p.claimed for p in last], COLOURS[side]
        panels[2].vlines(params, claimed, true, color=colour, linewidth=0.7)
        panels[2].plot(params, claimed, "x", color=colour, label=f"{side}, claimed")
        panels[2].plot(params, true, "o", color=colour, label=f"{side}, fresh seeds", markersize=4)
    panels[2].set_xlabel("SE parameters")
    panels[2].set_ylabel(f"validation loss (study {study}, most trials)")
    panels[2].legend(fontsize=8, frameon=False)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    machine, studies = sessions(found)[0]["machine"], len({run["study"] for run in whole(found)})
    figure.suptitle(
        f"{found['setting']['data']}, {machine['cpu']}, {machine['cores']} cores; {studies} studies a side (shaded: "
        "their range; bars: standard error of the fresh seeds)",
        fontsize=9,
    )
    figure.savefig(path, dpi=130)
    plt.close(figure)


NUMBERS = {"plain": (3, 6), "senas": (5, -11)}
"""Where the number of trials stands beside its point: neither on the bar nor on the other side's."""
