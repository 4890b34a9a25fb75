"""A backbone of the user's own: a function or class that builds it, or the network itself."""

import copy
from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

from torch import nn

from senas.core.arguments import BY_IMAGES
from senas.core.backbone import Backbone
from senas.core.imported import imported
from senas.errors import ConfigError
from senas.model.libraries import built

Own = Callable[..., nn.Module] | nn.Module
"""What builds a network, or one that copies are made of."""
CLASSES = ("classes", "num_classes")
CHANNELS = ("channels", "in_channels", "in_chans")


def own_of(backbone: Backbone) -> Own:
    """What `backbone.target` names. This imports code of the user's: never call it for what only a file names."""
    assert backbone.target  # of a custom backbone
    found: Own = imported("backbone.target", backbone.target)
    if not callable(found):
        raise ConfigError(
            f"backbone.target: {backbone.target} is no function or class but {found!r:.60}; it must give an nn.Module"
        )
    return found


def own_network(what: str, own: Own, args: Mapping[str, Any], *, classes: int, channels: int) -> nn.Module:
    """The network of the user's own, told of classes and channels where its signature names them.

    what:  how it is called in errors.
    Raises ConfigError for arguments that it does not take, for whatever it raises, and where it gives no nn.Module.
    """
    if isinstance(own, nn.Module):
        if args:
            raise ConfigError(f"backbone.args: {what} is a network already, which takes no {next(iter(args))}")
        return copy.deepcopy(own)
    told = {key: value for keys, value in ((CLASSES, classes), (CHANNELS, channels)) for key in _taken(own, keys)}
    if given := [key for key in args if key in told]:
        raise ConfigError(f"backbone.args.{given[0]}: {BY_IMAGES[given[0]]}")
    network = built(what, own, **{**args, **told})
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"backbone.target: {what} gives something of type {type(network).__name__}; it must give an nn.Module"
        )
    return network


def takes_channels(own: Own) -> bool:
    """Whether it can be told how many channels the images have."""
    return not isinstance(own, nn.Module) and bool(_taken(own, CHANNELS))


def takes_classes(own: Own) -> bool:
    """Whether it can be told how many classes there are."""
    return not isinstance(own, nn.Module) and bool(_taken(own, CLASSES))


def _taken(own: Callable[..., nn.Module], keys: tuple[str, ...]) -> list[str]:
    try:
        parameters = signature(own).parameters
    except (TypeError, ValueError):  # of something compiled
        return []
    by_name = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return [key for key in keys if key in parameters and parameters[key].kind in by_name]
