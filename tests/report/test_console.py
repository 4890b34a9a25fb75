"""The terminal: what is said can be copied as it is."""

import pytest

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
