"""Of several mistakes in one command, the one that stands first: Hydra and the checks have orders of their own."""

import re
from collections.abc import Sequence

from senas.app.calls import called
from senas.errors import SenasError


def first_mistake(command: str, words: Sequence[str], error: SenasError) -> SenasError:
    """The mistake of the earliest word, where taking out the one that `error` names shows another before it.

    words:  the overrides of the command line. With flags among them `error` is kept: what they do is not known here.
    """
    if any(word.startswith("-") for word in words):
        return error
    left, found = list(enumerate(words)), error
    at = place = _place(error, left)
    while at is not None and place:  # before the first word there is none
        key = _key(words[at])
        # What lies below a misspelt group goes with it: without the group nobody knows whether it is right.
        left = [(i, word) for i, word in left if _key(word) != key and not _key(word).startswith(f"{key}.")]
        try:
            called(command, [word for _, word in left], {})
            return found
        except SenasError as other:
            at = _place(other, left)
            if at is not None and place is not None and at < place:
                found, place = other, at
    return found


def _place(error: SenasError, words: Sequence[tuple[int, str]]) -> int | None:
    """Where the word stands that an error names; None where it names none."""
    named = re.match(r"[+~]*([\w/@-]+(?:\.[\w/@-]+)*)", str(error))
    return next((i for i, word in words if named and _key(word) == named[1]), None)


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]
