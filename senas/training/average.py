"""Averages of the weights along a training, which are measured and kept in the place of the last ones.

Sources: Karras et al., "Analyzing and Improving the Training Dynamics of Diffusion Models", arXiv:2312.02696 (averages
of a constant relative length); Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization",
arXiv:1803.05407 (SWA).
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from senas.training.batches import Chunk
from senas.training.norms import counting, norms_of
from senas.training.seeded import undisturbed
from senas.training.task import Classification

EMA_POWER = 8.0
"""Weights of step s count as s to this power: the average lies 1 / (power + 2), a tenth of all steps so far, behind the
last one, whatever their number."""
SWA_SHARE = 0.25
"""The last part of the planned steps, whose weights SWA takes the mean of."""


def ema(step: int, planned: int) -> float:
    """What share of the average the weights after `step` (from 1) get: s^EMA_POWER for each s, added up."""
    return 1 - math.pow(1 - 1 / step, EMA_POWER + 1)


def swa(step: int, planned: int) -> float:
    """As `ema`: all of it before the last part of the training, then each step of that part the same."""
    return 1 / max(1, step - int(planned * (1 - SWA_SHARE)))


RULES: dict[str, Callable[[int, int], float]] = {"ema": ema, "swa": swa}


class Average(pl.Callback):
    """Averages the weights after each step, and has each validation measure the average.

    The training goes on from its own weights: what it does is, number by number, what it does without an average.
    Statistics of batch norm are averaged as the weights are by `ema`, and measured anew by `swa` where the mean is of
    more than one step: in a pass over the training images, with nothing but batch norm in training mode. Other buffers
    are those of the moment.
    """

    def __init__(self, kind: str) -> None:
        self.kind, self.rule = kind, RULES[kind]
        self.steps = 0  # of the optimizer
        self.mean: dict[str, Tensor] = {}  # float32 at least; by name in the network
        self.buffers: dict[str, Tensor] = {}  # all of them, as they were last measured
        self._pairs: tuple[list[Tensor], list[Tensor]] = [], []  # averages, and what they are of
        self._own: dict[str, Tensor] = {}

    def install(self, net: nn.Module) -> None:
        """Makes the network what was measured last, for good."""
        _fill(net, {**self.mean, **self.buffers})

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        now = self._averaged(_net(pl_module))
        wide = {name: torch.promote_types(tensor.dtype, torch.float32) for name, tensor in now.items()}
        start = self.mean or now
        self.mean = {n: start[n].to(now[n].device, wide[n], copy=True) for n in now}
        # Looked up once: the optimizer changes the tensors in their places.
        self._pairs = list(self.mean.values()), list(now.values())
        _task(pl_module).stepped.append(partial(self._step, _task(pl_module)))

    def _step(self, task: Classification) -> None:
        means, now = self._pairs
        self.steps += 1
        share = self.rule(self.steps, task.planned)
        newest = [tensor.to(mean.dtype) for mean, tensor in zip(means, now, strict=True)]
        get_ema_multi_avg_fn(1 - share)(means, newest, None)  # type: ignore[no-untyped-call]

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        net = _net(pl_module)
        self._own = _copied(net.state_dict())
        _fill(net, self.mean)
        if self.kind == "swa" and self.rule(self.steps, _task(pl_module).planned) < 1:
            _recalibrate(trainer, pl_module)
        self.buffers = _copied(dict(net.named_buffers()))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        _fill(_net(pl_module), self._own)
        self._own = {}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # Not from the trainer: in checkpoints from before there were chunks it counts other steps, that stay at 0.
        self.steps = checkpoint["global_step"]

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "buffers": self.buffers}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.mean, self.buffers = state_dict["mean"], state_dict["buffers"]

    def _averaged(self, net: nn.Module) -> dict[str, Tensor]:
        """The network's tensors that an average is taken of."""
        found = {name: parameter.detach() for name, parameter in net.named_parameters()}
        if self.kind == "ema":
            for path, module in norms_of(net).items():
                statistics = module.named_buffers(path)
                found |= {name: buffer for name, buffer in statistics if buffer.is_floating_point()}
        return found


def _recalibrate(trainer: pl.Trainer, task: pl.LightningModule) -> None:
    """Sets the statistics of batch norm to those of the network as it is, over the batches of this epoch."""
    norms = norms_of(_net(task))
    if not norms:
        return
    batches: Any = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
    batches.sampler.set_epoch(trainer.current_epoch)
    with undisturbed(task.device), counting(norms), trainer.strategy.precision_plugin.forward_context():
        for given in batches:
            moved = trainer.strategy.batch_to_device(given)
            for images, _ in moved.batches() if isinstance(moved, Chunk) else (moved,):
                task(images)


def _task(module: pl.LightningModule) -> Classification:
    assert isinstance(module, Classification)
    return module


def _net(module: pl.LightningModule) -> nn.Module:
    return _task(module).net


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    with torch.inference_mode(False), torch.no_grad():
        return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _fill(net: nn.Module, tensors: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, own in net.state_dict().items():
            if name in tensors:
                own.copy_(tensors[name])
