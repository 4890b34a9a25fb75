"""The proposer that drives Optuna. Its storage is the truth of a study.

One categorical parameter a choice of the space, with all its options in words: the space is the same for every trial,
so that TPE and GP model it whole, and it is one write a choice.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from senas.core.config import SEConfig
from senas.core.constraint import Constraints
from senas.core.objective import Objective, Scores
from senas.core.seeds import Seeds
from senas.core.space import SearchSpace
from senas.core.trial import CONFIRM, SAMPLER, THEORY, UNTRIED, Status, Trial, Wanted
from senas.errors import ConfigError, SpaceError, StudyError
from senas.study.one_seed import OneSeed
from senas.study.storage import mend_journal, open_storage, together
from senas.study.thompson import EffectsSampler
from senas.study.written import ORIGIN, RECORD, SEED, STATES, STATUSES, Ended, config_of, record_of

DRAWS = 1000
"""Random draws for an untried configuration before the space is walked for one."""

Sampler = Callable[[int], BaseSampler]
"""A sampler of one's choice, with the seed given."""


@dataclass(slots=True, kw_only=True)
class OptunaProposer:
    """Asks and tells an Optuna study, over a search space.

    sampler:  made anew from (study seed, results told) for each proposal, so that a resumed study proposes what an
              uninterrupted one would.
    named:    the sampler in words, which each trial that it proposed says; another run may have another one.
    pruner:   decides on `objective` of each epoch's scores; None prunes nothing.
    seeds:    that proposals are trained with. The first is the study's, which the sampler draws with too.
    start:    configurations that the first ask puts before all others, unless they have trials already.
    theory:   one more, that earlier results gave; a study has one such trial at most.
    """

    study: optuna.Study
    space: SearchSpace
    objective: Objective
    sampler: Sampler
    pruner: optuna.pruners.BasePruner | None
    seeds: Seeds
    start: Sequence[SEConfig] = ()
    theory: SEConfig | None = None
    named: str = ""
    constraints: Constraints = field(default_factory=Constraints)
    asked: dict[int, optuna.Trial] = field(default_factory=dict)
    running: dict[int, Trial] = field(default_factory=dict)  # as they were asked for
    known_space: dict[str, IntersectionSearchSpace] = field(default_factory=dict)
    ended: Ended = field(init=False)

    def __post_init__(self) -> None:
        self.ended = Ended(self.space)

    def trials(self) -> list[Trial]:
        return self.ended.read(self.study.get_trials(deepcopy=False))

    def ask(self) -> Trial:
        self._enqueue_start()
        asked = self._ask()
        with together(self.study._storage):
            params = self._params(asked)
        return self._running(asked, self.space.draw(lambda name, _: params[name]))

    def ask_untried(self) -> Trial:
        self._enqueue_start()
        if not self._waiting():
            config, seed = self._untried()
            self.study.enqueue_trial(self.space.encode(config), user_attrs={ORIGIN: UNTRIED, SEED: seed})
        return self.ask()

    def ask_for(self, wanted: Wanted) -> Trial:
        params, storage = self.space.encode(wanted.config), self.study._storage
        told = {ORIGIN: wanted.origin, SEED: wanted.seed}
        same = [t for t in self._waiting() if t.params == params and told.items() <= t.user_attrs.items()]
        if same:
            trial_id = same[0]._trial_id
            storage.set_trial_state_values(trial_id, TrialState.RUNNING)
        else:
            # In one write, unlike a trial that is queued and popped: whatever waits goes on waiting.
            options: dict[str, BaseDistribution]
            options = {choice.name: CategoricalDistribution(list(choice.options)) for choice in self.space.choices}
            new = create_trial(state=TrialState.RUNNING, params=params, distributions=options, user_attrs=told)
            trial_id = storage.create_new_trial(self.study._study_id, new)
        return self._running(optuna.Trial(self.study, trial_id), wanted.config)

    def unfinished(self) -> list[Wanted]:
        waiting = [(config_of(t, self.space), t.user_attrs) for t in self._waiting()]
        return [
            Wanted(config, told[SEED], told[ORIGIN])
            for config, told in waiting
            if config is not None and told.get(ORIGIN) == CONFIRM
        ]

    def knows(self, origin: str) -> bool:
        """Whether there is a trial of this origin, though it may only wait to be asked for."""
        return any(trial.user_attrs.get(ORIGIN) == origin for trial in self.study.get_trials(deepcopy=False))

    def report(self, trial: Trial, epoch: int, scores: Scores) -> bool:
        if self.pruner is None or not trial.proposed:
            return False
        running = self.asked[trial.number]
        with warnings.catch_warnings():
            # A trial that was taken up again reports epochs that it had reported before.
            warnings.filterwarnings("ignore", message="The reported value is ignored")
            running.report(self.objective.values(scores)[0], epoch)
        self.study.pruner = self.pruner
        return running.should_prune()

    def tell(self, trial: Trial) -> None:
        running = self.asked.pop(trial.number)
        self.running.pop(trial.number)
        values = list(trial.values) if trial.status is Status.COMPLETE else None
        with together(self.study._storage):
            running.set_user_attr(RECORD, record_of(trial))
            for name, excess in self.constraints.excess(trial.scores).items():
                running.set_constraint(name, excess)
            self.study.tell(running, values, state=STATES[trial.status])

    def _running(self, asked: optuna.Trial, config: SEConfig) -> Trial:
        self.asked[asked.number] = asked
        origin = asked.user_attrs.get(ORIGIN, SAMPLER)
        self.running[asked.number] = Trial(
            number=asked.number,
            status=Status.RUNNING,
            config=config,
            seed=asked.user_attrs.get(SEED, self.seeds.of(asked.number)),
            started=asked.datetime_start.timestamp() if asked.datetime_start else 0.0,
            origin=origin,
            sampler=self.named if origin == SAMPLER else "",
        )
        return self.running[asked.number]

    def _waiting(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))

    def _enqueue_start(self) -> None:
        """Not before the first ask: what is asked for by name before it has lower numbers, as it ends earlier."""
        for config in self.start:
            self.study.enqueue_trial(self.space.encode(config), user_attrs={ORIGIN: "start"}, skip_if_exists=True)
        if self.theory is not None and not self.knows(THEORY):
            self.study.enqueue_trial(self.space.encode(self.theory), user_attrs={ORIGIN: THEORY}, skip_if_exists=True)
        self.start, self.theory = (), None

    def _ask(self) -> optuna.Trial:
        told = len(self.study.get_trials(deepcopy=False, states=tuple(STATUSES)))
        # Of several that are asked before one is told, each draws anew.
        self._reseed(f"{told} {len(self.asked)}" if self.asked else f"{told}")
        return self.study.ask()

    def _params(self, asked: optuna.Trial) -> dict[str, str]:
        """What a model proposes is drawn all at once; what is left is drawn with a seed for each name. So it does not
        matter at which parameter a killed process had stopped."""
        drawn = {*asked.relative_params, *asked.params} if self.space.choices else set()
        params = {}
        for choice in self.space.choices:
            if choice.name not in drawn:
                self._reseed(f"{asked.number} {choice.name}")
            params[choice.name] = str(asked.suggest_categorical(choice.name, list(choice.options)))
        return params

    def _reseed(self, word: str) -> None:
        digest = hashlib.sha256(f"{self.seeds.first} {word}".encode()).digest()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = self.sampler(int.from_bytes(digest[:4], "big"))
        for name, known in vars(sampler).items():
            if isinstance(known, IntersectionSearchSpace):  # a new one would read all trials again
                setattr(sampler, name, self.known_space.setdefault(name, known))
        knows_of_seeds = self.seeds.rotated > 1 or isinstance(sampler, EffectsSampler)
        self.study.sampler = sampler if knows_of_seeds else OneSeed(sampler, self.seeds.first)

    def _untried(self) -> tuple[SEConfig, int]:
        """A configuration and its seed. Where each configuration has a trial, one that a seed was not tried with."""
        trials, number = [*self.trials(), *self.running.values()], len(self.study.get_trials(deepcopy=False))
        new = self._draw({trial.config for trial in trials}, number)
        if new is not None:
            return new, self.seeds.of(number)
        costly = {trial.config for trial in trials if trial.status is Status.REJECTED}  # with any seed
        for there in (trials, [trial for trial in trials if not trial.screened_out]):  # these are the last to be left
            for seed in self.seeds:
                new = self._draw(costly | {trial.config for trial in there if trial.seed == seed}, number)
                if new is not None:
                    return new, seed
        raise SpaceError(f"all {self.space.size} configurations of the search space were tried")

    def _draw(self, tried: set[SEConfig], number: int) -> SEConfig | None:
        """Another one, within the caps of the space, but not necessarily fast enough; None where there is none."""
        rng = np.random.default_rng((self.seeds.first, number))
        for _ in range(DRAWS):
            config = self.space.draw(lambda _, options: options[int(rng.integers(len(options)))])
            if config not in tried and self.space.fits(config):
                return config
        for _ in range(DRAWS):  # where few are within the caps
            within = self.space.draw_within(lambda count: int(rng.integers(count)))
            if within is not None and within not in tried:
                return within
        return next((config for config in self.space if config not in tried), None)


def open_proposer(
    *,
    name: str,
    storage: str | Path,
    space: SearchSpace,
    objective: Objective,
    sampler: Sampler,
    pruner: optuna.pruners.BasePruner | None,
    seeds: Seeds,
    fingerprint: Mapping[str, Any],
    start: Sequence[SEConfig],
    named: str = "",
    constraints: Constraints | None = None,
) -> OptunaProposer:
    """Creates the study, or opens it where it stands.

    storage:      a journal file, or the URL of a database.
    fingerprint:  what must not change while the study lives, by dotted key.
    seeds:        that proposals are trained with; the first is the sampler's too.
    start:        configurations to evaluate first.
    named:        the sampler in words, for the records of the trials that it proposes.
    constraints:  what Optuna is told of each trial, so that samplers learn what is rejected.
    What a killed process was at is taken up again: it alone may be at the study now. Raises StudyError where the
    study's fingerprint is another one, naming what differs; ConfigError for a pruner with several objectives.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = objective.names
    if pruner is not None and len(names) > 1:
        raise ConfigError("pruner: several objectives cannot be pruned on; use objective=penalized, or pruner=none")
    if isinstance(storage, Path):
        mend_journal(storage)
    opened = open_storage(storage)
    try:
        study = optuna.load_study(study_name=name, storage=opened)
    except KeyError:
        study = optuna.create_study(study_name=name, storage=opened, directions=["minimize"] * len(names))
    _check(study, name, fingerprint)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(names))
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        _forget_proposal(opened, trial)
        opened.set_trial_state_values(trial._trial_id, TrialState.WAITING)
    return OptunaProposer(
        study=study,
        space=space,
        objective=objective,
        sampler=sampler,
        pruner=pruner,
        seeds=seeds,
        start=start,
        named=named,
        constraints=constraints or Constraints(),
    )


def read_trials(name: str, storage: str | Path, space: SearchSpace) -> list[Trial]:
    """The finished trials of a study, without changing anything. Raises StudyError where there is no such study."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if isinstance(storage, Path) and not storage.exists():
        raise StudyError(f'there is no study "{name}" in {storage}')
    try:
        study = optuna.load_study(study_name=name, storage=open_storage(storage))
    except KeyError as error:
        raise StudyError(f'there is no study "{name}" in {storage}') from error
    return Ended(space).read(study.get_trials(deepcopy=False))


def _forget_proposal(storage: BaseStorage, trial: FrozenTrial) -> None:
    """What the Gaussian process wrote down for other processes: it would avoid it when it is asked again."""
    for key in storage.get_trial_system_attrs(trial._trial_id):
        if key.startswith("gp:relative_params:"):
            storage.set_trial_system_attr(trial._trial_id, key, "")


def _check(study: optuna.Study, name: str, fingerprint: Mapping[str, Any]) -> None:
    wanted = json.loads(json.dumps(fingerprint))
    known = study.user_attrs.get(RECORD)
    if known is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(RECORD, wanted)
    elif known != wanted:
        known = known or {}
        differs = [
            f"{key} is {known.get(key, 'unset')}, you ask for {wanted.get(key, 'unset')}"
            for key in sorted({*known, *wanted})
            if known.get(key) != wanted.get(key)
        ]
        raise StudyError(
            f'study "{name}" is another one: {"; ".join(differs)}; give another study.name, leave the change out, or, '
            "for another penalty or pick, run `senas front`"
        )
