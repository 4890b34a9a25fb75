"""Text and values in Markdown: tables, and cells that mean nothing in it."""

from collections.abc import Mapping, Sequence
from typing import Any


def table_of(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def text_of(value: Any) -> str:
    """A recorded value in words, as a cell."""
    return mapping(value) if isinstance(value, Mapping) else cell(value)


def mapping(values: Mapping[str, Any]) -> str:
    """Names and values in a row, as a cell."""
    return ", ".join(f"{cell(key)} {text_of(value)}" for key, value in values.items())


def cell(value: Any) -> str:
    """In a line of Markdown, and meaning nothing there."""
    if isinstance(value, list | tuple):
        return " ".join(map(cell, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:,}" if isinstance(value, int) else " ".join(str(value).split())
    for sign in "\\`*_[]<>|#":
        text = text.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return text
