"""senas dashboard: MLflow's pages on the studies, with the newest front in view."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from senas.app.paths import MlflowStore
from senas.app.schema import DashboardConfig
from senas.errors import ConfigError, StudyError
from senas.record.address import hidden
from senas.record.server import Server, serve
from senas.record.view import view_link
from senas.report.console import Terminal
from senas.study.interrupt import Interrupt


def main(config: DashboardConfig) -> None:
    """Serves until Ctrl-C. Where tracking.uri is a server already, prints the link to it."""
    terminal = Terminal()
    try:
        with Interrupt(), served(config, terminal.say) as (link, server):
            if server is None:
                terminal.say(link)
                return
            terminal.say(f"{link}\n\nCtrl-C ends it")
            server.wait()
            terminal.warn("the MLflow server ended")
    except KeyboardInterrupt:
        terminal.say("\nended")


@contextmanager
def served(
    config: DashboardConfig, say: Callable[[str], None] = lambda text: None
) -> Iterator[tuple[str, Server | None]]:
    """The link to the front, and the server behind it while the context lasts; None where it is somebody else's."""
    tracking, study = config.tracking, config.study.name
    if (uri := tracking.uri or "").startswith(("http://", "https://")):  # a server already
        yield view_link(uri, tracking.experiment, study, hidden(uri)), None
        return
    store = MlflowStore(Path(config.root))
    if tracking.uri is None and not (Path(config.root) / "mlflow.db").exists():
        raise StudyError(f"root: no study was recorded in {config.root} yet; run `senas search`, or name another root")
    if not 0 <= config.port < 65536:
        raise ConfigError(f"port must be between 0 and 65535, got {config.port}")
    uri = tracking.uri or store.uri
    say("starting MLflow ...")
    with serve(uri, port=config.port, artifacts=store.artifacts) as server:
        yield view_link(uri, tracking.experiment, study, server.url), server
