"""What a study's report tells, from the study: the same for `senas report` and for the end of a search."""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from senas.app.auditing import left_behind
from senas.app.commands import command, found_by, override
from senas.app.effects import in_words, spoken_metric, theory_in_words
from senas.app.greeting import configurations
from senas.app.launched import origins
from senas.app.paths import StudyFolder
from senas.app.proposed import samplers
from senas.app.seeds import beside
from senas.app.show import find, outcomes
from senas.app.wiring import Setup
from senas.core.certainty import Estimate
from senas.core.config import SEConfig
from senas.core.constraint import MEASURED, spoken
from senas.core.effects import CONFIGURATION, SEED
from senas.core.latency import SPREAD
from senas.core.objective import FRONT, Scores, own_scores
from senas.core.trial import CONFIRM, Status, Trial
from senas.core.verdict import RECOMMENDED, Verdict
from senas.core.worth import worths
from senas.report import section_course
from senas.report.findings import WORDS, Findings
from senas.report.scatter import kind_of
from senas.report.study import Audit, Command, Costs, Course, Effects, Gates, StudyReport
from senas.report.study_page import figures, study_page
from senas.report.time_left import duration, rough

REPORT, FIGURES = "report.html", "figures"
"""The page, and the folder of its figures among MLflow's artifacts."""


def study_report(
    setup: Setup,
    trials: list[Trial],
    verdict: Verdict | None = None,
    findings: Findings | None = None,
    *,
    gates: Gates | None = None,
    asked: Sequence[str] = (),
    theory: bool = False,
) -> StudyReport:
    """verdict, findings: of these trials, where they are known already.

    asked:   overrides by which the findings are not those that the study has by itself.
    theory:  whether to tell what closed forms say of ratios: it takes seconds where sites and trainings are many.

    Raises StudyError where no trial was trained to its end.
    """
    verdict = verdict or setup.verdict(trials)
    found = findings or find(setup, trials, verdict=verdict)
    config, data = setup.config, setup.data
    several = len(setup.objective.names) > 1 and set(setup.objective.axes) != set(FRONT)
    standing = setup.standing(trials)
    own = [name for name in own_scores(setup.objective) if name != found.name]
    return StudyReport(
        title=setup.folder.name,
        subtitle=f"{config.backbone.name} on {config.data['name']}: where should Squeeze-and-Excitation blocks go?",
        asked=_asked(setup, trials),
        unfinished=_unfinished(setup, trials),
        findings=found,
        sites=setup.sites,
        shape=data.shape,
        classes=len(data.classes),
        trials=trials,
        own=[*own, *([MEASURED] if setup.timing else [])],
        front_of=(setup.objective.axes, standing.front(setup.objective.axes)) if several else None,
        effects=Effects(
            rows=(rows := worths(verdict.effects)),
            words=in_words(rows, verdict),
            adds_to=spoken_metric(verdict.metric),
            theory=[line.strip() for line in theory_in_words(setup, verdict, found.picked.config)] if theory else [],
        ),
        course=Course(
            single=standing.hypervolumes(),
            expected=verdict.hypervolumes() if _pooled(verdict, found) else {},
            seconds=_spent(trials),
            reference=standing.reference,
        ),
        scales=_scales(verdict),
        audit=_audit(setup.folder),
        gates=gates,
        look=command("report", setup, *asked),
        costs=_costs(setup, found),
        outcomes=outcomes(trials),
        next=_next(setup, trials, verdict, found, asked),
        origins=origins(setup, asked),
    )


def report_files(report: StudyReport) -> dict[str, bytes]:
    """The page, and its figures in a folder, by name."""
    page = study_page(report)
    drawings = {f"{FIGURES}/{name}": drawing for name, drawing in figures(page).items()}
    heat = {f"{FIGURES}/gates.png": report.gates.heat} if report.gates and report.gates.heat else {}
    return {REPORT: page.encode(), **drawings, **heat}


def _asked(setup: Setup, trials: Sequence[Trial]) -> dict[str, str]:
    """In words, by name."""
    config, data, space = setup.config, setup.data, setup.config.space
    channels, height, width = data.shape
    trained = [trial for trial in trials if trial.trained]
    ratios = ", ".join(f"{r}" for r in space.reduction)
    squeezed = f", squeezed by {' or '.join(space.squeeze)}" if space.squeeze != ["avg"] else ""
    seeds = sorted({trial.seed for trial in trained})
    counted = sum(trial.counts for trial in trials)
    facts = {
        "Network": f"{config.backbone.name}, {setup.evaluator.backbone_params:,} parameters, {len(setup.sites)} sites",
        "Images": f"{config.data['name']}: {data.counts.train:,} to train, {data.counts.val:,} to validate, "
        f"{channels} x {height} x {width}, {len(data.classes)} classes",
        "Choices": f"{configurations(setup.space)}: a choice a {space.per}, {'no SE or ' * space.optional}r of {ratios}"
        f" at {', '.join(space.placement)}{squeezed}",
        f"{'Minimised' if setup.objective.sign > 0 else 'Maximised'} by the trials": setup.objective.words
        + f"; recommended is by the margin of {config.study.margin:g}" * (config.objective.pick == RECOMMENDED),
        "Trials": f"{counted} by {samplers(trials, config.sampler)}{beside(trials)}",
        "Trainings": f"{len(trained)} of {len({t.config for t in trained})} configurations, "
        f"{config.trainer.epochs} epochs, with {len(seeds)} seed{'s' * (len(seeds) != 1)}",
        "Time": _when(trained),
    }
    if setup.constraints.given:
        bounds = (f"{name} at most {spoken(bound)}" for name, bound in setup.constraints.given.items())
        facts["Constraints"] = ", ".join(bounds)
    if setup.timing:
        facts["Latency"] = setup.timing.words
    return facts


def _when(trained: Sequence[Trial]) -> str:
    text = f"{duration(sum(trial.seconds for trial in trained))} of training"
    starts = [trial.started for trial in trained if trial.started]
    if not starts:
        return text
    end = max(trial.started + trial.seconds for trial in trained)
    first, last = (time.strftime("%Y-%m-%d %H:%M", time.localtime(each)) for each in (min(starts), end))
    same_day = first[:10] == last[:10]
    return f"{text}, {first} to {last[11:] if same_day else last}"


def _unfinished(setup: Setup, trials: Sequence[Trial]) -> str:
    done, total = sum(trial.counts for trial in trials), setup.config.study.trials
    if done >= total or (setup.space.size is not None and len({t.config for t in trials}) >= setup.space.size):
        return ""
    return f"The search has {done} of its {total} trials so far: this is where it stands, not where it ends."


def _pooled(verdict: Verdict, found: Findings) -> bool:
    """Whether the losses of all configurations are known by all trainings: of many trainings the verdict reads some."""
    return found.name == "val_loss" and {trial.config for trial in found.measured} <= verdict.first.keys()


def _spent(trials: Sequence[Trial]) -> dict[int, float]:
    """Seconds of training until the end of each trial, by number."""
    numbered = sorted(trials, key=lambda trial: trial.number)
    total = np.cumsum([trial.seconds if trial.trained else 0.0 for trial in numbered]).tolist()
    return dict(zip([trial.number for trial in numbered], total, strict=True))


def _scales(verdict: Verdict) -> dict[str, Estimate]:
    """Standard deviations: what they are of."""
    effects = verdict.effects
    losses = effects.losses(list(verdict.first))
    found = {section_course.NOISE: Estimate.of(effects.noise), SEEDS: Estimate.of(effects.scale(SEED))}
    if losses.shape[1] > 1:
        found[section_course.SPREAD] = Estimate.of(losses.std(1, ddof=1))
    return {**found, OWN: Estimate.of(effects.scale(CONFIGURATION))}


SEEDS = "what a seed does to all configurations alike"
OWN = "how far configurations are from the sum of their blocks"


def _audit(folder: StudyFolder) -> Audit | None:
    """What an audit left in the study's folder."""
    files = left_behind(folder)
    if not {"audit.md", "audit.png"} <= set(files):
        return None
    lines = [line.removeprefix("- ") for line in files["audit.md"].decode().splitlines() if line.startswith("- ")]
    return Audit(lines=lines, picture=files["audit.png"])


def _costs(setup: Setup, found: Findings) -> list[Costs]:
    """Of the pick and the baselines: counted, whether they were trained or not; latency where it was measured."""
    measured = {trial.config: trial.scores for trial in reversed(found.measured)}
    wanted = {kind_of(found): found.picked.config}
    wanted |= {WORDS[name]: config for name, config in setup.baselines.items() if config != found.picked.config}
    return [_cost(setup, name, config, measured.get(config, {})) for name, config in wanted.items()]


def _cost(setup: Setup, name: str, config: SEConfig, scores: Scores) -> Costs:
    added = config.params(setup.sites)
    return Costs(
        name=name,
        se_params=added,
        params=setup.evaluator.backbone_params + added,
        macs=setup.evaluator.backbone_macs + config.macs(setup.sites),
        latency_ms=(scores[MEASURED], scores.get(SPREAD, 0.0)) if MEASURED in scores else None,
    )


def _next(
    setup: Setup, trials: Sequence[Trial], verdict: Verdict, found: Findings, asked: Sequence[str]
) -> list[Command]:
    """What decides it, or uses what is decided."""
    folder = str(Path("exported") / setup.folder.name)
    ways: list[Command] = []
    if _unfinished(setup, trials):
        ways.append(("Go on with the search:", command("resume", setup)))
    times = [trial.seconds for trial in trials if trial.trained and trial.status is Status.COMPLETE]
    for (key, value), way in zip(verdict.ways_out.items(), found.ways_out, strict=False):  # none where it is decided
        if key == "study.margin":
            ways.append((f"Or settle for what may miss the lowest by {value}:", way))
            continue
        more = int(value) - sum(trial.counts if key == "study.trials" else trial.origin == CONFIRM for trial in trials)
        takes = rough(more * statistics.median(times))
        ways.append((f"{more} more trainings, about {takes} one after the other, decide it as likely as not:", way))
    name = f"what is {found.kind}" if found.pick.decided else "what leads"
    return [
        *ways,
        (f"Write {name}, with its weights, to a folder:", command("export", setup, *asked, override("to", folder))),
        (
            "Then train it at full length with fresh seeds, beside no SE and SE everywhere, and measure all on the "
            "test images:",
            f"senas train {override('se', folder)}{found_by(setup)}",
        ),
    ]
