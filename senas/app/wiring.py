"""From a checked configuration to the parts of a study, wired together."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from senas.app.bench import bench, found_again, space_on, stopwatch
from senas.app.checks import axes, constraints, timing
from senas.app.compose import checked
from senas.app.fingerprint import contents_of, digest, fingerprint_of
from senas.app.paths import StudyFolder
from senas.app.schema import SearchConfig
from senas.app.trusted import named_code, refuse_untrusted
from senas.core.address import hidden
from senas.core.config import BASELINES, SEConfig, baselines
from senas.core.constraint import MEASURED, Constraints
from senas.core.latency import Timing
from senas.core.objective import MINUS, Objective, Pareto, Penalized
from senas.core.site import Site
from senas.core.space import SearchSpace
from senas.core.standing import Standing
from senas.core.trial import CONFIRM, THEORY, Status, Trial
from senas.core.trust import packages
from senas.core.verdict import Verdict
from senas.errors import ConfigError
from senas.model import latency
from senas.model.sites import Traced
from senas.study.thompson import Memory
from senas.training.data import Images
from senas.training.metric import OwnMetric, own_metric
from senas.training.standalone import Standalone

FITTED = 200
"""Trainings that a study's verdict reads at most: some ten seconds on one core."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The parts of one study.

    timing:   how latency is measured; None where nothing reads it.
    remarks:  what people should know about the data and the backbone, a line each.
    initial:  the backbone's initial weights, in words; "" where they are drawn.
    """

    config: SearchConfig
    folder: StudyFolder
    fingerprint: Mapping[str, object]
    data: Images
    traced: Traced
    space: SearchSpace
    objective: Objective
    constraints: Constraints
    timing: Timing | None
    evaluator: Standalone
    remarks: tuple[str, ...] = ()
    initial: str = ""

    @property
    def sites(self) -> tuple[Site, ...]:
        return self.traced.sites

    @property
    def baselines(self) -> dict[str, SEConfig]:
        """What the study is measured against, by name."""
        return baselines(self.sites, axes(self.config.space).usual_gate)

    @property
    def storage(self) -> str | Path:
        return self.config.storage.url or self.folder.journal

    def standing(self, trials: list[Trial], penalty: float | None = None, margin: float | None = None) -> Standing:
        """Where the study stands with these trials, also by another penalty or margin."""
        objective = self.objective
        if penalty is not None:
            if not isinstance(objective, Penalized):
                raise ConfigError("objective.penalty: this study has objective=pareto, which has no penalty")
            objective = replace(objective, penalty=penalty)
        return Standing(
            trials=trials,
            objective=objective,
            classes=len(self.data.classes),
            largest_params=self.space.largest_params,
            margin=self.config.study.margin if margin is None else margin,
        )

    def verdict(
        self, trials: list[Trial], penalty: float | None = None, margin: float | None = None, effort: float = 1.0
    ) -> Verdict:
        """What the study can claim with these trials. Raises StudyError where none was trained to its end.

        Of more than FITTED trainings those are read that have a baseline or a second seed, and the newest: which they
        are must not depend on how well they did, or the lucky ones would be read.
        """
        standing = self.standing(_read(trials, self.baselines.values()), penalty, margin)
        study, replicates = self.config.study, sum(trial.origin == CONFIRM for trial in trials)
        return Verdict(standing, self.space, self.baselines, study.seed, effort, study.interactions, replicates)

    def start(self) -> tuple[list[SEConfig], list[str]]:
        """The starting points that lie in the space, and the names of those that do not. That of `theory` is none of
        them: it hangs on results."""
        names = (*BASELINES, THEORY)
        if unknown := [name for name in self.config.study.start if name not in names]:
            raise ConfigError(f'study.start: "{unknown[0]}" is not among {", ".join(names)}')
        known = self.baselines  # without `former` where the backbone came with no block
        inside = {name: known[name] in self.space for name in self.config.study.start if name in known}
        return [known[n] for n, is_in in inside.items() if is_in], [n for n, is_in in inside.items() if not is_in]

    def resolved(self) -> dict[str, Any]:
        """The whole configuration, as it runs, with the study's name."""
        plain = asdict(self.config)
        plain["study"]["name"] = self.folder.name
        if self.timing:  # looked at on another machine, it still says where it was measured
            plain["latency"]["hardware"] = self.timing.hardware
        if "root" in plain["data"]:  # found again from another working directory
            plain["data"]["root"] = str(Path(plain["data"]["root"]).absolute())
        plain["backbone"]["weights"] = found_again(plain["backbone"]["weights"])
        return plain

    def shown(self) -> dict[str, Any]:
        """`resolved`, with the passwords in addresses hidden."""
        plain = self.resolved()
        for group, key in (("storage", "url"), ("tracking", "uri")):
            if plain[group][key]:
                plain[group][key] = hidden(plain[group][key])
        return plain


def _read(trials: list[Trial], baselines: Iterable[SEConfig]) -> list[Trial]:
    """Those that a model of all is fitted to: its time grows with the cube of their number."""
    measured = [trial for trial in trials if trial.status is Status.COMPLETE and trial.repeats is None]
    if len(measured) <= FITTED:
        return trials
    times, against = Counter(trial.config for trial in measured), set(baselines)
    newest = sorted(measured, key=lambda t: (t.config in against, times[t.config] > 1, t.number))[-FITTED:]
    kept, numbers = {trial.number for trial in newest}, {trial.number for trial in measured}
    return [trial for trial in trials if trial.number in kept or trial.number not in numbers]


def set_up(config: SearchConfig) -> Setup:
    """Everything a search, or a look at one, needs, of a configuration that was checked. Writes nothing."""
    data, backbone, traced, evaluator = bench(config.backbone, config.data, config.trainer)
    bounds = constraints(config.space)
    space = space_on(traced.sites, config.space).capped(bounds, evaluator.backbone_params, evaluator.backbone_macs)
    objective, evaluator.metrics = _objective(config, space, len(data.classes))
    measured = _timing(config, [*objective.axes, *bounds.given])
    if measured:
        evaluator.stopwatch = partial(stopwatch, example=data.shape, timing=measured)
    fingerprint = {**fingerprint_of(config, measured), **contents_of(data, backbone)}
    name = config.study.name or f"{config.data['name']}-{config.backbone.name}-{digest(fingerprint)[:6]}"
    return Setup(
        config=config,
        folder=StudyFolder(Path(config.root), name),
        fingerprint=fingerprint,
        data=data,
        traced=traced,
        space=space,
        objective=objective,
        constraints=bounds,
        timing=measured,
        evaluator=evaluator,
        remarks=(*data.remarks, *backbone.remarks),
        initial=backbone.initial,
    )


def set_up_again(root: str, name: str, trust: object = ()) -> Setup:
    """A study as it was launched, from its folder. Raises what `as_launched` raises."""
    return set_up(as_launched(root, name, trust))


def as_launched(root: str, name: str, trust: object = (), study: Mapping[str, Any] | None = None) -> SearchConfig:
    """The configuration that a study was launched with, from its folder.

    trust:  packages of whose code it may name some.
    study:  what is to be another in its part `study`.
    Raises StudyError where there is none, listing those there are, and ConfigError for code that is not trusted.
    """
    trusted = packages(trust)
    folder = StudyFolder(Path(root), name).existing()
    try:
        plain = yaml.safe_load(folder.config.read_text())
        config: SearchConfig = checked("search", {**plain, "root": root, "study": {**plain["study"], **(study or {})}})
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise ConfigError(f"{folder.config} is not a configuration of senas any more") from error
    refuse_untrusted(named_code(config), folder.config, trusted)
    return config


def _timing(config: SearchConfig, read: Sequence[str]) -> Timing | None:
    """How latency is measured, with the name of the hardware; None where it is not among the scores that are read."""
    if MEASURED not in read:
        return None
    wanted = timing(config.latency)
    if not wanted.hardware:
        latency.check(wanted)
        wanted = replace(wanted, hardware=latency.hardware(wanted.device))
    return wanted


def sampler_factory(config: SearchConfig, space: SearchSpace, objective: Objective) -> Callable[[int], Any]:
    """The sampler of the configuration, with the seed to be given; senas's own takes more of the study."""
    parts: dict[str, Any] = {"space": space, "objective": objective, "interactions": config.study.interactions}
    parts["memory"] = Memory(space, config.study.interactions)  # it is made anew for every proposal
    return partial(_build, config.sampler, "sampler", parts)


def pruner(config: SearchConfig) -> Any:
    """The pruner of the configuration; None for pruner=none."""
    return _build(config.pruner, "pruner") if config.pruner.get("_target_") else None


def _objective(config: SearchConfig, space: SearchSpace, classes: int) -> tuple[Objective, list[OwnMetric]]:
    """The objective, and the metrics of the user's own that it reads."""
    objective = config.objective
    if objective.name not in ("penalized", "pareto"):
        raise ConfigError(f'objective.name: there is no "{objective.name}"; there are penalized, pareto')
    wanted = [objective.metric] if objective.name == "penalized" else objective.metrics
    if objective.name == "penalized" and not (":" in wanted[0] or wanted[0] in ("val_loss", "val_error")):
        raise ConfigError(
            "objective.metric must be val_loss, val_error, or a function of yours as package.module:function, got "
            f'"{objective.metric}"'
        )
    own = {target: own_metric(target, objective.mode, classes) for target in wanted if ":" in target}
    if objective.mode is not None and not own:
        raise ConfigError("objective.mode is for a metric of your own; those of senas are minimised")
    if len({metric.name for metric in own.values()}) != len(own):
        raise ConfigError("objective.metrics: two functions of yours have one name; rename one of them")
    names = {target: f"{MINUS if metric.maximise else ''}{metric.name}" for target, metric in own.items()}
    read = tuple(names.get(target, target) for target in wanted)
    if objective.name == "pareto":
        return Pareto(read, tuple(names.values())), list(own.values())
    return Penalized(objective.penalty, space.largest_params, *read), list(own.values())


def _build(
    config: Mapping[str, Any], group: str, parts: Mapping[str, Any] | None = None, seed: int | None = None
) -> Any:
    target = str(config.get("_target_", ""))
    module, _, name = target.rpartition(".")
    options = {key: value for key, value in config.items() if key != "_target_"}
    try:
        made = getattr(import_module(module), name)
        parameters = inspect.signature(made).parameters
        handed = {**(parts or {}), **({} if seed is None else {"seed": seed})}
        options |= {key: value for key, value in handed.items() if key in parameters}
        for key, value in options.items():
            if key in parameters and isinstance(parameters[key].default, int | float) and isinstance(value, str):
                raise TypeError(f"{key} must be a number, got {value}")
        return made(**options)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigError(f"{group}: {target} cannot be made: {str(error).splitlines()[0]}") from error
