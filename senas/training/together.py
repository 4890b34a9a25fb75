"""Several networks of one form that learn at once: every operation is one for all of them, and each is its own.

`torch.func.vmap` over their stacked weights makes K small operations one large one, which pays where launching them is
what costs. Nothing is shared but the operations: gradients, clipping, optimizer and batch norm are each member's own,
so that one whose loss is lost leaves the others as they would be without it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from senas.core.config import SEConfig
from senas.core.recipe import Recipe
from senas.model.supernet import Supernet
from senas.training.batches import Chunk, Shuffled, seed_of
from senas.training.data import ImageData
from senas.training.metric import OwnMetric
from senas.training.tally import Tally
from senas.training.task import Classification, wide
from senas.training.watch import Watch


class Members(nn.Module):
    """K networks as one module: images (B, K, C, H, W), or (B, C, H, W) for all of them, -> logits (B, K, classes).

    members:  the state of each one's stand-alone network, and its configuration, which `supernet` carries.
    """

    def __init__(self, supernet: Supernet, members: Sequence[tuple[Mapping[str, Tensor], SEConfig]]) -> None:
        super().__init__()
        self.supernet, self.configs = supernet, [config for _, config in members]
        parameters, buffers = supernet.stacked(members)
        self._names, self._buffer_names = list(parameters), list(buffers)
        self.stacked = nn.ParameterList(nn.Parameter(p.detach(), p.requires_grad) for p in parameters.values())
        for number, buffer in enumerate(buffers.values()):
            self.register_buffer(f"buffer{number}", buffer)

    def forward(self, images: Tensor) -> Tensor:
        per_member = 1 if images.dim() == 5 else None
        if self.supernet.net.training is not self.training:  # Lightning sets this flag without calling `train`
            self.supernet.net.train(self.training)
        parameters = dict(zip(self._names, self.stacked, strict=True))

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], own: Tensor) -> Any:
            return functional_call(self.supernet.net, (parameters, buffers), (own,))

        each = vmap(one, in_dims=(0, 0, per_member), out_dims=1, randomness="different")
        logits: Tensor = each(parameters, self._buffers_by_name(), images)
        return logits

    def alone(self, member: int) -> dict[str, Tensor]:
        """The state of a member's stand-alone network. Copies."""
        state = {**dict(zip(self._names, self.stacked, strict=True)), **self._buffers_by_name()}
        own = {name: tensor[member].detach() for name, tensor in state.items()}
        return self.supernet.extract(own, self.configs[member])

    def _buffers_by_name(self) -> dict[str, Tensor]:
        return {name: self.get_buffer(f"buffer{number}") for number, name in enumerate(self._buffer_names)}


class Together(Classification):
    """As `Classification`, for `Members`: each one's loss and scores are those of its own images.

    tallies:  of each member, in order.
    """

    def __init__(self, members: Members, recipe: Recipe, metrics: Sequence[OwnMetric] = ()) -> None:
        super().__init__(members, recipe)
        self.tallies = [Tally(metrics) for _ in members.configs]

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.net(images)
        return wide(logits)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        smoothing, (batch, members, classes) = self.recipe.label_smoothing, logits.shape
        each = F.cross_entropy(
            logits.reshape(-1, classes), labels.reshape(-1), label_smoothing=smoothing, reduction="none"
        )
        return each.reshape(batch, members).mean(0)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if self.recipe.clip is None:
            return
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        norms = torch.stack([torch.linalg.vector_norm(g.reshape(len(g), -1), dim=1) for g in gradients])
        norm = torch.linalg.vector_norm(norms, dim=0)
        share = (self.recipe.clip / (norm + 1e-6)).clamp(max=1.0)  # as torch.nn.utils.clip_grad_norm_ has it
        for gradient in gradients:
            gradient.mul_(share.reshape(-1, *[1] * (gradient.dim() - 1)))

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        for tally, logits in zip(self.tallies, self(images).unbind(1), strict=True):
            tally.validated(logits, labels)

    def on_validation_epoch_end(self) -> None:
        for tally, loss in zip(self.tallies, self.running_losses(), strict=True):
            tally.validation_ended(loss)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch
        for tally, logits in zip(self.tallies, self(images).unbind(1), strict=True):
            tally.measured(logits, labels)

    def on_test_epoch_end(self) -> None:
        for tally in self.tallies:
            tally.test_ended()


class ImagesOfEach(pl.LightningDataModule):
    """The batches of each member, in the order that its seed gives, and the same images for all to be measured on."""

    def __init__(self, data: ImageData, seeds: Sequence[int]) -> None:
        super().__init__()
        self.data, self.seeds = data, seeds
        self.batches = data.batches

    def setup(self, stage: str) -> None:
        assert self.trainer is not None
        self.data.reside(self.trainer.strategy.root_device)

    def train_dataloader(self) -> "_Beside":
        loaders = []
        for seed in self.seeds:
            self.data.seed = seed
            loaders.append(self.data.train_dataloader())
        return _Beside(loaders)

    def val_dataloader(self) -> Any:
        return self.data.val_dataloader()

    def test_dataloader(self) -> Any:
        return self.data.test_dataloader()


class _Beside:
    """Chunks of several loaders as one: images (k * batch_size, K, C, H, W), labels (k * batch_size, K).

    Lightning looks for `set_epoch` on `sampler`.
    """

    batch_sampler = None

    def __init__(self, loaders: Sequence[Shuffled]) -> None:
        self.loaders, self.sampler = loaders, self

    def set_epoch(self, epoch: int) -> None:
        for loader in self.loaders:
            loader.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.loaders[0])

    def __iter__(self) -> Iterator[Chunk]:
        for chunks in zip(*self.loaders, strict=True):
            images = torch.stack([chunk.images for chunk in chunks], dim=1)
            yield Chunk(images, torch.stack([chunk.labels for chunk in chunks], dim=1), chunks[0].batch_size)


class Watches(pl.Callback):
    """What `Watch` does, for each member by itself. Training stops when every one is to stop."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self.watches = watches

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        task = _task(pl_module)
        task.stepped.append(lambda: self._speak(trainer, task))

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == 0:  # what is random inside the networks is drawn anew for each member
            torch.manual_seed(seed_of(self.watches[0].seed, trainer.current_epoch))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for watch, tally in zip(self.watches, _task(pl_module).tallies, strict=True):
            if not watch.over:
                watch.hear(tally, trainer.max_epochs)
        trainer.should_stop = trainer.should_stop or all(watch.over for watch in self.watches)

    def _speak(self, trainer: pl.Trainer, task: Together) -> None:
        if not any(watch.due for watch in self.watches):
            return
        done = min(task.batches / (task.whole + sum(trainer.num_val_batches)), 1.0)
        for watch, loss in zip(self.watches, task.running_losses(), strict=True):
            if not watch.over:
                watch.speak(done, trainer.global_step, loss)


def _task(module: pl.LightningModule) -> Together:
    assert isinstance(module, Together)
    return module
