"""senas dashboard: MLflow's pages on the studies, with the newest front in view, or Optuna's on one of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from senas.app.compose import checked
from senas.app.paths import MlflowStore, StudyFolder
from senas.app.schema import DashboardConfig
from senas.errors import ConfigError, StudyError
from senas.record.address import hidden
from senas.record.server import Server, serve
from senas.record.view import view_link
from senas.report.console import Terminal
from senas.study.dashboard import OptunaServer, serve_optuna
from senas.study.interrupt import Interrupt

DASHBOARDS = ("mlflow", "optuna")


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
            terminal.warn("the server ended")
    except KeyboardInterrupt:
        terminal.say("\nended")


@contextmanager
def served(
    config: DashboardConfig, say: Callable[[str], None] = lambda text: None
) -> Iterator[tuple[str, Server | OptunaServer | None]]:
    """The link to the front, and the server behind it while the context lasts; None where it is somebody else's."""
    if config.dashboard not in DASHBOARDS:
        raise ConfigError(f'dashboard must be one of {", ".join(DASHBOARDS)}, got "{config.dashboard}"')
    if not 0 <= config.port < 65536:
        raise ConfigError(f"port must be between 0 and 65535, got {config.port}")
    if config.dashboard == "optuna":
        name, storage = _storage(Path(config.root), config.study.name)
        with serve_optuna(storage, name, port=config.port) as optuna:
            yield optuna.url, optuna
        return
    tracking, study = config.tracking, config.study.name
    if (uri := tracking.uri or "").startswith(("http://", "https://")):  # a server already
        yield view_link(uri, tracking.experiment, study, hidden(uri)), None
        return
    store = MlflowStore(Path(config.root))
    if tracking.uri is None and not (Path(config.root) / "mlflow.db").exists():
        raise StudyError(
            f"root: no study was recorded in {config.root} yet; run `senas search`, or name another root; one of "
            "tracking=none has its front.html, and dashboard=optuna"
        )
    uri = tracking.uri or store.uri
    say("starting MLflow ...")
    with serve(uri, port=config.port, artifacts=store.artifacts) as server:
        yield view_link(uri, tracking.experiment, study, server.url), server


def _storage(root: Path, study: str | None) -> tuple[str, Path | str]:
    """The name of the study, the newest where none is given, and the storage that it lies in."""
    newest = sorted(root.glob("*/config.yaml"), key=lambda path: path.stat().st_mtime)
    if study is None and not newest:
        raise StudyError(f"root: there is no study in {root} yet; run `senas search`, or name another root")
    folder = StudyFolder(root, study or newest[-1].parent.name).existing()
    try:
        plain = yaml.safe_load(folder.config.read_text())
        url: str | None = checked("search", {**plain, "root": str(root)}).storage.url
    except (yaml.YAMLError, TypeError) as error:
        raise ConfigError(f"{folder.config} is not a configuration of senas any more") from error
    return folder.name, url or folder.journal
