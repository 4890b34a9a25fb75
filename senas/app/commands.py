"""Commands to copy: of a study, as a shell where the user stands reads them."""

import re
import shlex

from senas.app.trusted import spoken_trust
from senas.app.wiring import Setup
from senas.core.verdict import RECOMMENDED, Verdict

ROOT = "runs"
"""Where studies lie unless told otherwise."""
PLAIN = re.compile(r"[\w./:+-]+", re.ASCII)
OTHER = re.compile(r"null|true|false|[+-]?(inf|nan|\.?\d[\d_]*\.?[\d_]*(e[+-]?\d+)?)", re.ASCII | re.IGNORECASE)
"""What is no text to Hydra, where it stands without quotes."""


def override(key: str, value: str) -> str:
    """An override that a shell and Hydra read as this text."""
    if PLAIN.fullmatch(value) and not OTHER.fullmatch(value):
        return f"{key}={value}"
    return shlex.quote(f"{key}={quoted(value)}")


def quoted(value: str) -> str:
    """A text within quotes, as Hydra reads it."""
    # To Hydra a backslash is one but before a quote, and at the end, where the closing one follows.
    inside = re.sub(r'(\\*)("|\Z)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), value)
    return f'"{inside}"'


def command(verb: str, setup: Setup, *overrides: str) -> str:
    """`senas front study.name=NAME ...`, with what finds the study again: its root, and trust in the code it names."""
    return " ".join([f"senas {verb}", override("study.name", setup.folder.name), *overrides]) + found_by(setup)


def found_by(setup: Setup) -> str:
    """What a command that reads this study needs beside its name, behind a space; or nothing."""
    root = "" if setup.config.root == ROOT else f" {override('root', setup.config.root)}"
    return f"{root}{spoken_trust(setup.config)}"


def ways_out(setup: Setup, verdict: Verdict) -> list[str]:
    """The commands that decide what is undecided, or that may: more replicates, or another margin."""
    margin, usual = verdict.standing.margin, setup.config.study.margin
    rule = [] if setup.config.objective.pick == RECOMMENDED else [f"pick={RECOMMENDED}"]
    kept = [] if margin == usual else [f"study.margin={margin!r}"]
    return [
        command("front", setup, f"{key}={value}", *rule)
        if key == "study.margin"
        else command("resume", setup, f"{key}={value}", *kept)
        for key, value in verdict.ways_out.items()
    ]
