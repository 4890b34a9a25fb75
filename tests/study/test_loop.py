"""The loop, with a real proposer and an evaluator whose scores are planted."""

import os
import signal
from dataclasses import replace

import optuna
import pytest

from senas.core.config import SEConfig
from senas.core.constraint import Constraints
from senas.core.objective import Pareto
from senas.core.ports import Pulse
from senas.core.screening import Screened
from senas.core.seeds import Seeds
from senas.core.standing import Standing
from senas.core.trial import Failure, Result, Status, Wanted
from senas.errors import EvaluationError
from senas.study import hopeless, loop
from senas.study.interrupt import Interrupt
from senas.study.loop import Ending, Plan, Search, weights_path

EPOCHS = 2
DIVERGED = (Failure.DIVERGED, "the loss is not finite after epoch 1")
MEMORY = (Failure.MEMORY, "out of memory")


class PlantedEvaluator:
    """Knows the scores of every configuration.

    fails:      what goes wrong with the first, second, ... job; None where nothing does.
    interrupt:  the job, counted from 1, amid which Ctrl-C is pressed.
    """

    def __init__(self, planted, fails=(), interrupt=0):
        self.planted, self.fails, self.interrupt = planted, list(fails), interrupt
        self.jobs = []

    def costs(self, job):
        return {name: self.planted(job.config).get(name, 0.0) for name in ("se_params", "params", "macs")}

    def measure(self, job):
        return {}

    def evaluate(self, jobs, report, listen):
        for job in jobs:
            self.jobs.append(job)
            failure = self.fails.pop(0) if self.fails else None
            listen(job, Pulse(0.5, 10, {"train_loss": 2.0}))
            yield self.failed(job, *failure) if failure else self.trained(job, report)

    def failed(self, job, failure, reason):
        return Result(job=job, status=Status.FAILED, failure=failure, reason=reason, seconds=0.1)

    def trained(self, job, report):
        scores, curve, stopped = self.planted(job.config), [], False
        for epoch in range(1, job.epochs + 1):
            curve.append({**scores, "val_loss": scores["val_loss"] + job.epochs - epoch})
            stopped = report(job, epoch, curve[-1]) and epoch < job.epochs
            if len(self.jobs) == self.interrupt:
                os.kill(os.getpid(), signal.SIGINT)
            if stopped:
                break
        if not stopped:
            job.weights.parent.mkdir(exist_ok=True)
            job.weights.write_text(str(job.config))
        status = Status.PRUNED if stopped else Status.COMPLETE
        return Result(job=job, status=status, scores=curve[-1], curve=tuple(curve), seconds=0.1)


class Log:
    """A recorder, with a listener beside it: what was called of both, in order."""

    def __init__(self):
        self.calls, self.recorded, self.scores = [], [], []
        self.listener = LogListener(self.calls)

    def begin(self, trial):
        self.calls.append(("begin", trial.number))

    def epoch(self, trial, epoch, scores):
        self.calls.append((f"record epoch {epoch}", trial.number))
        self.scores.append((trial.number, epoch, scores))

    def pulse(self, trial, pulse):
        self.calls.append((f"record {pulse.epochs} epochs, step {pulse.steps}", trial.number))

    def record(self, trial, front, hypervolume):
        self.calls.append(("record", trial.number))
        self.recorded.append((trial, list(front), hypervolume))

    def conclude(self, **_):
        self.calls.append(("conclude", None))


class LogListener:
    def __init__(self, calls):
        self.calls = calls

    def started(self, trial, standing):
        self.calls.append(("started", trial.number))

    def epoch(self, trial, epoch, epochs):
        self.calls.append((f"epoch {epoch} of {epochs}", trial.number))

    def finished(self, trial, standing):
        assert trial in standing.trials
        self.calls.append(("finished", trial.number))


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def search(open_study, journal, space, planted, log, tmp_path):
    """A run of the study; each call is a process of its own."""

    def make(
        trials, *, over=space, fails=(), interrupt=0, evaluator=None, log=log, before=(), after=None, kept=None, **study
    ):
        proposer = open_study(journal, space=over, **study)

        def standing(trials):
            return Standing(trials=trials, objective=proposer.objective, classes=10, largest_params=over.largest_params)

        return Search(
            plan=Plan(
                trials=trials,
                epochs=EPOCHS,
                size=over.size,
                seeds=proposer.seeds,
                before=before,
                after=after,
                kept=kept,
                weights=tmp_path / "weights",
                objective=proposer.objective,
                standing=standing,
            ),
            proposer=proposer,
            evaluator=evaluator or PlantedEvaluator(planted, fails, interrupt),
            recorder=log,
            listener=log.listener,
        )

    return make


@pytest.fixture
def run():
    def run(search):
        with Interrupt() as interrupt:
            return search.run(interrupt)

    return run


@pytest.fixture
def repeating(monkeypatch):
    """The sampler proposes the option of this number at every site, again and again."""

    def repeat(number=0):
        def always(self, study, trial, name, distribution):
            return distribution.choices[number]

        monkeypatch.setattr(optuna.samplers.RandomSampler, "sample_independent", always)

    return repeat


# The budget


def test_a_search_ends_with_its_total_of_trials(search, run):
    one = search(5)
    assert run(one) is Ending.BUDGET
    assert [trial.number for trial in one.trials if trial.counts] == [0, 1, 2, 3, 4]


def test_trials_of_earlier_runs_count(search, run):
    run(search(3))
    second = search(5)
    run(second)
    assert len(second.evaluator.jobs) == 2
    assert len(second.trials) == 5


def test_a_finished_search_trains_nothing(search, run, log):
    run(search(3))
    log.calls.clear()
    again = search(3)
    assert run(again) is Ending.BUDGET
    assert (again.evaluator.jobs, log.calls) == ([], [])


def test_complete_pruned_and_failed_trials_all_count(search, run):
    median = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=0)
    one = search(8, fails=[None, None, DIVERGED], pruner=median)
    run(one)
    assert {trial.status for trial in one.trials} == {Status.COMPLETE, Status.PRUNED, Status.FAILED}
    assert sum(trial.counts for trial in one.trials) == 8 == len(one.evaluator.jobs)


def test_each_job_has_the_configuration_seed_epochs_and_place_for_weights_of_its_trial(search, run, tmp_path):
    one = search(2)
    run(one)
    for job, trial in zip(one.evaluator.jobs, one.trials, strict=True):
        assert (job.config, job.seed, job.epochs) == (trial.config, 7, EPOCHS)
        assert job.weights == weights_path(tmp_path / "weights", trial.number)


def test_what_was_measured_is_what_the_proposer_remembers(search, run, open_study, journal, planted, penalized):
    one = search(3)
    run(one)
    assert open_study(journal).trials() == one.trials
    for trial in one.trials:
        assert trial.values == pytest.approx(penalized.values(planted(trial.config)))
        assert len(trial.curve) == EPOCHS


# Repeated proposals


def test_a_repeated_proposal_is_answered_from_the_earlier_result(search, run, repeating):
    repeating()
    one = search(2, sampler="random")
    run(one)
    first, second = one.trials[:2]
    assert second.repeats == first.number
    for name in ("config", "status", "scores", "values", "curve", "failure", "reason"):
        assert getattr(second, name) == getattr(first, name), name
    assert second.seconds == 0


def test_a_repeated_proposal_is_recorded_and_remembered_as_one(search, run, repeating, log, open_study, journal):
    repeating()
    run(search(2, sampler="random"))
    assert [trial.repeats for trial in open_study(journal).trials()] == [None] + 5 * [0] + [None]
    assert [trial.repeats for trial, *_ in log.recorded] == [None] + 5 * [0] + [None]


def test_a_repeated_proposal_does_not_count_and_is_not_trained(search, run, repeating):
    repeating()
    one = search(2, sampler="random")
    run(one)
    assert len(one.trials) == 7
    assert len(one.evaluator.jobs) == 2 == sum(trial.counts for trial in one.trials)


def test_after_five_repeats_in_a_row_an_untried_configuration_is_drawn(search, run, repeating):
    repeating()
    one = search(3, sampler="random")
    run(one)
    assert [trial.origin for trial in one.trials] == 6 * ["sampler"] + ["untried"] + 5 * ["sampler"] + ["untried"]
    assert len({trial.config for trial in one.trials}) == 3


def test_repeats_are_counted_across_an_interruption(search, run, repeating, log):
    repeating()
    run(search(1, sampler="random"))
    one = search(2, sampler="random")
    for _ in range(3):  # a process that was stopped after three repeats
        trial = one.proposer.ask()
        one.proposer.tell(replace(one.proposer.trials()[0], number=trial.number, repeats=0))
    second = search(2, sampler="random")
    run(second)
    assert [trial.origin for trial in second.trials] == 6 * ["sampler"] + ["untried"]


def test_a_repeat_of_a_failure_is_answered_with_the_failure(search, run, repeating):
    repeating()
    one = search(2, sampler="random", fails=[MEMORY])
    run(one)
    assert [trial.failure for trial in one.trials] == 6 * [Failure.MEMORY] + [None]


def test_a_repeat_of_a_pruned_trial_is_answered_as_pruned(search, run, open_study, journal, repeating):
    median = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=0)
    first = search(1, sampler="random", pruner=median, start=[SEConfig()])
    first.evaluator.planted = lambda config: {"val_loss": 0.0, "se_params": 0.0}
    run(first)
    repeating(1)
    run(search(3, sampler="random", pruner=median))
    statuses = [(trial.status, trial.repeats) for trial in open_study(journal).trials()]
    assert statuses[:3] == [(Status.COMPLETE, None), (Status.PRUNED, None), (Status.PRUNED, 1)]


def test_an_exhausted_space_ends_the_search(search, run, tiny):
    one = search(100, over=tiny)
    assert run(one) is Ending.EXHAUSTED
    assert {trial.config for trial in one.trials} == set(tiny)
    assert len(one.evaluator.jobs) == tiny.size


def test_an_exhausted_space_is_known_to_be_when_the_study_is_resumed(search, run, tiny, log):
    run(search(100, over=tiny))
    log.calls.clear()
    assert run(search(100, over=tiny)) is Ending.EXHAUSTED
    assert log.calls == []


# Seeds


def test_each_trial_is_trained_with_the_seed_of_its_number(search, run):
    one = search(6, seeds=Seeds(7, 4))
    run(one)
    assert [job.seed for job in one.evaluator.jobs] == [7, 8, 9, 10, 7, 8] == [trial.seed for trial in one.trials]


def test_a_repeated_proposal_with_another_seed_is_trained(search, run, repeating):
    repeating()
    one = search(3, sampler="random", seeds=Seeds(7, 3))
    run(one)
    assert [trial.repeats for trial in one.trials] == [None, None, None]
    assert len({trial.config for trial in one.trials}) == 1


def test_a_space_is_exhausted_when_each_seed_was_tried_everywhere(search, run, tiny):
    one = search(100, over=tiny, seeds=Seeds(7, 3), sampler="random")
    assert run(one) is Ending.EXHAUSTED
    trained = [(job.config, job.seed) for job in one.evaluator.jobs]
    assert len(trained) == len(set(trained)) == 3 * tiny.size


def test_an_exhausted_space_goes_on_when_there_are_more_seeds(search, run, tiny):
    assert run(search(100, over=tiny, sampler="random")) is Ending.EXHAUSTED
    more = search(100, over=tiny, seeds=Seeds(7, 2), sampler="random")
    assert run(more) is Ending.EXHAUSTED
    assert {(job.config, job.seed) for job in more.evaluator.jobs} == {(config, 8) for config in tiny}


# Trainings that are asked for by name


@pytest.fixture
def audit(sites):
    """Two configurations with two seeds each, the study's among them."""
    return [Wanted(config, seed, "audit") for config in (SEConfig(), SEConfig.everywhere(sites, 4)) for seed in (7, 8)]


@pytest.fixture
def confirm():
    """Trains the configuration of the first trial again, until it was trained with five seeds."""

    def wanted(trials):
        config = trials[0].config
        used = {trial.seed for trial in trials if trial.config == config}
        return Wanted(config, Seeds(7).fresh(used), "confirm") if len(used) < 5 else None

    return wanted


def asked_for(trials):
    return [Wanted(trial.config, trial.seed, trial.origin) for trial in trials if not trial.proposed]


def test_what_is_to_be_done_before_comes_first_and_counts_as_no_trial(search, run, audit, log):
    one = search(3, before=audit)
    assert run(one) is Ending.BUDGET
    assert [(job.config, job.seed) for job in one.evaluator.jobs[:4]] == [(w.config, w.seed) for w in audit]
    assert asked_for(one.trials) == asked_for(one.trials[:4]) == audit
    assert sum(trial.counts for trial in one.trials) == 3
    assert [trial.number for trial, *_ in log.recorded] == list(range(len(one.trials)))


def test_what_was_done_before_is_not_done_again(search, run, audit, log):
    run(search(3, before=audit[:3]))
    again = search(3, before=audit)
    run(again)
    assert asked_for(again.trials[-1:]) == audit[3:]
    assert len(again.evaluator.jobs) == 1


def test_what_the_search_has_trained_is_not_trained_for_an_audit(search, run, audit):
    run(search(1, start=[SEConfig()]))
    one = search(1, before=audit)
    run(one)
    assert asked_for(one.trials) == audit[1:]


def test_a_proposal_that_an_audit_has_trained_is_answered_from_it(search, run, audit, repeating):
    repeating()  # no SE
    one = search(1, before=audit, sampler="random")
    run(one)
    assert [trial.repeats for trial in one.trials] == 4 * [None] + 5 * [0] + [None]


def test_audits_and_replicates_are_not_taken_for_proposals_that_were_not_trained(search, run, audit, sites):
    more = [Wanted(SEConfig.everywhere(sites, 16), seed, "audit") for seed in range(7, 11)]
    one = search(3, before=[*audit, *more])
    run(one)
    assert [trial.origin for trial in one.trials[8:]] == 3 * ["sampler"]


def test_an_audit_of_the_whole_space_leaves_nothing_to_search_with_its_seeds(search, run, tiny):
    whole = [Wanted(config, 7, "audit") for config in tiny]
    one = search(100, over=tiny, before=whole)
    assert run(one) is Ending.EXHAUSTED
    assert len(one.evaluator.jobs) == tiny.size


def test_an_audit_with_other_seeds_exhausts_nothing(search, run, tiny):
    others = [Wanted(config, seed, "audit") for config in tiny for seed in (8, 9)]
    one = search(100, over=tiny, before=others, sampler="random")
    assert run(one) is Ending.EXHAUSTED
    assert {(t.config, t.seed) for t in one.trials if t.counts} == {(config, 7) for config in tiny}


def test_what_comes_after_is_asked_for_again_and_again_until_it_is_enough(search, run, confirm):
    one = search(3, after=confirm)
    assert run(one) is Ending.BUDGET
    assert asked_for(one.trials) == asked_for(one.trials[3:])
    assert [trial.seed for trial in one.trials[3:]] == [8, 9, 10, 11]


def test_what_comes_after_comes_after_an_exhausted_space_too(search, run, tiny, confirm):
    one = search(100, over=tiny, after=confirm)
    assert run(one) is Ending.EXHAUSTED
    assert len(asked_for(one.trials)) == 4


def test_a_study_that_was_confirmed_goes_on_with_more_trials(search, run, confirm):
    run(search(3, after=confirm))
    second = search(5)
    run(second)
    assert len(second.evaluator.jobs) == 2
    assert sum(trial.counts for trial in second.trials) == 5


def test_a_replicate_that_the_study_has_already_is_refused_instead_of_asked_for_without_end(search, run):
    one = search(1, after=lambda trials: Wanted(trials[0].config, trials[0].seed, "confirm"))
    with pytest.raises(ValueError, match="is trial 0 already"):
        run(one)
    assert len(one.proposer.trials()) == 1


def test_replicates_are_not_pruned(search, run, confirm):
    median = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=0)
    one = search(4, pruner=median, after=confirm)
    planted = one.evaluator.planted
    # each training is worse than all before it
    one.evaluator.planted = lambda config: {**planted(config), "val_loss": 1.0 + len(one.evaluator.jobs)}
    run(one)
    assert {trial.status for trial in one.trials if trial.counts} == {Status.COMPLETE, Status.PRUNED}
    assert [trial.status for trial in one.trials if not trial.proposed] == 4 * [Status.COMPLETE]


def test_an_audit_that_fails_three_times_in_the_same_way_ends_the_search(search, run, audit):
    one = search(3, before=audit, fails=3 * [MEMORY])
    with pytest.raises(EvaluationError, match="out of memory"):
        run(one)
    assert len(one.evaluator.jobs) == 3


ALL_JOBS = 4 + 4 + 3
"""Of an audit, a search and its replicates."""


@pytest.fixture
def as_whole(search, run, audit, confirm, tmp_path, open_study):
    """Stops a study with an audit and replicates amid a job, goes on, and compares it with one that was not stopped."""

    def check(stop):
        def study(**changes):
            return search(4, before=audit, after=confirm, start=[SEConfig.everywhere(audit_sites, 16)], **changes)

        audit_sites = search(1).proposer.space.sites
        stop(study)
        resumed = study()
        run(resumed)
        whole = study()
        whole.proposer = open_study(tmp_path / "whole.log", start=whole.proposer.start)
        run(whole)
        assert len(whole.evaluator.jobs) == ALL_JOBS
        assert resumed.proposer.trials() == resumed.trials
        facts = [[(t.number, t.config, t.seed, t.origin, t.values) for t in one.trials] for one in (resumed, whole)]
        assert facts[0] == facts[1]

    return check


@pytest.mark.parametrize("job", [3, 10])
def test_a_study_interrupted_amid_an_audit_or_a_replicate_ends_as_a_whole_one_does(as_whole, run, job):
    def stop(study):
        with pytest.raises(KeyboardInterrupt):
            run(study(interrupt=job))

    as_whole(stop)


@pytest.mark.slow
@pytest.mark.parametrize("job", range(1, ALL_JOBS + 1))
def test_a_process_killed_amid_any_training_loses_nothing(as_whole, run, job):
    def stop(study):
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            assert os.WTERMSIG(status) == signal.SIGKILL
            return
        try:
            one = study()
            one.evaluator.trained = lambda asked, report: (
                os.kill(os.getpid(), signal.SIGKILL)
                if len(one.evaluator.jobs) == job
                else PlantedEvaluator.trained(one.evaluator, asked, report)
            )
            run(one)
        finally:
            os._exit(1)  # not killed: the parent says so

    as_whole(stop)


# Failures


@pytest.mark.parametrize("what", [DIVERGED, MEMORY])
def test_three_failures_of_one_kind_in_a_row_end_the_search_in_one_line(search, run, what):
    one = search(10, fails=3 * [what])
    with pytest.raises(
        EvaluationError, match=rf"3 trials failed in the same way, {what[0]}: {what[1]}; lower"
    ) as error:
        run(one)
    assert "\n" not in str(error.value)
    assert len(one.proposer.trials()) == 3


@pytest.mark.parametrize(
    "fails",
    [
        [DIVERGED, DIVERGED],
        [DIVERGED, DIVERGED, None, DIVERGED, DIVERGED],
        [DIVERGED, DIVERGED, MEMORY, MEMORY, DIVERGED],
    ],
    ids=["two", "two and two", "mixed"],
)
def test_fewer_or_mixed_failures_do_not(search, run, fails):
    assert run(search(7, fails=fails)) is Ending.BUDGET


# The truth first


def test_the_proposer_is_told_before_the_recorder_and_the_listener(search, run, log, monkeypatch):
    one = search(1)
    real = type(one.proposer).tell

    def tell(self, trial):
        real(self, trial)
        log.calls.append(("told", trial.number))

    monkeypatch.setattr(type(one.proposer), "tell", tell)
    run(one)
    assert [what for what, _ in log.calls] == [
        "started",
        "begin",
        "epoch 0.5 of 2",
        "record 0.5 epochs, step 10",
        "epoch 1 of 2",
        "record epoch 1",
        "epoch 2 of 2",
        "record epoch 2",
        "told",
        "record",
        "finished",
    ]


def test_the_recorder_hears_each_epochs_scores(search, run, log, planted):
    one = search(1)
    run(one)
    loss = planted(one.trials[0].config)["val_loss"]
    assert [(epoch, scores["val_loss"]) for _, epoch, scores in log.scores] == [(1, loss + 1), (2, loss)]


def test_a_repeat_is_not_begun(search, run, repeating, log):
    repeating()
    run(search(2, sampler="random"))
    assert [number for what, number in log.calls if what == "begin"] == [0, 6]


def test_an_interrupt_while_the_recorder_writes_takes_effect_after_it(search, run, log, monkeypatch):
    written = []

    def begin(trial):
        os.kill(os.getpid(), signal.SIGINT)
        written.append(trial.number)

    monkeypatch.setattr(log, "begin", begin)
    one = search(2)
    with pytest.raises(KeyboardInterrupt):
        run(one)
    assert (written, one.evaluator.jobs) == ([0], [])


def test_a_recorder_that_raises_loses_no_trial(search, run, log, monkeypatch):
    one = search(3)
    monkeypatch.setattr(log, "record", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(one)
    assert [trial.number for trial in one.proposer.trials()] == [0]


def test_each_record_says_the_front_and_hypervolume_as_they_were_then(search, run, log):
    one = search(6)
    run(one)
    for count, (trial, front, volume) in enumerate(log.recorded, 1):
        then = one.plan.standing(one.trials[:count])
        assert trial == one.trials[count - 1]
        assert front == [t.number for t in then.front()]
        assert volume == then.hypervolume()


# Weights


def test_only_weights_of_the_front_are_kept(search, run, tmp_path):
    one = search(12)
    run(one)
    front = {weights_path(tmp_path / "weights", trial.number) for trial in one.plan.standing(one.trials).front()}
    assert set((tmp_path / "weights").iterdir()) == front
    assert 0 < len(front) < 12


def test_weights_of_both_fronts_are_kept_where_the_objectives_are_others(search, run, tmp_path):
    one = search(16, objective=Pareto(("val_error", "macs")), fingerprint={})
    run(one)
    standing = one.plan.standing(one.trials)
    kept = {trial.number for trial in [*standing.front(), *standing.front(("val_error", "macs"))]}
    assert {path.name for path in (tmp_path / "weights").iterdir()} == {f"trial-{n}.safetensors" for n in kept}


def test_weights_stay_of_the_trials_that_the_plan_names_and_each_file_is_its_trials(search, run, tmp_path):
    one = search(9, kept=lambda trials: {trial.number for trial in trials if trial.number % 3})
    run(one)
    configs = {weights_path(tmp_path / "weights", t.number): str(t.config) for t in one.trials if t.number % 3}
    assert {path: path.read_text() for path in (tmp_path / "weights").iterdir()} == configs
    assert len(configs) == 6


def test_weights_that_were_half_written_are_cleared_away_when_the_study_is_resumed(search, run, tmp_path):
    run(search(2))
    (tmp_path / "weights" / "trial-2.partial").write_text("half")
    run(search(2))
    assert not (tmp_path / "weights" / "trial-2.partial").exists()


# Interruptions


def test_an_interrupt_in_training_loses_no_finished_trial(search, run, open_study, journal):
    one = search(5, interrupt=3)
    with pytest.raises(KeyboardInterrupt):
        run(one)
    assert [trial.number for trial in open_study(journal).trials()] == [0, 1]


def test_the_trial_that_was_interrupted_is_taken_up(search, run):
    one = search(5, interrupt=3)
    with pytest.raises(KeyboardInterrupt):
        run(one)
    second = search(5)
    run(second)
    assert second.evaluator.jobs[0] == one.evaluator.jobs[-1]
    assert [trial.number for trial in second.trials] == [0, 1, 2, 3, 4]


def test_an_interrupted_search_ends_where_an_uninterrupted_one_does(search, run, tmp_path, open_study):
    with pytest.raises(KeyboardInterrupt):
        run(search(8, interrupt=7))
    interrupted = search(8)
    run(interrupted)
    whole = search(8)
    whole.proposer = open_study(tmp_path / "whole.log")
    run(whole)
    assert [(t.config, t.values) for t in interrupted.trials] == [(t.config, t.values) for t in whole.trials]


def test_an_interrupt_while_a_trial_is_remembered_takes_effect_after_it(search, run, log, monkeypatch):
    one = search(5)
    real = type(one.proposer).tell

    def tell(self, trial):
        os.kill(os.getpid(), signal.SIGINT)
        real(self, trial)

    monkeypatch.setattr(type(one.proposer), "tell", tell)
    with pytest.raises(KeyboardInterrupt):
        run(one)
    assert log.calls[-2:] == [("record", 0), ("finished", 0)]
    assert [trial.number for trial in one.proposer.trials()] == [0]


def test_an_interrupt_while_asking_leaves_the_whole_trial_to_be_taken_up(search, run, monkeypatch, open_study, journal):
    one = search(5)
    real = type(one.proposer).ask

    def ask(self):
        os.kill(os.getpid(), signal.SIGINT)
        return real(self)

    with monkeypatch.context() as patch:
        patch.setattr(type(one.proposer), "ask", ask)
        with pytest.raises(KeyboardInterrupt):
            run(one)
    (running,) = one.proposer.study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
    assert set(running.params) == {choice.name for choice in one.proposer.space.choices}
    assert open_study(journal).ask().number == 0


# Constraints


class Limited(PlantedEvaluator):
    """Measures a latency too: 1 ms, and another for each block."""

    measured = ()

    def measure(self, job):
        self.measured = (*self.measured, job.config)
        return {"latency_ms": 1.0 + len(job.config)}


@pytest.fixture
def limited(search, space, planted):
    """A run of a study with constraints, on a backbone of 75,002 parameters and 747,136 MACs."""

    def make(trials, evaluator=None, **bounds):
        constraints = Constraints(**bounds)
        capped = space.capped(constraints, 75_002, 747_136)
        made = search(trials, over=capped, constraints=constraints, evaluator=evaluator or Limited(planted))
        made.plan = replace(made.plan, constraints=constraints)
        return made

    return make


BOUNDS = [
    {"params": 75_400},
    {"macs": 747_136 + 300},
    {"se_params": 0},
    {"latency_ms": 2.5},
    {"params": 75_600, "latency_ms": 2.5},
]


@pytest.mark.parametrize("bounds", BOUNDS, ids=lambda bounds: ", ".join(bounds))
def test_no_trained_trial_breaks_a_constraint(limited, run, bounds):
    one = limited(5, **bounds)
    run(one)
    assert one.evaluator.jobs
    for job in one.evaluator.jobs:
        costs = {**one.evaluator.planted(job.config), "latency_ms": 1.0 + len(job.config)}
        assert all(costs[name] <= bound for name, bound in bounds.items())


def test_what_is_rejected_counts_as_no_trial_and_is_not_trained(limited, run):
    one = limited(8, params=75_400)
    assert run(one) is Ending.BUDGET
    rejected = [trial for trial in one.trials if trial.status is Status.REJECTED]
    assert rejected
    assert len(one.evaluator.jobs) == 8 == sum(trial.counts for trial in one.trials)
    assert not {trial.config for trial in rejected} & {job.config for job in one.evaluator.jobs}
    assert all(trial.reason.startswith("params 7") for trial in rejected if trial.repeats is None)


def test_what_a_closed_form_rules_out_is_not_measured(limited, run):
    one = limited(8, params=75_400, latency_ms=2.5)
    run(one)
    assert one.evaluator.measured
    assert all(config in one.proposer.space for config in one.evaluator.measured)


def test_what_was_measured_is_among_the_scores_and_is_measured_once(limited, run):
    one = limited(4, latency_ms=99)
    run(one)
    assert [job.costs["latency_ms"] for job in one.evaluator.jobs] == [1.0 + len(j.config) for j in one.evaluator.jobs]
    assert len(one.evaluator.measured) == len(one.evaluator.jobs)


def test_what_is_rejected_is_neither_recorded_nor_on_the_front(limited, run, log):
    one = limited(6, params=75_400)
    run(one)
    rejected = {trial.number for trial in one.trials if trial.status is Status.REJECTED}
    assert rejected
    assert not rejected & {number for call, number in log.calls if call in ("begin", "record", "started")}
    assert rejected <= {number for call, number in log.calls if call == "finished"}
    assert not rejected & {trial.number for trial in one.plan.standing(one.trials).front()}


def test_a_rejection_comes_back_as_it_was_told(limited, run, open_study, journal, space):
    one = limited(6, params=75_400)
    run(one)
    assert open_study(journal, space=one.proposer.space).trials() == one.trials


def test_after_five_rejections_in_a_row_an_untried_one_within_the_constraints_is_drawn(limited, run, repeating):
    repeating(-1)
    one = limited(2, params=75_400)
    one.proposer.sampler = lambda seed: optuna.samplers.RandomSampler(seed=seed)
    run(one)
    origins = [(trial.origin, trial.status) for trial in one.trials]
    assert origins == 2 * (5 * [("sampler", Status.REJECTED)] + [("untried", Status.COMPLETE)])


def test_a_search_is_exhausted_when_all_within_the_constraints_were_tried(limited, run):
    one = limited(500, se_params=60)
    assert run(one) is Ending.EXHAUSTED
    assert {job.config for job in one.evaluator.jobs} == set(one.proposer.space)
    assert len(one.evaluator.jobs) == one.plan.size < one.proposer.space.product


def test_what_is_too_slow_was_tried_all_the_same(limited, run):
    one = limited(500, se_params=60, latency_ms=1.5)
    assert run(one) is Ending.EXHAUSTED
    assert [job.config for job in one.evaluator.jobs] == [SEConfig()]


def test_what_is_rejected_with_one_seed_is_rejected_with_every_seed(limited, run, repeating):
    repeating(-1)
    one = limited(1, params=75_400)
    one.proposer.sampler = lambda seed: optuna.samplers.RandomSampler(seed=seed)
    one.proposer.seeds = Seeds(7, 4)
    run(one)
    assert [(t.seed, t.repeats) for t in one.trials[:5]] == [(7, None), (8, 0), (9, 0), (10, 0), (7, 0)]


def test_what_is_too_slow_is_tried_with_every_seed_at_once(limited, run):
    one = limited(500, se_params=60, latency_ms=1.5)
    one.plan = replace(one.plan, seeds=Seeds(7, 2))
    one.proposer.seeds = one.plan.seeds
    assert run(one) is Ending.EXHAUSTED
    assert [(job.config, job.seed) for job in one.evaluator.jobs] == [(SEConfig(), 7), (SEConfig(), 8)]
    assert len(one.evaluator.measured) == one.plan.size + 1


def test_what_is_asked_for_and_breaks_a_constraint_is_not_trained_and_not_asked_for_again(limited, run, audit):
    one = limited(2, params=75_400)
    one.plan = replace(one.plan, before=audit)
    run(one)
    origins = [(trial.seed, trial.status) for trial in one.trials if not trial.proposed]
    assert origins == [(7, Status.COMPLETE), (8, Status.COMPLETE), (7, Status.REJECTED)]


def test_a_replicate_of_what_was_rejected_is_answered_and_the_next_one_asked_for(limited, run, space):
    one = limited(1, params=75_400)
    costly = next(config for config in space if config not in one.proposer.space)
    wanted = [Wanted(costly, seed, "confirm") for seed in (7, 8)]
    one.plan = replace(one.plan, after=lambda trials: next((w for w in wanted if w not in asked_for(trials)), None))
    run(one)
    assert asked_for(one.trials) == wanted
    assert [trial.repeats is None for trial in one.trials if not trial.proposed] == [True, False]


def test_rejected_audits_are_not_taken_for_proposals_that_were_rejected(limited, run, space):
    one = limited(1, params=75_400)
    costly = [config for config in space if config not in one.proposer.space][:6]
    one.plan = replace(one.plan, before=[Wanted(config, 7, "audit") for config in costly])
    run(one)
    assert [trial.status for trial in one.trials[:6]] == 6 * [Status.REJECTED]
    assert one.trials[6].origin == "sampler"


def test_a_search_that_finds_nothing_fast_enough_gives_up(limited, run, monkeypatch):
    monkeypatch.setattr(hopeless, "SLOW_IN_A_ROW", 10)
    one = limited(5, latency_ms=0.5)
    with pytest.raises(EvaluationError, match=r"the last 10 configurations .* latency_ms \d over 0\.5; raise space"):
        run(one)
    assert one.evaluator.jobs == []


def test_going_on_after_a_stop_proposes_what_a_whole_run_does(limited, run, open_study, tmp_path):
    first = limited(3, params=75_400)
    run(first)
    more = limited(8, params=75_400)
    run(more)
    whole = open_study(tmp_path / "whole.log", space=more.proposer.space, constraints=more.plan.constraints)
    again = Search(replace(more.plan), whole, Limited(more.evaluator.planted), more.recorder, more.listener)
    run(again)
    assert [(t.number, t.config, t.status) for t in again.trials] == [
        (t.number, t.config, t.status) for t in more.trials
    ]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", pytest.param("gp", marks=pytest.mark.slow), "random"])
def test_optuna_is_told_by_how_much_each_trial_breaks_each_constraint(limited, run, sampler, open_study, journal):
    one = limited(6, params=75_400)
    one.proposer = open_study(journal, space=one.proposer.space, constraints=one.plan.constraints, sampler=sampler)
    run(one)
    for frozen, trial in zip(one.proposer.study.get_trials(), one.trials, strict=True):
        assert frozen.constraints == {"params": pytest.approx((trial.scores["params"] - 75_400) / 75_400)}
        assert (frozen.constraints["params"] > 0) is (trial.status is Status.REJECTED)


@pytest.mark.slow
def test_the_sampler_learns_what_is_rejected(limited, run, open_study, tmp_path, monkeypatch):
    """Without draws of untried ones: what TPE proposes by itself is rejected less often than what is random."""
    monkeypatch.setattr(loop, "UNTRAINED_IN_A_ROW", 10**6)
    rejected = {}
    for sampler in ("tpe", "random"):
        one = limited(15, params=75_600)
        facts = {"space": one.proposer.space, "constraints": one.plan.constraints, "sampler": sampler}
        one.proposer = open_study(tmp_path / f"{sampler}.log", **facts)
        run(one)
        rejected[sampler] = sum(trial.status is Status.REJECTED for trial in one.trials)
    print(rejected)
    assert rejected["tpe"] < 0.7 * rejected["random"]


# Several at a time


class SideBySide(PlantedEvaluator):
    """Has as many jobs as `at_once` before it yields a result."""

    def __init__(self, planted, at_once, fails=()):
        super().__init__(planted, fails)
        self.at_once, self.longest = at_once, 0

    def evaluate(self, jobs, report, listen):
        flying, coming, more = [], iter(jobs), True
        while more or flying:
            while more and len(flying) < self.at_once:
                job = next(coming, "over")
                more = job != "over"
                if job is None or not more:
                    break
                flying.append((job, next(super().evaluate([job], report, listen))))
            self.longest = max(self.longest, len(flying))
            if flying:
                yield flying.pop(0)[1]


@pytest.fixture
def several(search, planted):
    return lambda trials, at_once=3, fails=(), **study: search(
        trials, evaluator=SideBySide(planted, at_once, fails), **study
    )


def test_a_search_of_several_at_a_time_ends_with_its_total_of_trials(several, run):
    one = several(8)
    assert run(one) is Ending.BUDGET
    assert [trial.number for trial in one.trials if trial.counts] == list(range(8))
    assert (one.evaluator.longest, one.running, one.held) == (3, [], [])


def test_of_several_at_a_time_each_result_is_that_of_its_own_configuration(several, run, penalized, planted):
    one = several(8)
    run(one)
    for trial in one.trials:
        assert trial.values == pytest.approx(penalized.values(planted(trial.config)))


def test_proposals_of_several_at_a_time_are_the_same_again_also_after_a_stop(several, run, journal):
    whole = several(9)
    run(whole)
    proposed = [(trial.config, trial.seed) for trial in whole.trials]
    journal.unlink()
    broken = several(9)

    def break_off(trial, front, hypervolume):
        if trial.number == 4:
            raise RuntimeError("stopped")

    broken.recorder.record, record = break_off, broken.recorder.record
    with pytest.raises(RuntimeError, match="stopped"):
        run(broken)
    broken.recorder.record = record
    assert [trial.number for trial in broken.running] == [5, 6]
    again = several(9)
    run(again)
    there = sorted(again.trials, key=lambda trial: trial.number)
    assert [(trial.config, trial.seed) for trial in there] == proposed


def test_a_training_that_is_running_is_not_begun_again_but_answered_when_it_ends(several, run, repeating):
    repeating()
    one = several(2, sampler="random")
    run(one)
    assert len({(job.config, job.seed) for job in one.evaluator.jobs}) == len(one.evaluator.jobs) == 2
    assert {trial.repeats for trial in one.trials if not trial.counts} == {0}


def test_an_exhausted_space_ends_a_search_of_several_at_a_time(several, run, tiny):
    one = several(100, over=tiny)
    assert run(one) is Ending.EXHAUSTED
    assert sorted(map(str, {job.config for job in one.evaluator.jobs})) == sorted(map(str, tiny))
    assert len(one.evaluator.jobs) == tiny.size


def test_what_is_asked_for_after_the_search_sees_what_is_running(several, run, space):
    seen = []

    def after(trials):
        seen.append([trial.number for trial in trials if trial.status is Status.RUNNING])
        count = sum(trial.origin == "confirm" for trial in trials)
        return Wanted(SEConfig(), 100 + count, "confirm") if count < 4 else None

    one = several(4, after=after)
    run(one)
    assert [trial.seed for trial in one.trials if not trial.counts] == [100, 101, 102, 103]
    assert max(map(len, seen)) == 2
    assert seen[-1] == []


def test_while_something_is_running_nothing_more_to_ask_is_no_last_word(several, run):
    def after(trials):  # one more, once all that was searched has ended
        ended = all(trial.status is not Status.RUNNING for trial in trials)
        wanted = Wanted(SEConfig(), 100, "confirm")
        return wanted if ended and not any(trial.seed == 100 for trial in trials) else None

    one = several(4, after=after)
    run(one)
    assert [trial.seed for trial in one.trials if trial.origin == "confirm"] == [100]


def test_weights_of_a_training_that_is_not_told_yet_are_left_alone(several, run, tmp_path):
    there = []
    one = several(6, kept=lambda trials: there.append(sorted(tmp_path.glob("weights/*"))) or [])
    run(one)
    assert [path.stem for path in there[1]] == ["trial-0", "trial-1", "trial-2"]
    assert [path.stem for path in there[2]] == ["trial-1", "trial-2", "trial-3"]
    assert list(tmp_path.glob("weights/*")) == []


def test_three_failures_in_a_row_end_a_search_of_several_at_a_time(several, run):
    one = several(9, fails=9 * [MEMORY])
    with pytest.raises(EvaluationError, match="failed in the same way"):
        run(one)
    assert len(one.trials) == 3


def test_replicates_that_were_running_at_a_stop_come_first_and_none_is_left_over(several, run, open_study, journal):
    def after(trials):  # what is asked for hangs on what has ended, and on what is running
        replicates = [trial for trial in trials if trial.origin == "confirm"]
        ended = sum(trial.status is not Status.RUNNING for trial in trials)
        seed = 100 + 10 * ended + len(replicates)
        return Wanted(SEConfig(), seed, "confirm") if len(replicates) < 5 else None

    whole = several(4, after=after)
    run(whole)
    seeds = [trial.seed for trial in whole.trials if trial.origin == "confirm"]
    journal.unlink()
    broken = several(4, after=after)

    def break_off(trial, front, hypervolume):
        if trial.seed == seeds[0]:
            raise RuntimeError("stopped")

    broken.recorder.record, record = break_off, broken.recorder.record
    with pytest.raises(RuntimeError, match="stopped"):
        run(broken)
    broken.recorder.record = record
    assert [trial.origin for trial in broken.running] == ["confirm", "confirm"]
    again = several(4, after=after)
    run(again)
    assert [trial.seed for trial in again.trials if trial.origin == "confirm"] == seeds
    assert open_study(journal)._waiting() == []


# Screening


class Screening:
    """Finds every configuration not worth a training, but those in `worth`."""

    def __init__(self, *worth, after=0):
        self.worth, self.after = worth, after
        self.asked = []

    def __call__(self, job, trials):
        self.asked.append((job, [trial.number for trial in trials]))
        found = {"shared_val_loss": 0.5 + len(job.config)}
        good = len(trials) < self.after or job.config in self.worth
        return Screened(found, "" if good else "no contender: number 3 of 4")


@pytest.fixture
def screened(search):
    """A run of a study that screens its proposals."""

    def make(trials, screen, **study):
        made = search(trials, **study)
        made.plan = replace(made.plan, screen=screen)
        return made

    return make


def out(search):
    return [trial for trial in search.trials if trial.screened_out]


def test_what_is_no_contender_is_not_trained_and_counts_as_a_trial(screened, run, log):
    one = screened(8, Screening(after=4))
    assert run(one) is Ending.BUDGET
    assert len(one.evaluator.jobs) == 4
    assert [trial.number for trial in out(one)] == [4, 5, 6, 7]
    assert sum(trial.counts for trial in one.trials) == 8
    for trial in out(one):
        assert (trial.status, trial.reason, trial.curve) == (Status.PRUNED, "no contender: number 3 of 4", ())
        assert trial.scores["shared_val_loss"] == 0.5 + len(trial.config)
        assert trial.scores["se_params"] == one.evaluator.planted(trial.config)["se_params"]
        assert not trial.trained
    assert [call for call in log.calls if call[1] == 4] == [("record", 4), ("finished", 4)]


def test_a_contender_is_trained_and_keeps_what_was_found_out_of_it(screened, run):
    one = screened(5, Screening(after=9))
    run(one)
    assert [trial.status for trial in one.trials] == [Status.COMPLETE] * 5
    for job in one.evaluator.jobs:
        assert job.costs["shared_val_loss"] == 0.5 + len(job.config)


def test_starting_points_and_replicates_are_trained_whatever_a_screener_would_say(screened, run, space):
    start = [SEConfig(), next(config for config in space if config)]
    screen = Screening(after=3)
    one = screened(6, screen, start=start)
    wanted = Wanted(start[0], 7, "confirm")
    one.plan = replace(
        one.plan, after=lambda trials: None if any(trial.seed == 7 for trial in trials) else wanted, screen=screen
    )
    run(one)
    trained = [(job.config, job.seed) for job in one.evaluator.jobs]
    assert (start[0], 7) in trained
    assert [config for config, _ in trained[:2]] == start
    origins = {trial.number: trial.origin for trial in one.trials}
    assert len(screen.asked) == sum(origin in ("sampler", "untried") for origin in origins.values())


def test_a_screener_is_told_of_all_trials_that_ended(screened, run):
    screen = Screening(after=99)
    run(screened(4, screen))
    assert [numbers for _, numbers in screen.asked] == [list(range(n)) for n in range(4)]


def test_what_was_screened_out_is_never_among_the_results(screened, run):
    one = screened(8, Screening(after=4))
    run(one)
    standing = one.plan.standing(one.trials)
    numbers = {trial.number for trial in out(one)}
    assert numbers
    assert not numbers & {trial.number for trial in standing.measured}
    assert not numbers & {trial.number for trial in standing.front()}
    assert not numbers & standing.kept()
    assert not numbers & set(standing.hypervolumes())


def test_what_was_screened_out_is_so_after_a_resume(screened, run, open_study, journal):
    one = screened(8, Screening(after=4))
    run(one)
    again = open_study(journal).trials()
    assert [trial for trial in again if trial.screened_out] == out(one)


def test_asked_for_by_name_what_was_screened_out_is_trained(screened, run):
    one = screened(8, Screening(after=4))
    run(one)
    gone = out(one)[0]
    two = screened(8, Screening(after=4))
    two.plan = replace(two.plan, before=[Wanted(gone.config, gone.seed, "audit")])
    run(two)
    assert [(job.config, job.seed) for job in two.evaluator.jobs] == [(gone.config, gone.seed)]
    assert two.trials[-1].status is Status.COMPLETE


@pytest.mark.slow
def test_nothing_screens_any_more_and_what_was_screened_out_is_trained(screened, run, space):
    few = screened(space.size, Screening(after=space.size - 4), sampler="random")
    run(few)
    gone = {trial.config for trial in out(few)}
    assert gone
    two = screened(space.size + len(gone), None, sampler="random")
    assert run(two) is Ending.BUDGET
    assert gone <= {job.config for job in two.evaluator.jobs}


def test_failures_are_in_a_row_also_where_proposals_are_screened_out_between(screened, run):
    class Every(Screening):
        def __call__(self, job, trials):
            return Screened({}, "no contender" if len(trials) % 2 else "")

    one = screened(9, Every(), fails=[DIVERGED] * 9)
    with pytest.raises(EvaluationError, match="the last 3 trials failed"):
        run(one)


def test_screened_out_ones_in_a_row_are_no_reason_to_leave_the_sampler(screened, run):
    one = screened(14, Screening(after=4))
    run(one)
    assert {trial.origin for trial in out(one)} == {"sampler"}


class Two(PlantedEvaluator):
    """Pulls a job while another one is running."""

    def evaluate(self, jobs, report, listen):
        coming, flying = iter(jobs), []
        while True:
            while len(flying) < 2 and (job := next(coming, None)) is not None:
                flying.append(job)
                self.jobs.append(job)
            if not flying:
                return
            yield self.trained(flying.pop(0), report)


class Known(Screening):
    """What it says hangs on how many trials it is told of. Killed when it is asked for the `last` time."""

    def __init__(self, last=0):
        super().__init__()
        self.last = last

    def __call__(self, job, trials):
        self.asked.append(trials)
        if len(self.asked) == self.last:
            raise ConnectionAbortedError
        return Screened({}, "no contender" if len(trials) % 3 == 1 else "")


@pytest.mark.parametrize("last", [2, 3, 4, 5, 7])
def test_a_screener_says_the_same_of_what_was_running_when_the_search_was_killed(screened, run, planted, journal, last):
    def ended(*screens):
        journal.unlink(missing_ok=True)
        for screen in screens:
            made = screened(9, screen, evaluator=Two(planted), sampler="random")
            made.plan = replace(made.plan, beside=1)
            if screen.last:
                with pytest.raises(ConnectionAbortedError):
                    run(made)
            else:
                run(made)
        return [(trial.number, trial.config, trial.status) for trial in made.proposer.trials()]

    whole = ended(Known())
    assert {status for *_, status in whole} == {Status.COMPLETE, Status.PRUNED}
    assert ended(Known(last), Known()) == whole


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
@pytest.mark.parametrize("objective", [None, Pareto(("val_loss", "se_params"))], ids=["one", "two"])
def test_every_sampler_goes_on_beside_what_was_screened_out(screened, run, sampler, objective):
    fields = {"sampler": sampler, **({"objective": objective} if objective else {})}
    one = screened(16, Screening(after=11), **fields)
    assert run(one) is Ending.BUDGET
    assert sum(trial.counts for trial in one.trials) == 16
    assert len(out(one)) >= 5
    assert {trial.status for trial in one.trials} == {Status.COMPLETE, Status.PRUNED}
