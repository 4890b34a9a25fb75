"""Pieces of a page: tables that can be read aloud, sections, commands. What is handed in as text is text."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def marked(text: str) -> str:
    """Markup as it is, text escaped."""
    return text if isinstance(text, Markup) else escape(text)


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, words: Sequence[int] = (0,)) -> str:
    """The first cell of a row is what it is about.

    words:  columns that are no numbers.
    """
    kinds = ["" if n in words else ' class="n"' for n in range(len(head))]
    top = "".join(f'<th scope="col"{kind}>{marked(name)}</th>' for kind, name in zip(kinds, head, strict=True))
    body = ""
    for first, *others in rows:
        cells = "".join(f"<td{kind}>{marked(cell)}</td>" for kind, cell in zip(kinds[1:], others, strict=True))
        body += f'<tr><th scope="row"{kinds[0]}>{marked(first)}</th>{cells}</tr>\n'
    return (
        f'<div class="scroll"><table><caption>{marked(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>\n{body}</tbody></table></div>"
    )


def facts(pairs: Mapping[str, str]) -> str:
    """What is called what."""
    return "<dl>" + "".join(f"<div><dt>{marked(k)}</dt><dd>{marked(v)}</dd></div>" for k, v in pairs.items()) + "</dl>"


def listed(lines: Sequence[str]) -> str:
    """Nothing where there are none."""
    return f"<ul>{''.join(f'<li>{marked(line)}</li>' for line in lines)}</ul>" if lines else ""


def commands(pairs: Sequence[tuple[str, str]]) -> str:
    """Commands to copy, each below what it is for."""
    return "".join(f'<p class="for">{marked(why)}</p><pre><code>{marked(line)}</code></pre>' for why, line in pairs)


def said(*lines: str) -> str:
    """A paragraph each."""
    return "".join(f"<p>{marked(line)}</p>" for line in lines if line)


def quiet(*lines: str) -> str:
    """Paragraphs that tell how to read what is beside them."""
    return "".join(f'<p class="dim">{marked(line)}</p>' for line in lines if line)


def figure(name: str, drawing: str, caption: str) -> str:
    """A drawing, and how to read it; nothing where nothing is drawn. name: of one word, that of its file."""
    return f'<figure data-name="{name}">{drawing}<figcaption>{marked(caption)}</figcaption></figure>' if drawing else ""


def folded(summary: str, inside: str) -> str:
    """Shown when it is asked for, and in print."""
    return f"<details><summary>{marked(summary)}</summary>{inside}</details>"


def png(picture: bytes, told: str) -> str:
    """A picture within the page. told: what it shows, for who cannot see it."""
    return f'<img alt="{escape(told)}" src="data:image/png;base64,{b64encode(picture).decode()}">'
