"""Which evaluator trains, by its name, and which one says what is worth a training."""

from collections.abc import Callable

from senas.app.fingerprint import digest
from senas.app.schema import EvaluatorConfig
from senas.app.wiring import Setup
from senas.core.ports import Evaluator
from senas.core.screening import Contenders
from senas.errors import ConfigError
from senas.training.fused import Fused
from senas.training.screener import Screener, Sharing
from senas.training.side_by_side import one_of, side_by_side
from senas.training.standalone import Standalone

GP = "optuna.samplers.GPSampler"


def evaluator_of(
    standalone: Standalone,
    config: EvaluatorConfig,
    trainings: int,
    say: Callable[[str], None],
    *,
    pruned: bool = False,
) -> Evaluator:
    """What trains so many jobs as the configuration says. Raises ConfigError in one line where it cannot.

    say:     told what is measured on the way.
    pruned:  whether what is stopped early hangs on what other trials came to. Then it would hang on which of several
             trainings is the faster one, and unless it is asked for there are not several.
    """
    by_themselves = side_by_side(standalone, _workers(config, pruned), trainings)
    if config.name != "fused":
        return by_themselves
    made = Fused(standalone, config.members, say, otherwise=by_themselves, always=config.together == "always")
    if hindrance := made.hindrance():
        raise ConfigError(f"evaluator=fused: networks are not trained together with {hindrance}; evaluator=standalone")
    return made


def trainer_of_one(standalone: Standalone, config: EvaluatorConfig, trainings: int, *, pruned: bool) -> Standalone:
    """What trains a single job again as `evaluator_of` had it trained, where each was trained by itself."""
    return one_of(standalone, _workers(config, pruned), trainings)


def _workers(config: EvaluatorConfig, pruned: bool) -> int | None:
    return 1 if config.workers is None and pruned else config.workers


def screener_of(setup: Setup, say: Callable[[str], None]) -> Screener | None:
    """What screens the proposals of a study; None where all are trained. Raises ConfigError where it cannot.

    say:  told in a line each what goes on.
    """
    config = setup.config.evaluator
    if config.name != "supernet":
        return None
    if setup.space.size is not None and setup.space.size <= config.trainings:
        raise ConfigError(
            f"evaluator=supernet trains the first {config.trainings} configurations by themselves, and the space has "
            f"{setup.space.size}: nothing would be screened; evaluator=standalone"
        )
    if setup.config.sampler.get("_target_") == GP:
        raise ConfigError(
            "evaluator=supernet ends proposals untrained, of which sampler=gp learns nothing: it proposes them again; "
            "sampler=tpe, or evaluator=standalone"
        )
    sharing = Sharing(
        trainings=config.trainings,
        sampling=config.sampling,
        distill=config.distill,
        epochs=config.epochs or setup.config.trainer.epochs,
        seed=setup.config.study.seed,
        folder=setup.folder.path,
        study=digest(setup.fingerprint)[:6],
    )
    made = Screener(setup.evaluator, setup.space, Contenders.by(setup.objective, config.keep), sharing, say)
    if hindrance := made.hindrance():
        raise ConfigError(f"evaluator=supernet: weights are not shared with {hindrance}; evaluator=standalone")
    return made
