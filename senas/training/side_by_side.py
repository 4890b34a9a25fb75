"""Which evaluator trains: one training at a time, or several beside each other."""

from copy import copy
from dataclasses import replace

import torch

from senas.core.ports import Evaluator
from senas.errors import ConfigError
from senas.training.data import ImageData
from senas.training.processes import AT_ONCE, Processes, hindrance
from senas.training.standalone import Standalone
from senas.training.surroundings import threads_for


def side_by_side(standalone: Standalone, workers: int | None, trainings: int) -> Evaluator:
    """What trains so many jobs, `workers` at a time.

    Where nobody says how many: one a core, AT_ONCE at most; a single one on a GPU, and where latency is measured, which
    a training beside it would disturb. The cores are divided among them. Raises ConfigError for several where there can
    be only one.
    """
    if workers is not None and workers > 1 and (alone := _alone(standalone)):
        raise ConfigError(f"evaluator.workers={workers}: {alone}; evaluator.workers=1 trains one after the other")
    count = _count(standalone, workers, trainings)
    return standalone if count == 1 else Processes(_share(standalone, count), count)


def one_of(standalone: Standalone, workers: int | None, trainings: int) -> Standalone:
    """What trains a single job with as many threads as one of those beside each other has: another number of them adds
    up in another order, and the weights differ by rounding."""
    return _share(standalone, _count(standalone, workers, trainings))


def _count(standalone: Standalone, workers: int | None, trainings: int) -> int:
    """How many at a time."""
    if _alone(standalone):
        return 1
    return workers or max(1, min(AT_ONCE, torch.get_num_threads() // (standalone.device.threads or 1), trainings))


def _share(standalone: Standalone, count: int) -> Standalone:
    """The same, with the threads of one of so many."""
    each = copy(standalone)
    if count > 1 and each.device.threads is None:
        threads = min(threads_for(each.macs_a_batch), max(1, torch.get_num_threads() // count))
        each.device = replace(each.device, threads=threads)
    return each


def _alone(standalone: Standalone) -> str:
    """Why trainings cannot go on beside each other; empty where they can."""
    if not isinstance(standalone.data, ImageData):
        return "data=custom has loaders and files of its own, which processes beside each other would share"
    if standalone.stopwatch is not None:
        return "latency is measured, which trainings beside it would disturb"
    if standalone.device.accelerator not in ("cpu", "auto") or (
        standalone.device.accelerator == "auto" and torch.accelerator.is_available()
    ):
        return f"trainer.accelerator={standalone.device.accelerator} is one device, that trainings would share"
    return hindrance()


def at_once(evaluator: Evaluator) -> int:
    """How many trainings it has at a time."""
    return evaluator.at_once if isinstance(evaluator, Processes) else 1
