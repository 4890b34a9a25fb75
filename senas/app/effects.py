"""senas effects: what SE is worth at each site of a study, with intervals. Nothing is trained."""

from senas.app.paths import write_whole
from senas.app.schema import EffectsConfig
from senas.app.theory import theory_of
from senas.app.wiring import Setup, set_up_again
from senas.core.certainty import LEVEL, Estimate
from senas.core.config import SEConfig
from senas.core.effects import CONFIGURATION, SEED
from senas.core.objective import METRICS, MINUS, bare
from senas.core.verdict import Verdict
from senas.core.worth import ANY, Worth, worths
from senas.report.console import Terminal
from senas.report.effects import effects_csv, effects_png, effects_table
from senas.report.theory import best_ratio_lines, kappa_line
from senas.study.optuna import read_trials


def main(config: EffectsConfig) -> None:
    """Prints the table, and writes it and its picture into the study's folder."""
    setup = set_up_again(config.root, config.study.name, config.trust)
    verdict = setup.verdict(read_trials(setup.folder.name, setup.storage, setup.space))
    rows = worths(verdict.effects)
    terminal = Terminal()
    terminal.say("\n".join(_head(setup, verdict)))
    terminal.show(effects_table(rows, _named(verdict.metric)))
    terminal.say(in_words(rows, verdict))
    pick = verdict.pick(setup.config.objective.pick).trial.config
    terminal.say("\n".join(theory_in_words(setup, verdict, pick)))
    for name, content in effects_files(setup, verdict, rows).items():
        write_whole(setup.folder.path / name, content)


def effects_files(setup: Setup, verdict: Verdict, rows: list[Worth]) -> dict[str, bytes]:
    """The table and the picture, by the name of their files."""
    png = effects_png(rows, **captions(setup, verdict))
    return {"effects.csv": effects_csv(rows).encode(), "effects.png": png}


def captions(setup: Setup, verdict: Verdict) -> dict[str, str]:
    """Title and metric of the picture."""
    return {"title": f"{setup.folder.name}: what an SE block adds", "metric": spoken_metric(verdict.metric)}


def _head(setup: Setup, verdict: Verdict) -> list[str]:
    effects = verdict.effects
    seeds = {trial.seed for trial in verdict.standing.measured}
    trainings = sum(effects.trained.values())
    scales = [
        ("the noise of one training", effects.noise),
        ("what a seed does to all configurations alike", effects.scale(SEED)),
        ("how far configurations are from the sum of their blocks", effects.scale(CONFIGURATION)),
    ]
    lines = [
        f"study {setup.folder.name}: {trainings} trainings of {len(effects.trained)} configurations with {len(seeds)} "
        f"seeds, read together; {LEVEL:.0%} intervals of what a block adds to the {spoken_metric(verdict.metric)}"
    ]
    for words, draws in scales:
        size = Estimate.of(draws)
        lines.append(f"  {words}: sd {size.mean:.4f} ({size.low:.4f} to {size.high:.4f})")
    return lines


def in_words(rows: list[Worth], verdict: Verdict) -> str:
    """What the intervals say, in a sentence: of placements, widths and places as wholes, and of single blocks at places
    that as wholes may do nothing."""
    sure = [row for row in rows if row.kind != "pair" and row.loss.excludes_zero]
    whole = {row.name for row in sure if row.option == ANY}
    sure = [row for row in sure if row.kind != "place" or row.option == ANY or row.name not in whole]
    more_is_better = verdict.metric.startswith(MINUS)
    metric = bare(verdict.metric) if more_is_better else spoken_metric(verdict.metric)
    if not sure:
        pairs = [row.name for row in rows if row.kind == "pair" and row.loss.excludes_zero]
        return f"No SE block's effect on the {metric} can be told from none by these trainings: " + (
            f"all intervals but those of pairs include 0 ({'; '.join(pairs)})." if pairs else "all intervals include 0."
        )
    told = []
    for does, some in (
        ("raises" if more_is_better else "lowers", [r for r in sure if r.loss.mean < 0]),
        ("lowers" if more_is_better else "raises", [r for r in sure if r.loss.mean > 0]),
    ):
        named = [f"{row.name} ({row.option or row.kind})" for row in some]
        told += [f"{does} the {metric}: {', '.join(named)}"] if named else []
    return f"What these trainings show: SE {'; it '.join(told)}."


def theory_in_words(setup: Setup, verdict: Verdict, pick: SEConfig) -> list[str]:
    """What theory says of the best ratios by the same trainings, beside those of what is picked."""
    theory = theory_of(setup, verdict)
    return [kappa_line(theory), *best_ratio_lines(theory, setup.sites, pick)]


def spoken_metric(metric: str) -> str:
    """What effects add to, in words."""
    return METRICS.get(metric, _named(metric)).partition(" (")[0]


def _named(metric: str) -> str:
    """What is minimised: of a score that is to be high, minus it."""
    return f"minus {bare(metric)}" if metric.startswith(MINUS) else metric
