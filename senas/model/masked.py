"""An SE block as data: one module that is any of several blocks, or none, as its masks say.

The masks are buffers, so that a batch of them can be handed to `torch.func.functional_call`; nothing in a forward
branches on their values. Only what varies has a mask, and only squeezes and functions that are asked for are computed.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from senas.core.block import Activation, Block, Gate, SEBlock, Squeeze
from senas.model.carried import Carried
from senas.model.se import dense


class Masked(nn.Module):
    """`model/se.SqueezeExcitation` with its block as data. (B, C, H, W) -> (B, C, H, W).

    sliced:  whether a block narrower than the layers reads slices of weights that are not zero beyond it. Without,
             what is beyond a block has to be zero, and stays so in training: its gradient is exactly zero.
    Where it is off, what comes out is exactly what came in, and no gradient passes through its weights.
    """

    on: Tensor | None
    is_local: Tensor | None
    is_max: Tensor | None
    is_silu: Tensor | None
    is_hard: Tensor | None
    scale: Tensor | None  # of the sigmoid: 1 or 2
    rows: Tensor | None  # of fc1's weight that are the block's
    columns: Tensor | None  # of fc2's
    biases1: Tensor | None
    biases2: Tensor | None

    def __init__(self, carried: Carried, channels: int, *, sliced: bool) -> None:
        super().__init__()
        self.carried = carried
        self.fc1 = nn.Linear(channels, carried.hidden, bias=True in carried.biases)
        self.fc2 = nn.Linear(carried.hidden, channels, bias=True in carried.biases)
        if carried.gates == {Gate.TWICE_SIGMOID}:
            nn.init.zeros_(self.fc2.weight)  # starts as the identity, as the blocks that it stands for
            if self.fc2.bias is not None:
                nn.init.zeros_(self.fc2.bias)
        biased = self.fc1.bias is not None
        has = {
            "on": carried.optional,
            "is_local": Squeeze.LOCAL in carried.squeezes and len(carried.squeezes) > 1,
            "is_max": carried.squeezes >= {Squeeze.AVG, Squeeze.MAX},
            "is_silu": len(carried.activations) > 1,
            "is_hard": Gate.HARD_SIGMOID in carried.gates and len(carried.gates) > 1,
            "scale": carried.gates >= {Gate.SIGMOID, Gate.TWICE_SIGMOID},
            "rows": sliced,
            "columns": sliced,
            "biases1": biased and (sliced or len(carried.biases) > 1),
            "biases2": biased and (sliced or len(carried.biases) > 1),
        }
        widest = self.masks(_widest(carried))
        for name, asked in has.items():
            # Not in the state: which block it is, is no weight.
            self.register_buffer(name, widest[name] if asked else None, persistent=False)

    def masks(self, block: Block | None) -> dict[str, Tensor]:
        """The values of all masks for this block, on the CPU, those that it has no buffers for among them."""
        ours = block if isinstance(block, SEBlock) else None
        units = torch.arange(self.carried.hidden) < (ours.hidden if ours else 0)
        biased = torch.tensor(ours is not None and ours.bias)
        return {
            "on": torch.tensor(ours is not None),
            "is_local": torch.tensor(ours is not None and ours.squeeze is Squeeze.LOCAL),
            "is_max": torch.tensor(ours is not None and ours.squeeze is Squeeze.MAX),
            "is_silu": torch.tensor(ours is not None and ours.activation is Activation.SILU),
            "is_hard": torch.tensor(ours is not None and ours.gate is Gate.HARD_SIGMOID),
            "scale": torch.tensor(2.0 if ours is not None and ours.gate is Gate.TWICE_SIGMOID else 1.0),
            "rows": units[:, None],
            "columns": units,
            "biases1": units & biased,
            "biases2": biased,
        }

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self._squeeze(x)
        hidden = dense(squeezed, _kept(self.rows, self.fc1.weight), _kept(self.biases1, self.fc1.bias))
        inner = self._activation(hidden)
        gates = self._gate(dense(inner, _kept(self.columns, self.fc2.weight), _kept(self.biases2, self.fc2.bias)))
        if self.on is not None:
            gates = torch.where(self.on, gates, 1.0)
        return x * (gates if squeezed.ndim == 4 else gates[:, :, None, None])

    def _squeeze(self, x: Tensor) -> Tensor:
        if self.carried.squeezes == {Squeeze.LOCAL}:
            return x
        pooled = self._pooled(x)
        # Where some blocks are local, all are computed at every location; of one that is not, all locations are alike.
        return pooled if self.is_local is None else torch.where(self.is_local, x, pooled[:, :, None, None])

    def _pooled(self, x: Tensor) -> Tensor:
        if self.is_max is not None:
            return torch.where(self.is_max, x.amax((2, 3)), x.mean((2, 3)))
        return x.mean((2, 3)) if Squeeze.AVG in self.carried.squeezes else x.amax((2, 3))

    def _activation(self, x: Tensor) -> Tensor:
        if self.is_silu is not None:
            return torch.where(self.is_silu, F.silu(x), F.relu(x))
        return F.relu(x) if Activation.RELU in self.carried.activations else F.silu(x)

    def _gate(self, logits: Tensor) -> Tensor:
        if self.carried.gates == {Gate.HARD_SIGMOID}:
            return F.hardsigmoid(logits)
        gates = torch.sigmoid(logits)
        if self.scale is not None:
            gates = self.scale.to(gates.dtype) * gates
        elif Gate.TWICE_SIGMOID in self.carried.gates:
            gates = 2 * gates
        return gates if self.is_hard is None else torch.where(self.is_hard, F.hardsigmoid(logits), gates)

    def extra_repr(self) -> str:
        words = [*self.carried.squeezes, *self.carried.gates, *self.carried.activations]
        return f"h{self.carried.hidden} {' '.join(sorted(words))}{' or none' if self.carried.optional else ''}"


class Kept(nn.Module):
    """A block of the backbone's own, as the module that it is, or none."""

    on: Tensor | None

    def __init__(self, module: nn.Module, carried: Carried) -> None:
        super().__init__()
        self.module = module
        self.register_buffer("on", torch.tensor(True) if carried.optional else None, persistent=False)

    def masks(self, block: Block | None) -> Mapping[str, Tensor]:
        return {"on": torch.tensor(block is not None)}

    def forward(self, x: Tensor) -> Tensor:
        if self.on is None:
            return self.module(x)  # type: ignore[no-any-return]
        return torch.where(self.on, self.module(x.clone()), x)  # a copy: it may change what it gets in place


def _kept(mask: Tensor | None, tensor: Tensor) -> Tensor:
    # Not a product with the mask: 0 * inf is NaN.
    return tensor if mask is None else torch.where(mask, tensor, 0.0)


def _widest(carried: Carried) -> SEBlock:
    return SEBlock(
        hidden=carried.hidden,
        squeeze=min(carried.squeezes),
        gate=min(carried.gates),
        activation=min(carried.activations),
        bias=max(carried.biases),
    )
