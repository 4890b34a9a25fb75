"""senas audit: how much of what a search would see is noise, and what would help."""

from senas.app.commands import command
from senas.app.schema import SearchConfig
from senas.app.search import run
from senas.app.wiring import Setup
from senas.core.audited import Audited
from senas.report.console import Terminal


def main(config: SearchConfig) -> None:
    """Trains what is missing of the audit, in the study that `senas search` would launch, and shows what it tells."""
    launch(config)


def launch(config: SearchConfig) -> tuple[Setup, Audited]:
    """`main`, and what it found."""
    setup, found = run(config, only_audit=True)
    assert found is not None
    Terminal().say(
        f"\n{setup.folder.path / 'audit.png'} shows it, audit.csv has every run. This searches on in the study, and "
        f"trains none of these again:\n  {command('resume', setup)}"
    )
    return setup, found
