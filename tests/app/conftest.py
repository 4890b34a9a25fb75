"""The program in an empty folder: in this process where it is about the command line, as a process where it is about
signals, imports and what lies on disk."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from senas.app.main import run

SHORT = ("trainer.epochs=1", "tracking=none", "progress=false", "study.trials=3", "study.confirm=0")
"""A study of a second or two."""
PATIENCE = 600
"""Seconds after which a process hangs; a machine that does much else at the same time takes minutes."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, which the program is started in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def senas(folder, monkeypatch, capsys):
    """`senas ...` in this process: its exit code, and what it said."""
    monkeypatch.setattr(sys, "argv", ["senas"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the program sets it: here it goes away again

    def call(*arguments):
        capsys.readouterr()
        code = run(list(arguments))
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    return call


@pytest.fixture
def searched(senas):
    """`senas search` with a short study."""

    def call(*arguments):
        return senas("search", *SHORT, *arguments)

    return call


@pytest.fixture(scope="session")
def pilot(tmp_path_factory):
    """The folder `runs` after six trials of the study `pilot`. Not to be written to."""
    root = tmp_path_factory.mktemp("pilot") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["senas"])
        patch.setenv("HYDRA_FULL_ERROR", "1")
        assert run(["search", *SHORT, "study.name=pilot", "study.trials=6", f"root={root}"]) == 0
    return root


@pytest.fixture
def copied(pilot, folder):
    """The study `pilot`, in ./runs of the folder which the program is started in."""
    shutil.copytree(pilot, folder / "runs")
    return folder / "runs"


@pytest.fixture(scope="session")
def pilot_exported(pilot, tmp_path_factory):
    """A folder with the study `pilot` in ./runs and its trial 1 in ./exported/pilot. Not to be written to."""
    root = tmp_path_factory.mktemp("exported")
    shutil.copytree(pilot, root / "runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["senas"])
        patch.setenv("HYDRA_FULL_ERROR", "1")
        patch.chdir(root)
        assert run(["export", "study.name=pilot", "pick=trial:1", "to=exported/pilot"]) == 0
    return root


@pytest.fixture
def package(pilot_exported, folder):
    """What `senas export` made of the study `pilot`, which lies beside it."""
    shutil.copytree(pilot_exported, folder, dirs_exist_ok=True)
    return "exported/pilot"


@pytest.fixture(scope="session")
def environment():
    """One thread, and no statistics sent anywhere."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


@pytest.fixture
def program(folder, environment):
    """`senas ...` as a process of its own, run to its end."""

    def call(*arguments, command=(sys.executable, "-m", "senas"), **env):
        return subprocess.run(
            [*command, *arguments],
            cwd=folder,
            env={**environment, **env},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    return call


@pytest.fixture
def unread(folder, environment):
    """`senas ...` as a process of its own whose output nobody reads: its exit code, and what is on standard error."""

    def call(*arguments, **env):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "senas", *arguments],
                cwd=folder,
                env={**environment, **env},
                stdout=writer,
                stderr=subprocess.PIPE,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
        finally:
            os.close(writer)
        return done.returncode, done.stderr

    return call


@pytest.fixture
def started(folder, environment):
    """`senas ...` as a process of its own, left running; ended with the test."""
    processes = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "senas", *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def script():
    """The installed program `senas`, beside the interpreter."""
    path = Path(sys.executable).with_name("senas")
    if not path.exists():
        pytest.skip("the program senas is not installed beside this interpreter")
    return path


@pytest.fixture(scope="session")
def tree():
    """Every file below a folder, with its contents."""

    def read(folder):
        return {
            str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
        }

    return read
