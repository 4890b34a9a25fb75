"""An MLflow server of one's own, on this machine, for as long as it is needed."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from senas.errors import ConfigError, StudyError
from senas.record.address import hidden, looking

READY_SECONDS = 30.0
STOP_SECONDS = 5.0
# Without these the server starts fifteen processes in place of three, in four times the time, and calls home.
QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers at `url`."""

    url: str
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Returns when the server ends by itself; Ctrl-C passes through as KeyboardInterrupt."""
        self.process.wait()


@contextmanager
def serve(
    uri: str, *, port: int = 0, host: str = "127.0.0.1", artifacts: Path | None = None, seconds: float = READY_SECONDS
) -> Iterator[Server]:
    """Serves the store at `uri` while the context lasts; no process outlives it.

    port:       0 takes a free one.
    artifacts:  folder for artifacts of experiments that name no folder of their own.
    seconds:    how long the server may take until it answers.

    Raises ConfigError for a port that is taken or a store that does not answer, StudyError where there is no store,
    and for a server that dies or does not answer.
    """
    port = _free(host, port)
    with looking(uri):  # the server would make an empty store where there is none
        pass
    url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", host, "--port", str(port)]
    command += ["--artifacts-destination", artifacts.resolve().as_uri()] if artifacts else []
    # The address of the store goes through the environment: it may hold a password, and arguments are public.
    environment = {**os.environ, **QUIET, "MLFLOW_BACKEND_STORE_URI": uri}
    with tempfile.TemporaryFile() as log:
        # A session of its own, so that all its processes can be ended together and Ctrl-C reaches only senas.
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            if not _answers(f"{url}/health", process, seconds):
                log.seek(0)
                lines = log.read().decode(errors="replace").strip().splitlines()
                what = f"did not answer within {seconds:.0f} s" if process.poll() is None else "ended as it started"
                telling = [line for line in lines if "error" in line.lower()] or lines or ["it printed nothing"]
                raise StudyError(f"the MLflow server {what}: {hidden(telling[-1].strip())}")
            yield Server(url, process)
        finally:
            _stop(process)


def _free(host: str, port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"port {port} of {host} cannot be used ({error.strerror}); port 0 takes a free one"
            ) from None
        free: int = probe.getsockname()[1]
        return free


def _answers(url: str, process: subprocess.Popen[bytes], seconds: float) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with direct.open(url, timeout=2):
                return True
        except OSError:
            time.sleep(0.1)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the whole group: asked first, then made to."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + STOP_SECONDS
        try:
            os.killpg(process.pid, sign)
            while time.monotonic() < end:
                process.poll()  # a process that ended counts as one of the group until somebody asks how it ended
                os.killpg(process.pid, 0)
                time.sleep(0.05)
        except ProcessLookupError:
            break
    process.wait()
