"""senas report: a study as one page that a person can decide by."""

from senas.app.checks import timing
from senas.app.commands import command, override
from senas.app.explicable import FOLD
from senas.app.paths import MlflowStore, write_whole
from senas.app.reported import REPORT, report_files, study_report
from senas.app.schema import ReportConfig
from senas.app.show import find
from senas.app.timed import timed
from senas.app.weights import trained
from senas.app.wiring import Setup, set_up_again
from senas.core.latency import Timing
from senas.errors import SenasError
from senas.model.latency import check
from senas.report.console import Terminal
from senas.report.findings import Findings
from senas.report.gates import gates_png
from senas.report.reading import Reading
from senas.report.study import Gates
from senas.study.optuna import read_trials
from senas.training.explain import explained


def main(config: ReportConfig) -> None:
    """Writes report.html into the study's folder, and beside it into MLflow's run of the study."""
    how = timing(config.latency)
    if config.gates and config.latency_within:
        check(how)  # what comes before may take long
    setup = set_up_again(config.root, config.study.name, config.trust)
    trials = read_trials(setup.folder.name, setup.storage, setup.space)
    verdict = setup.verdict(trials, margin=config.study.margin)
    findings = find(setup, trials, config.pick, margin=config.study.margin, verdict=verdict)
    terminal = Terminal()
    gates = (
        _gates(terminal, setup, findings, how, config.latency_within)
        if config.gates and findings.picked.config
        else None
    )
    files = report_files(study_report(setup, trials, verdict, findings, gates=gates, asked=_asked(config), theory=True))
    write_whole(setup.folder.report_html, files[REPORT])
    terminal.say(f"wrote {setup.folder.report_html}: open it in a browser; it needs no network, and prints")
    if setup.config.tracking.name != "none":
        _record(terminal, setup, files)


def _asked(config: ReportConfig) -> list[str]:
    """What was asked of this report that is not as the study has it."""
    margin = [] if config.study.margin is None else [f"study.margin={config.study.margin!r}"]
    return [*margin, *([] if config.pick is None else [override("pick", config.pick)])]


def _gates(terminal: Terminal, setup: Setup, findings: Findings, how: Timing, within: float) -> Gates | None:
    """What the gates of the pick do. Where its weights cannot be had, the rest of the report is there all the same."""
    trial, picked = findings.pick.trial, findings.picked.config
    try:
        net = trained(terminal, setup, trial)
        seen = explained(setup.evaluator, net, picked, told=Reading(terminal, "passes of an image through the network"))
        if within:
            seen = timed(terminal, setup.evaluator, picked, net.cpu(), seen, how, within)
    except SenasError as error:  # as where the study's accelerator is not on this machine
        terminal.warn(f"the report is without its gates: {error}")
        return None
    name = f"trial {trial.number} of {setup.folder.name}"
    return Gates(
        of=f"{name[:1].upper()}{name[1:]}, as it was trained with seed {trial.seed}",
        explained=seen,
        heat=gates_png(seen, name),
        fold=command("export", setup, f"pick=trial:{trial.number}", FOLD),
    )


def _record(terminal: Terminal, setup: Setup, files: dict[str, bytes]) -> None:
    """The page lies in the study's folder already: where MLflow cannot take it, that is said, and no mistake."""
    from senas.record.files import add

    tracking = setup.config.tracking
    try:
        add(tracking.uri or MlflowStore(setup.folder.root).uri, tracking.experiment, setup.folder.name, files)
    except SenasError as error:
        terminal.warn(f"it is not among MLflow's artifacts: {error}")
    else:
        terminal.say("and beside it, with its figures, among the artifacts of the study's run in MLflow")
