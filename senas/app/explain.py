"""senas explain: what the gates of a trained network do, and which of its SE blocks can go."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from senas.app.checks import timing
from senas.app.explicable import Subject, of_export, of_study
from senas.app.paths import write_whole
from senas.app.schema import ExplainConfig
from senas.app.timed import timed
from senas.core.explained import Explained
from senas.errors import ExportError
from senas.exported.target import EXPLAINED
from senas.model.latency import check
from senas.report.console import Terminal
from senas.report.gates import explained_csv, gates_csv, gates_png, gates_table, legend, removals_table
from senas.report.reading import Reading
from senas.report.removable import advice, gates_in_words
from senas.training.explain import explained


@dataclass(frozen=True, eq=False)
class Explanation:
    """What `explain` found.

    figures:  `.profiles`, what each gate does, and `.removals`, what the loss does without it, site by site;
              `.together`, without all of them.
    folder:   with explain.csv, gates.csv and gates.png.
    fold:     the command that folds what can go; "" where there is none.
    """

    name: str
    figures: Explained
    folder: Path
    fold: str = ""

    @property
    def advice(self) -> list[str]:
        """What to do about each block, a sentence each."""
        return advice(self.figures, self.fold)

    def plot(self) -> Any:
        """Each channel's mean gate by class, site by site, as a matplotlib figure."""
        from senas.report.gates_figure import gates_figure

        return gates_figure(self.figures, self.name)

    def __repr__(self) -> str:
        return f"<Explanation of {self.name}: {len(self.figures.profiles)} gates, {self.figures.images:,} images>"


def main(config: ExplainConfig) -> None:
    """Prints two tables and what they say, and writes them and a picture."""
    explain(config)


def explain(config: ExplainConfig) -> Explanation | None:
    """`main`, and what was found; None where the network has no SE block."""
    terminal, how = Terminal(), timing(config.latency)
    if config.latency_within:
        check(how)  # what comes before may take long
    subject = of_export(config, terminal) if config.study.name is None else of_study(config)
    terminal.say(f"{subject.name}: {subject.words}")
    if subject.undecided:
        terminal.warn("it only leads: what the study recommends is undecided at this budget")
    if not subject.config:
        terminal.say("it has no SE block, so that there is nothing to explain")
        return None
    own, net = subject.evaluator, subject.trained(terminal)
    if config.accelerator is not None:
        own.device = replace(own.device, accelerator=config.accelerator)
    told = Reading(terminal, "passes of an image through the network")
    found = explained(own, net, subject.config, told=told)
    if config.latency_within:
        found = timed(terminal, own, subject.config, net.cpu(), found, how, config.latency_within)
    _show(terminal, found, subject.fold)
    _write(subject, found)
    terminal.say(f"wrote {subject.folder}/{', '.join(EXPLAINED)}")
    return Explanation(subject.name, found, subject.folder, subject.fold)


def _show(terminal: Terminal, found: Explained, fold: str) -> None:
    terminal.say(
        f"over {found.images:,} validation images: loss {found.loss:.4f}, accuracy {found.accuracy:.2%}\n"
        "\nWhat the gates do"
    )
    terminal.show(gates_table(found))
    terminal.say("\n".join(f"  {line}" for line in legend(found)), style="dim")
    terminal.say(gates_in_words(found))
    terminal.say("\nWhich SE blocks can go: by how much the validation loss rises without them")
    terminal.show(removals_table(found))
    terminal.say(
        f"  constant: the gate's mean over the {found.means_over} images. Intervals are over images, paired, for this "
        "one network; another seed's may differ",
        style="dim",
    )
    terminal.say("\n".join(advice(found, fold)))


def _write(subject: Subject, found: Explained) -> None:
    contents = (explained_csv(found).encode(), gates_csv(found).encode(), gates_png(found, subject.name))
    try:
        for name, content in zip(EXPLAINED, contents, strict=True):
            write_whole(subject.folder / name, content)
    except OSError as error:
        raise ExportError(
            f"{subject.folder} cannot be written: {error.strerror}; all that is in it was said above"
        ) from error
