"""The evaluator that trains one configuration at a time."""

import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]
from safetensors.torch import save
from torch import Tensor, nn

from senas.core.config import SEConfig
from senas.core.latency import Latency
from senas.core.ports import Listen, Report
from senas.core.recipe import Device, Recipe
from senas.core.trial import Failure, Job, Result, Status
from senas.errors import ConfigError
from senas.model.cost import macs, params
from senas.model.gates import gate_paths
from senas.model.sites import Traced
from senas.model.surgery import insert
from senas.model.threads import threads
from senas.training.average import Average
from senas.training.callback import OwnCallback, blamed, check_saved
from senas.training.data import Images
from senas.training.metric import OwnMetric
from senas.training.surroundings import (
    first_line,
    interruptible,
    out_of_memory,
    quiet,
    threads_for,
)
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
            with quiet(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*not supported on CPU.*")  # said below, as a mistake
                precision = self.trainer().precision
        except (MisconfigurationException, ValueError, ImportError) as error:
            raise ConfigError(
                f"trainer.accelerator={self.device.accelerator}, trainer.precision={self.device.precision}: "
                f"{str(error).splitlines()[0]}; trainer=default runs anywhere"
            ) from error
        if precision != self.device.precision:  # on a CPU Lightning computes in bf16 where it was to be 16 bits
            raise ConfigError(
                f"trainer.precision={self.device.precision} is not computed on this device; "
                f"trainer.precision={precision}"
            )
        for own in self.callbacks:
            try:
                with quiet():
                    self.trainer(callbacks=[own.made()])
            except MisconfigurationException as error:
                raise ConfigError(
                    f"trainer.callbacks: {own.target} does not go with senas, which saves and tells of trainings "
                    f"itself: {first_line(error)}"
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
        return insert(self._backbone(job.seed), job.config, self.traced, job.seed)

    def paths(self, config: SEConfig) -> dict[str, str]:
        """The module path of each site's block in a `network` of this configuration."""
        return gate_paths(self._backbone(0), config, self.traced)

    def _backbone(self, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.build()

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
        start, watch = time.monotonic(), self.watch(job, report, listen)
        tested: Mapping[str, float] = {}
        failed: tuple[Failure, str] | None = None
        try:
            with self.surroundings():
                task, tested = self._fit(job, watch)
            if job.weights is not None and not watch.over:
                save_weights(task.net.state_dict(), job.weights)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if self.device.compile and _not_compiled(error):
                raise ConfigError(
                    f"trainer.compile=true: torch cannot compile here ({first_line(error)}); it needs a C++ compiler "
                    "that works, and Triton on a GPU; trainer.compile=false needs neither"
                ) from error
            if not out_of_memory(error):
                raise
            failed = Failure.MEMORY, str(error).splitlines()[0] if str(error) else "out of memory"
        return self.result(job, watch, tested, time.monotonic() - start, failed)

    def watch(self, job: Job, report: Report, listen: Listen | None) -> Watch:
        """What goes on beside the training of a job."""
        costs = {**self.costs(job), **job.costs}
        return Watch(
            job.seed,
            lambda epoch, scores: report(job, epoch, {**scores, **costs}),
            (lambda pulse: listen(job, pulse)) if listen else None,
        )

    @property
    def threads(self) -> int:
        """That a training has, unless it is a GPU's."""
        return self.device.threads or threads_for(self.macs_a_batch)

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        """Silence, and as many threads as are wanted."""
        with quiet(), threads(self.threads):
            yield

    def result(
        self,
        job: Job,
        watch: Watch,
        tested: Mapping[str, float],
        seconds: float,
        failed: tuple[Failure, str] | None = None,
    ) -> Result:
        """What came of a job that was watched: a failure is what it `failed` with, or a loss that is not finite."""
        if watch.diverged and failed is None:
            failed = Failure.DIVERGED, f"the loss is not finite after epoch {len(watch.curve) + 1}"
        ended = Status.PRUNED if watch.stopped else Status.COMPLETE
        failure, reason = failed or (None, "")
        costs = {**self.costs(job), **job.costs}
        return Result(
            job=job,
            status=ended if failure is None else Status.FAILED,
            scores={**watch.curve[-1], **watch.halves, **tested, **costs} if failure is None else {},
            curve=tuple(watch.curve),
            seconds=seconds,
            failure=failure,
            reason=reason,
        )

    def task(self, job: Job) -> Classification:
        """The job's network, to be trained."""
        task = Classification(self.network(job), self.recipe, self.metrics, logs=bool(self.callbacks))
        if self.recipe.channels_last:
            task.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return task

    def _fit(self, job: Job, watch: Watch) -> tuple[Classification, Mapping[str, float]]:
        """The trained task, and what it scored on the test part where the job asks for that."""
        task = self.task(job)
        if self.device.compile:
            task.net.compile()
        self.data.seed = job.seed
        average = None if self.recipe.average == "none" else Average(self.recipe.average)
        own = [(callback, callback.made()) for callback in self.callbacks]
        begun = job.checkpoint if job.checkpoint and job.checkpoint.exists() else None
        if begun:
            check_saved(self.callbacks, begun)
        saved = [Saved(job.checkpoint)] if job.checkpoint else []
        callbacks = [*([average] if average else []), *(made for _, made in own), watch, *saved]
        trainer = self.trainer(max_epochs=job.epochs, callbacks=callbacks)
        try:
            with interruptible():
                trainer.fit(task, datamodule=self.data, ckpt_path=begun, weights_only=True)
                if average:
                    average.install(task.net)
                if job.test and not watch.diverged:
                    trainer.test(task, datamodule=self.data, verbose=False)
        except Exception as error:
            if not out_of_memory(error) and (mistake := blamed(error, own)):
                raise mistake from error
            raise
        return task, task.tally.tested

    def trainer(self, **options: Any) -> pl.Trainer:
        """Lightning's, that is silent and keeps nothing."""
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


def _not_compiled(error: BaseException) -> bool:
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))


def save_weights(state: Mapping[str, Tensor], path: Path) -> None:
    """Whole or not at all: a file that was being written when the power went is not taken for weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}))
    partial.replace(path)
