"""senas resume: a study goes on with the settings of its launch, whatever command line or file they came from."""

from dataclasses import asdict, replace

from senas.app import search
from senas.app.checks import check_surroundings
from senas.app.schema import ResumeConfig
from senas.app.wiring import as_launched


def main(config: ResumeConfig) -> None:
    """Runs the study to its total of trials and replicates, and shows where it stands then."""
    given = {key: value for key, value in asdict(config.study).items() if value is not None}
    launched = as_launched(config.root, config.study.name, config.trust, study=given)
    check_surroundings("search", launched)
    # The hardware that its latency was measured on is asked of this machine again: on another one it is refused.
    latency = replace(launched.latency, hardware=None)
    search.main(replace(launched, latency=latency, progress=config.progress))
