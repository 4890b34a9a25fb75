"""The folder that an export goes to: whether it may be written there, and what it replaces."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from senas.errors import ExportError
from senas.exported.card import CARD_FILE, MARK
from senas.exported.network import WEIGHTS_FILE
from senas.exported.onnx import DATA_FILE, ONNX_FILE
from senas.exported.package import SE_FILE, read

EXPLAINED = ("explain.csv", "gates.csv", "gates.png")
"""What `senas explain` adds to an export: of these weights, so that it goes with them."""
FILES = (*EXPLAINED, WEIGHTS_FILE, ONNX_FILE, DATA_FILE, CARD_FILE, SE_FILE)
"""All that an export can have. se.yaml is written last: with it, the export is whole."""


def replaced(folder: Path, provenance: Mapping[str, Any], *, overwrite: bool = False) -> str:
    """What an export of that provenance would replace in `folder`, in words; nothing where the folder is new or empty.

    An export of the same study (name and setting) may be replaced, another one with `overwrite` only. Raises
    ExportError, also with `overwrite`, for a file, and for a folder that holds anything that no export wrote.
    """
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"to: {folder} is a file; name a folder")
    try:
        held = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
        foreign = [name for name in held if name not in FILES]
        if CARD_FILE in held and not (folder / CARD_FILE).read_bytes().startswith(MARK.encode()):
            foreign.append(CARD_FILE)
    except OSError as error:
        raise ExportError(f"to: {folder} cannot be read: {error.strerror}; name a new folder") from error
    if not held:
        return ""
    if foreign or SE_FILE not in held:
        raise ExportError(f"to: {folder} holds something else ({[*foreign, *held][0]}); name a new folder")
    return _earlier(folder, provenance, overwrite)


def _earlier(folder: Path, provenance: Mapping[str, Any], overwrite: bool) -> str:
    way_out = "name a new folder, or say overwrite=true"
    try:
        found = read(folder).provenance
    except ExportError as error:
        if overwrite:
            return "a damaged export"
        raise ExportError(f"to: {error}; {way_out}") from error
    study, trial = " ".join(str(found.get("study", "unknown")).split())[:80], str(found.get("trial", "unknown"))[:20]
    if any(found.get(key) != provenance.get(key) for key in ("study", "setting")) and not overwrite:
        raise ExportError(f'to: {folder} holds the export of another study, "{study}"; {way_out}')
    return f"the export of trial {trial} of {study}"
