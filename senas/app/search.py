"""senas search: launch a study, or resume it."""

from collections.abc import Sequence
from functools import partial

import yaml

from senas.app.auditing import conduct
from senas.app.concluded import conclude, register
from senas.app.evaluators import evaluator_of, screener_of
from senas.app.greeting import greet, say_ended, say_stopped
from senas.app.kept import worth_keeping
from senas.app.paths import write_whole
from senas.app.proposed import words_of
from senas.app.recording import begin_log, open_recorder
from senas.app.schema import SearchConfig
from senas.app.seeds import replicates_of, seeds_of
from senas.app.theory import start_by_theory
from senas.app.wiring import Setup, pruner, sampler_factory, set_up
from senas.core.audited import Audited
from senas.core.confirm import EFFORT, Confirmation
from senas.core.constraint import MEASURED
from senas.core.objective import bare, judged
from senas.core.ports import Recorder
from senas.core.trial import THEORY, Job, Status, Trial, Wanted
from senas.core.verdict import Verdict
from senas.errors import SenasError, SpaceError, StudyError
from senas.report.console import Terminal
from senas.report.findings import Findings
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
                findings = conclude(setup, search.trials, recorder, finished=finished)
                if stopped:
                    if findings:  # an older pick may hold no longer; a new one takes time that nobody waits for
                        register(terminal, setup, recorder, findings, new=False)
                    say_stopped(terminal, setup, search.trials)
        if findings and any(
            trial.counts for trial in search.trials
        ):  # where only an audit ran, nobody asked for a pick
            register(terminal, setup, recorder, findings, new=True)
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
