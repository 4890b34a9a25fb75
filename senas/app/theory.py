"""What theory says of a study's ratios by its trainings, and the starting point that follows: study.start=[theory]."""

from collections.abc import Sequence

from senas.app.wiring import Setup
from senas.core.config import SEConfig
from senas.core.curvature import ratio_theory
from senas.core.effects import Observation
from senas.core.objective import Penalized, score
from senas.core.theory import RatioTheory, best_blocks, price
from senas.core.trial import THEORY, Trial
from senas.core.verdict import Verdict
from senas.report.theory import kappa_line


def theory_of(setup: Setup, verdict: Verdict) -> RatioTheory:
    """By the trainings that the verdict reads."""
    trials = sorted(verdict.standing.measured, key=lambda trial: trial.number)
    seen = [Observation(t.config, t.seed, score(t.scores, verdict.metric)) for t in trials]
    objective, study = verdict.standing.objective, setup.config.study
    paid = price(objective.penalty, objective.largest_params) if isinstance(objective, Penalized) else None
    return ratio_theory(setup.space, seen, price=paid or None, interactions=study.interactions, seed=study.seed)


def start_by_theory(setup: Setup, trials: Sequence[Trial], *, waits: bool) -> tuple[SEConfig | None, str]:
    """The configuration that theory starts with after these trials, if any, and a line that says which, or why none.

    At most one a study: where a trial came of it there is no other, though kappa is known better by now.
    waits:  whether there is such a trial, of which an earlier run was stopped before it ended.
    """
    known = [trial.number for trial in trials if trial.origin == THEORY]
    if known:
        return None, f"theory: its starting point is trial {known[0]}"
    if waits:
        return None, "theory: its starting point was not trained to its end, and is taken up again"
    if not setup.standing(list(trials)).measured:
        return None, (
            "theory: nothing was trained yet to see kappa by, so nothing is started; study.audit=true trains some "
            "before, or go on with this study later"
        )
    theory = theory_of(setup, setup.verdict(list(trials)))
    line = kappa_line(theory)
    if theory.kappa is None or not theory.identified:
        return None, f"{line}; nothing is started"
    objective = setup.objective
    if not isinstance(objective, Penalized) or theory.price is None:
        return None, f"{line}; without a penalty (objective.penalty) no best ratio follows, and nothing is started"
    config = best_blocks(setup.space, theory.kappa.mean, objective.penalty)
    words = config.words(setup.sites)
    if config not in setup.space:
        return None, f"{line}; its starting point, {words}, is not in the space, and left out"
    same = [trial.number for trial in trials if trial.config == config]
    if same:
        return None, f"{line}; its starting point, {words}, is trial {same[0]} already"
    return config, f"{line}; starts with {words}"
