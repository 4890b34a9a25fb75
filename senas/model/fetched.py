"""Initial weights that torchvision and timm have by name. They fetch them, and keep them for the next time."""

import difflib
import io
import os
import socket
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr

from torch import Tensor

from senas.core.address import silence
from senas.core.backbone import Backbone
from senas.core.imported import spoken
from senas.errors import ConfigError
from senas.model.libraries import AUXILIARY, TORCHVISION, timm

DEFAULT = "DEFAULT"
SEEN = sys.stderr.isatty()
"""Whether somebody watches how far a download is."""
SECONDS = 10.0
"""How long a server may take for its next bytes."""
HUB = "https://huggingface.co"


def weight_names(backbone: Backbone) -> list[str]:
    """The initial weights that its library has for a backbone, by name."""
    if _is_torchvisions(backbone):
        from torchvision import models

        names = models.get_model_weights(backbone.name).__members__  # DEFAULT is one of them
        return sorted(names, key=lambda name: name != DEFAULT)
    if backbone.library == "timm":
        found = timm().models.get_arch_pretrained_cfgs(backbone.name.partition(".")[0])
        tags = [name.partition(".")[2] for name, about in found.items() if about.has_weights]
        return [DEFAULT, *tags] if tags else []
    return []


def fetched(backbone: Backbone) -> dict[str, Tensor]:
    """The weights that the library has under the name `backbone.weights`, one of `weight_names`.

    Raises ConfigError, within seconds where there is no network, for what cannot be fetched.
    """
    try:
        return _torchvisions(backbone) if _is_torchvisions(backbone) else _timms(backbone)
    except MemoryError:
        raise
    except Exception as error:  # whatever comes of a network, and of what was kept from the last time
        raise ConfigError(
            f"backbone.weights: {backbone.weights} of {backbone.library}'s {backbone.name} cannot be had "
            f"({spoken(error).partition('. ')[0]:.200}); connect to a network, or name a file: backbone.weights=FILE"
        ) from error


def unknown(backbone: Backbone) -> str:
    """What to say of `backbone.weights` where it is neither a name nor a file."""
    names, wanted = weight_names(backbone), str(backbone.weights)
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=0.6)
    if close:
        return f'backbone.weights: there is no file "{wanted}", and none of that name; did you mean "{close[0]}"?'
    library = "torchvision" if _is_torchvisions(backbone) else backbone.library
    having = f"; {library} has {_some(names)} for {backbone.name}" if names else ""
    return f'backbone.weights: there is no file "{wanted}"{having}'


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def _is_torchvisions(backbone: Backbone) -> bool:
    return backbone.library == "torchvision" or (backbone.library == "senas" and backbone.name in TORCHVISION)


def _torchvisions(backbone: Backbone) -> dict[str, Tensor]:
    from torchvision import models

    args = dict(backbone.args)
    if backbone.name in AUXILIARY:  # its weights have them, and torchvision drops them by itself
        args = {key: value for key, value in args.items() if key not in ("aux_logits", "init_weights")}
    with _patience():
        weights = models.get_model_weights(backbone.name)[str(backbone.weights)]
        state: dict[str, Tensor] = models.get_model(backbone.name, weights=weights, progress=SEEN, **args).state_dict()
    return state


def _timms(backbone: Backbone) -> dict[str, Tensor]:
    architecture, wanted = backbone.name.partition(".")[0], backbone.weights
    name = backbone.name if wanted == DEFAULT else f"{architecture}.{wanted}"
    with _patience(), _offline_where_nothing_answers():
        state: dict[str, Tensor] = timm().create_model(name, pretrained=True, **backbone.args).state_dict()
    return state


@contextmanager
def _patience() -> Iterator[None]:
    """Not without end, where a server does not answer; and without what libraries say to those who write code."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS)
    try:
        with warnings.catch_warnings(), nullcontext() if SEEN else redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        socket.setdefaulttimeout(before)


@contextmanager
def _offline_where_nothing_answers() -> Iterator[None]:
    """Without a network huggingface_hub would try for most of a minute, even for what it kept."""
    try:
        from huggingface_hub import constants
    except ImportError:  # timm fetches otherwise then
        yield
        return
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or bool(silence(os.environ.get("HF_ENDPOINT", HUB), 4.0))
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
