"""The proposer, on real Optuna storages: what a study is told survives whatever happens to the process."""

import json
import warnings
from contextlib import contextmanager, suppress
from dataclasses import replace

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.storages.journal import JournalFileBackend

import senas.study.written
from senas.core.config import SEConfig
from senas.core.seeds import Seeds
from senas.core.trial import Failure, Status, Wanted
from senas.errors import ConfigError, SpaceError, StudyError
from senas.study.optuna import read_trials
from senas.study.storage import open_storage

MEDIAN = optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=0)


class DiedError(Exception):
    """The process went away."""


@contextmanager
def dies(calls, owner, name):
    """Inside, the process dies once a method of Optuna was called so often."""
    real, left = getattr(owner, name), [calls]

    def dying(*args, **kwargs):
        if not left[0]:
            raise DiedError
        left[0] -= 1
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, dying)
        with suppress(DiedError):
            yield
        assert not left[0], "it lived on"


# What every storage does


def test_a_new_study_has_no_trials(open_study, storage):
    assert open_study(storage).trials() == []


def test_what_is_asked_is_running_and_in_the_space(open_study, storage, space):
    trial = open_study(storage).ask()
    assert (trial.number, trial.status, trial.seed, trial.origin) == (0, Status.RUNNING, 7, "sampler")
    assert trial.config in space
    assert trial.started > 1_700_000_000


def test_each_trial_says_which_sampler_proposed_it_where_one_did(open_study, storage, go_on):
    start = [SEConfig()]
    go_on(open_study(storage, start=start, named="TPESampler"), 3)
    other = open_study(storage, sampler="random", start=start, named="RandomSampler")
    go_on(other, 4)
    names = ["", "TPESampler", "TPESampler", "RandomSampler"]
    assert [trial.sampler for trial in other.trials()] == names
    assert [trial.sampler for trial in open_study(storage, start=start).trials()] == names


def test_a_running_trial_is_not_among_the_trials(open_study, storage):
    proposer = open_study(storage)
    proposer.ask()
    assert proposer.trials() == []


def test_a_complete_trial_comes_back_as_it_was_told(open_study, storage, complete, penalized):
    proposer = open_study(storage)
    told = complete(proposer.ask(), penalized)
    proposer.tell(told)
    assert open_study(storage).trials() == [told]


def test_several_objectives_come_back_as_they_were_told(open_study, storage, complete, pareto):
    proposer = open_study(storage, objective=pareto)
    told = complete(proposer.ask(), pareto)
    proposer.tell(told)
    assert told.values == (told.scores["val_loss"], told.scores["se_params"])
    assert open_study(storage, objective=pareto).trials() == [told]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": Status.PRUNED, "values": ()},
        {
            "status": Status.FAILED,
            "values": (),
            "scores": {},
            "curve": (),
            "failure": Failure.DIVERGED,
            "reason": "the loss is not finite after epoch 0",
        },
        {"status": Status.FAILED, "values": (), "scores": {}, "failure": Failure.MEMORY, "reason": "out of memory"},
        {"repeats": 0, "seconds": 0.0},
        {"status": Status.PRUNED, "values": (), "repeats": 0},
    ],
    ids=["pruned", "diverged", "out of memory", "repeated", "repeats a pruned one"],
)
def test_scores_curve_failure_and_repeats_come_back_as_they_were_told(
    open_study, storage, complete, penalized, changes
):
    proposer = open_study(storage)
    first = complete(proposer.ask(), penalized)
    proposer.tell(first)
    told = complete(proposer.ask(), penalized, **changes)
    proposer.tell(told)
    (_, again) = open_study(storage).trials()
    assert again == told


def test_a_reader_sees_what_the_proposer_was_told(open_study, storage, go_on, space):
    proposer = open_study(storage)
    go_on(proposer, 2)
    proposer.ask()
    assert read_trials("pilot", storage, space) == proposer.trials()


def test_a_study_that_is_not_there_is_said_not_to_be(open_study, storage, space):
    open_study(storage)
    with pytest.raises(StudyError, match='there is no study "elsewhere"'):
        read_trials("elsewhere", storage, space)


def test_what_was_running_is_taken_up_with_its_number_and_configuration(open_study, storage, go_on):
    proposer = open_study(storage)
    go_on(proposer, 2)
    asked = proposer.ask()
    again = open_study(storage).ask()
    assert (again.number, again.config) == (2, asked.config)


def test_what_was_taken_up_can_be_told(open_study, storage, complete, penalized):
    open_study(storage).ask()
    proposer = open_study(storage)
    told = complete(proposer.ask(), penalized)
    proposer.tell(told)
    assert [trial.number for trial in proposer.trials()] == [0]
    assert proposer.ask().number == 1


def test_a_changed_fingerprint_is_refused_with_key_and_both_values(open_study, storage):
    open_study(storage)
    with pytest.raises(StudyError) as caught:
        open_study(storage, fingerprint={"trainer.epochs": 5, "study.seed": 7, "data.name": "digits"})
    line = str(caught.value)
    assert "trainer.epochs is 3, you ask for 5" in line
    assert "space.sites is ['*'], you ask for unset" in line
    assert "data.name is unset, you ask for digits" in line
    assert "study.seed" not in line
    assert "\n" not in line


def test_an_equal_fingerprint_is_accepted_whatever_its_order(open_study, storage):
    open_study(storage)
    open_study(storage, fingerprint={"space.sites": ("*",), "study.seed": 7, "trainer.epochs": 3})


def test_starting_points_come_first_in_their_order(open_study, storage, go_on, sites):
    start = [SEConfig(), SEConfig.everywhere(sites, 16)]
    proposer = open_study(storage, start=start)
    assert [config for _, config, _ in go_on(proposer, 3)][:2] == start
    assert [trial.origin for trial in proposer.trials()] == ["start", "start", "sampler"]


def test_starting_points_come_once_however_often_the_study_is_opened(open_study, storage, go_on, sites):
    start = [SEConfig(), SEConfig.everywhere(sites, 16)]
    for trials in (1, 2, 4):
        go_on(open_study(storage, start=start), trials)
    assert [trial.origin for trial in open_study(storage, start=start).trials()] == ["start", "start"] + 2 * ["sampler"]


def test_a_killed_process_leaves_no_starting_point_out(open_study, storage, sites, go_on):
    start = [SEConfig(), SEConfig.everywhere(sites, 16)]
    with dies(1, optuna.Study, "enqueue_trial"):
        open_study(storage, start=start).ask()
    assert [config for _, config, _ in go_on(open_study(storage, start=start), 2)] == start


def test_an_untried_configuration_was_never_tried(open_study, storage, tiny, complete, penalized):
    proposer = open_study(storage, space=tiny)
    for number in range(tiny.size):
        trial = proposer.ask_untried()
        assert (trial.number, trial.origin) == (number, "untried")
        proposer.tell(complete(trial, penalized))
    assert {trial.config for trial in proposer.trials()} == set(tiny)


def test_nothing_untried_is_left_of_an_exhausted_space(open_study, storage, tiny, complete, penalized):
    proposer = open_study(storage, space=tiny)
    for _ in range(tiny.size):
        proposer.tell(complete(proposer.ask_untried(), penalized))
    with pytest.raises(SpaceError, match=r"^all 4 configurations of the search space were tried$"):
        proposer.ask_untried()


def test_an_untried_configuration_that_was_running_is_taken_up(open_study, storage, go_on):
    proposer = open_study(storage)
    go_on(proposer, 2)
    asked = proposer.ask_untried()
    proposer = open_study(storage)
    again = proposer.ask_untried()
    assert (again.number, again.config, again.origin) == (asked.number, asked.config, "untried")


def test_taking_up_an_untried_configuration_leaves_no_other_waiting(open_study, storage, go_on, complete, penalized):
    go_on(open_study(storage), 2)
    open_study(storage).ask_untried()
    proposer = open_study(storage)
    proposer.tell(complete(proposer.ask_untried(), penalized))
    assert proposer.ask().origin == "sampler"


# Seeds


def test_proposals_take_the_seeds_in_turn_by_their_numbers(open_study, storage, go_on):
    seeds = Seeds(7, 3)
    for trials in (2, 6):  # in two processes
        proposer = open_study(storage, seeds=seeds)
        go_on(proposer, trials)
    assert [trial.seed for trial in proposer.trials()] == [7, 8, 9, 7, 8, 9]


def test_how_many_seeds_there_are_does_not_change_what_is_proposed(open_study, go_on, tmp_path):
    one = go_on(open_study(tmp_path / "one.log"), 6)
    assert one == go_on(open_study(tmp_path / "three.log", seeds=Seeds(7, 3)), 6)


def test_where_all_were_tried_a_seed_that_one_was_not_tried_with_is_untried(
    open_study, storage, tiny, complete, penalized
):
    proposer = open_study(storage, space=tiny, seeds=Seeds(7, 2))
    for _ in range(2 * tiny.size):
        proposer.tell(complete(proposer.ask_untried(), penalized))
    trials = proposer.trials()
    assert {trial.config for trial in trials[: tiny.size]} == set(tiny)
    assert {(trial.config, trial.seed) for trial in trials} == {(config, seed) for config in tiny for seed in (7, 8)}
    with pytest.raises(SpaceError, match="were tried"):
        proposer.ask_untried()


def test_an_untried_seed_that_was_running_is_taken_up(open_study, storage, tiny, complete, penalized):
    seeds = Seeds(7, 2)
    proposer = open_study(storage, space=tiny, seeds=seeds)
    for _ in range(tiny.size + 1):
        proposer.tell(complete(proposer.ask_untried(), penalized))
    asked = proposer.ask_untried()
    again = open_study(storage, space=tiny, seeds=seeds).ask()
    assert (again.number, again.config, again.seed) == (asked.number, asked.config, asked.seed)


# Trainings that are asked for by name


@pytest.fixture
def wanted(sites):
    """SE everywhere, with a seed that no proposal takes."""
    return Wanted(SEConfig.everywhere(sites, 4), 11, "audit")


def test_what_is_asked_for_is_running_with_its_seed_and_origin(open_study, storage, wanted):
    trial = open_study(storage).ask_for(wanted)
    assert (trial.number, trial.status) == (0, Status.RUNNING)
    assert Wanted(trial.config, trial.seed, trial.origin) == wanted
    assert trial.started > 1_700_000_000


def test_what_was_asked_for_comes_back_as_it_was_told(open_study, storage, wanted, complete, penalized):
    proposer = open_study(storage)
    told = complete(proposer.ask_for(wanted), penalized)
    proposer.tell(told)
    assert open_study(storage).trials() == [told]


def test_asking_for_one_leaves_starting_points_waiting(open_study, storage, go_on, sites, wanted, complete, penalized):
    start = [SEConfig(), SEConfig.everywhere(sites, 16)]
    go_on(open_study(storage, start=start), 1)
    proposer = open_study(storage, start=start)
    proposer.tell(complete(proposer.ask_for(wanted), penalized))
    assert proposer.ask().config == start[1]
    assert proposer.ask().origin == "sampler"


def test_a_starting_point_that_was_asked_for_by_name_before_is_not_asked_again(
    open_study, storage, sites, complete, penalized
):
    proposer = open_study(storage, start=[SEConfig(), SEConfig.everywhere(sites, 16)])
    proposer.tell(complete(proposer.ask_for(Wanted(SEConfig(), 7, "audit")), penalized))
    assert proposer.ask().config == SEConfig.everywhere(sites, 16)
    assert proposer.ask().origin == "sampler"


def test_a_starting_point_of_theory_comes_after_the_others_and_says_so(open_study, storage, sites):
    proposer = open_study(storage, start=[SEConfig()])
    proposer.theory = SEConfig.everywhere(sites, 16)
    assert [proposer.ask().origin for _ in range(3)] == ["start", "theory", "sampler"]


def test_a_study_has_one_starting_point_of_theory_also_where_another_follows_by_now(open_study, storage, sites):
    proposer = open_study(storage, start=[SEConfig()])
    proposer.theory = SEConfig.everywhere(sites, 16)
    proposer.ask()  # the process dies here: theory's is queued, and never ran
    again = open_study(storage, start=[SEConfig()])
    again.theory = SEConfig.everywhere(sites, 4)
    asked = [again.ask() for _ in range(3)]
    assert [trial.origin for trial in asked] == ["start", "theory", "sampler"]
    assert asked[1].config == SEConfig.everywhere(sites, 16)


def test_what_theory_gives_and_a_trial_had_is_not_asked_again(open_study, storage, sites):
    proposer = open_study(storage, start=[SEConfig()])
    proposer.theory = SEConfig()
    assert [proposer.ask().origin for _ in range(2)] == ["start", "sampler"]


def test_what_was_asked_for_and_never_told_is_its_own_trial_again(open_study, storage, wanted, go_on, sites):
    proposer = open_study(storage, start=[SEConfig()])
    go_on(proposer, 1)
    asked = proposer.ask_for(wanted)
    again = open_study(storage, start=[SEConfig(), SEConfig.everywhere(sites, 16)]).ask_for(wanted)
    assert again.number == asked.number


def test_another_seed_or_origin_is_another_trial(open_study, storage, wanted):
    asked = open_study(storage).ask_for(wanted)
    for other in (Wanted(wanted.config, 12, "audit"), Wanted(wanted.config, 11, "confirm")):
        assert open_study(storage).ask_for(other).number > asked.number


def test_what_was_asked_for_and_is_not_wanted_any_more_comes_up_with_its_seed_and_origin(open_study, storage, wanted):
    open_study(storage).ask_for(wanted)
    trial = open_study(storage).ask()
    assert (trial.number, Wanted(trial.config, trial.seed, trial.origin)) == (0, wanted)


def test_what_is_not_in_the_space_cannot_be_asked_for(open_study, journal, tiny, wanted):
    proposer = open_study(journal, space=tiny)
    before = journal.read_bytes()
    with pytest.raises(SpaceError, match="not in the search space"):
        proposer.ask_for(wanted)
    assert journal.read_bytes() == before


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2", "gp"])
def test_every_sampler_goes_on_beside_what_was_asked_for_by_name(open_study, journal, go_on, sampler, space, complete):
    proposer = open_study(journal, sampler=sampler)
    for number, config in enumerate([SEConfig(), *list(space)[100:105]]):
        proposer.tell(complete(proposer.ask_for(Wanted(config, number, "audit")), proposer.objective))
    go_on(proposer, 12)
    assert {trial.origin for trial in proposer.trials()[6:]} == {"sampler"}


# Going on as if nothing had happened


@pytest.fixture(scope="session")
def uninterrupted():
    """What was proposed without an interruption, by sampler and storage; made once."""
    return {}


@pytest.fixture
def as_uninterrupted(open_study, go_on, tmp_path, uninterrupted):
    """Interrupts a study at a trial, goes on with it in another process, and compares it with a whole one."""

    def check(interrupt, *, at, kind="journal", sampler="tpe", trials=12):
        def place(name):
            return tmp_path / f"{name}.log" if kind == "journal" else f"sqlite:///{tmp_path / name}.db"

        key = (sampler, kind)
        if key not in uninterrupted:
            uninterrupted[key] = go_on(open_study(place("whole"), sampler=sampler), trials)
        proposer = open_study(place("parts"), sampler=sampler)
        go_on(proposer, at - 1)
        interrupt(proposer)
        assert go_on(open_study(place("parts"), sampler=sampler), trials) == uninterrupted[key]

    return check


def after_the_ask(proposer):
    proposer.ask()


def amid_the_suggests(suggested):
    def interrupt(proposer):
        with dies(suggested, optuna.Trial, "suggest_categorical"):
            proposer.ask()

    return interrupt


@pytest.mark.parametrize(
    ("kind", "at"), [("journal", 1), ("journal", 3), ("journal", 5), ("journal", 8), ("sqlite", 8)]
)
def test_a_study_killed_after_an_ask_proposes_what_an_uninterrupted_one_does(as_uninterrupted, kind, at):
    as_uninterrupted(after_the_ask, at=at, kind=kind)


@pytest.mark.parametrize("suggested", [0, 1, 2])
@pytest.mark.parametrize(("kind", "at"), [("journal", 2), ("journal", 5), ("journal", 8), ("sqlite", 8)])
def test_a_study_killed_amid_the_suggests_proposes_what_an_uninterrupted_one_does(
    as_uninterrupted, kind, at, suggested
):
    as_uninterrupted(amid_the_suggests(suggested), at=at, kind=kind)


@pytest.mark.parametrize(("sampler", "trials", "at"), [("random", 12, 8), ("nsga2", 12, 8), ("gp", 7, 6)])
@pytest.mark.parametrize("interrupt", [amid_the_suggests(1), after_the_ask], ids=["amid the suggests", "after the ask"])
def test_every_sampler_goes_on_as_if_it_had_not_been_killed(as_uninterrupted, sampler, trials, at, interrupt):
    as_uninterrupted(interrupt, at=at, sampler=sampler, trials=trials)


def test_a_study_killed_while_a_training_was_asked_for_proposes_what_an_uninterrupted_one_does(
    open_study, tmp_path, complete, wanted, go_on
):
    def study(name, *, killed):
        proposer = open_study(tmp_path / name)
        go_on(proposer, 5)
        if killed:
            proposer.ask_for(wanted)
            proposer = open_study(tmp_path / name)
        proposer.tell(complete(proposer.ask_for(wanted), proposer.objective))
        return go_on(proposer, 10)

    assert study("killed.log", killed=True) == study("whole.log", killed=False)


def test_a_process_that_dies_before_the_tell_is_done_has_its_trial_asked_again(as_uninterrupted, complete):
    def interrupt(proposer):
        with dies(0, optuna.Study, "tell"):
            proposer.tell(complete(proposer.ask(), proposer.objective))

    as_uninterrupted(interrupt, at=8)


def test_another_seed_proposes_something_else(open_study, go_on, tmp_path):
    one = go_on(open_study(tmp_path / "one.log"), 4)
    assert one != go_on(open_study(tmp_path / "other.log", seeds=Seeds(8)), 4)


def test_every_proposal_and_parameter_is_drawn_with_a_seed_of_its_own(open_study, journal, complete, penalized, space):
    proposer, seeds = open_study(journal), []
    proposer.sampler = lambda seed: seeds.append(seed) or optuna.samplers.RandomSampler(seed=seed)
    for _ in range(3):
        proposer.tell(complete(proposer.ask(), penalized))
    assert len(seeds) == len(set(seeds)) == 3 * (1 + len(space.choices))


def test_the_storage_does_not_change_what_is_proposed(open_study, go_on, tmp_path):
    in_a_file = go_on(open_study(tmp_path / "journal.log"), 6)
    assert in_a_file == go_on(open_study(f"sqlite:///{tmp_path / 'study.db'}"), 6)


# Modelling the space whole


@pytest.mark.parametrize(
    ("kind", "sampler", "several"),
    [
        (optuna.samplers.TPESampler, "tpe", False),
        (optuna.samplers.TPESampler, "tpe", True),
        (optuna.samplers.GPSampler, "gp", False),
    ],
    ids=["tpe", "tpe of two objectives", "gp"],
)
def test_after_the_start_the_model_draws_every_parameter(
    open_study, go_on, journal, monkeypatch, penalized, pareto, kind, sampler, several
):
    drawn, real = [], kind.sample_independent

    def counting(self, study, trial, name, distribution):
        drawn.append((trial.number, name))
        return real(self, study, trial, name, distribution)

    monkeypatch.setattr(kind, "sample_independent", counting)
    go_on(open_study(journal, sampler=sampler, objective=pareto if several else penalized), 7)
    assert {number for number, _ in drawn} == {0, 1, 2, 3}  # four trials at random, then none


# How often a journal is written to, and a study read: the disk is waited for, and a study has thousands of trials


@pytest.fixture
def writes(monkeypatch):
    """How many lines each write to a journal had."""
    lines, real = [], JournalFileBackend.append_logs
    monkeypatch.setattr(
        JournalFileBackend, "append_logs", lambda self, logs: lines.append(len(logs)) or real(self, logs)
    )
    return lines


def test_a_proposal_is_two_writes_and_what_came_of_it_one(
    open_study, journal, go_on, writes, space, complete, penalized
):
    proposer = open_study(journal)
    go_on(proposer, 5)
    writes.clear()
    trial = proposer.ask()
    assert len(writes) == 2
    proposer.tell(complete(trial, penalized))
    assert len(writes) == 3


def test_what_ends_in_an_error_writes_nothing_of_it(open_study, journal, complete, penalized):
    proposer = open_study(journal)
    trial = proposer.ask()
    before = journal.read_bytes()
    with pytest.raises(ValueError, match="values"):
        proposer.tell(replace(complete(trial, penalized), values=(0.1, 0.2)))
    assert journal.read_bytes() == before
    assert open_study(journal).ask().number == trial.number


def test_a_trial_that_ended_is_read_once(open_study, journal, go_on, monkeypatch):
    read, real = [], senas.study.written.trial_of
    monkeypatch.setattr(
        "senas.study.written.trial_of", lambda frozen, space: read.append(frozen.number) or real(frozen, space)
    )
    proposer = open_study(journal)
    for count in (4, 8):
        go_on(proposer, count)
        proposer.trials()
        proposer.trials()
    assert read == list(range(8))


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_a_proposal_compares_the_choices_of_new_trials_alone(open_study, journal, go_on, monkeypatch, sampler):
    """A sampler that is made anew would compare those of all trials, at each proposal."""
    compared, real = [], CategoricalDistribution.__eq__
    monkeypatch.setattr(
        CategoricalDistribution, "__eq__", lambda self, other: compared.append(self) or real(self, other)
    )
    proposer = open_study(journal, sampler=sampler)
    counts = []
    for count in (6, 7, 12, 13):
        compared.clear()
        go_on(proposer, count)
        counts.append(len(compared))
    assert 0 < counts[3] <= counts[1]


# A journal that a killed process left in the middle of a line


@pytest.mark.parametrize("cut", [1, 20])
def test_a_last_line_that_was_cut_is_mended_and_nothing_else_is_lost(open_study, journal, go_on, cut):
    proposer = open_study(journal)
    before = go_on(proposer, 3)
    lines = journal.read_bytes().splitlines(keepends=True)
    proposer.ask()
    (unfinished,) = journal.read_bytes().splitlines(keepends=True)[len(lines) :][:1]
    journal.write_bytes(b"".join(lines) + unfinished[:-cut])
    proposer = open_study(journal)
    assert [(trial.number, trial.config, trial.values) for trial in proposer.trials()] == before
    go_on(proposer, 4)
    assert len(open_study(journal).trials()) == 4
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_a_tell_that_was_cut_is_asked_again(open_study, journal, go_on):
    whole = go_on(open_study(journal), 3)
    content = journal.read_bytes()
    journal.write_bytes(content[:-5])
    assert go_on(open_study(journal), 3) == whole


def test_reading_a_study_changes_nothing_not_even_a_line_being_written(open_study, journal, go_on, space):
    go_on(open_study(journal), 2)
    with journal.open("ab") as file:
        file.write(b'{"op_code": 5, "wor')  # a search in another process is at it
    before = journal.read_bytes()
    assert len(read_trials("pilot", journal, space)) == 2
    assert journal.read_bytes() == before


def test_a_refused_fingerprint_leaves_the_journal_as_it_was(open_study, journal, go_on):
    go_on(open_study(journal), 2)
    before = journal.read_bytes()
    with pytest.raises(StudyError):
        open_study(journal, fingerprint={"trainer.epochs": 5})
    assert journal.read_bytes() == before


def test_reading_a_study_makes_no_file(tmp_path, space):
    with pytest.raises(StudyError, match="there is no study"):
        read_trials("pilot", tmp_path / "journal.log", space)
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_another_program_ended_is_refused(open_study, journal):
    proposer = open_study(journal)
    proposer.study.tell(proposer.study.ask(), 1.0)
    with pytest.raises(StudyError, match="trial 0 was not recorded by senas"):
        proposer.trials()


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/at/all/study.db", "nonsense://user:s3cret@host/database", "not a url"]
)
def test_a_storage_that_does_not_open_is_named_without_its_password(url):
    with pytest.raises(ConfigError, match=r"^storage\.url: .* does not open \(.*\); ") as caught:
        open_storage(url)
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


# Pruning


def test_without_a_pruner_no_trial_is_pruned(open_study, journal, planted):
    proposer = open_study(journal)
    trial = proposer.ask()
    assert not proposer.report(trial, 1, {**planted(trial.config), "val_loss": 1e9})


def test_several_objectives_with_a_pruner_are_refused_before_a_study_is_made(open_study, journal, pareto):
    with pytest.raises(ConfigError, match="several objectives cannot be pruned on; use objective=penalized"):
        open_study(journal, objective=pareto, pruner=MEDIAN)
    assert not journal.exists()


@pytest.fixture
def pruned(planted, complete, penalized):
    """Two trials whose loss was 1.0 and 1.2 after the first epoch, then a third: was it pruned at this loss?"""

    def run(proposer, loss):
        for earlier in (1.0, 1.2):
            trial = proposer.ask()
            proposer.report(trial, 1, {**planted(trial.config), "val_loss": earlier, "se_params": 0.0})
            proposer.tell(complete(trial, penalized))
        trial = proposer.ask()
        return proposer.report(trial, 1, {**planted(trial.config), "val_loss": loss, "se_params": 0.0})

    return run


def test_a_trial_worse_than_the_median_is_pruned(open_study, storage, pruned):
    assert pruned(open_study(storage, pruner=MEDIAN), 1.3)


def test_a_trial_better_than_the_median_is_not_pruned(open_study, storage, pruned):
    assert not pruned(open_study(storage, pruner=MEDIAN), 1.05)


def test_what_was_asked_for_by_name_is_never_pruned(open_study, journal, pruned, sites, planted):
    proposer = open_study(journal, pruner=MEDIAN)
    assert pruned(proposer, 1.3)
    trial = proposer.ask_for(Wanted(SEConfig.everywhere(sites, 4), 11, "confirm"))
    assert not proposer.report(trial, 1, {**planted(trial.config), "val_loss": 1.3, "se_params": 0.0})


def test_the_pruner_sees_the_objective_and_not_the_loss_alone(open_study, journal, planted, space):
    proposer = open_study(journal, pruner=MEDIAN)
    trial = proposer.ask()
    scores = {**planted(trial.config), "val_loss": 1.0, "se_params": space.largest_params / 2}
    proposer.report(trial, 1, scores)
    (running,) = proposer.study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
    assert running.intermediate_values == {1: pytest.approx(1.0 + 0.1 / 2)}


def test_a_trial_taken_up_reports_its_epochs_again_without_a_word(open_study, journal, planted):
    proposer = open_study(journal, pruner=MEDIAN)
    trial = proposer.ask()
    proposer.report(trial, 1, planted(trial.config))
    proposer = open_study(journal, pruner=MEDIAN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not proposer.report(proposer.ask(), 1, planted(trial.config))
