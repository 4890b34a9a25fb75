"""Where things lie: the config files of senas, and what a study writes."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from senas.errors import ConfigError, StudyError

TAKEN = ("artifacts", "mlflow.db", "mlflow.lock")
"""Names that a study cannot have, as MLflow's store has them."""
LONGEST = 200
"""Bytes of a study's name: file systems take 255, and MLflow adds to it."""


def conf_dir() -> Path:
    """The folder of config files: inside the package when it was installed, beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def write_whole(path: Path, content: bytes) -> None:
    """Whole or not at all: on a full disk what was there stays."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """`root/<study.name>/`: everything a study writes, but for MLflow's store, which studies share."""

    root: Path
    name: str
    key: str = "study.name"  # where the name comes from, for errors

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ConfigError(f"{self.key} is empty; give a name, or leave {self.key} out for one made of the setting")
        if self.name in (".", "..") or set(self.name) & set("/\\"):
            raise ConfigError(f'{self.key} must be a plain name, not a path, got "{self.name}"')
        if quotes := [mark for mark in self.name if mark in "'\"`$"]:
            raise ConfigError(f"{self.key} must be without quotes and $, which shells read, got {quotes[0]} in it")
        if self.name in TAKEN:
            raise ConfigError(
                f'{self.key}: "{self.name}" is what MLflow\'s store under root is called; give another name'
            )
        if not self.name.isprintable() or self.name != self.name.strip():
            raise ConfigError(f"{self.key} must be one line without spaces around it, got {self.name!r}")
        if len(self.name.encode()) > LONGEST:
            raise ConfigError(
                f"{self.key} must have at most {LONGEST} bytes, as it names a folder; got {len(self.name.encode())}"
            )

    @property
    def path(self) -> Path:
        return self.root / self.name

    @property
    def journal(self) -> Path:
        return self.path / "journal.log"

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def front_csv(self) -> Path:
        return self.path / "front.csv"

    @property
    def front_png(self) -> Path:
        return self.path / "front.png"

    @property
    def front_html(self) -> Path:
        return self.path / "front.html"

    @property
    def report_html(self) -> Path:
        return self.path / "report.html"

    @property
    def weights(self) -> Path:
        return self.path / "weights"

    def existing(self) -> "StudyFolder":
        """Itself. Raises StudyError, listing the studies there are, where it holds none."""
        if not self.config.exists():
            known = sorted(path.parent.name for path in self.root.glob("*/config.yaml"))
            there = f"; there are {', '.join(known)}" if known else "; there are none yet, `senas search` makes one"
            raise StudyError(f'study.name: there is no study "{self.name}" in {self.root}{there}')
        return self

    def remove(self) -> None:
        """Takes the folder away, and `root` where nothing else is in it."""
        shutil.rmtree(self.path)
        if not any(self.root.iterdir()):
            self.root.rmdir()

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Makes the folder and holds it: one search at a time. The lock goes with the process, however that ends.

        Gives whether the folder is new.
        """
        fresh = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / "lock").open("w")
        except OSError as error:
            raise ConfigError(f"root: {self.path} cannot be written: {error.strerror}; choose another root") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StudyError(
                    f'study "{self.name}" is being searched by another process; wait for it, or give another {self.key}'
                ) from error
            try:
                yield fresh
            except OSError as error:
                error.filename = error.filename or str(self.path)  # a write that fails does not say where
                raise


@dataclass(frozen=True, slots=True)
class MlflowStore:
    """Where MLflow keeps things when no tracking URI is given."""

    root: Path

    @property
    def uri(self) -> str:
        return f"sqlite:///{(self.root / 'mlflow.db').absolute()}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time makes the database: two that began at once would be in each other's way."""
        with (self.root / "mlflow.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @property
    def artifacts(self) -> Path:
        return (self.root / "artifacts").absolute()
