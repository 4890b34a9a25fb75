"""The sections of the card that say how an SE configuration was found, and what stands behind its figures."""

from collections.abc import Mapping
from typing import Any

from senas.core.config import BASELINES
from senas.core.objective import VAL_LOSS_EVEN
from senas.exported.markdown import cell, table_of, text_of
from senas.exported.package import Exported

FOUND = {
    "trained_by": "trained by",
    "contender": "compared as",
    "study": "study",
    "trial": "trial",
    "pick": "chosen as",
    "objective": "searched for",
    "space": "search space",
    "sampler": "proposals by",
    "pruner": "stopped early by",
    "trials": "trials",
    "epochs": "epochs of this trial",
    "initial_weights": "initial weights",
    "trainer": "training",
    "latency": "latency_ms",
    "images": "images",
    "split_seed": "seed of the split",
    "seed": "seed of the training",
    "setting": "digest of space, setting, objective and seed",
}
FOLDED = "All that this section tells is of the configuration as it was trained, before gates of it were folded.\n\n"
BY_NUMBER = "named by you"
"""What a pick by number says to who made it."""
NOT_COMPARED = {"train_loss", "val_error", VAL_LOSS_EVEN, "params", "macs"}
"""Scores that have no column beside those of the baselines."""


def how_it_was_found(exported: Exported) -> str:
    """What was recorded of the search, a row each."""
    told = dict(exported.provenance)
    if told.get("pick") == BY_NUMBER:
        told["pick"] = "this trial was asked for by its number"
    rows = [(FOUND[key], text_of(told[key])) for key in FOUND if key in told]
    return "## How it was found\n\n" + (table_of(("", ""), rows) if rows else "Not recorded.")


def compared_with(exported: Exported) -> str:
    """Its scores beside those of the baselines; nothing for what was not exported from a study."""
    if "baselines" not in exported.provenance:
        return ""
    baselines: Mapping[str, Any] = exported.provenance["baselines"]
    others = sorted(set(exported.scores) - NOT_COMPARED - {"val_loss", "val_accuracy", "se_params"})
    names = [name for name in ("val_loss", "val_accuracy", *others, "se_params") if name in exported.scores]
    spoken = {"val_loss": "validation loss", "val_accuracy": "validation accuracy", "se_params": "SE parameters"}
    rows = [
        ("this one", text_of(exported.provenance.get("trial", "")), *(_score(n, exported.scores[n]) for n in names))
    ]
    missing = []
    for key, words in BASELINES.items():
        if key not in baselines:
            if key == "former":  # most backbones came with none
                continue
            missing.append(f"Not measured in this study: {words}.")
            continue
        there = baselines[key]["scores"]
        cells = [
            f"{_score(n, there[n])} (this one: {_difference(n, exported.scores[n] - there[n])})" if n in there else ""
            for n in names
        ]
        rows.append((words, text_of(baselines[key]["trial"]), *cells))
    table = table_of(("configuration", "trial", *(spoken.get(name, cell(name)) for name in names)), rows)
    return (
        "## Compared with\n\nMeasured in the same study, on the validation images, after the last epoch; one training "
        f"each.{' This one was measured after it was folded.' if exported.is_folded else ''}\n\n"
        + "\n\n".join([table, *missing])
    )


def _certainty(exported: Exported) -> str:
    """Of a configuration that a study's trainings were read together for."""
    told, seed = exported.provenance["certainty"], exported.provenance.get("seed")
    own = cell(exported.provenance.get("seeds_of_this_configuration", []))
    undecided = "**Undecided.** No configuration of this study is sure enough to be recommended; this one leads.\n\n"
    rows = [
        (cell(name.replace("_", " ")), text_of(value))
        for name, value in told.items()
        if name not in ("in_words", "interval_probability")
    ]
    words = "\n".join(f"- {cell(line)}" for line in told.get("in_words", ()))
    return (
        f"{undecided if told.get('verdict') == 'undecided' else ''}The weights, and this network's scores above, are "
        f"of one training, with seed {seed}; those beside them are of one each. This configuration was trained with "
        f"the seeds {own}. A model of what each SE block adds read all trainings of the study together; below, "
        "`mean` is what it expects over seeds, and "
        f"between `low` and `high` that lies with a probability of {told.get('interval_probability', 0.9):.0%}.\n\n"
        f"{table_of(('', ''), rows)}\n\nIn words:\n\n{words}\n\nNo test image was used."
    )


def behind_the_figures(exported: Exported) -> str:
    """How many trainings, with which seeds, and how sure they make of it."""
    if "certainty" in exported.provenance:
        return "## What stands behind the figures\n\n" + FOLDED * exported.is_folded + _certainty(exported)
    seeds, seed = exported.provenance.get("seeds_behind_each_score"), exported.provenance.get("seed")
    if seeds != 1:
        return "## What stands behind the figures\n\n" + (f"{seeds} seeds behind each." if seeds else "Not recorded.")
    by_number = exported.provenance.get("pick", BY_NUMBER) == BY_NUMBER
    chosen = "" if by_number else "It was chosen among the trials by validation scores, which flatters those scores. "
    return (
        f"## What stands behind the figures\n\nOne training each, with seed {seed}. How far two trainings of one "
        "configuration with different seeds lie apart was not measured. So it cannot be concluded from the table that "
        "this configuration is better or worse than another one in it, nor what another training of it would reach. "
        f"{chosen}No test image was used."
    )


def _score(name: str, value: float) -> str:
    return f"{value:,.0f}" if name == "se_params" else f"{value:.2%}" if name == "val_accuracy" else f"{value:.4f}"


def _difference(name: str, value: float) -> str:
    if name == "se_params":
        return f"{value:+,.0f}"
    return f"{100 * value:+.2f} points" if name == "val_accuracy" else f"{value:+.4f}"
