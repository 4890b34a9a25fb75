"""The network that an se.yaml describes, with its weights, and its SE configuration on other networks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from senas.core.backbone import Backbone
from senas.core.block import SEBlock
from senas.core.config import SEConfig
from senas.core.site import Site
from senas.errors import ConfigError, ExportError, SpaceError, SurgeryError
from senas.exported import bounds
from senas.exported.package import Exported, read
from senas.model.backbones import build
from senas.model.cost import params
from senas.model.sites import Traced, trace
from senas.model.surgery import insert

WEIGHTS_FILE = "weights.safetensors"
KEEP = ("width", "ratio")


def network(exported: Exported) -> nn.Module:
    """The network that an export describes, with fresh weights.

    Raises ExportError where senas cannot build it, or where it is larger than anything that a study trains.
    """
    try:
        with torch.device("meta"):  # counted before it is given memory
            backbone_params = params(_build(exported))
        bounds.parameters(backbone_params)
        bounds.parameters(backbone_params + exported.config.params(_sites(exported)))
        backbone = _build(exported)
        return insert(backbone, exported.config, _trace(backbone, exported))
    except ConfigError as error:
        raise ExportError(str(error)) from error
    except (SpaceError, SurgeryError, RuntimeError) as error:
        cause = str(error).splitlines()[0]
        raise ExportError(f"this SE configuration does not fit its backbone: {cause}") from error


def _sites(exported: Exported) -> tuple[Site, ...]:
    """The sites of an export's backbone, found without giving it memory."""
    with torch.device("meta"):
        return _trace(_build(exported), exported).sites


def _build(exported: Exported) -> nn.Module:
    given = dict(exported.backbone)
    classes, channels = given.pop("classes"), given.pop("channels")
    return build(Backbone(**given), classes=classes, channels=channels)


def _trace(backbone: nn.Module, exported: Exported) -> Traced:
    how = {key: exported.backbone[key] for key in ("strip_se", "leaves", "modules") if key in exported.backbone}
    return trace(backbone, exported.shape, **how)


def load(folder: Path | str) -> nn.Module:
    """The exported network with its trained weights, in eval mode: normalised images (B, C, H, W) -> logits.

    `read` on the same folder says how images are normalised, and what the classes are called.
    Raises ExportError for files that are missing, corrupt or do not belong together.
    """
    return with_weights(network(read(folder)), Path(folder) / WEIGHTS_FILE)


def with_weights(net: nn.Module, file: Path) -> nn.Module:
    """`net` with the weights of a safetensors file in it, in eval mode.

    Floating-point weights of another precision are converted. Raises ExportError where they do not fit, and where one
    of them is not a finite number.
    """
    try:
        weights = load_file(file)
        if kinds := [
            name for name, held in net.state_dict().items() if name in weights and _other(weights[name], held)
        ]:
            raise ExportError(f"{file} holds {weights[kinds[0]].dtype} as {kinds[0]}, which is no such number")
        net.load_state_dict(weights)
    except (OSError, SafetensorError) as error:
        raise ExportError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    except RuntimeError as error:
        raise ExportError(f"{file} holds the weights of another network: {_first_mismatch(error)}") from error
    if broken := [name for name, tensor in net.state_dict().items() if not bool(tensor.isfinite().all())]:
        raise ExportError(f"{file} holds weights that are not finite numbers: {broken[0]}")
    return net.eval()


def _other(given: Tensor, held: Tensor) -> bool:
    return given.dtype != held.dtype and not (given.is_floating_point() and held.is_floating_point())


def _first_mismatch(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return lines[1] if len(lines) > 1 else lines[0]


def insert_se(
    module: nn.Module,
    configuration: SEConfig | Path | str,
    example_input: Tensor | Sequence[int],
    *,
    keep: str = "width",
) -> nn.Module:
    """A copy of `module` with an SE configuration in it: a value, or an se.yaml or its folder. `module` stays as it is.

    example_input:  an image batch (B, C, H, W), or the shape (C, H, W) of an image.
    keep:           what is kept where `module` has other widths than the network of the search. `width`: the hidden
                    widths as they are written, so that on a site with more channels the same width is a larger ratio.
                    `ratio`: hidden units per channel, so that a site with twice the channels gets twice the hidden
                    width (rounded down, at least 1); this needs an se.yaml, which knows that network.
    Sites that the configuration does not name stay without SE.
    Raises SpaceError where the module lacks a site of the configuration, naming it; SurgeryError where it cannot be
    traced; ConfigError for another `keep`, or a ratio of a configuration that is only a value; ExportError for a file
    that cannot be read, or asks for more than a network can have.
    """
    if keep not in KEEP:
        raise ConfigError(f'keep must be one of {", ".join(KEEP)}, got "{keep}"')
    shape = tuple(example_input.shape[1:]) if isinstance(example_input, Tensor) else tuple(example_input)
    traced = trace(module, shape)
    if isinstance(configuration, SEConfig):
        if keep == "ratio":
            raise ConfigError(
                'keep="ratio" needs the se.yaml: an SEConfig does not know how many channels its sites had'
            )
        return insert(module, configuration, traced)
    exported = read(configuration)
    config = exported.config
    if keep == "ratio":
        config = _same_ratios(config, _sites(exported), traced.sites)
    bounds.parameters(params(module) + config.params(traced.sites))
    return insert(module, config, traced)


def _same_ratios(config: SEConfig, before: Sequence[Site], sites: Sequence[Site]) -> SEConfig:
    """The configuration with each hidden width grown as the channels that its block sees."""
    channels = {site.name: site.seen(block).channels for site, block in config.on(before)}
    return SEConfig(
        {
            site.name: replace(block, hidden=max(1, block.hidden * site.seen(block).channels // channels[site.name]))
            if isinstance(block, SEBlock)
            else block
            for site, block in config.on(sites)
        }
    )
