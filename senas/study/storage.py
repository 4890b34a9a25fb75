"""Where an Optuna study lies: a journal file, or a database by its URL."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from senas.core.address import hidden
from senas.errors import ConfigError, StudyError


class Journal(JournalFileBackend):
    """The journal file. What belongs together is written in one go: the disk is waited for at each write."""

    def __init__(self, path: Path) -> None:
        # The lock is a link to the journal, and what a killed process left of it is broken only where the link leads
        # somewhere: one to a path relative to this folder does not, and Optuna waits for it without end.
        whole = str(path.absolute())
        super().__init__(whole, JournalFileSymlinkLock(whole, grace_period=5))
        self._held: list[dict[str, Any]] | None = None

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        if self._held is None:
            super().append_logs(logs)
        else:
            self._held += logs

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written inside is there once it ends: all of it, or nothing where an error ends it."""
        held: list[dict[str, Any]] = []
        self._held = held
        try:
            yield
        finally:
            self._held = None
        if held:
            super().append_logs(held)


def together(storage: BaseStorage) -> AbstractContextManager[None]:
    """Inside, what is written to a journal waits for the end; a database has it at once."""
    backend = getattr(storage, "_backend", None)
    return backend.together() if isinstance(backend, Journal) else nullcontext()


def open_storage(storage: str | Path) -> BaseStorage:
    """The journal file, or the database at a URL. Raises ConfigError where it does not answer."""
    if isinstance(storage, Path):
        return JournalStorage(Journal(storage))
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    # libpq waits for ever unless told not to.
    limits = {"connect_args": {"connect_timeout": 5}} if storage.startswith("postgresql") else None
    try:
        return RDBStorage(storage, engine_kwargs=limits)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        try:
            shown = make_url(storage).render_as_string(hide_password=True)
        except SQLAlchemyError:
            shown = "what you gave"
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        driver = shown.startswith("postgresql") and isinstance(error, ImportError)
        way_out = 'pip install "senas[postgres]", and write postgresql+psycopg://...' if driver else "start that server"
        raise ConfigError(
            f"storage.url: {shown} does not open ({cause}); {way_out}, or leave storage.url out for a file"
        ) from error


@contextmanager
def storage_kept(storage: str | Path) -> Iterator[None]:
    """Inside, a database that goes away or fills up is a StudyError of one line: what was told before is kept."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = hidden((str(error.__cause__ or error).splitlines() or [""])[0])
        raise StudyError(
            f"storage.url: {hidden(str(storage))} failed ({cause}); what finished is not lost: see to the server or "
            "its disk, and give the same command again"
        ) from error


def mend_journal(path: Path) -> None:
    """Cut off a last line that a killed process did not finish: what is appended to it would be lost with it.

    A lock that leads nowhere goes too: Optuna would wait for it without end. Only for who alone writes to the study.
    """
    lock = path.with_name(f"{path.name}.lock")
    if lock.is_symlink() and not lock.exists():
        lock.unlink()
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)
