"""Classification networks of torchvision and timm, by name."""

import difflib
import re
import typing
import warnings
from collections.abc import Callable, Mapping
from functools import partial, update_wrapper
from inspect import signature
from typing import Any

from torch import nn

from senas.core.arguments import BY_IMAGES, NEVER
from senas.core.imported import spoken
from senas.errors import ConfigError, SenasError

TORCHVISION = ("resnet18", "resnet34", "resnet50")
"""Of torchvision's networks, those that senas knows by their name alone."""
AUXILIARY = ("googlenet", "inception_v3")
"""Of torchvision's, those with auxiliary heads, which compute in training only."""


def torchvision_network(name: str, args: Mapping[str, Any], *, classes: int) -> nn.Module:
    """A classification network of torchvision, with fresh weights. Nothing is fetched.

    Auxiliary heads are left out unless `args` asks for them: they compute in training only, and a graph cannot hold
    that. Raises ConfigError for a name that torchvision does not have, and for arguments that it does not take.
    """
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        if name in models.list_models():
            kind = models.get_model_builder(name).__module__.split(".")[2]
            raise ConfigError(
                f"backbone.name: {name} is among torchvision's networks for {kind}; senas takes those that classify "
                "images"
            )
        raise ConfigError(f'backbone.name: torchvision has no "{name}"{_meant(name, known)}')
    construct = models.get_model_builder(name)
    return _made(name, construct, {**defaults(name), **args}, weights=None, num_classes=classes)


def defaults(name: str) -> dict[str, Any]:
    """Arguments of a torchvision constructor that senas gives where nobody else does."""
    # Without init_weights torchvision does the same, and warns that it may not for ever.
    return {"aux_logits": False, "init_weights": True} if name in AUXILIARY else {}


def timm_network(name: str, args: Mapping[str, Any], *, classes: int, channels: int) -> nn.Module:
    """A network of timm, with fresh weights. Nothing is fetched.

    Raises ConfigError where timm is not installed, for a name that it does not have, and for arguments that it does
    not take.
    """
    library = timm()
    # Not through create_model alone: that takes addresses of models too.
    if not library.is_model(name.partition(".")[0]):
        raise ConfigError(f'backbone.name: timm has no "{name}"{_meant(name, library.list_models())}')
    construct = update_wrapper(partial(library.create_model, name), library.models.model_entrypoint(name))
    return _made(name, construct, args, pretrained=False, num_classes=classes, in_chans=channels)


def timm() -> Any:
    """The package. Raises ConfigError where it is not installed."""
    try:
        import timm as library
    except ImportError as error:
        raise ConfigError('backbone=timm needs timm, which is not installed: pip install "senas[timm]"') from error
    return library


def built(what: str, construct: Callable[..., Any], /, **arguments: Any) -> Any:
    """What a constructor gives; what it raises becomes one line that names backbone.args."""
    try:
        return construct(**arguments)
    except (MemoryError, SenasError):
        raise
    except Exception as error:  # a library's code, or the user's, with arguments of the user's: anything
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if isinstance(error, TypeError) and unknown and unknown[1] in arguments:
            near = _meant(unknown[1], _arguments(construct))
            raise ConfigError(f"backbone.args.{unknown[1]}: {what} takes no such argument{near}") from error
        raise ConfigError(f"backbone.args: {what} raised {spoken(error)}") from error


def _made(name: str, construct: Callable[..., Any], args: Mapping[str, Any], **told: Any) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a library to those who write code with it
        network: nn.Module = built(name, construct, **{**args, **told})
    return network


def _arguments(construct: Callable[..., Any]) -> list[str]:
    """What a constructor can be told: its own parameters, and those of the class that it says to give."""
    try:
        given = typing.get_type_hints(construct).get("return")
        parameters = {**signature(construct).parameters}
        if isinstance(given, type) and given is not nn.Module:
            parameters |= signature(given).parameters
    except (TypeError, ValueError, NameError):
        return []
    return [
        p.name
        for p in parameters.values()
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in {**BY_IMAGES, **NEVER}
    ]


def _meant(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else ""
