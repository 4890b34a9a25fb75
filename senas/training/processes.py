"""The evaluator that trains several configurations at once, each by itself in a process of its own.

A small network keeps one core busy and no more: on a machine with several, that many trainings go on side by side, each
number by number what `Standalone` computes with as many threads. Processes are forked, so that they begin at once with
the data and the backbone as they are, and share their memory.
"""

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from senas.core.objective import Scores
from senas.core.ports import Listen, Pulse, Report
from senas.core.trial import Failure, Job, Result, Status
from senas.errors import EvaluationError, SenasError
from senas.training.standalone import Standalone

AT_ONCE = 4
"""Trainings at once where nobody says how many: a search learns nothing from those that are running."""
KILL_AT_DEATH_OF_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def hindrance() -> str:
    """Why trainings cannot go on in processes beside each other here; empty where they can."""
    if sys.platform != "linux":
        return "trainings beside each other need Linux"
    initialised: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return "a GPU was used in this process, which cannot be forked any more" if initialised else ""


class Processes:
    """Trains up to `at_once` jobs at the same time, by `standalone`.

    Where a process dies, as where memory runs out, its job is begun once more, with nothing beside it. If it dies
    again, that job fails, and no other one.
    """

    def __init__(self, standalone: Standalone, at_once: int) -> None:
        self.standalone, self.at_once = standalone, at_once

    def costs(self, job: Job) -> Scores:
        return self.standalone.costs(job)

    def measure(self, job: Job) -> Mapping[str, float]:
        return self.standalone.measure(job)

    def evaluate(
        self, jobs: Iterable[Job | None], report: Report, listen: Listen | None = None
    ) -> Generator[Result, None, None]:
        coming, workers = iter(jobs), _Workers(self.standalone, self.at_once, report, listen)
        flying: deque[Job] = deque()
        more = True
        try:
            while True:
                # Never more than so many that no result was yielded of, also where a later one ended earlier: which
                # results are known when the next job is asked for must not hang on which process is the faster one.
                while more and len(flying) < self.at_once:
                    try:
                        job = next(coming)
                    except StopIteration:
                        more = False
                        break
                    if job is None:
                        break
                    workers.begin(job)
                    flying.append(job)
                if not flying:
                    return
                yield workers.result(flying.popleft())
        finally:
            workers.end()


class _Workers:
    """The processes, and who does what."""

    def __init__(self, standalone: Standalone, at_once: int, report: Report, listen: Listen | None) -> None:
        self.standalone, self.at_once, self.report, self.listen = standalone, at_once, report, listen
        self.idle: list[_Worker] = []
        self.busy: dict[Connection, _Worker] = {}
        self.results: list[Result] = []
        self.again: list[Job] = []  # whose process died, to be begun when nothing else is at work
        self.begun_again: list[Job] = []

    def begin(self, job: Job) -> None:
        """Hands a job to a process that has none, a new one where there is none."""
        worker = self.idle.pop() if self.idle else _Worker(self.standalone)
        if not worker.process.is_alive():  # since its last job
            worker.kill()
            worker = _Worker(self.standalone)
        self.busy[worker.pipe] = worker  # before it knows: whatever happens now, it is ended with the others
        worker.begin(job)

    def result(self, job: Job) -> Result:
        """Waits for this one; others that come in the meantime are kept."""
        while not (there := [result for result in self.results if result.job == job]):
            if not self.busy:
                self.begun_again.append(self.again.pop(0))
                self.begin(self.begun_again[-1])
            for pipe in wait(list(self.busy)):
                assert isinstance(pipe, Connection)
                self._hear(self.busy[pipe])
        self.results.remove(there[0])
        return there[0]

    def end(self) -> None:
        for worker in (*self.idle, *self.busy.values()):
            worker.kill()

    def _hear(self, worker: "_Worker") -> None:
        message = worker.heard()
        if message is None:
            self._bury(worker)
            return
        kind, said = message
        if kind == "epoch":
            if not worker.told(self.report(worker.job, *said)):
                self._bury(worker)
        elif kind == "pulse" and self.listen is not None:
            self.listen(worker.job, said)
        elif kind == "error":
            raise said
        elif kind == "result":
            self.results.append(said)
            self.idle.append(self.busy.pop(worker.pipe))

    def _bury(self, worker: "_Worker") -> None:
        del self.busy[worker.pipe]
        failed = worker.died()
        if worker.job in self.begun_again:
            self.results.append(failed)
        else:
            self.again.append(worker.job)


class _Worker:
    """A process that trains one job after the other."""

    job: Job

    def __init__(self, standalone: Standalone) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        self.process = context.Process(target=_work, args=(standalone, theirs, os.getpid()), daemon=True)
        with warnings.catch_warnings():
            # Other threads there may be draw the bar or write to MLflow, and hold nothing that a training takes.
            warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*multi-threaded.*fork")
            self.process.start()
        theirs.close()

    def begin(self, job: Job) -> None:
        self.job, self.begun = job, time.monotonic()
        with suppress(ConnectionError):  # it is no more, which is heard of next
            self.pipe.send(job)

    def heard(self) -> tuple[str, Any] | None:
        """What it says; None where it is no more."""
        try:
            message: tuple[str, Any] = self.pipe.recv()
        except (EOFError, OSError):  # also amid a message
            return None
        return message

    def told(self, answer: bool) -> bool:
        """Answers, and says whether there is anybody to hear it."""
        try:
            self.pipe.send(answer)
        except ConnectionError:
            return False
        return True

    def died(self) -> Result:
        """What becomes of the job of a process that is no more. Raises KeyboardInterrupt where all were told to end."""
        self.process.join()
        self.pipe.close()
        code = self.process.exitcode or 0
        if code == -signal.SIGTERM:
            raise KeyboardInterrupt
        memory = ", as where memory runs out" if code == -signal.SIGKILL else ""
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return Result(
            job=self.job,
            status=Status.FAILED,
            failure=Failure.KILLED,
            reason=f"its process ended twice ({how}){memory}",
            seconds=time.monotonic() - self.begun,
        )

    def kill(self) -> None:
        """Whatever it is at: what it saves is whole or not at all."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _work(standalone: Standalone, pipe: Connection, parent: int) -> None:
    """The life of a process: jobs in, epochs, pulses and results out."""
    # Ctrl-C reaches all processes of a terminal: what it means is for the first one to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(OSError):  # where memory runs out, this one goes, and not the first process
        Path("/proc/self/oom_score_adj").write_text("500")
    # The lock on the study's folder is shared with this process: it must not outlive the one that is gone.
    ctypes.CDLL(None).prctl(KILL_AT_DEATH_OF_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    # OpenMP keeps its threads by the thread that called for them. Those of the first process are not here, and waiting
    # for them would never end: a thread of its own has none to wait for.
    thread = threading.Thread(target=_train, args=(standalone, pipe))
    thread.start()
    thread.join()


def _train(standalone: Standalone, pipe: Connection) -> None:
    """One job after the other; ends the process."""

    def report(job: Job, epoch: int, scores: Scores) -> bool:
        pipe.send(("epoch", (epoch, dict(scores))))
        return bool(pipe.recv())

    def listen(job: Job, pulse: Pulse) -> None:
        pipe.send(("pulse", pulse))

    while True:
        try:
            job = pipe.recv()
        except EOFError:
            break
        said: tuple[str, Any]
        try:
            said = "result", standalone.train(job, report, listen)
        except BaseException as error:
            said = "error", _to_be_sent(error)
        sys.stdout.flush()  # what callbacks of the user's own print
        sys.stderr.flush()
        pipe.send(said)
    os._exit(0)  # what the first process opened is for it to close


def _to_be_sent(error: BaseException) -> BaseException:
    """The error with where it was, or, where it cannot be pickled, its words."""
    if not isinstance(error, SenasError):  # these say it all in one line
        error.add_note("".join(traceback.format_tb(error.__traceback__)))
    try:
        again: Any = pickle.loads(pickle.dumps(error))
    except Exception:
        again = None
    return error if isinstance(again, type(error)) else EvaluationError(f"{type(error).__name__}: {error}")
