"""The terminal: what is said can be copied as it is."""

import re

import pytest
from rich.table import Table

from senas.report.console import WIDTH, Terminal


def test_text_is_printed_as_it_is_without_markup_or_breaks(capsys):
    text = "space.sites=[layer1.*] [bold]study.name=a[/bold] :smile: " + "x" * 2 * WIDTH
    Terminal().say(text, style="bold")
    assert capsys.readouterr().out == text + "\n"


@pytest.mark.parametrize("warn", [True, False])
def test_what_asks_for_attention_is_the_same_text(capsys, warn):
    terminal = Terminal()
    (terminal.warn if warn else terminal.say)("MLflow is down")
    assert capsys.readouterr().out == "MLflow is down\n"


def as_screen(monkeypatch):
    """Standard output is a screen that knows colours; to be called in the test itself, which has its own output."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)


ESCAPE = "\x1b["


def test_a_screen_gets_colours_and_a_bar(monkeypatch, capsys):
    as_screen(monkeypatch)
    terminal = Terminal()
    terminal.warn("MLflow is down")
    assert terminal.moves
    assert ESCAPE in capsys.readouterr().out


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_styles_are_off_where_they_were_asked_away(monkeypatch, capsys, name, value):
    as_screen(monkeypatch)
    monkeypatch.setenv(name, value)
    terminal = Terminal()
    terminal.warn("MLflow is down")
    terminal.say("recommended", style="bold")
    assert capsys.readouterr().out == "MLflow is down\nrecommended\n"
    assert terminal.moves == (name != "TERM")


def test_forced_colours_bring_no_cursor_codes_into_a_pipe(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    terminal.warn("MLflow is down")
    assert ESCAPE in capsys.readouterr().out
    assert not terminal.moves
    assert terminal.console.width == WIDTH


# The log


def lines(path):
    return path.read_text().splitlines()


def test_the_log_has_the_time_and_all_that_was_said_before_it_was_kept_too(tmp_path, capsys):
    terminal = Terminal()
    terminal.say("study a\n\n24 trials", style="bold")
    terminal.keep(tmp_path / "log.txt")
    terminal.warn("MLflow is down")
    terminal.note("for the log alone")
    table = Table("trial")
    table.add_row("17")
    terminal.show(table)
    logged = lines(tmp_path / "log.txt")
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \S| ", line) for line in logged)
    texts = [line[21:] for line in logged]
    assert texts[:4] == ["study a", "24 trials", "warning: MLflow is down", "for the log alone"]
    assert any("17" in text for text in texts[4:])
    assert ESCAPE not in "".join(logged)
    assert "for the log alone" not in capsys.readouterr().out


def test_a_log_that_is_there_is_gone_on_with(tmp_path):
    for run in ("first", "second"):
        terminal = Terminal()
        terminal.keep(tmp_path / "log.txt")
        terminal.say(run)
    assert [line[21:] for line in lines(tmp_path / "log.txt")] == ["first", "second"]


def test_nothing_is_logged_where_no_log_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Terminal().say("sites")
    assert list(tmp_path.iterdir()) == []


def test_an_error_is_logged_with_its_traceback(tmp_path):
    terminal = Terminal()
    terminal.keep(tmp_path / "log.txt")
    try:
        raise ValueError("deep inside")
    except ValueError as error:
        terminal.note_error(error)
    text = (tmp_path / "log.txt").read_text()
    assert "Traceback (most recent call last)" in text
    assert "test_console.py" in text
    assert "ValueError: deep inside" in text


def test_a_log_on_a_full_disk_stops_nothing(capsys, tmp_path):
    terminal = Terminal()
    (tmp_path / "log.txt").symlink_to("/dev/full")
    terminal.keep(tmp_path / "log.txt")
    terminal.say("trial 3")
    assert capsys.readouterr().out == "trial 3\n"
