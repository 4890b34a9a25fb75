"""The noise audit of a study: what it trains, the training, and what it leaves behind."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from senas.app.checks import full_epochs
from senas.app.paths import StudyFolder, write_whole
from senas.app.recording import NoRecord
from senas.app.wiring import Setup
from senas.core.audited import Audited
from senas.core.config import SEConfig
from senas.core.objective import judged
from senas.core.ports import Evaluator
from senas.core.seeds import Seeds
from senas.core.space import SearchSpace
from senas.core.trial import AUDIT, Status, Trial, Wanted
from senas.core.two_way import freedom
from senas.errors import SpaceError, StudyError
from senas.report.advice import advice
from senas.report.audit import audit_csv, audit_markdown, audit_tables
from senas.report.audit_figure import audit_png
from senas.report.audit_progress import AuditProgress
from senas.report.console import Terminal
from senas.study.interrupt import Interrupt
from senas.study.loop import Plan, Search
from senas.study.schedule import RESULTS, Schedule

FIRST = ("none", "all16", "former")
"""The baselines of an audit, in the order in which they are taken."""
DRAWS = 1000
"""Random draws until a space is taken to have no further configuration."""
FILES = ("audit.csv", "audit.md", "audit.png")
FULL = "audit_full"
"""The folder of the trainings at full length, in the study's."""


def conduct(setup: Setup, search: Search, interrupt: Interrupt, terminal: Terminal) -> Audited:
    """Trains what is missing, says what it tells, and writes that to the study's folder.

    search:  the study's; it has all trials afterwards, and its own plan again.
    Raises StudyError where too few trainings came to their end.
    """
    chosen, seeds = contenders(setup), audit_seeds(setup)
    wanted = [Wanted(config, seed, AUDIT) for seed in seeds for config in chosen.values()]
    progress = _progress(setup, terminal, [(each.config, each.seed) for each in wanted], "audit run")
    terminal.say(f"audit: {len(chosen)} configurations x {len(seeds)} seeds, {progress.spoken(search.trials)}")
    plan, listener = search.plan, search.listener
    search.plan, search.listener = replace(plan, trials=0, before=wanted, after=None), progress
    try:
        with progress:
            search.run(interrupt)
    finally:
        search.plan, search.listener = plan, listener
    found = audited(setup, search.trials)
    if setup.config.audit.full:
        found = replace(found, longer=_ended(_at_full_length(setup, found, search.evaluator, interrupt, terminal)))
    _say(terminal, setup, found)
    _write(setup, found)
    return found


def contenders(setup: Setup) -> dict[str, SEConfig]:
    """What an audit trains, by name: the baselines that are in the space, and others of it drawn at random.

    With a larger audit.configs it is these and further ones. Raises SpaceError where there is but one.
    """
    known, wanted = setup.baselines, setup.config.audit.configs
    chosen = {name: known[name] for name in FIRST if name in known and known[name] in setup.space}
    others = _others(setup.space, setup.config.study.seed, len(chosen) + wanted)
    fresh = (config for config in dict.fromkeys(others) if config not in chosen.values())
    chosen |= {f"random{number}": config for number, config in enumerate(fresh, 1)}
    if len(chosen) < 2:
        raise SpaceError("audit: the search space has one configuration within its constraints; widen space")
    return dict(list(chosen.items())[:wanted])


def _others(space: SearchSpace, seed: int, enough: int) -> Iterator[SEConfig]:
    """Configurations of a space at random, some more than once; of a small space, all."""
    if space.size is not None and space.size <= enough:
        yield from space
        return
    rng = np.random.default_rng(seed)
    for _ in range(DRAWS):
        config = space.draw_within(lambda count: int(rng.integers(count)))
        if config is not None:
            yield config


def audit_seeds(setup: Setup) -> range:
    """That each of them is trained with."""
    return range(setup.config.study.seed, setup.config.study.seed + setup.config.audit.seeds)


def audited(setup: Setup, trials: Sequence[Trial]) -> Audited:
    """What the trials of a study tell as an audit. Raises StudyError where too few came to their end."""
    found = Audited(
        contenders=contenders(setup),
        seeds=audit_seeds(setup),
        trials=_ended(trials),
        epochs=(setup.config.trainer.epochs, full_epochs()),
        images=setup.data.counts.val,
        metric=judged(setup.objective),
    )
    if len(found.names) < 2 or freedom(found.table()) < 1:
        raise StudyError(
            "audit: noise shows where two configurations at least came to their end with two seeds each, and fewer "
            "did; see what failed or was rejected above, or raise audit.configs"
        )
    return found


def _ended(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.status is Status.COMPLETE and trial.repeats is None]


def left_behind(folder: StudyFolder) -> dict[str, bytes]:
    """The files of a study's audit, by name; none where there was none."""
    return {name: (folder.path / name).read_bytes() for name in FILES if (folder.path / name).exists()}


def in_a_sentence(folder: StudyFolder) -> str:
    """What a study's audit found, for its description; empty where there was none."""
    text = left_behind(folder).get("audit.md", b"").decode()
    return f"The noise audit: {text.splitlines()[0].removeprefix('- ')} See `audit.md`." if text else ""


def _at_full_length(
    setup: Setup, short: Audited, evaluator: Evaluator, interrupt: Interrupt, terminal: Terminal
) -> list[Trial]:
    """What was trained, with the epochs of trainer=full. In a folder of its own: these are no trials of the study."""
    folder, epochs = setup.folder.path / FULL, full_epochs()
    folder.mkdir(exist_ok=True)
    jobs = [(trial.config, trial.seed) for name in short.names for trial in short.of(name)]
    schedule = Schedule(
        file=folder / RESULTS,
        jobs=sorted(jobs, key=lambda job: job[1]),
        fingerprint={**setup.fingerprint, "trainer.epochs": epochs},
    )
    plan = Plan(
        trials=len(jobs),
        epochs=epochs,
        size=None,
        seeds=Seeds(setup.config.study.seed, setup.config.audit.seeds),
        weights=folder / "weights",
        objective=setup.objective,
        standing=setup.standing,
        checkpoints=folder / "checkpoints",
    )
    progress = _progress(setup, terminal, jobs, "full run")
    known = schedule.trials()
    terminal.say(f"audit at full length, {epochs} epochs: {progress.spoken(known)}")
    search = Search(plan, schedule, evaluator, NoRecord(), progress, trials=known)
    with progress:
        search.run(interrupt)
    shutil.rmtree(plan.weights, ignore_errors=True)
    return search.trials


def _progress(setup: Setup, terminal: Terminal, wanted: Sequence[tuple[SEConfig, int]], what: str) -> AuditProgress:
    return AuditProgress(
        terminal, total=len(wanted), sites=setup.sites, bar=setup.config.progress, wanted=set(wanted), what=what
    )


def _say(terminal: Terminal, setup: Setup, found: Audited) -> None:
    terminal.say("")
    for table in audit_tables(found, setup.sites):
        terminal.show(table)
    for line in advice(found):
        terminal.say(f"- {line}")


def _write(setup: Setup, found: Audited) -> None:
    title = f"{setup.folder.name}: {setup.config.backbone.name} on {setup.config.data['name']}"
    contents = {
        "audit.csv": audit_csv(found, setup.sites).encode(),
        "audit.md": audit_markdown(found, setup.sites).encode(),
        "audit.png": audit_png(found, title=title),
    }
    for name in FILES:
        write_whole(setup.folder.path / name, contents[name])
