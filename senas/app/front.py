"""senas front: a study's front again, with another penalty or pick. Nothing is trained."""

from senas.app.schema import FrontConfig
from senas.app.seeds import beside
from senas.app.show import find, show_front
from senas.app.wiring import set_up_again
from senas.report.console import Terminal
from senas.study.optuna import read_trials


def main(config: FrontConfig) -> None:
    """Prints the front. Changes nothing on disk."""
    setup = set_up_again(config.root, config.study.name, config.trust)
    trials = read_trials(setup.folder.name, setup.storage, setup.space)
    standing = setup.standing(trials, config.objective.penalty, config.study.margin)
    findings = find(setup, trials, config.pick, config.objective.penalty, config.study.margin)
    volume, (loss, params) = standing.hypervolume(), standing.reference
    terminal = Terminal()
    terminal.say(
        f"study {setup.folder.name}: {sum(trial.counts for trial in trials)} trials{beside(trials)}, "
        f"{len(standing.measured)} trained to the end; hypervolume {volume:,.0f} of {loss * params:,.0f} nats x "
        "parameters (how much of what lies between guessing and the largest SE the front beats; more is better)"
    )
    show_front(terminal, setup, findings)
