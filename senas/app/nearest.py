"""What somebody may have meant: the known word that is most like an unknown one."""

import difflib
import re
from collections.abc import Iterable, Sequence

FAMILIAR = ("study", "trainer", "objective", "space", "backbone")
"""Groups whose keys are meant most often, where several have a key of one name."""


def nearest_name(word: str, names: Sequence[str]) -> str:
    """The name most like `word`; empty where none is. Of names that differ in their number, the nearest number."""
    numbered = re.fullmatch(r"(\D+)(\d+)", word)
    if numbered:
        stem, number = numbered.groups()
        same = [name for name in names if re.fullmatch(rf"{re.escape(stem)}\d+", name)]
        if same:
            return min(same, key=lambda name: abs(int(name.removeprefix(stem)) - int(number)))
    return next(iter(difflib.get_close_matches(word, names, n=1, cutoff=0.5)), "")


def nearest_key(word: str, keys: Sequence[str]) -> str:
    """The dotted key most like `word`, which may be its last part alone: `trials` is study.trials."""
    if word in keys:
        return word
    ordered = sorted(keys, key=lambda key: (key.split(".")[0] not in FAMILIAR, _familiarity(key)))
    last = word.rpartition(".")[2]
    if same := [key for key in ordered if key.rpartition(".")[2] == last]:
        close = difflib.get_close_matches(word, same, n=1, cutoff=0.0)
        return close[0] if "." in word else same[0]
    for whole in difflib.get_close_matches(word, ordered, n=3, cutoff=0.7):
        group = f"{word.partition('.')[0]}."  # that both have it is no likeness: evaluator.warmup is not evaluator.name
        below = word.removeprefix(group), whole.removeprefix(group)
        if not whole.startswith(group) or difflib.SequenceMatcher(None, *below).ratio() >= 0.5:
            return whole
    lasts = {key.rpartition(".")[2]: key for key in reversed(ordered)}
    part = difflib.get_close_matches(last, list(lasts), n=1, cutoff=0.7)
    return lasts[part[0]] if part else ""


def naturally(names: Iterable[str]) -> list[str]:
    """Sorted as people count: resnet8 before resnet14."""
    return sorted(names, key=lambda name: (name.rstrip("0123456789"), int(re.sub(r"\D", "", name) or 0)))


def meant(word: str) -> str:
    """`; did you mean "word"?`, or nothing."""
    return f'; did you mean "{word}"?' if word else ""


def _familiarity(key: str) -> int:
    group = key.split(".")[0]
    return FAMILIAR.index(group) if group in FAMILIAR else len(FAMILIAR)
