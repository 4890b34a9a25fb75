"""What SE configurations are trained with, whether in a study or not: data, backbone, sites, and the evaluator."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import make_dataclass
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from senas.app.checks import axes, device, recipe
from senas.app.checks import backbone as backbone_of
from senas.app.schema import BackboneConfig, SpaceConfig, TrainerConfig
from senas.core.latency import Latency, Timing
from senas.core.site import Site
from senas.core.space import SearchSpace, check_ratios, search_space
from senas.errors import ConfigError
from senas.model import latency
from senas.model.backbones import Builder
from senas.model.sites import Traced, trace
from senas.report.console import Terminal
from senas.report.reading import Reading
from senas.training.augment import Augmentation
from senas.training.callback import own_callbacks
from senas.training.data import Images
from senas.training.datasets import DATASETS
from senas.training.standalone import Standalone

BATCH_FOR_LOOKING = 1
"""Batch size where data are only looked at."""


def backbone_on_data(
    backbone: BackboneConfig, data: Mapping[str, Any], batch_size: int = BATCH_FOR_LOOKING
) -> tuple[Images, Builder, Traced]:
    """The data, what builds the backbone for them, and the backbone traced."""
    wanted, images = backbone_of(backbone), _data(data, batch_size)
    if wanted.size:
        images.resize(wanted.size)
    channels, *size = images.shape
    construct = Builder(wanted, classes=len(images.classes), channels=channels, size=(size[0], size[1]))
    images.repeat_channels(construct.channels)
    traced = trace(construct(), images.shape, strip_se=wanted.strip_se, leaves=wanted.leaves, modules=wanted.modules)
    return images, construct, traced


class Bench(NamedTuple):
    """What SE configurations are trained with."""

    data: Images
    backbone: Builder
    traced: Traced
    evaluator: Standalone


def bench(backbone: BackboneConfig, data: Mapping[str, Any], trainer: TrainerConfig) -> Bench:
    """Data, the backbone, its sites, and what trains SE configurations of it on them."""
    images, builder, traced = backbone_on_data(backbone, data, trainer.batch_size)
    wanted = recipe(trainer)
    images.augment(Augmentation(wanted.flip, wanted.crop))
    evaluator = Standalone(builder, traced, images, wanted, device(trainer))
    evaluator.callbacks = own_callbacks(trainer.callbacks)
    return Bench(images, builder, traced, evaluator)


def found_again(weights: str | None) -> str | None:
    """Initial weights as they are named from any working directory."""
    return str(Path(weights).absolute()) if weights and Path(weights).is_file() else weights


def space_on(sites: Sequence[Site], config: SpaceConfig) -> SearchSpace:
    """The search space on a backbone's sites. Raises SpaceError where it cannot be."""
    wanted = axes(config)
    check_ratios(sites, wanted)
    return search_space(sites, wanted)


def stopwatch(net: Any, *, example: Sequence[int], timing: Timing) -> Latency:
    """Latency of a network for images of shape `example`."""
    return stopwatches([net], example=example, timing=timing)[0]


def stopwatches(nets: Sequence[Any], *, example: Sequence[int], timing: Timing) -> list[Latency]:
    """Latencies of several networks, measured in turn."""
    if timing.runtime == "onnx":
        from senas.exported.runtime import onnx_runtime

        return latency.latencies(nets, example, timing, onnx_runtime)
    return latency.latencies(nets, example, timing)


def _data(config: Mapping[str, Any], batch_size: int) -> Images:
    name = config.get("name")
    if name not in DATASETS:
        raise ConfigError(f'data.name: there is no "{name}"; there are {", ".join(DATASETS)}')
    parameters = inspect.signature(DATASETS[name]).parameters
    handed: dict[str, Any] = {"batch_size": batch_size, "told": Reading(Terminal())}
    schema = make_dataclass(
        f"{name}_data", [(p.name, p.annotation) for p in parameters.values() if p.name not in handed]
    )
    given = {key: value for key, value in config.items() if key != "name"}
    try:
        options: Any = OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(schema), given))
    except OmegaConfBaseException as error:
        raise ConfigError(f"data.{error.full_key}: {str(error).splitlines()[0]}") from error
    if not 0 <= (seed := options.get("split_seed", 0)) < 2**63:
        raise ConfigError(f"data.split_seed must be at least 0 and below 2^63, got {seed}")
    return DATASETS[name](**options, **{key: value for key, value in handed.items() if key in parameters})
