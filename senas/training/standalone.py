"""The evaluator that trains one configuration at a time."""

import logging
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]
from pytorch_lightning.utilities.warnings import PossibleUserWarning  # type: ignore[attr-defined]
from safetensors.torch import save
from torch import nn

from senas.core.config import SEConfig
from senas.core.latency import Latency
from senas.core.ports import Listen, Report
from senas.core.recipe import Device, Recipe
from senas.core.trial import Failure, Job, Result, Status
from senas.errors import ConfigError
from senas.model.cost import macs, params
from senas.model.sites import Traced
from senas.model.surgery import insert
from senas.training.average import Average
from senas.training.callback import OwnCallback, blamed
from senas.training.data import Images
from senas.training.metric import OwnMetric
from senas.training.task import Classification
from senas.training.watch import Saved, Watch


class Standalone:
    """Trains each job's configuration by itself, from the seed's initial weights.

    The backbone's initial weights, the order of the data and their augmentation depend on (seed, epoch, index) alone,
    not on which SE blocks are there, nor on what was trained before.
    """

    def __init__(
        self, build: Callable[[], nn.Module], traced: Traced, data: Images, recipe: Recipe, device: Device
    ) -> None:
        self.build, self.traced, self.data, self.recipe, self.device = build, traced, data, recipe, device
        self.metrics: Sequence[OwnMetric] = ()  # of the user's own, measured after each epoch
        self.callbacks: Sequence[OwnCallback] = ()  # as well, made for each training
        self.stopwatch: Callable[[nn.Module], Latency] | None = None  # where latency is asked for
        backbone = insert(build(), SEConfig(), traced)  # without the blocks that were taken out
        self.backbone_params, self.backbone_macs = params(backbone), macs(backbone, data.shape)

    def check(self) -> None:
        """Raises ConfigError where this machine cannot do the arithmetic as it is asked for, or where a metric or a
        callback of the user's own does not do."""
        for metric in self.metrics:
            metric.check(len(self.data.classes))
        try:
            with _quiet():
                self._trainer()
        except (MisconfigurationException, ValueError, ImportError) as error:
            raise ConfigError(
                f"trainer.accelerator={self.device.accelerator}, trainer.precision={self.device.precision}: "
                f"{str(error).splitlines()[0]}; trainer=default runs anywhere"
            ) from error
        for own in self.callbacks:
            try:
                with _quiet():
                    self._trainer(callbacks=[own.made()])
            except MisconfigurationException as error:
                raise ConfigError(
                    f"trainer.callbacks: {own.target} does not go with senas, which saves and tells of trainings "
                    f"itself: {_first_line(error)}"
                ) from error

    @property
    def macs_a_batch(self) -> int:
        """Multiply-accumulates of the backbone for a batch, forward."""
        return self.backbone_macs * self.data.batch_size

    def evaluate(
        self, jobs: Iterable[Job | None], report: Report, listen: Listen | None = None
    ) -> Generator[Result, None, None]:
        for job in jobs:
            assert job is not None  # each result is yielded before the next job is pulled
            yield self.train(job, report, listen)

    def network(self, job: Job) -> nn.Module:
        """The job's network as training starts with it."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(job.seed)
            backbone = self.build()
        return insert(backbone, job.config, self.traced, job.seed)

    def costs(self, job: Job) -> dict[str, float]:
        """SE parameters, parameters and MACs of the job's network, in closed form."""
        added, sites = job.config.params(self.traced.sites), self.traced.sites
        return {
            "se_params": added,
            "params": self.backbone_params + added,
            "macs": self.backbone_macs + job.config.macs(sites),
        }

    def measure(self, job: Job) -> Mapping[str, float]:
        """Latency of the job's network and how far its quartiles lie apart, where there is a stopwatch."""
        return {} if self.stopwatch is None else self.stopwatch(self.network(job)).scores

    def train(self, job: Job, report: Report, listen: Listen | None) -> Result:
        start = time.monotonic()
        costs = {**self.costs(job), **job.costs}
        watch = Watch(
            job.seed,
            lambda epoch, scores: report(job, epoch, {**scores, **costs}),
            (lambda pulse: listen(job, pulse)) if listen else None,
        )
        tested: Mapping[str, float] = {}
        failure, reason = None, ""
        try:
            with _quiet(), _threads(self.device.threads or threads_for(self.macs_a_batch)):
                task, tested = self._fit(job, watch)
            if watch.diverged:
                failure, reason = Failure.DIVERGED, f"the loss is not finite after epoch {len(watch.curve) + 1}"
            elif job.weights is not None and not watch.stopped:
                _save(task.net, job.weights)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if self.device.compile and _not_compiled(error):
                raise ConfigError(
                    f"trainer.compile=true: torch cannot compile here ({_first_line(error)}); it needs a C++ compiler "
                    "that works, and Triton on a GPU; trainer.compile=false needs neither"
                ) from error
            if not _out_of_memory(error):
                raise
            failure, reason = Failure.MEMORY, str(error).splitlines()[0] if str(error) else "out of memory"
        seconds = time.monotonic() - start
        ended = Status.PRUNED if watch.stopped else Status.COMPLETE
        return Result(
            job=job,
            status=ended if failure is None else Status.FAILED,
            scores={**watch.curve[-1], **watch.halves, **tested, **costs} if failure is None else {},
            curve=tuple(watch.curve),
            seconds=seconds,
            failure=failure,
            reason=reason,
        )

    def _fit(self, job: Job, watch: Watch) -> tuple[Classification, Mapping[str, float]]:
        """The trained task, and what it scored on the test part where the job asks for that."""
        task = Classification(self.network(job), self.recipe, self.metrics, logs=bool(self.callbacks))
        if self.recipe.channels_last:
            task.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.device.compile:
            task.net.compile()
        self.data.seed = job.seed
        average = None if self.recipe.average == "none" else Average(self.recipe.average)
        own = [(callback, callback.made()) for callback in self.callbacks]
        saved = [Saved(job.checkpoint)] if job.checkpoint else []
        callbacks = [*([average] if average else []), *(made for _, made in own), watch, *saved]
        trainer = self._trainer(max_epochs=job.epochs, callbacks=callbacks)
        try:
            with _interruptible():
                begun = job.checkpoint if job.checkpoint and job.checkpoint.exists() else None
                trainer.fit(task, datamodule=self.data, ckpt_path=begun, weights_only=True)
                if average:
                    average.install(task.net)
                if job.test and not watch.diverged:
                    trainer.test(task, datamodule=self.data, verbose=False)
        except Exception as error:
            if not _out_of_memory(error) and (mistake := blamed(error, own)):
                raise mistake from error
            raise
        return task, task.tested

    def _trainer(self, **options: Any) -> pl.Trainer:
        return pl.Trainer(
            accelerator=self.device.accelerator,
            devices=1,
            precision=self.device.precision,  # type: ignore[arg-type]
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            **options,
        )


def threads_for(macs_a_batch: int) -> int:
    """One thread for small networks, where a second one costs more than it brings; else as many as torch would take."""
    return 1 if macs_a_batch < 2e9 else torch.get_num_threads()


def _out_of_memory(error: BaseException) -> bool:
    # "not enough memory" on Windows and macOS, "can't allocate memory" on Linux
    text = str(error)
    on_cpu = "DefaultCPUAllocator" in text and "memory" in text
    on_gpu = "CUDA error: out of memory" in text or "ALLOC_FAILED" in text
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or on_cpu or on_gpu


def _not_compiled(error: BaseException) -> bool:
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _save(net: nn.Module, path: Path) -> None:
    """Whole or not at all: a file that was being written when the power went is not taken for weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    partial.write_bytes(save(state))
    partial.replace(path)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _quiet() -> Iterator[None]:
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
def _interruptible() -> Iterator[None]:
    """Lightning answers Ctrl-C by ignoring further ones and leaving Python; here it is a KeyboardInterrupt again."""
    main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if main:
            signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from None
