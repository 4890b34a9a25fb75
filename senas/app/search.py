"""senas search: launch a study, or resume it."""

from collections.abc import Sequence
from functools import partial

import yaml

from senas.app.auditing import conduct, in_a_sentence, left_behind
from senas.app.commands import command
from senas.app.evaluators import evaluator_of, screener_of
from senas.app.greeting import greet, say_ended, say_stopped
from senas.app.kept import worth_keeping
from senas.app.paths import write_whole
from senas.app.proposed import words_of
from senas.app.recording import begin_log, open_recorder
from senas.app.reported import REPORT, report_files, study_report
from senas.app.schema import SearchConfig
from senas.app.seeds import replicates_of, seeds_of
from senas.app.show import claims, exported, find, front_table
from senas.app.theory import start_by_theory
from senas.app.wiring import Setup, pruner, sampler_factory, set_up
from senas.core.audited import Audited
from senas.core.confirm import EFFORT, Confirmation
from senas.core.constraint import MEASURED
from senas.core.objective import bare, judged
from senas.core.ports import Recorder
from senas.core.trial import THEORY, Job, Status, Trial, Wanted
from senas.core.verdict import Verdict
from senas.errors import ExportError, SenasError, SpaceError, StudyError
from senas.exported.package import SE_FILE, se_yaml
from senas.report.console import Terminal
from senas.report.figure import front_png
from senas.report.findings import INTERVAL, Findings
from senas.report.html import FrontPage
from senas.report.progress import SearchProgress
from senas.study.interrupt import Interrupt
from senas.study.loop import Ending, Plan, Search
from senas.study.optuna import open_proposer
from senas.study.schedule import RESULTS
from senas.study.storage import storage_kept
from senas.training.side_by_side import at_once


def main(config: SearchConfig) -> None:
    """Runs the study to its total of trials, and shows where it stands then."""
    launch(config)


def launch(config: SearchConfig) -> Setup:
    """`main`, and the study that it ran."""
    return run(config)[0]


def run(config: SearchConfig, *, only_audit: bool = False) -> tuple[Setup, Audited | None]:
    """The study that ran, and its noise audit where one was asked for.

    only_audit:  the study is opened, or made, and audited; nothing is searched.
    """
    terminal = Terminal()
    setup = set_up(config)
    sampler, stop_early = sampler_factory(config, setup.space, setup.objective), pruner(config)
    seeds = seeds_of(config)
    sampler(0)  # made for every proposal later; a mistake in it shows here, before anything is written
    setup.evaluator.check()
    evaluator = evaluator_of(
        setup.evaluator, config.evaluator, config.study.trials, terminal.say, pruned=stop_early is not None
    )
    screener = None if only_audit else screener_of(setup, terminal.say)
    if (setup.folder.path / RESULTS).exists():
        raise StudyError(f"study.name: {setup.folder.path} holds trainings of senas train; give another name")
    start, outside = setup.start()
    if setup.timing and not setup.folder.path.exists():
        _check_latency(setup)
    with Interrupt() as interrupt, setup.folder.locked() as fresh:
        try:
            proposer = open_proposer(
                name=setup.folder.name,
                storage=setup.storage,
                space=setup.space,
                objective=setup.objective,
                sampler=sampler,
                pruner=stop_early,
                seeds=seeds,
                fingerprint=setup.fingerprint,
                start=start,
                named=words_of(config.sampler),
                constraints=setup.constraints,
            )
            known = proposer.trials()
            if not (only_audit and setup.folder.config.exists()):  # a study goes on as it was launched, not as audited
                write_whole(setup.folder.config, yaml.safe_dump(setup.resolved(), sort_keys=False).encode())
            greet(terminal, setup, known, outside, at_once=at_once(evaluator))
            if screener and config.study.trials <= config.evaluator.trainings:
                terminal.say(
                    f"supernet: {config.evaluator.trainings} configurations are trained by themselves first, so with "
                    f"study.trials={config.study.trials} nothing is screened; "
                    f"study.trials={4 * config.evaluator.trainings}"
                )
            recorder = _recorder(setup, terminal)
        except (SenasError, OSError):
            if fresh:
                setup.folder.remove()
            raise
        begin_log(terminal, setup.folder.log)
        progress = SearchProgress(
            terminal, total=config.study.trials, sites=setup.sites, bar=config.progress, seeds=seeds.rotated
        )
        plan = Plan(
            trials=config.study.trials,
            epochs=config.trainer.epochs,
            size=setup.space.size,
            seeds=seeds,
            weights=setup.folder.weights,
            kept=partial(worth_keeping, setup),
            objective=setup.objective,
            standing=setup.standing,
            constraints=setup.constraints,
            screen=screener,
            beside=at_once(evaluator) - 1,
            after=partial(_replicate, setup, {}),
        )
        search = Search(plan, proposer, evaluator, recorder, progress, trials=known)
        ending: Ending | None = None
        found: Audited | None = None
        findings: Findings | None = None
        finished = stopped = False
        try:
            with storage_kept(setup.storage):
                _complete_record(setup, recorder, known)
                if only_audit or config.study.audit:
                    found = conduct(setup, search, interrupt, terminal)
                if not only_audit:
                    if THEORY in config.study.start and sum(t.counts for t in search.trials) < config.study.trials:
                        proposer.theory, line = start_by_theory(setup, search.trials, waits=proposer.knows(THEORY))
                        terminal.say(line)
                    with progress:
                        ending = search.run(interrupt)
            finished = True
        except KeyboardInterrupt:
            stopped = True
            raise
        except Exception as error:
            terminal.note_error(error)
            error.add_note(f"The log of this run: {setup.folder.log}")
            raise
        finally:
            with interrupt.shield():
                findings = _conclude(setup, search.trials, recorder, finished=finished)
                if stopped:
                    if findings:  # an older pick may hold no longer; a new one takes time that nobody waits for
                        _register(terminal, setup, recorder, findings, new=False)
                    say_stopped(terminal, setup, search.trials)
        if findings and any(
            trial.counts for trial in search.trials
        ):  # where only an audit ran, nobody asked for a pick
            _register(terminal, setup, recorder, findings, new=True)
    if not only_audit:
        say_ended(terminal, setup, search.trials, ending, findings, new=len(search.trials) - len(known))
    return setup, found


def _replicate(setup: Setup, known: dict[int, Verdict], trials: Sequence[Trial]) -> Wanted | None:
    """What to train again once the trials are there, or running; nothing where none came to its end.

    known:  the last verdict, by how many trials it read: several may be asked for before one more ended.
    """
    confirmation = Confirmation(replicates_of(setup.config, trials), seeds_of(setup.config))
    ended = [trial for trial in trials if trial.status is not Status.RUNNING]
    if not confirmation.left(trials) or not setup.standing(ended).measured:
        return None
    if len(ended) not in known:
        known.clear()
        known[len(ended)] = setup.verdict(ended, effort=EFFORT)
    return confirmation.next(known[len(ended)], trials)


def _check_latency(setup: Setup) -> None:
    """Measures once before anything is written. Raises ConfigError where that is not possible here, SpaceError where
    even the smallest configuration is too slow: a search would measure on and on, and train nothing."""
    smallest = setup.space.smallest
    measured = setup.evaluator.measure(Job(smallest, setup.config.study.seed, 1))
    if setup.constraints.broken(measured):
        raise SpaceError(
            f"space.constraints.{MEASURED}: the smallest configuration, {smallest.words(setup.sites)}, takes "
            f"{measured[MEASURED]:.4g} ms ({setup.timing.words if setup.timing else ''}), more than "
            f"{setup.constraints.latency_ms:g}; raise it, or choose a smaller backbone"
        )


def _complete_record(setup: Setup, recorder: Recorder, known: list[Trial]) -> None:
    """What finished while MLflow did not answer, or was killed before it was told."""
    standing = setup.standing(known)
    front, volumes, volume = [trial.number for trial in standing.front()], standing.hypervolumes(), 0.0
    missing = {trial.number for trial in recorder.missing([t for t in known if t.status is not Status.REJECTED])}
    for trial in known:
        volume = volumes.get(trial.number, volume)
        if trial.number in missing:
            recorder.record(trial, front, volume)


def _recorder(setup: Setup, terminal: Terminal) -> Recorder:
    from senas.app.recorded import parts_used

    return open_recorder(
        setup.config.tracking,
        setup.folder,
        setup.shown(),
        terminal,
        sites=setup.sites,
        largest_params=setup.space.largest_params,
        objective=setup.objective.names,
        data=parts_used(setup.config.data, setup.data, setup.fingerprint),
        baselines=setup.baselines,
        judged=bare(judged(setup.objective)),
    )


def _conclude(setup: Setup, trials: list[Trial], recorder: Recorder, *, finished: bool) -> Findings | None:
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


def _register(terminal: Terminal, setup: Setup, recorder: Recorder, findings: Findings, *, new: bool) -> None:
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
    beside = "\n".join(f"- {line}" for line in findings.comparisons)
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
