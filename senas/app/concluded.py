"""How a search ends: its front, its report, its record and its pick, for people to look at."""

from senas.app.auditing import in_a_sentence, left_behind
from senas.app.commands import command
from senas.app.paths import write_whole
from senas.app.reported import REPORT, report_files, study_report
from senas.app.show import claims, exported, find, front_table
from senas.app.wiring import Setup
from senas.core.ports import Recorder
from senas.core.trial import Status, Trial
from senas.core.verdict import Verdict
from senas.errors import ExportError
from senas.exported.package import SE_FILE, se_yaml
from senas.report.console import Terminal
from senas.report.figure import front_png
from senas.report.findings import INTERVAL, Findings
from senas.report.html import FrontPage


def conclude(setup: Setup, trials: list[Trial], recorder: Recorder, *, finished: bool) -> Findings | None:
    """Writes what people look at: to the study's folder, and to the recorder. None where no trial came to its end."""
    if not setup.standing(trials).measured:
        recorder.conclude(
            finished=finished, front=(), description=f"No trial of {setup.folder.name} finished yet.", files={}
        )
        return None
    verdict = setup.verdict(trials)
    findings = find(setup, trials, verdict=verdict)
    files: dict[str, bytes] = {}
    try:
        files = _files(setup, trials, verdict, findings)
    finally:  # whatever cannot be drawn, the study's run in MLflow does not stay open
        recorder.conclude(
            finished=finished,
            front=[point.trial.number for point in findings.front if point.trial],
            description=_description(setup, trials, findings),
            files={**files, **left_behind(setup.folder)},
            claims=claims(setup, findings),
        )
    return findings


def _files(setup: Setup, trials: list[Trial], verdict: Verdict, findings: Findings) -> dict[str, bytes]:
    """What people look at, by name; in the study's folder already."""
    table = front_table(setup, findings).csv().encode()
    png = front_png(
        title=f"{setup.folder.name}: {setup.config.backbone.name} on {setup.config.data['name']}",
        findings=findings,
        sites=setup.sites,
    )
    se = se_yaml(exported(setup, trials, findings), setup.sites)
    write_whole(setup.folder.front_csv, table)
    write_whole(setup.folder.front_png, png)
    page = _page(setup, findings).encode()
    write_whole(setup.folder.front_html, page)
    report = report_files(study_report(setup, trials, verdict, findings))
    write_whole(setup.folder.report_html, report[REPORT])
    return {"front.csv": table, "front.png": png, "front.html": page, SE_FILE: se.encode(), **report}


def register(terminal: Terminal, setup: Setup, recorder: Recorder, findings: Findings, *, new: bool) -> None:
    """The pick in MLflow's model registry. It takes some seconds, and a training where its weights were not kept; both
    only where the pick changed, and never without `new`."""
    if not setup.config.tracking.register or setup.config.tracking.name == "none":
        return
    from senas.app.recorded import recommended

    try:
        address = recorder.register(recommended(terminal, setup, findings, new=new))
    except ExportError as error:  # the record is concluded all the same
        terminal.warn(f"trial {findings.pick.trial.number} is not registered in MLflow: {error}")
        return
    if address:
        terminal.say(f"registered in MLflow: {address}")


def _page(setup: Setup, findings: Findings) -> str:
    config, data, measured = setup.config, setup.data, findings.measured
    return FrontPage(
        title=setup.folder.name,
        subtitle=f"{config.backbone.name} on {config.data['name']}: {data.counts.train:,} training and "
        f"{data.counts.val:,} validation images, {config.trainer.epochs} epochs a trial",
        question=f"Which of the {len(setup.sites)} sites of {config.backbone.name} should get a "
        "Squeeze-and-Excitation (SE) block, how narrow, and where in its unit should the gate sit? Each trial trained "
        "the network with one choice.",
        findings=findings,
        sites=setup.sites,
        hypervolumes=setup.standing(list(measured)).hypervolumes(),
    ).html()


def _description(setup: Setup, trials: list[Trial], findings: Findings) -> str:
    config, pick = setup.config, findings.pick
    rejected = sum(trial.status is Status.REJECTED for trial in trials)
    screened_out = sum(trial.screened_out for trial in trials)
    configurations = len(findings.points)
    again = len(findings.measured) - configurations
    named = f"**trial {pick.trial.number}**, {pick.trial.config.words(setup.sites).replace('|', '/')}"
    undecided = pick.why.replace("undecided", "**Undecided**", 1)
    verdict = f"{findings.kind.capitalize()}: {named} ({pick.why})." if pick.decided else f"{undecided}: {named}."
    commands = "\n\n" + "\n".join(f"    {each}" for each in findings.ways_out) if findings.ways_out else ""
    lines = [*([findings.unlearned] if findings.unlearned else []), *findings.comparisons]
    beside = "\n".join(f"- {line}" for line in lines)
    return f"""\
{verdict}{commands}

Which of the {len(setup.sites)} sites of **{config.backbone.name}** should get a Squeeze-and-Excitation block, on
**{config.data["name"]}**? {configurations} configurations were trained, {config.trainer.epochs} epochs each.{
        f" {again} trainings more had another seed." if again else ""
    }{f" {rejected} proposals broke a constraint, and were not trained." if rejected else ""}{
        f" {screened_out} trials were no contenders by shared weights, and were not trained." if screened_out else ""
    }

{beside}

The front over {findings.spoken} and SE parameters, {INTERVAL}s in brackets:

{front_table(setup, findings).markdown()}

{in_a_sentence(setup.folder)}

{findings.behind}

`{command("export", setup)}` writes {
        "what leads" if not pick.decided else f"the {findings.kind} one"
    } with its weights; its se.yaml is among
the artifacts here. Among them, `report.html` is the whole study on one page, to decide by, and `front.html` shows every
trial, and each configuration drawn over the sites."""
