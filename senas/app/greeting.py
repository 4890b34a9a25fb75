"""What a search says at its beginning and its end."""

from collections.abc import Sequence
from pathlib import Path

from senas.app.commands import command, found_by, override
from senas.app.seeds import beside, seeds_of
from senas.app.show import show_front
from senas.app.trusted import spoken_trust
from senas.app.wiring import Setup
from senas.core.constraint import spoken
from senas.core.space import SearchSpace
from senas.core.trial import Status, Trial
from senas.report.console import Terminal
from senas.report.findings import Findings
from senas.report.time_left import duration
from senas.study.loop import Ending


def greet(
    terminal: Terminal, setup: Setup, known: Sequence[Trial], outside: Sequence[str], *, at_once: int = 1
) -> None:
    config, data = setup.config, setup.data
    done = sum(trial.counts for trial in known)
    channels, height, width = data.shape
    lines = [
        f"study {setup.folder.name} in {setup.folder.path}",
        f"{config.data['name']}: {data.counts.train:,} training and {data.counts.val:,} validation images of "
        f"{channels} x {height} x {width}; {config.backbone.name}: {setup.evaluator.backbone_params:,} parameters, "
        f"{len(setup.sites)} sites; {configurations(setup.space)}",
    ]
    lines += setup.remarks
    if setup.constraints.given:
        bounds = ", ".join(f"{name} at most {spoken(bound)}" for name, bound in setup.constraints.given.items())
        lines.append(f"constraints: {bounds}; what breaks one is not trained, and counts as no trial")
    if setup.timing:
        lines.append(f"latency is measured before training: {setup.timing.words}")
    if at_once > 1:
        lines.append(f"{at_once} trainings at a time (evaluator.workers)")
    lines += [f"starting point {name} is not in the space, and left out" for name in outside]
    if any(trial.trained for trial in known):
        of = f" of {config.study.trials}" if done < config.study.trials else ""
        lines.append(f"{done}{of} trials{beside(known)} are there already")
    if done < config.study.trials:
        lines.append("* marks a trial that no other beat in loss and SE parameters when it ended, each by one training")
    terminal.say("\n".join(lines))


def configurations(space: SearchSpace) -> str:
    """How many there are, and of how many, where constraints leave fewer."""
    if space.size is None:
        return f"fewer than {_count(space.product)} configurations (too many to count those within the constraints)"
    of = f" of {_count(space.product)}" if space.size < space.product else ""
    return f"{_count(space.size)}{of} configurations"


def _count(number: int) -> str:
    """Up to billions in full."""
    return f"{number:,}" if number < 10**12 else f"{number:.1e}".replace("e+", " x 10^")


def say_stopped(terminal: Terminal, setup: Setup, trials: Sequence[Trial]) -> None:
    """Of several at a time one may have ended out of turn: it is under way until the earlier ones were told, or what is
    proposed next would hang on when the search was stopped."""
    done, total = sum(trial.counts for trial in trials), setup.config.study.trials
    if not any(trial.trained for trial in trials):
        terminal.say(f"stopped before the first of {total} trials ended. The same command goes on.")
        return
    terminal.say(
        f"stopped with {done} of {total} trials{beside(trials)}; these are kept, and what was under way is trained "
        "again. The same command goes on."
    )


def say_ended(
    terminal: Terminal,
    setup: Setup,
    trials: Sequence[Trial],
    ending: Ending | None,
    findings: Findings | None,
    *,
    new: int,
) -> None:
    """findings: None where no trial was trained to the end."""
    done = sum(trial.counts for trial in trials)
    screened_out = sum(trial.screened_out for trial in trials)
    if ending is Ending.EXHAUSTED:
        within = " that are within the constraints" if setup.space.size != setup.space.product else ""
        seeds = seeds_of(setup.config).rotated
        each = f" with each of {seeds} seeds" if seeds > 1 else ""
        tried = "trained or screened out" if screened_out else "tried"
        opening = f"all {setup.space.size} configurations of the space{within} were {tried}{each}: the study is over"
    elif new == 0:
        more = command("resume", setup, f"study.trials={2 * done}")
        opening = f"the study has its {done} trials already; this goes on: {more}"
    else:
        opening = f"{done} trials{beside(trials)} in {duration(sum(trial.seconds for trial in trials))} of training"
    terminal.say(f"\n{opening}")
    if rejected := sum(trial.status is Status.REJECTED for trial in trials):
        terminal.say(f"{rejected} proposals broke a constraint, and were not trained")
    if screened_out:
        terminal.say(f"{screened_out} of the trials were no contenders by shared weights, and were not trained")
    if findings is None:
        terminal.say("no trial was trained to the end")
        return
    penalized = setup.config.objective.name == "penalized" and setup.config.objective.pick == "best"
    another = "objective.penalty=0.02" if penalized else "study.margin=0.02"
    show_front(terminal, setup, findings)
    folder = str(Path("exported") / setup.folder.name)
    recorded = setup.config.tracking.name != "none"
    dashboard = command("dashboard", setup).removesuffix(spoken_trust(setup.config))
    commands = [
        f"open {setup.folder.report_html} in a browser",
        *([dashboard] if recorded else []),
        *([] if findings.ways_out else [command("front", setup, another)]),
        command("export", setup, override("to", folder)),
        f"senas train {override('se', folder)}{found_by(setup)}",
    ]
    terminal.say("\n".join(["", "next:", *(f"  {each}" for each in commands)]))
