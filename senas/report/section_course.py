"""Of a study's report: how the search went, how its trainings learned, and how much of what is seen is luck."""

from senas.core.config import BASELINES
from senas.core.objective import MINUS
from senas.core.trial import Trial
from senas.report.course import course
from senas.report.curves import Curve, curves
from senas.report.findings import signed
from senas.report.forest import Bar, forest, told
from senas.report.markup import figure, listed, png, quiet, said
from senas.report.scatter import kind_of
from senas.report.study import StudyReport

SPREAD, NOISE = "between the configurations that were trained", "noise of one training"
"""Names of scales that sentences are made of."""


def how_it_went(study: StudyReport) -> str:
    """The hypervolume after each trial, and over time."""
    went, (loss, params) = study.course, study.course.reference
    if len(went.single) < 2:
        return said("One trial was trained to its end: there is no course yet.")
    pooled = bool(went.expected)
    drawing = course(went.single, went.expected if pooled else None, went.seconds)
    reading = (
        "Blue: by what all trainings together tell of each configuration at the end; a step is a configuration that "
        "was new. Grey: by what single trainings came to, which the lucky ones among them lift."
        if pooled
        else "By what single trainings came to."
    )
    caption = (
        f"The area between the front and the corner of {loss:.4g} nats (guessing) and {params:,.0f} SE parameters (the "
        f"space's largest configuration), in nats x parameters; more is better. {reading} Along the top: how long had "
        "been trained by then."
    )
    return f'<div class="plot">{figure("hypervolume", drawing, caption)}</div>{said(_late(study, pooled))}'


def _late(study: StudyReport, pooled: bool) -> str:
    """How much the second half of the trials added."""
    went = study.course.expected if pooled else study.course.single
    numbers = sorted(study.course.single)
    last, half = numbers[-1], numbers[(len(numbers) - 1) // 2]
    first = min(went)
    # Not of the whole area, most of which has any network that learned something.
    gained = went[max(went)] - went[first]
    if gained <= 0:
        return f"No later trial added to what trial {first} has."
    share = 1 - (max(went[number] for number in went if number <= half) - went[first]) / gained
    return f"Of what the trials added to trial {first}, {share:.0%} came after trial {half}, half way to trial {last}."


def learning_curves(study: StudyReport) -> str:
    """All trainings thin, those of the pick and of the baselines thick."""
    found = study.findings
    lines = [_curve(study, trial) for trial in study.trials if trial.repeats is None and trial.curve]
    lines = [line for line in lines if line.values]
    drawing = curves(lines, found.axis, more_is_better=found.metric.startswith(MINUS))
    if not drawing:
        return said("No training has more than one epoch: there are no curves.")
    thick = dict.fromkeys(line.kind for line in lines if line.kind and len(line.values) > 1)
    colours = {"pick": "orange", "baseline-none": "fg", "baseline-all16": "pre", "baseline-former": "post"}
    thick = {kind: None for kind in colours if kind in thick}  # the pick first
    names = {"pick": kind_of(found), **{f"baseline-{name}": words for name, words in BASELINES.items()}}
    items = "".join(f'<span><i style="background:var(--{colours[kind]})"></i>{names[kind]}</span>' for kind in thick)
    legend = f'<p class="legend">{items}<span><i style="background:var(--grey)"></i>other trainings</span></p>'
    caption = "After each epoch, on the validation images. Where the first epochs are far off they are cut away."
    return f'<div class="plot">{figure("curves", drawing, caption)}</div>{legend}'


def _curve(study: StudyReport, trial: Trial) -> Curve:
    found = study.findings
    baseline = next((f"baseline-{n}" for n, config in found.baselines.items() if config == trial.config), "")
    kind = "pick" if trial.config == found.picked.config else baseline
    values = [scores[found.name] for scores in trial.curve if found.name in scores]
    return Curve(values, kind, f"trial {trial.number}, seed {trial.seed}: {trial.config.words(study.sites)}")


def luck(study: StudyReport) -> str:
    """What a seed and a training do, beside what configurations do."""
    bars = [Bar(name, known, told(known, signed=False)) for name, known in study.scales.items()]
    drawing = forest([("", bars)], f"standard deviation, {study.effects.adds_to}", "How large luck is", signed=False)
    caption = "Standard deviations with their 90 % intervals, from all trainings read together."
    return f"{figure('luck', drawing, caption)}{said(_luck(study))}{_audit(study)}"


def _luck(study: StudyReport) -> str:
    """Whether one training can tell configurations apart."""
    spread, noise = study.scales.get(SPREAD), study.scales.get(NOISE)
    if spread is None or noise is None:
        return ""
    times = noise.mean / spread.mean if spread.mean > 0 else float("inf")
    alone = "so one training ranks them by luck more than by worth" if times > 1 else "so one training tells something"
    largest = max(study.findings.against.values(), key=lambda known: abs(known.mean), default=None)
    beside = f" What the pick differs by most from what it is measured against: {signed(largest)}." if largest else ""
    return (
        f"The noise of one training is {times:.1f} times as large as the differences between the configurations that "
        f"were trained, {alone}.{beside}"
    )


def _audit(study: StudyReport) -> str:
    if study.audit is None:
        return quiet("No noise audit was made: senas audit trains some configurations with several seeds each.")
    picture = png(study.audit.picture, "The audit's losses by configuration and seed")
    return f"<h3>The noise audit</h3>{listed(study.audit.lines)}<figure>{picture}</figure>"
