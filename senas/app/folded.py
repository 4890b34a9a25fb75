"""What `senas export fold=...` makes of a pick: the network with fewer blocks, and what its files tell of that."""

from dataclasses import replace
from typing import Any

from senas.app.wiring import Setup
from senas.core.trial import Job, Trial
from senas.exported.package import Exported
from senas.report.console import Terminal
from senas.report.findings import INTERVAL
from senas.report.reading import Reading
from senas.report.removable import between, signed
from senas.training.folding import Folding, folded

COSTS = ("se_params", "params", "macs")


def folding_of(terminal: Terminal, setup: Setup, picked: Trial, net: Any, most: float) -> Folding | None:
    """Folds what may be folded, and says what was, and what stays for which reason. None where there is no block."""
    if not picked.config:
        terminal.say("there is no SE block to fold")
        return None
    terminal.say(f"folding gates as long as the validation loss rises by at most {most:g}")
    told = Reading(terminal, "passes over the validation images")
    found = folded(setup.evaluator.build(), net, picked.config, setup.traced, setup.data, most, told)
    lines = [
        f"  {site}: folded; constant, it alone changes the loss by {signed(rise)}"
        for site, rise in found.folded.items()
    ]
    lines += [f"  {site}: stays; {why}" for site, why in found.stayed.items()]
    before, after = _costs(setup, picked, found)
    terminal.say(
        "\n".join(
            [
                *lines,
                f"{len(found.folded)} of {len(picked.config)} SE blocks are folded: validation loss "
                f"{found.before.loss:.4f} -> {found.after.loss:.4f}, accuracy {found.before.accuracy:.2%} -> "
                f"{found.after.accuracy:.2%}; SE parameters {before['se_params']:,} -> {after['se_params']:,}, "
                f"multiply-accumulates {before['macs']:,} -> {after['macs']:,}",
                f"the loss rises by {between(found.rise)}: {INTERVAL}, paired over {setup.data.counts.val:,} images",
                f"compared with constant gates in their places: largest difference of a logit {found.difference:.3g}",
            ]
        )
    )
    if found.folded and found.rise.high > most:
        terminal.warn(
            f"so few validation images do not tell that it rises by no more than {most:g}; fold=... takes the mean"
        )
    return found


def left(package: Exported, setup: Setup, picked: Trial, found: Folding) -> Exported:
    """The export of the network that is left. Where anything was folded, its scores are of that network."""
    before, after = _costs(setup, picked, found)
    was = {"val_loss": found.before.loss, "val_accuracy": found.before.accuracy, **before}
    now = {"val_loss": found.after.loss, "val_accuracy": found.after.accuracy, **after}
    told = {
        "rise_of_val_loss_allowed": found.most,
        "sites": {
            site: {"block": str(picked.config[site]), "rise_alone": round(rise, 6)}
            for site, rise in found.folded.items()
        },
        "stayed": dict(found.stayed),
        "factors": f"means of the gates over {found.images:,} {found.part} images",
        "rise_of_val_loss": {"mean": found.rise.mean, "low": found.rise.low, "high": found.rise.high},
        "difference_of_a_logit": found.difference,
        "before": was,
        "after": now,
    }
    scores = {**now, "val_error": 1 - found.after.accuracy} if found.folded else package.scores
    return replace(package, config=found.config, scores=scores, provenance={**package.provenance, "folded": told})


def _costs(setup: Setup, picked: Trial, found: Folding) -> tuple[dict[str, int], dict[str, int]]:
    """SE parameters, parameters and multiply-accumulates, with and without what was folded."""
    jobs = [Job(config, picked.seed, len(picked.curve)) for config in (picked.config, found.config)]
    one, other = ({name: int(setup.evaluator.costs(job)[name]) for name in COSTS} for job in jobs)
    return one, other
