"""The evaluator that trains several configurations at once on one device, as members of one network.

Where launching operations is what costs, K trainings cost little more than one; where arithmetic is, nothing is gained.
Which it is, is measured before the first of them. Where nothing is gained, another evaluator has the rest.
"""

import statistics
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch

from senas.core.objective import Scores
from senas.core.ports import Evaluator, Listen, Report
from senas.core.trial import Job, Result
from senas.model.carried import cargo_of
from senas.model.supernet import Supernet
from senas.model.threads import threads
from senas.training.data import ImageData
from senas.training.processes import Processes
from senas.training.side_by_side import at_once
from senas.training.standalone import Standalone, save_weights
from senas.training.surroundings import first_line, interruptible, out_of_memory
from senas.training.task import OPTIMIZERS, Classification
from senas.training.together import ImagesOfEach, Members, Together, Watches
from senas.training.watch import Watch

STEPS, WARM_UP = 5, 2
"""Of the optimizer, that are timed, and those before them."""
WORTH_IT = 0.95
"""Members are trained together where that takes no more than this share of the time that they take by themselves."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of a step of so many members together, and of as many steps of one after the other; medians.

    at_once:  steps of single ones that would go on beside each other, each on cores of its own.
    """

    members: int
    together: float
    alone: float
    at_once: int = 1

    @property
    def pays(self) -> bool:
        return self.together <= WORTH_IT * self.alone / self.at_once

    @property
    def words(self) -> str:
        """One line, for people."""
        ratio, several = self.together / self.alone, self.at_once > 1
        verdict = "they are trained together" if self.pays else f"they are trained {by_themselves(self.at_once)}"
        beside = f", which can go on {self.at_once} at a time" if several else ""
        return (
            f"fused: a step of {self.members} networks together takes {ratio:.2f} of the time of {self.members} steps "
            f"of one ({1e3 * self.together:.1f} and {1e3 * self.alone:.1f} ms){beside}: {verdict}"
        )


def by_themselves(at_once: int) -> str:
    """How networks are trained that are not trained together."""
    return "one after the other" if at_once == 1 else f"by themselves, {at_once} at a time"


class Fused:
    """Trains up to `members` jobs at once by one network, each as `standalone` would, or by `otherwise`.

    What a member computes is equal to a stand-alone training but for rounding, and for what is random inside the
    network, such as dropout. One that is stopped, or whose loss is lost, leaves the others as they are.
    otherwise:  trains what is not trained together; all jobs, for good, once that does not pay for `members` of them.
    say:        told in one line what was measured.
    always:     trains them together without measuring whether that pays.
    """

    def __init__(
        self,
        standalone: Standalone,
        members: int,
        say: Callable[[str], None],
        *,
        otherwise: Evaluator | None = None,
        always: bool = False,
    ) -> None:
        self.standalone, self.members, self.say = standalone, members, say
        self.otherwise = otherwise or standalone
        self.always = always
        self.pays: dict[int, bool] = {}  # by how many they are
        self.aside = False

    def costs(self, job: Job) -> Scores:
        return self.standalone.costs(job)

    def measure(self, job: Job) -> Mapping[str, float]:
        return self.standalone.measure(job)

    def evaluate(
        self, jobs: Iterable[Job | None], report: Report, listen: Listen | None = None
    ) -> Generator[Result, None, None]:
        coming = iter(jobs)
        if not self.aside:
            for batch in _batches(coming, lambda: self.members):
                results = self._train(batch, report, listen) if self._together(batch) else None
                if self.aside:
                    coming = chain(batch, coming)
                    break
                yield from results if results is not None else self.otherwise.evaluate(batch, report, listen)
        yield from self.otherwise.evaluate(coming, report, listen)

    def _together(self, jobs: Sequence[Job]) -> bool:
        """Whether these are trained together. What is saved after each epoch is trained by itself."""
        count = len(jobs)
        if count < 2 or len({(job.epochs, job.test) for job in jobs}) > 1 or any(job.checkpoint for job in jobs):
            return False
        if self.always:
            if not self.pays:
                self.say(
                    f"fused: {self.members} networks together, not measured whether that is faster (evaluator.together)"
                )
            self.pays[count] = True
        elif count not in self.pays:
            try:
                measured = self.compared(jobs)
            except RuntimeError as error:
                if out_of_memory(error):
                    self._fewer(count)
                else:
                    how = by_themselves(at_once(self.otherwise))
                    self.say(f"fused: these networks are trained {how}, as together fails: {first_line(error)}")
                    self.aside = True
                self.pays[count] = False
            else:
                self.pays[count] = measured.pays
                self.aside = not measured.pays and count >= self.members  # of fewer it may be true that more would pay
                self.say(measured.words)
        return self.pays[count]

    def _fewer(self, count: int) -> None:
        self.members = max(1, count // 2)
        self.say(f"fused: {count} networks together do not fit into memory; from now on {self.members}")

    def hindrance(self) -> str:
        """Why networks cannot be trained together here, as a key with its value; empty where they can."""
        own = self.standalone
        if not isinstance(own.data, ImageData):
            return "data=custom"
        if own.recipe.average != "none":
            return f"trainer.average={own.recipe.average}"
        if own.callbacks:
            return f"trainer.callbacks=[{own.callbacks[0].target}]"
        if own.device.precision == "16-mixed":  # one scale for all: a member whose loss is lost stops the others
            return "trainer.precision=16-mixed"
        return "trainer.compile=true" if own.device.compile else ""

    def compared(self, jobs: Sequence[Job]) -> Measured:
        """Times a few steps of these networks, together and one after the other in turn. They are forgotten."""
        own, strategy = self.standalone, self._strategy()
        by_itself = self.otherwise.standalone if isinstance(self.otherwise, Processes) else own
        device, cast = strategy.root_device, strategy.precision_plugin.forward_context
        together, alone = [], []
        with own.surroundings():
            all_of_them = _step(Together(self._of(jobs), own.recipe), own, device, cast, len(jobs))
            each = [_step(own.task(job), own, device, cast) for job in jobs]
            for _ in range(WARM_UP + STEPS):
                together.append(_timed(all_of_them, device))
                with threads(by_itself.threads):
                    alone.append(sum(_timed(step, device) for step in each))
        median = statistics.median
        return Measured(len(jobs), median(together[WARM_UP:]), median(alone[WARM_UP:]), at_once(self.otherwise))

    def _strategy(self) -> Any:
        with self.standalone.surroundings():
            return self.standalone.trainer().strategy

    def _train(self, jobs: Sequence[Job], report: Report, listen: Listen | None) -> list[Result] | None:
        """Their results; None where they do not fit into memory together."""
        own, start = self.standalone, time.monotonic()
        watches = [own.watch(job, report, listen) for job in jobs]
        try:
            with own.surroundings():
                task = self._fit(jobs, watches)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            self._fewer(len(jobs))
            return None  # and what they took is free again when they are trained one by one
        seconds = (time.monotonic() - start) / len(jobs)
        members = task.net
        assert isinstance(members, Members)
        results = []
        for number, (job, watch) in enumerate(zip(jobs, watches, strict=True)):
            if job.weights is not None and not watch.over:
                save_weights(members.alone(number), job.weights)
            tested = {} if watch.over else task.tallies[number].tested
            results.append(own.result(job, watch, tested, seconds))
        return results

    def _fit(self, jobs: Sequence[Job], watches: Sequence[Watch]) -> Together:
        own = self.standalone
        assert isinstance(own.data, ImageData)
        task = Together(self._of(jobs), own.recipe, own.metrics)
        images = ImagesOfEach(own.data, [job.seed for job in jobs])
        trainer = own.trainer(max_epochs=jobs[0].epochs, callbacks=[Watches(watches)])
        with interruptible():
            trainer.fit(task, datamodule=images)
            if jobs[0].test:
                trainer.test(task, datamodule=images, verbose=False)
        return task

    def _of(self, jobs: Sequence[Job]) -> Members:
        own = self.standalone
        cargo = cargo_of([job.config for job in jobs], own.traced.sites)
        supernet = Supernet(own.build(), own.traced, cargo)
        return Members(supernet, [(own.network(job).state_dict(), job.config) for job in jobs])


def _batches(jobs: Iterator[Job | None], most: Callable[[], int]) -> Iterator[list[Job]]:
    """As many as there are without a result in between, as many at a time as `most` says by then."""
    batch: list[Job] = []
    for job in jobs:
        if job is not None:
            batch.append(job)
        if batch and (job is None or len(batch) >= most()):
            yield batch
            batch = []
    if batch:
        yield batch


def _step(
    task: Classification,
    own: Standalone,
    device: torch.device,
    cast: Callable[[], AbstractContextManager[None]],
    members: int | None = None,
) -> Callable[[], None]:
    """A step of the optimizer on random images: (B, C, H, W), or (B, members, C, H, W) of several."""
    task.to(device).train()
    of_each = () if members is None else (members,)
    images = torch.rand(own.data.batch_size, *of_each, *own.data.shape, device=device)
    labels = torch.randint(len(own.data.classes), (own.data.batch_size, *of_each), device=device)
    optimizer = OPTIMIZERS[own.recipe.optimizer](task.parameters(), lr=own.recipe.lr)

    def step() -> None:
        with cast():
            loss = task.loss(task(images), labels).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _timed(step: Callable[[], None], device: torch.device) -> float:
    start = time.perf_counter()
    step()
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter() - start
