"""What a search says while it runs."""

import io
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from senas.core.config import SEConfig
from senas.core.objective import Pareto, Penalized
from senas.core.standing import Standing
from senas.core.trial import Failure, Status
from senas.report.console import Terminal
from senas.report.progress import SILENCE_SECONDS, SearchProgress


def standing(trials, objective=None):
    return Standing(trials=trials, objective=objective or Penalized(0.1, 100), classes=10, largest_params=100)


def on_screen(width):
    """A terminal whose output is a screen that can be read here."""
    terminal = Terminal()
    terminal.console = Console(file=io.StringIO(), force_terminal=True, width=width)
    terminal.moves = True
    return terminal


@pytest.fixture
def said(sites):
    """The line about a trial among others, without colour."""

    def say(trial, others=()):
        terminal = SimpleNamespace(lines=[], moves=False)
        terminal.say = lambda text, style="": terminal.lines.append(text)
        with SearchProgress(terminal, total=5, sites=sites, bar=True) as progress:
            progress.started(trial, standing(others))
            progress.epoch(trial, 1, 3)
            progress.finished(trial, standing([*others, trial]))
        (line,) = terminal.lines
        return line

    return say


def test_a_complete_trial_says_its_scores_seconds_and_configuration(said, make, mixed, sites):
    line = said(make(12, mixed, 0.51234))
    assert re.sub(r" +", " ", line) == (
        f"trial 12 * val loss 0.5123 acc 93.75% SE params {mixed.params(sites)} 2.5 s {mixed.words(sites)}"
    )


def test_a_trial_on_the_front_has_a_star_and_one_that_is_beaten_has_none(said, make, mixed):
    better = make(0, SEConfig(), 0.1)
    assert said(make(1, mixed, 0.05), [better]).startswith("trial   1 *")
    assert said(make(1, mixed, 0.2), [better]).startswith("trial   1  ")


def test_a_pruned_trial_says_after_which_epoch(said, make, mixed):
    trial = make(3, mixed, 0.9, status=Status.PRUNED, values=())
    assert said(trial).startswith("trial   3  pruned after epoch 3: val loss 0.9000")


def test_a_trial_that_was_screened_out_says_why(said, make, mixed, sites):
    reason = "no contender: shared_val_loss 0.5000 is number 3 of 4 that cost no more"
    trial = make(3, mixed, 0.9, status=Status.PRUNED, curve=(), scores={"se_params": 148.0}, reason=reason)
    assert said(trial) == f"trial   3  not trained, {reason}: {mixed.words(sites)}"


def test_a_failed_trial_says_why(said, make, mixed, sites):
    trial = make(3, mixed, 0.9, status=Status.FAILED, scores={}, failure=Failure.MEMORY, reason="out of memory")
    assert said(trial) == f"trial   3  failed, out of memory: {mixed.words(sites)}"


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.PRUNED, Status.FAILED])
def test_a_repeated_trial_says_which_one_it_repeats(said, make, mixed, sites, status):
    trial = make(3, mixed, 0.9, status=status, repeats=1)
    assert said(trial) == f"trial   3  repeats trial 1, not trained again: {mixed.words(sites)}"


@pytest.mark.parametrize(("objective", "best"), [(None, "best 0.5000"), (Pareto(("val_loss", "macs")), "lowest loss")])
def test_a_terminal_gets_a_bar_with_the_best_so_far(make, sites, objective, best):
    terminal = on_screen(width=200)
    first, second = make(0, SEConfig(), 0.5), make(1, SEConfig(), 0.4)
    with SearchProgress(terminal, total=5, sites=sites, bar=True) as progress:
        progress.started(first, standing([], objective))
        progress.finished(first, standing([first], objective))
        progress.started(second, standing([first], objective))
        progress.epoch(second, 1, 3)
        progress.bar.refresh()
        text = progress.terminal.console.file.getvalue()
        assert progress.bar.tasks[0].completed == pytest.approx(1 + 1 / 3, abs=1e-3)
    assert "trial 2 of 5" in text
    assert best in text
    assert re.search(r"front 1 .*about \d+ s left", text)


@pytest.mark.parametrize("origin", ["audit", "confirm"])
def test_a_replicate_says_that_it_is_one_and_its_seed(said, make, mixed, sites, origin):
    line = said(make(3, mixed, 0.5, origin=origin, seed=8))
    assert line.endswith(f" s  {origin}, seed 8: {mixed.words(sites)}")


@pytest.mark.parametrize(("seeds", "words"), [(1, "  none"), (4, "  seed 3: none")])
def test_each_trial_says_its_seed_where_there_are_several(capsys, make, sites, seeds, words):
    trial = make(0, SEConfig(), 0.5)
    with SearchProgress(Terminal(), total=5, sites=sites, bar=False, seeds=seeds) as progress:
        progress.started(trial, standing([]))
        progress.finished(trial, standing([trial]))
    assert capsys.readouterr().out.endswith(f" s{words}\n")


def test_a_replicate_does_not_move_the_bar_and_has_no_time_left(make, sites):
    terminal = on_screen(width=200)
    first, audit = make(0, SEConfig(), 0.5), make(1, SEConfig(), 0.4, origin="audit", seed=8)
    with SearchProgress(terminal, total=5, sites=sites, bar=True) as progress:
        progress.started(first, standing([]))
        progress.finished(first, standing([first]))
        progress.started(audit, standing([first]))
        progress.epoch(audit, 1, 3)
        (task,) = progress.bar.tasks
        assert (task.completed, task.description) == (1, "audit, seed 8")
        assert "left" not in progress.words()


def test_the_time_that_an_audit_takes_is_paid_for_by_no_trial(make, sites, monkeypatch):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr("time.monotonic", lambda: now.seconds)
    audit, trials = make(0, SEConfig(), 0.5, origin="audit"), [make(n, SEConfig(), 0.5) for n in (1, 2, 3, 4)]
    with SearchProgress(on_screen(width=200), total=5, sites=sites, bar=True) as progress:
        for number, trial in enumerate([audit, *trials]):
            progress.started(trial, standing([audit, *trials][:number]))
            now.seconds += 10 if trial.proposed else 5000
            progress.finished(trial, standing([audit, *trials][: number + 1]))
        progress.started(make(5, SEConfig(), 0.5), standing([audit, *trials]))
        assert progress.words().endswith("10 s left")


def test_a_narrow_terminal_keeps_the_bar_on_one_line(make, sites):
    terminal = on_screen(width=40)
    with SearchProgress(terminal, total=5, sites=sites, bar=True) as progress:
        progress.started(make(1, SEConfig(), 0.4), standing([make(0, SEConfig(), 0.5)]))
        progress.epoch(make(1, SEConfig(), 0.4), 1, 3)
        progress.bar.refresh()
        lines = terminal.console.render_lines(progress.bar.get_renderable())
    assert len(lines) == 1


def test_a_fraction_of_an_epoch_moves_the_bar(make, sites):
    terminal = on_screen(width=200)
    with SearchProgress(terminal, total=5, sites=sites, bar=True) as progress:
        progress.started(make(0, SEConfig(), 0.4), standing([]))
        progress.epoch(make(0, SEConfig(), 0.4), 1.5, 3)
        assert progress.bar.tasks[0].completed == 0.5


@pytest.mark.parametrize("silent", [True, False])
def test_without_a_bar_a_long_trial_gives_a_sign_of_life(capsys, monkeypatch, make, sites, silent):
    trial, now = make(7, SEConfig(), 0.5), SimpleNamespace(seconds=0.0)
    monkeypatch.setattr("time.monotonic", lambda: now.seconds)
    with SearchProgress(Terminal(), total=5, sites=sites, bar=False) as progress:
        progress.started(trial, standing([]))
        now.seconds += SILENCE_SECONDS + 30 if silent else 10
        progress.epoch(trial, 1.5, 3)
    said = capsys.readouterr().out
    assert said == ("trial   7   epoch 1.5 of 3  about 22 min left\n" if silent else "")


def test_without_a_terminal_there_are_only_the_lines(capsys, make, sites):
    trial = make(0, SEConfig(), 0.5)
    with SearchProgress(Terminal(), total=5, sites=sites, bar=True) as progress:
        progress.started(trial, standing([]))
        progress.finished(trial, standing([trial]))
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.fixture
def rejected(make, mixed):
    """A trial that breaks a constraint."""

    def of(number, **changes):
        reason = "params 75,560 over 75,500"
        return make(number, mixed, 0.0, status=Status.REJECTED, values=(), curve=(), reason=reason, **changes)

    return of


def test_rejections_are_one_line_when_the_next_trial_begins(capsys, make, sites, rejected):
    earlier = [rejected(0), make(1, SEConfig(), 0.5)]
    with SearchProgress(Terminal(), total=5, sites=sites, bar=False) as progress:
        for number in (2, 3):
            earlier.append(rejected(number))
            progress.finished(earlier[-1], standing(earlier))
        assert capsys.readouterr().out == ""
        progress.started(make(4, SEConfig(), 0.5), standing(earlier))
    assert capsys.readouterr().out == "2 proposals broke a constraint, not trained; 3 so far\n"


def test_rejections_at_the_end_are_said_too(capsys, sites, rejected):
    with SearchProgress(Terminal(), total=5, sites=sites, bar=False) as progress:
        progress.finished(rejected(0), standing([rejected(0)]))
    assert capsys.readouterr().out == "1 proposal broke a constraint, not trained; 1 so far\n"


def test_a_rejected_starting_point_says_why(capsys, sites, rejected, mixed):
    first = rejected(0, origin="start")
    with SearchProgress(Terminal(), total=5, sites=sites, bar=False) as progress:
        progress.finished(first, standing([first]))
    assert capsys.readouterr().out == f"trial   0  rejected, {first.reason}: {mixed.words(sites)}\n"


def test_the_bar_says_how_many_were_rejected(make, sites, rejected):
    terminal = on_screen(width=200)
    with SearchProgress(terminal, total=5, sites=sites, bar=True) as progress:
        progress.finished(rejected(0), standing([rejected(0)]))
        progress.started(make(1, SEConfig(), 0.5), standing([rejected(0)]))
        assert "1 rejected" in progress.words()


def test_a_latency_that_was_measured_is_said(said, make, mixed):
    trial = make(1, mixed, 0.5)
    line = said(make(1, mixed, 0.5, scores={**trial.scores, "latency_ms": 1.23456}))
    assert "  latency_ms 1.2346  SE params" in line
