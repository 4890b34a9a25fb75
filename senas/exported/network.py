"""The network that an se.yaml describes, with its weights, and its SE configuration on other networks."""

from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from senas.core.config import SEConfig
from senas.errors import ExportError, SpaceError
from senas.exported.package import Exported, read
from senas.model.backbones import build
from senas.model.sites import trace
from senas.model.surgery import insert

WEIGHTS_FILE = "weights.safetensors"


def network(exported: Exported) -> nn.Module:
    """The network that an export describes, with fresh weights. Raises ExportError where senas cannot build it."""
    known = {"name", "classes", "channels", "width"}
    if not {"name", "classes", "channels"} <= set(exported.backbone) <= known:
        raise ExportError(f"backbone: it needs name, classes and channels, got {', '.join(exported.backbone)}")
    try:
        backbone = build(**exported.backbone)
        return insert(backbone, exported.config, trace(backbone, exported.shape))
    except (SpaceError, TypeError, RuntimeError) as error:
        cause = str(error).splitlines()[0]
        raise ExportError(f"this SE configuration does not fit its backbone: {cause}") from error


def load(folder: Path | str) -> nn.Module:
    """The exported network with its trained weights, in eval mode: normalised images (B, C, H, W) -> logits.

    Raises ExportError for files that are missing, corrupt or do not belong together.
    """
    return with_weights(network(read(folder)), Path(folder) / WEIGHTS_FILE)


def with_weights(net: nn.Module, file: Path) -> nn.Module:
    """`net` with the weights of a safetensors file in it, in eval mode. Raises ExportError where they do not fit."""
    try:
        net.load_state_dict(load_file(file))
    except (OSError, SafetensorError) as error:
        raise ExportError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    except RuntimeError as error:
        raise ExportError(f"{file} holds the weights of another network: {_first_mismatch(error)}") from error
    return net.eval()


def _first_mismatch(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return lines[1] if len(lines) > 1 else lines[0]


def insert_se(
    module: nn.Module, configuration: SEConfig | Path | str, example_input: Tensor | Sequence[int]
) -> nn.Module:
    """A copy of `module` with an SE configuration in it: a value, or an se.yaml or its folder. `module` stays as it is.

    example_input:  an image batch (B, C, H, W), or the shape (C, H, W) of an image.
    Hidden widths are taken as they are: on a site with more channels the same width is a larger ratio. Sites that the
    configuration does not name stay without SE.
    Raises SpaceError where the module lacks a site of the configuration, naming it; SurgeryError where it cannot be
    traced.
    """
    config = configuration if isinstance(configuration, SEConfig) else read(configuration).config
    shape = tuple(example_input.shape[1:]) if isinstance(example_input, Tensor) else tuple(example_input)
    return insert(module, config, trace(module, shape))
