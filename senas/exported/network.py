"""The network that an se.yaml describes, with its weights, and its SE configuration on other networks."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from senas.core.backbone import Backbone
from senas.core.block import SEBlock
from senas.core.config import SEConfig
from senas.core.site import Site
from senas.core.trust import is_trusted, packages, suggested
from senas.errors import ConfigError, ExportError, SpaceError, SurgeryError
from senas.exported import bounds
from senas.exported.growth import bounded
from senas.exported.package import Exported, read
from senas.model.backbones import build
from senas.model.cost import params
from senas.model.own import Own, own_of
from senas.model.sites import Traced, trace
from senas.model.surgery import insert
from senas.model.weights import put_weights

WEIGHTS_FILE = "weights.safetensors"
KEEP = ("width", "ratio")
Trust = str | Sequence[str]


def network(exported: Exported, *, backbone: Own | None = None, trust: Trust = ()) -> nn.Module:
    """The network that an export describes, with fresh weights. Nothing is fetched.

    backbone:  what builds it, or the network itself, where it is not of a library.
    trust:     packages that the export may import it from.
    Raises ExportError where senas cannot build it, or where it is larger than anything that a study trains.
    """
    try:
        own = _own(exported, backbone, trust)
        traced = _traced(exported, own)
        return insert(_build(exported, own), exported.config, traced)
    except (SpaceError, SurgeryError, RuntimeError) as error:
        cause = str(error).splitlines()[0]
        raise ExportError(f"this SE configuration does not fit its backbone: {cause}") from error


def check(exported: Exported, *, backbone: Own | None = None, trust: Trust = ()) -> None:
    """Raises ExportError as `network` does, which this builds without giving it memory."""
    try:
        _traced(exported, _own(exported, backbone, trust))
    except (SpaceError, SurgeryError, RuntimeError) as error:
        cause = str(error).splitlines()[0]
        raise ExportError(f"this SE configuration does not fit its backbone: {cause}") from error


def _own(exported: Exported, given: Own | None, trust: Trust) -> Own | None:
    """What builds a custom backbone: what was handed over, or what the export names, where that is trusted."""
    backbone = _backbone(exported)
    if backbone.target is None:
        if given is not None:
            raise ExportError(f"this export is of {backbone.name}, which senas builds; leave backbone= out")
        return None
    if given is not None:
        return _handed_over(given, backbone)
    if not is_trusted(backbone.target, packages(trust)):
        raise ExportError(
            f"this export is of a backbone of somebody's own, {backbone.target}, and a file imports no code: hand it "
            f'over as backbone=..., or trust its package: trust="{suggested(backbone.target)}"'
        )
    try:
        return own_of(backbone)
    except ConfigError as error:
        raise ExportError(str(error)) from error


def _handed_over(given: Own, backbone: Backbone) -> Own:
    """A network has been built already, so that the arguments of the export are left out; a function must take them."""
    if isinstance(given, nn.Module):
        return lambda **arguments: copy.deepcopy(given)
    try:
        signature(given).bind_partial(**backbone.args)
    except TypeError as error:
        raise ExportError(
            f"backbone: {getattr(given, '__name__', given)!s:.60} does not take the arguments that the network was "
            f"built with, {', '.join(f'{key}={value!r:.60}' for key, value in backbone.args.items())} ({error}); "
            "let it take them, or hand over the network itself"
        ) from error
    except ValueError:  # of something compiled
        pass
    return given


def _backbone(exported: Exported) -> Backbone:
    return Backbone.from_plain({k: v for k, v in exported.backbone.items() if k not in ("classes", "channels")})


def _build(exported: Exported, own: Own | None) -> nn.Module:
    told = exported.backbone
    size = exported.shape[1:]
    try:
        return build(_backbone(exported), classes=told["classes"], channels=told["channels"], size=size, own=own)
    except ConfigError as error:
        raise ExportError(str(error)) from error


def _traced(exported: Exported, own: Own | None) -> Traced:
    """The backbone of an export, traced without giving it memory. Code of the caller's own is not bounded."""
    if own is not None:
        backbone = _build(exported, own)
    else:
        with bounded():
            backbone = _build(exported, own)
    bounds.parameters(params(backbone))
    how = _backbone(exported)
    traced = trace(backbone, exported.shape, strip_se=how.strip_se, leaves=how.leaves, modules=how.modules)
    bounds.parameters(params(backbone) + exported.config.params(traced.sites))
    return traced


def load(folder: Path | str, *, backbone: Own | None = None, trust: Trust = ()) -> nn.Module:
    """The exported network with its trained weights, in eval mode: normalised images (B, C, H, W) -> logits.

    backbone:  for an export of a backbone of one's own: the function or class that builds it, or the network itself,
               of which a copy is made. Libraries' are built by senas.
    trust:     or the package that the export may import it from, or several. No file imports anything else.

    `read` on the same folder says how images are normalised, and what the classes are called.
    Raises ExportError for files that are missing, corrupt or do not belong together, and for code without trust.
    """
    net = network(read(folder), backbone=backbone, trust=trust)
    return with_weights(net, Path(folder) / WEIGHTS_FILE)


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
        put_weights(net, weights)
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
    strip_se: bool | None = None,
    leaves: Sequence[str] | None = None,
    modules: Sequence[str] | None = None,
    backbone: Own | None = None,
    trust: Trust = (),
) -> nn.Module:
    """A copy of `module` with an SE configuration in it: a value, or an se.yaml or its folder. `module` stays as it is.

    example_input:  an image batch (B, C, H, W), or the shape (C, H, W) of an image.
    keep:           what is kept where `module` has other widths than the network of the search. `width`: the hidden
                    widths as they are written, so that on a site with more channels the same width is a larger ratio.
                    `ratio`: hidden units per channel, so that a site with twice the channels gets twice the hidden
                    width (rounded down, at least 1); this needs an se.yaml, which knows that network.
    strip_se, leaves, modules: how the sites of `module` are found, see `core.backbone.Backbone`; None: as the file says
                    of the network of the search, nothing where there is only a value.
    backbone, trust: as for `load`; read with keep="ratio" only, which builds that network.
    Sites that the configuration does not name stay without SE.
    Raises SpaceError where the module lacks a site of the configuration, naming it; SurgeryError where it cannot be
    traced; ConfigError for another `keep`, or a ratio of a configuration that is only a value; ExportError for a file
    that cannot be read, or asks for more than a network can have.
    """
    if keep not in KEEP:
        raise ConfigError(f'keep must be one of {", ".join(KEEP)}, got "{keep}"')
    shape = tuple(example_input.shape[1:]) if isinstance(example_input, Tensor) else tuple(example_input)
    exported = None if isinstance(configuration, SEConfig) else read(configuration)
    how = _backbone(exported) if exported else Backbone(name="own")
    traced = trace(
        module,
        shape,
        strip_se=how.strip_se if strip_se is None else strip_se,
        leaves=how.leaves if leaves is None else leaves,
        modules=how.modules if modules is None else modules,
    )
    if isinstance(configuration, SEConfig):
        if keep == "ratio":
            raise ConfigError(
                'keep="ratio" needs the se.yaml: an SEConfig does not know how many channels its sites had'
            )
        return insert(module, configuration, traced)
    assert exported is not None
    config = exported.config
    if keep == "ratio":
        before = _traced(exported, _own(exported, backbone, trust))
        config = _same_ratios(config, before.sites, traced.sites)
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
