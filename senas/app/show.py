"""What several commands show of a study: its front, its pick, and the pick as an export."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from senas.app.checks import backbone as backbone_of
from senas.app.commands import ways_out
from senas.app.fingerprint import BEFORE, digest
from senas.app.proposed import samplers, words_of
from senas.app.schema import BackboneConfig, TrainerConfig
from senas.app.wiring import Setup
from senas.core.certainty import LEVEL, Estimate
from senas.core.config import SEConfig
from senas.core.constraint import MEASURED
from senas.core.latency import SPREAD
from senas.core.objective import own_scores
from senas.core.ports import Claims
from senas.core.trial import Status, Trial
from senas.core.verdict import Pick, Point, Verdict
from senas.exported.package import Exported
from senas.report.console import Terminal
from senas.report.findings import INTERVAL, Elsewhere, Findings
from senas.report.table import FrontTable
from senas.training.data import Images

RECIPE = (
    *("epochs", "batch_size", "optimizer", "lr", "weight_decay", "schedule", "label_smoothing", "precision"),
    *("average", "clip", "accumulate", "callbacks", "flip", "crop"),
)
"""What of the trainer's options an export tells."""
SPLIT = ("train", "val", "test", "size", "channels", "split_seed")
"""What of the data's options an export tells, and senas train takes from it: which images are in which part, and their
size. Never where they lie, nor what to import."""

LISTED = 6
"""Seeds in a row, at most, that are told one by one."""

LEARNED = 0.9
"""Of the loss of guessing: what networks that learned something are below."""
LATENCY = "median of the repeats, in milliseconds for the whole batch; measured before training"


def find(
    setup: Setup,
    trials: list[Trial],
    how: str | None = None,
    penalty: float | None = None,
    margin: float | None = None,
    verdict: Verdict | None = None,
) -> Findings:
    """What the study can claim with these trials, and what `how` picks.

    how:      None: what its objective says; with another penalty `best`, which alone reads it.
    verdict:  of these trials, penalty and margin, where it is known already.

    It takes from a tenth of a second to some ten. Raises StudyError where no trial was trained to its end.
    """
    how = how or (setup.config.objective.pick if penalty is None else "best")
    verdict = verdict or setup.verdict(trials, penalty, margin)
    numbered = how.startswith("trial:")  # any, also of those that the verdict does not read
    pick = Pick(*setup.standing(trials).pick(how), decided=True) if numbered else verdict.pick(how)
    picked = pick.trial.config
    moved = verdict.elsewhere(picked)
    return Findings(
        measured=setup.standing(trials).measured,
        points=[verdict.point(config) for config in verdict.first],
        front=verdict.front,
        how=how,
        pick=pick,
        picked=verdict.point(picked)._replace(trial=verdict.first.get(picked, pick.trial)),
        against=verdict.against(picked),
        baselines=setup.baselines,
        outside=[name for name, config in setup.baselines.items() if config not in setup.space],
        elsewhere=_elsewhere(setup, verdict, moved) if moved else None,
        metric=verdict.metric,
        behind=_behind(setup, verdict, trials),
        failed=Counter(trial.config for trial in trials if trial.status is Status.FAILED and trial.repeats is None),
        ways_out=[] if pick.decided else ways_out(setup, verdict),
        unlearned=_unlearned(setup, verdict),
    )


def _unlearned(setup: Setup, verdict: Verdict) -> str:
    """That what is claimed is about networks which all but guess, where the validation loss says so."""
    lowest, guessing = float(verdict.certainty.means.min()), verdict.standing.reference[0]
    if verdict.metric != "val_loss" or lowest < LEARNED * guessing:
        return ""
    trainer = setup.config.trainer
    return (
        f"These networks have hardly learned: the lowest expected validation loss is {lowest:.3f}, and guessing has "
        f"{guessing:.3f}. What is said of SE is about such networks; train longer first, under another study.name, as "
        f"with trainer.epochs={5 * trainer.epochs}, or with a smaller trainer.batch_size than {trainer.batch_size}."
    )


def _elsewhere(setup: Setup, verdict: Verdict, moved: Sequence[SEConfig]) -> Elsewhere:
    params = [config.params(setup.sites) for config in moved]
    return Elsewhere(sum(params) / len(params), Estimate.of(verdict.effects.losses(moved).mean(1)))


def _behind(setup: Setup, verdict: Verdict, trials: list[Trial]) -> str:
    """How much stands behind every figure, and what kind of figure it is."""
    read = verdict.standing.measured
    seeds = _ranges(sorted({trial.seed for trial in read}))
    there = len(setup.standing(trials).measured)
    of = (
        f" (of {there:,}; baselines and what was trained more than once first, and the newest)"
        if len(read) < there
        else ""
    )
    several = len(read) > len(verdict.first)
    lost = sum(trial.status is Status.FAILED and trial.repeats is None for trial in trials)
    without = f" {_count(lost, 'training')} failed, and {'is' if lost == 1 else 'are'} not among them." if lost else ""
    advice = (
        ""
        if several or verdict.ways_out
        else " None was trained with a second seed: study.confirm=16 trains contenders again."
    )
    return (
        f"Behind these figures {'stand' if len(read) > 1 else 'stands'} {_count(len(read), 'training')}{of} of "
        f"{_count(len(verdict.first), 'configuration')}, with the seed{'s' * (',' in seeds)} {seeds}, read together by "
        f"a model of what each SE block adds: means over seeds, with {INTERVAL}s.{without}{advice}"
    )


def _ranges(numbers: Sequence[int]) -> str:
    """`0, 1, 2`, and of many in a row `0 to 44`."""
    words: list[str] = []
    for _, run in groupby(enumerate(numbers), key=lambda each: each[1] - each[0]):
        row = [number for _, number in run]
        words += [f"{row[0]} to {row[-1]}"] if len(row) > LISTED else map(str, row)
    return ", ".join(words)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def front_table(setup: Setup, findings: Findings) -> FrontTable:
    """The front over (loss, SE parameters), and the pick where it is not on it."""
    own = [*own_scores(setup.objective), *([MEASURED] if setup.timing else [])]
    return FrontTable(findings=findings, sites=setup.sites, own=[name for name in own if name != findings.name])


def show_front(terminal: Terminal, setup: Setup, findings: Findings) -> None:
    """The front, what is recommended or leads, why, and what it is beside the baselines."""
    pick, table = findings.pick, front_table(setup, findings)
    terminal.show(table.rich())
    terminal.say("\n".join(f"  {line}" for line in table.legend), style="dim")
    name = f"trial {pick.trial.number}, {pick.trial.config.words(setup.sites)}"
    if pick.decided:
        terminal.say(f"* {findings.kind}: {name}", style="bold")
        terminal.say(f"  {pick.why}")
    else:
        terminal.say(pick.why.removesuffix(". It leads"), style="bold")
        for way in findings.ways_out:
            terminal.say(f"  {way}")
        terminal.say(f"leads: {name}")
    terminal.say("\n".join(f"  {line}" for line in findings.comparisons))
    terminal.say(f"  {findings.behind}", style="dim")
    if findings.unlearned:
        terminal.warn(findings.unlearned)
    if setup.timing and MEASURED in pick.trial.scores:
        terminal.say(
            f"  {MEASURED}: {setup.timing.words}; that of trial {pick.trial.number} is "
            f"{pick.trial.scores[MEASURED]:.4g}, with {pick.trial.scores[SPREAD]:.2g} between its quartiles. Smaller "
            "differences are noise.",
            style="dim",
        )


def stated(findings: Findings) -> dict[str, Any]:
    """What is known of the pick, as se.yaml tells it; numbers in full would pretend."""

    def plain(estimate: Estimate) -> dict[str, float]:
        shown = findings.shown(estimate)
        return {key: round(value, 5) for key, value in asdict(shown).items()}

    picked = findings.picked
    return {
        "verdict": findings.verdict,
        f"expected_{findings.name}": plain(picked.loss),
        "trainings": picked.trainings,
        "probability_on_front": round(picked.on_front, 3),
        **{f"minus_{name}": plain(apart) for name, apart in findings.against.items()},
        "interval_probability": LEVEL,
        "in_words": findings.comparisons,
    }


def claims(setup: Setup, findings: Findings) -> Claims:
    """What the study can claim, as a recorder keeps it."""
    picked, none = findings.picked, findings.picked.from_none
    facts = {
        "verdict": findings.verdict,
        "recommended": picked.config.words(setup.sites) if findings.pick.decided else "",
        "leads": "" if findings.pick.decided else picked.config.words(setup.sites),
        "not_distinguishable_from_no_se": "true" if findings.like_no_se else "false",
    }
    apart = findings.shown(none) if none else None
    minus = {"minus_none": apart.mean, "minus_none_low": apart.low, "minus_none_high": apart.high} if apart else {}
    return Claims(
        facts=facts,
        scores={**_estimate(findings, picked), **minus},
        estimates=estimates(findings),
    )


def estimates(findings: Findings) -> dict[int, dict[str, float]]:
    """What is known of each configuration, by the number of its first trial."""
    return {point.trial.number: _estimate(findings, point) for point in findings.points if point.trial}


def exported(setup: Setup, trials: list[Trial], findings: Findings) -> Exported:
    """What is picked, as se.yaml tells it."""
    config, data = setup.config, setup.data
    trial, why, _ = findings.pick
    same = [t for t in findings.measured if t.config == trial.config]
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
            "seeds": sorted({t.seed for t in findings.measured}),
            "seeds_of_this_configuration": sorted({t.seed for t in same}),
            "certainty": stated(findings),
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
            "sampler": samplers(trials, config.sampler),
            "pruner": words_of(config.pruner),
            "trials": outcomes(trials),
            "setting": digest(setup.fingerprint)[:12],
            "baselines": _baselines(setup, findings),
        },
    )


def recipe_of(trainer: TrainerConfig) -> dict[str, Any]:
    """How it was trained, as provenance tells it. What is seldom done, such as an average, only where it was done."""
    return {key: value for key, value in asdict(trainer).items() if key in RECIPE and (key, value) not in BEFORE}


def built(backbone: BackboneConfig, data: Images) -> dict[str, Any]:
    """What se.yaml says of a backbone. Not where its initial weights came from: an export has the trained ones."""
    told = {key: value for key, value in backbone_of(backbone).plain().items() if key != "weights"}
    return {"name": told.pop("name"), "classes": len(data.classes), "channels": data.shape[0], **told}


def split_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Which images are in which part, as provenance tells it: `senas train` splits as the search did."""
    split = {key: data[key] for key in SPLIT if key in data}
    return {"split": split} if split else {}


def outcomes(trials: Sequence[Trial]) -> dict[str, int]:
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
    counts = {words: sum(t.status is end and t.trained and t.proposed for t in trials) for words, end in ends.items()}
    screened_out = sum(trial.screened_out for trial in trials)
    rejected = sum(trial.status is Status.REJECTED for trial in trials)
    return {
        **counts,
        "answered from an earlier one": repeated,
        **({"screened out, and not trained": screened_out} if screened_out else {}),
        **({"rejected by a constraint, and not trained": rejected} if rejected else {}),
        **{f"trained {words}": count for words, count in more.items() if count},
    }


def _baselines(setup: Setup, findings: Findings) -> dict[str, dict[str, Any]]:
    """No SE, and SE everywhere at r = 16, where the study measured them."""
    found = {name: [t for t in findings.measured if t.config == config] for name, config in setup.baselines.items()}
    return {name: {"trial": t[0].number, "scores": dict(t[0].scores)} for name, t in found.items() if t}


def _estimate(findings: Findings, point: Point) -> dict[str, float]:
    loss = findings.shown(point.loss)
    return {
        f"expected_{findings.name}": loss.mean,
        "expected_low": loss.low,
        "expected_high": loss.high,
        "probability_on_front": point.on_front,
        "trainings": float(point.trainings),
    }
