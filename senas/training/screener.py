"""Which proposals are worth a training, asked of weights that all configurations of a space share.

They are trained once there are enough stand-alone trainings to tell what they are worth, and are no judge even then:
whatever counts in a study was trained by itself.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from senas.core.config import SEConfig
from senas.core.objective import Scores, bare
from senas.core.sampling import SAMPLINGS
from senas.core.screening import Compared, Contenders, Screened, trained_first, worth
from senas.core.space import SearchSpace
from senas.core.trial import Job, Status, Trial
from senas.model.carried import cargo_of_space
from senas.model.supernet import Supernet
from senas.model.weights import put_weights
from senas.training.augment import Augmentation
from senas.training.batches import Shuffled
from senas.training.data import ImageData
from senas.training.shared import Shared, measured
from senas.training.standalone import Standalone, save_weights
from senas.training.surroundings import first_line, interruptible, out_of_memory

CALIBRATION = 512
"""Training images, at least, over which a configuration's statistics of batch norm are taken."""
LOST = "so shared weights step aside, and every proposal is trained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How weights are shared.

    trainings:  configurations that are trained by themselves before.
    sampling:   which configurations a step of the optimizer is on: one of SAMPLINGS.
    distill:    whether the others of a step learn from the first one.
    folder:     where the shared weights are kept, so that a study that is resumed need not train them again.
    study:      which study they are of, as part of a file's name.
    """

    trainings: int
    sampling: str
    distill: bool
    epochs: int
    seed: int
    folder: Path
    study: str = ""

    @property
    def file(self) -> Path:
        """Named by all that they are trained with: the study, and what it may change of that."""
        parts = ("shared", self.study, self.sampling, "distilled" * self.distill, str(self.epochs), "epochs")
        return self.folder / f"{'-'.join(part for part in parts if part)}.safetensors"


@dataclass
class Screener:
    """Answers as `core.screening.Screen` says. What it says hangs on the trials it is handed, and on the study's seed.

    own:     what trains configurations by themselves: data, backbone and recipe are those of its.
    say:     told in a line what goes on.
    scores:  of configurations by shared weights, as far as they were measured; None until the weights are there.
    first:   the configurations that were trained by themselves, and measured first.
    """

    own: Standalone
    space: SearchSpace
    contenders: Contenders
    sharing: Sharing
    say: Callable[[str], None]
    aside: bool = False
    scores: dict[SEConfig, Scores] | None = None
    first: tuple[SEConfig, ...] = ()
    supernet: Supernet | None = None
    calibration: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def hindrance(self) -> str:
        """Why weights cannot be shared here, as a key with its value; empty where they can."""
        return "" if isinstance(self.own.data, ImageData) else "data=custom"

    def __call__(self, job: Job, trials: Sequence[Trial]) -> Screened:
        if self.aside:
            return Screened({})
        if self.scores is None:
            alone = trained_first(trials, self.sharing.trainings, self.contenders.metric)
            if len(alone) < self.sharing.trainings:
                return Screened({})
            self._try(lambda: self._compare(alone))
        if self.aside or not self._try(lambda: self._measured(job.config)):
            return Screened({})
        assert self.scores is not None
        found = self.scores[job.config]
        if not self._finite(found):
            return Screened({})  # it may be the fault of the shared weights
        known = {trial.config: trial.scores for trial in trials if trial.status is Status.COMPLETE}
        first = {config: {**known[config], **self.scores[config]} for config in self.first}
        seen = {trial.config: trial.scores for trial in trials if self.contenders.shared in trial.scores}
        reason = self.contenders.reason(job.config, {**job.costs, **found}, {**first, **seen})
        return Screened(found, reason)

    def _try(self, what: Callable[[], object]) -> bool:
        """Whether it could be done; where it could not, shared weights step aside."""
        try:
            with self.own.surroundings():
                what()
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            why = "do not fit into memory" if out_of_memory(error) else "cannot be trained or measured here"
            self.say(f"supernet: shared weights {why} ({first_line(error)}), {LOST}")
            self._step_aside()
        return not self.aside

    def _step_aside(self) -> None:
        """For good; what they took is free again."""
        self.aside, self.supernet, self.calibration = True, None, []

    def _compare(self, alone: dict[SEConfig, float]) -> None:
        """Makes the shared weights, which step aside where they do not rank these configurations as their own trainings
        do."""
        self._train()
        start = time.monotonic()
        self.scores, self.first = {}, tuple(alone)
        shared = [self._measured(config) for config in alone]
        self.say(f"supernet: {len(alone)} configurations measured with them in {time.monotonic() - start:.1f} s")
        if lost := sum(not self._finite(scores) for scores in shared):
            self.say(f"supernet: with shared weights {lost} of {len(alone)} losses are not finite, {LOST}")
            self._step_aside()
            return
        name, sign = self.contenders.shared, -1 if bare(self.contenders.metric) != self.contenders.metric else 1
        found = worth(
            Compared(
                sign * np.array([scores[name] for scores in shared]),
                np.array(list(alone.values())),
                np.array([float(len(config)) for config in alone]),
            ),
            seed=self.sharing.seed,
        )
        self.say(found.words)
        if not found.ranks:
            self._step_aside()

    def _finite(self, scores: Scores) -> bool:
        return math.isfinite(scores.get(self.contenders.shared, math.nan))

    def _measured(self, config: SEConfig) -> Scores:
        """The score that ranks, by shared weights."""
        assert self.scores is not None
        assert self.supernet is not None
        if config not in self.scores:
            validation = map(self._near, self.own.data.val_dataloader())
            scores = measured(self.supernet, config, self.calibration, validation, self.own.metrics)
            name = bare(self.contenders.metric)
            self.scores[config] = {self.contenders.shared: scores[name]} if name in scores else {}
        return self.scores[config]

    def _train(self) -> None:
        """Weights, from the study's seed, or from an earlier run of the study; and what they are measured with."""
        own, sharing = self.own, self.sharing
        trainer = own.trainer(
            max_epochs=sharing.epochs,
            gradient_clip_val=own.recipe.clip,
            accumulate_grad_batches=own.recipe.accumulate,
        )
        assert isinstance(own.data, ImageData)
        own.data.seed = sharing.seed
        own.data.reside(trainer.strategy.root_device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(sharing.seed)
            supernet = Supernet(own.build(), own.traced, cargo_of_space(self.space), sliced=True, seed=sharing.seed)
            self.supernet, net = supernet, supernet.net
            if own.recipe.channels_last:
                net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            if not self._kept(net):
                steps = SAMPLINGS[sharing.sampling](self.space, sharing.seed)
                self.say(
                    f"supernet: training weights that all configurations share, {sharing.epochs} epochs, "
                    f"{sharing.sampling}{' distilled' * sharing.distill}: {own.data.batches} steps an epoch of "
                    f"{len(next(steps))} configurations each"
                )
                start = time.monotonic()
                task = Shared(supernet, steps, own.recipe, distill=sharing.distill)
                with interruptible():
                    trainer.fit(task, train_dataloaders=self._batches(own.data.augmentation))
                save_weights(net.state_dict(), sharing.file)
                self.say(f"supernet: shared weights trained in {time.monotonic() - start:.1f} s")
        net.to(trainer.strategy.root_device)
        enough = -(-CALIBRATION // own.data.batch_size)
        batches = (self._near((images, labels)) for images, labels, *_ in self._batches(Augmentation()))
        self.calibration = [batch for batch, _ in zip(batches, range(enough), strict=False)]

    def _kept(self, net: nn.Module) -> bool:
        """Whether an earlier run left them, in which case they are there again, in the precision that they had."""
        if not self.sharing.file.exists():
            return False
        try:
            kept = load(self.sharing.file.read_bytes())
        except SafetensorError:  # a disk that failed
            return False
        shapes = [{name: tensor.shape for name, tensor in state.items()} for state in (kept, net.state_dict())]
        if shapes[0] != shapes[1]:  # of another version of the backbone's library
            return False
        net.to(next(tensor.dtype for tensor in kept.values() if tensor.is_floating_point()))
        put_weights(net, kept)
        self.say(f"supernet: shared weights of an earlier run, {self.sharing.file}")
        return True

    def _batches(self, augmentation: Augmentation) -> Shuffled:
        """The training part, a batch at a time."""
        assert isinstance(self.own.data, ImageData)
        loader = self.own.data.train_dataloader()
        return Shuffled(loader.sampler, 1, loader.take, augmentation)

    def _near(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """On the device of the weights, in their precision."""
        assert self.supernet is not None
        weight = next(self.supernet.net.parameters())
        images, labels = batch
        return images.to(weight), labels.to(weight.device)
