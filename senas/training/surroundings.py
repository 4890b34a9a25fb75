"""What a training goes on in: its threads, silence, Ctrl-C as it is elsewhere; and what lack of memory looks like."""

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from pytorch_lightning.utilities.warnings import PossibleUserWarning  # type: ignore[attr-defined]


def threads_for(macs_a_batch: int) -> int:
    """One thread for small networks, where a second one costs more than it brings; else as many as torch would take."""
    return 1 if macs_a_batch < 2e9 else torch.get_num_threads()


def out_of_memory(error: BaseException) -> bool:
    # "not enough memory" on Windows and macOS, "can't allocate memory" on Linux
    text = str(error)
    on_cpu = "DefaultCPUAllocator" in text and "memory" in text
    on_gpu = "CUDA error: out of memory" in text or "ALLOC_FAILED" in text
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or on_cpu or on_gpu


def first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning explains itself for every trainer it makes; once a trial is too often."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # between Lightning and torch
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def interruptible() -> Iterator[None]:
    """Lightning answers Ctrl-C by ignoring further ones and leaving Python; here it is a KeyboardInterrupt again."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if main:
            signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None
