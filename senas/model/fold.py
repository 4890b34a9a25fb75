"""Constant gates folded into the layers around them: exact algebra, after which no trace of their blocks is left.

A gate that multiplies each channel by a constant can be left out where all that is scaled together with what it reads
is made as much smaller, or all that is scaled together with what it gives as much larger on its way in. `ties` says
what these are: mostly the convolution or batch normalisation beside the gate, and on a residual stream all layers that
write to it and read it. Which side takes the factors, `balance` decides.

What folds where:

- `standard`, `inner` and others that alone read a convolution or norm, perhaps through ReLUs and poolings: into its
  outputs.
- `pre`, and all that only convolutions, linear layers and batch norms read: into their inputs.
- `post`, `post_before_relu`, `identity`, between two sums: into all layers on the residual stream, before the gate or
  behind it. So `identity` on a bare shortcut goes where the stream has nothing but ReLUs, poolings and sums, as in
  ResNets, or nothing at all, as in MobileNetV2 and EfficientNet.
- Between what has no scale on both sides it stays: SiLU, GELU, Hardswish, ReLU6 and sigmoid; layer norm; a product; the
  image and the output; a layer that is called twice, shares its weights, or has hooks.

The folded network is exact in eval mode. Trained further it is another network than the one with constant gates: batch
norm then takes its statistics from the batch, in which the factors are.
"""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from senas.core.config import SEConfig
from senas.model.absorb import absorb
from senas.model.balance import Scales, balance
from senas.model.gates import gate_paths
from senas.model.sites import Traced
from senas.model.surgery import cuts, insert, rewired
from senas.model.ties import Ties
from senas.model.weights import put_weights


class Folded(NamedTuple):
    """A network without the blocks that were folded, its configuration, and, by site, why others stayed, in words."""

    net: nn.Module
    config: SEConfig
    stayed: dict[str, str]


def fold(
    backbone: nn.Module, net: nn.Module, config: SEConfig, traced: Traced, factors: Mapping[str, Tensor]
) -> Folded:
    """`net` with the gates of these sites folded into its layers, as far as that can be; `net` itself is not touched.

    backbone:  as it was handed to `insert`, or another of the same structure; not touched either.
    net:       what `insert(backbone, config, traced)` made, with any weights.
    factors:   (C,) for each site whose gate is constant, not negative; sites that come first are folded first.
    In eval mode it computes what `net` would with these gates constant, but for rounding. It is
    `insert(backbone, folded.config, traced)` with other weights: of the same class, and with the same keys.
    """
    paths = gate_paths(backbone, config, traced)
    scales, stayed = _scales(backbone, net, config, traced, factors)
    smaller = SEConfig({site: block for site, block in config.items() if site not in factors or site in stayed})
    state = {name: tensor.detach() for name, tensor in net.state_dict().items()}
    if scales is not None:
        for layer, reads, gives in scales.layers:
            absorb(state, layer.path, layer.module, reads, gives)
    folded = insert(backbone, smaller, traced)
    like = next((tensor for tensor in net.parameters() if tensor.is_floating_point()), None)
    if like is not None:
        folded.to(device=like.device, dtype=like.dtype)
    new_paths = gate_paths(backbone, smaller, traced)
    put_weights(folded, _renamed(state, paths, new_paths))
    return Folded(folded.train(net.training), smaller, stayed)


def stays(
    backbone: nn.Module, net: nn.Module, config: SEConfig, traced: Traced, factors: Mapping[str, Tensor]
) -> dict[str, str]:
    """Why the gates of these sites would stay in `fold`, in words; nothing for those that would be folded."""
    return _scales(backbone, net, config, traced, factors)[1]


def _scales(
    backbone: nn.Module, net: nn.Module, config: SEConfig, traced: Traced, factors: Mapping[str, Tensor]
) -> tuple[Scales | None, dict[str, str]]:
    """What each layer takes, and why sites stay: each round leaves out those that cannot be folded with the others."""
    if traced.graph is None:
        return None, dict.fromkeys(factors, "the network is not traced (backbone.modules), so its layers are not known")
    stayed = {site: why for site, given in factors.items() if (why := _impossible(given))}
    graph = rewired(traced.graph, cuts(backbone, config, traced))
    paths = gate_paths(backbone, config, traced)
    while wanted := {site: given for site, given in factors.items() if site not in stayed}:
        ties = Ties(net, graph, {paths[site] for site in wanted})
        scales, left_out = balance(ties, {site: (*ties.gates[paths[site]], given) for site, given in wanted.items()})
        if not left_out:
            return scales, {site: stayed[site] for site in factors if site in stayed}
        stayed |= left_out
    return None, {site: stayed[site] for site in factors}


def _impossible(factors: Tensor) -> str:
    if not bool(factors.isfinite().all()):
        return "its factors are not finite numbers"
    return (
        ""
        if bool((factors >= 0).all())
        else f"a factor is negative ({float(factors.min()):.3g}), which no ReLU lets by"
    )


def _renamed(state: Mapping[str, Tensor], old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, Tensor]:
    """Without the blocks that are gone, and with the names that the others have without them."""
    gone = tuple(f"{path}." for site, path in old.items() if site not in new)
    moved = {f"{path}.": f"{new[site]}." for site, path in old.items() if site in new and new[site] != path}
    found = {}
    for name, tensor in state.items():
        if not name.startswith(gone):
            before = next((path for path in moved if name.startswith(path)), "")
            found[moved.get(before, "") + name.removeprefix(before)] = tensor
    return found
