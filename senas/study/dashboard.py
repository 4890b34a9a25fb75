"""optuna-dashboard on the storage of studies, in this process, for as long as it is needed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna

from senas.errors import ConfigError, StudyError
from senas.study.storage import open_storage

HOST = "127.0.0.1"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a page that is still open keeps nobody waiting


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class OptunaServer:
    """Answers at `url` while its context lasts."""

    url: str
    thread: threading.Thread

    def wait(self) -> None:
        """Returns when the server ends; Ctrl-C passes through as KeyboardInterrupt."""
        while self.thread.is_alive():
            self.thread.join(0.5)


@contextmanager
def serve_optuna(storage: Path | str, name: str, *, port: int = 0) -> Iterator[OptunaServer]:
    """Serves the storage, and opens at the study.

    storage:  a journal file, or the URL of a database.
    port:     0 takes a free one.

    Raises ConfigError where optuna-dashboard is not installed, for a port that is taken and a storage that does not
    answer; StudyError where there is no such study.
    """
    try:
        from optuna_dashboard import wsgi  # an extra
    except ImportError as error:
        raise ConfigError(
            'dashboard=optuna needs optuna-dashboard, which is not installed: pip install "senas[dashboard]"'
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if isinstance(storage, Path) and not storage.exists():
        raise StudyError(f'there is no study "{name}" in {storage}')
    opened = open_storage(storage)
    try:
        number = opened.get_study_id_from_name(name)
    except KeyError as error:
        raise StudyError(f'there is no study "{name}" in this storage; another study.name, or another root') from error
    try:
        server = make_server(HOST, port, wsgi(opened), server_class=_Server, handler_class=_Silent)
    except OSError as error:
        raise ConfigError(f"port {port} of {HOST} cannot be used ({error.strerror}); port=0 takes a free one") from None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield OptunaServer(f"http://{HOST}:{server.server_port}/dashboard/studies/{number}", thread)
    finally:
        server.shutdown()
        server.server_close()
