"""Reaching what lies at a tracking URI, and saying in one line, without its password, why it cannot be reached."""

import logging
import os
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import sqlalchemy
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from senas.core.address import hidden as hidden
from senas.errors import ConfigError, StudyError
from senas.record.limits import cut

REACH_SECONDS = 5.0
DOWN = (MlflowException, SQLAlchemyError, OSError)
"""What an MLflow that is down, full or locked raises; the errors of requests are OSErrors."""

# By default MLflow's client tries for four minutes, and prints an address for each run that ends.
CLIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
CHATTY = ("mlflow.store.db.utils", "alembic", "urllib3.connectionpool")


def connect(uri: str) -> MlflowClient:
    """A client that gives up soon and prints nothing. It makes the tables of a database that has none."""
    for name, value in CLIENT.items():
        os.environ.setdefault(name, value)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return MlflowClient(tracking_uri=uri)


def reach(uri: str, *, new: bool = False) -> list[str] | None:
    """The tables of a database; None for what is none. Raises one of DOWN, soon, where nothing answers.

    MLflow itself tries a database for a hundred seconds.

    new:  whether a SQLite file may be made; one that went away during a search must not be replaced by an empty one.
    """
    parts = _split(uri)
    web = parts.scheme in ("http", "https")
    proxied = web and parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.netloc)
    usual = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306}.get(parts.scheme.partition("+")[0])
    port = parts.port or usual
    if parts.hostname and port and not proxied:
        socket.create_connection((parts.hostname, port), timeout=REACH_SECONDS).close()
    if web or "://" not in uri:
        return None
    file = _file(uri)
    if file and new:
        file.parent.mkdir(parents=True, exist_ok=True)
    elif file and not file.exists():
        raise FileNotFoundError(f"there is no file {file}")
    engine = sqlalchemy.create_engine(uri)
    try:
        return sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()


@contextmanager
def refused(uri: str, way_out: str) -> Iterator[None]:
    """Whatever inside fails because of MLflow ends in one line, as a ConfigError."""
    try:
        yield
    except (*DOWN, ImportError) as error:
        raise ConfigError(
            f"tracking.uri: MLflow cannot be used at {hidden(uri)} ({reason(error, uri)}); {way_out}"
        ) from error


@contextmanager
def looking(uri: str) -> Iterator[MlflowClient]:
    """A client for what is there. Raises StudyError where there is nothing, and makes nothing there.

    Raises ConfigError, after ten seconds at most, where what is there does not answer.
    """
    with refused(uri, "start its server, or name another store"):
        file = _file(uri)
        if file and not file.exists():
            raise StudyError(f"tracking.uri: there is no file {file}, so no study is recorded in it; name another")
        tables = reach(uri)
        if tables is not None and "experiments" not in tables:  # MLflow would make them
            raise StudyError(f"tracking.uri: {hidden(uri)} holds no record of MLflow's, so no study; name another")
        yield connect(uri)


def reason(error: BaseException, uri: str) -> str:
    """The first line of what went wrong, without the password."""
    text = hidden((str(error).strip().splitlines() or [type(error).__name__])[0])
    text = text.rpartition("(Caused by ")[2]  # the client's retries wrap what matters
    password = _split(uri).password
    return cut(text.replace(password, "***") if password else text, 200)


def _split(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as error:
        raise ConfigError(f"tracking.uri: {hidden(uri)} is no address ({error})") from error
    return parts


def _file(uri: str) -> Path | None:
    """The file of a SQLite database; None for what is none."""
    if not uri.startswith("sqlite"):
        return None
    database = sqlalchemy.make_url(uri).database
    return Path(database) if database else None
