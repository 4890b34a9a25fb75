"""What several commands show of a study: its front, its pick, and the pick as an export."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from senas.app.checks import backbone as backbone_of
from senas.app.fingerprint import digest
from senas.app.schema import BackboneConfig, TrainerConfig
from senas.app.seeds import seeds_of
from senas.app.wiring import Setup
from senas.core.constraint import MEASURED
from senas.core.latency import SPREAD
from senas.core.objective import own_scores
from senas.core.standing import Standing
from senas.core.trial import Status, Trial
from senas.exported.package import Exported
from senas.report.console import Terminal
from senas.report.table import FrontTable
from senas.training.data import Images

RECIPE = ("epochs", "batch_size", "optimizer", "lr", "weight_decay", "schedule", "label_smoothing", "precision")
"""What of the trainer's options an export tells."""
SPLIT = ("train", "val", "test", "size", "channels", "split_seed")
"""What of the data's options an export tells, and senas train takes from it: which images are in which part, and their
size. Never where they lie, nor what to import."""


LATENCY = "median of the repeats, in milliseconds for the whole batch; measured before training"


def front_table(setup: Setup, standing: Standing, picked: Trial) -> FrontTable:
    """The front over (validation loss, SE parameters), and the pick where it is not on it."""
    trials = standing.front()
    if picked.number not in {trial.number for trial in trials}:
        trials = sorted([*trials, picked], key=lambda trial: trial.scores["se_params"])
    own = [*own_scores(setup.objective), *([MEASURED] if setup.timing else [])]
    return FrontTable(trials=trials, picked=picked.number, sites=setup.sites, own=own)


def show_front(terminal: Terminal, setup: Setup, standing: Standing, picked: Trial, why: str) -> None:
    """The front, what is recommended and why."""
    terminal.show(front_table(setup, standing, picked).rich())
    terminal.say(f"* recommended: trial {picked.number}, {picked.config.words(setup.sites)}", style="bold")
    terminal.say(f"  {why}")
    terminal.say(f"  {one_seed(setup)}", style="dim")
    if setup.timing and MEASURED in picked.scores:
        terminal.say(
            f"  {MEASURED}: {setup.timing.words}; that of trial {picked.number} is {picked.scores[MEASURED]:.4g}, with "
            f"{picked.scores[SPREAD]:.2g} between its quartiles. Smaller differences are noise.",
            style="dim",
        )


def one_seed(setup: Setup) -> str:
    """What stands behind every number of this study."""
    seeds = seeds_of(setup.config)
    with_seed = f"seed {seeds.first}"
    if seeds.rotated > 1:
        with_seed = f"one of the seeds {seeds.first} to {seeds.first + seeds.rotated - 1}"
    return (
        f"Each figure is one training with {with_seed}. Two seeds of one configuration often differ "
        "by more than two configurations do."
    )


def exported(setup: Setup, standing: Standing, trial: Trial, why: str) -> Exported:
    """A trial as what se.yaml says of it."""
    config, data = setup.config, setup.data
    return Exported(
        config=trial.config,
        backbone=built(config.backbone, data),
        shape=data.shape,
        mean=tuple(round(float(value), 8) for value in data.mean),
        std=tuple(round(float(value), 8) for value in data.std),
        classes=data.classes,
        scores=dict(trial.scores),
        provenance={
            "study": setup.folder.name,
            "trial": trial.number,
            "pick": why,
            "data": config.data["name"],
            "images": {"training": data.counts.train, "validation": data.counts.val},
            **({"split_seed": config.data["split_seed"]} if "split_seed" in config.data else {}),
            **split_of(config.data),
            "seed": trial.seed,
            **({"seeds": seeds} if len(seeds := sorted({t.seed for t in standing.measured})) > 1 else {}),
            "seeds_behind_each_score": 1,
            "epochs": len(trial.curve),
            **({"initial_weights": setup.initial} if setup.initial else {}),
            "trainer": recipe_of(config.trainer),
            "objective": setup.objective.words,
            "space": {
                "configurations": setup.space.size or f"at most {setup.space.product}",
                **{key: value for key, value in asdict(config.space).items() if key != "constraints"},
                **({"constraints": setup.constraints.given} if setup.constraints.given else {}),
            },
            **({"latency": {**setup.timing.plain(), "score": LATENCY}} if setup.timing else {}),
            "sampler": _words(config.sampler),
            "pruner": _words(config.pruner),
            "trials": _outcomes(standing.trials),
            "setting": digest(setup.fingerprint)[:12],
            "baselines": _baselines(setup, standing),
        },
    )


def recipe_of(trainer: TrainerConfig) -> dict[str, Any]:
    """How it was trained, as provenance tells it. An average of the weights only where there is one."""
    told = {key: value for key, value in asdict(trainer).items() if key in RECIPE}
    return told if trainer.average == "none" else {**told, "average": trainer.average}


def built(backbone: BackboneConfig, data: Images) -> dict[str, Any]:
    """What se.yaml says of a backbone. Not where its initial weights came from: an export has the trained ones."""
    told = {key: value for key, value in backbone_of(backbone).plain().items() if key != "weights"}
    return {"name": told.pop("name"), "classes": len(data.classes), "channels": data.shape[0], **told}


def split_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Which images are in which part, as provenance tells it: `senas train` splits as the search did."""
    split = {key: data[key] for key in SPLIT if key in data}
    return {"split": split} if split else {}


def _words(made: Mapping[str, Any]) -> str:
    """A sampler or a pruner with its options: `TPESampler, n_startup_trials 10`."""
    target = str(made.get("_target_") or "none").rpartition(".")[2]
    return ", ".join([target, *(f"{key} {value}" for key, value in made.items() if key != "_target_")])


def _outcomes(trials: Sequence[Trial]) -> dict[str, int]:
    """How many trials came to which end; those answered from an earlier one are counted by themselves, and so is what
    was trained beside the trials."""
    repeated = sum(trial.repeats is not None and trial.status is not Status.REJECTED for trial in trials)
    replicates = {"for the audit": "audit", "again, to confirm": "confirm"}
    more = {words: sum(t.trained and t.origin == origin for t in trials) for words, origin in replicates.items()}
    ends = {
        "trained to the end": Status.COMPLETE,
        "pruned": Status.PRUNED,
        "failed": Status.FAILED,
    }
    counts = {words: sum(t.status is end and t.counts for t in trials) for words, end in ends.items()}
    rejected = sum(trial.status is Status.REJECTED for trial in trials)
    return {
        **counts,
        "answered from an earlier one": repeated,
        **({"rejected by a constraint, and not trained": rejected} if rejected else {}),
        **{f"trained {words}": count for words, count in more.items() if count},
    }


def _baselines(setup: Setup, standing: Standing) -> dict[str, dict[str, Any]]:
    """No SE, and SE everywhere at r = 16, where the study measured them."""
    found = {name: [t for t in standing.measured if t.config == config] for name, config in setup.baselines.items()}
    return {name: {"trial": t[0].number, "scores": dict(t[0].scores)} for name, t in found.items() if t}
