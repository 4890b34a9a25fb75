"""Help is complete, and there at once."""

import json
import re
import sys

import pytest

from senas.app.help import EXAMPLES
from senas.app.lines import known_keys
from senas.app.main import COMMANDS, UNREAD, run
from senas.app.paths import conf_dir

LOOK = """
import json, sys
from senas.app.main import run
code = run(sys.argv[1:])
slow = {"torch", "hydra", "optuna", "mlflow", "pytorch_lightning", "numpy", "matplotlib"}
print(json.dumps([code, sorted(slow & set(sys.modules))]), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_the_program_lists_its_commands(senas, arguments):
    said = senas(*arguments)
    assert (said.code, said.err) == (0, "")
    for command, what in COMMANDS.items():
        assert re.search(rf"^  {command} +{re.escape(what)}$", said.out, re.MULTILINE)


def test_every_command_has_examples():
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_contains_its_examples(senas, command):
    said = senas(command, "--help")
    assert (said.code, said.err) == (0, "")
    assert EXAMPLES[command] in said.out
    assert said.out.startswith(f"senas {command}: {COMMANDS[command]}\n")


def test_help_tells_the_keys_of_a_choice_that_is_named_beside_it(senas):
    usual, chosen = senas("search", "--help").out, senas("search", "evaluator=fused", "--help").out
    assert "together measured" in chosen
    assert "together measured" not in usual
    assert senas("search", "evaluator=none_such", "--help").code == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_given_wherever_it_is_asked_for(senas, command):
    assert senas(command, "study.name=x", "-h").out == senas(command, "--help").out


def test_the_help_of_search_names_every_config_file(senas):
    words = set(re.findall(r"[\w]+", senas("search", "--help").out))
    files = {path.stem for path in conf_dir().glob("*/*.yaml")}
    groups = {path.name for path in conf_dir().iterdir() if path.is_dir()}
    assert (files | groups) - words == set()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "sites"])
def test_the_help_of_a_command_shows_its_own_keys(senas, command):
    _, _, keys = (conf_dir() / f"{command}.yaml").read_text().partition("- _self_\n")
    shown = [line.strip() for line in senas(command, "--help").out.splitlines()]
    assert [line for line in keys.split("\n") if line.strip() and line.strip() not in shown] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_shows_the_folder_that_everything_is_written_to(senas, command):
    assert "\n  root: runs  # everything that senas writes" in senas(command, "--help").out


@pytest.mark.parametrize(
    ("command", "group", "shown"),
    [
        ("search", "trainer", "epochs 8, batch_size 64, optimizer adamw (adamw, sgd), lr 0.003 (the highest"),
        ("train", "trainer", "epochs 30, batch_size 64, "),
        ("search", "objective", "penalty 0.1 (what all the SE"),
        ("sites", "space", 'sites ["*"] (names or globs; `senas sites` lists them), per site (site, stage or network'),
        ("dashboard", "tracking", "uri null, experiment senas, register true"),
    ],
)
def test_help_shows_the_keys_of_the_chosen_groups_with_their_values_and_comments(senas, command, group, shown):
    assert f" {group}. {shown}" in " ".join(senas(command, "--help").out.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_no_key_of_a_default_configuration_is_missing_in_the_help(senas, command):
    words = set(re.findall(r"\w+", senas(command, "--help").out))
    assert {key.rpartition(".")[2] for key in known_keys(command)} - {"name", "_target_", "options"} - words == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)])
def test_help_imports_nothing_that_takes_long(program, arguments):
    done = program(*arguments, command=(sys.executable, "-c", LOOK))
    assert json.loads(done.stderr) == [0, []]


@pytest.mark.parametrize("unbuffered", ["1", ""])  # it shows in the print, or when all is flushed at the end
def test_help_that_nobody_reads_to_its_end_ends_quietly(unread, unbuffered):
    assert unread("search", "--help", PYTHONUNBUFFERED=unbuffered) == (UNREAD, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "--cfg", "job"),
        ("front", "study.name=pilot"),
    ],
)
@pytest.mark.usefixtures("copied")
def test_no_command_complains_where_nobody_reads_on(unread, arguments):
    assert unread(*arguments, PYTHONUNBUFFERED="") == (UNREAD, "")


def test_the_module_is_the_program(program, script):
    as_module, as_script = program("--help"), program("--help", command=(str(script),))
    assert as_module.returncode == as_script.returncode == 0
    assert as_module.stdout == as_script.stdout != ""


def test_the_version_is_that_of_the_package(senas):
    assert re.fullmatch(r"senas \d+\.\d+\.\d+\S*\n", senas("--version").out)


def test_the_exit_code_is_that_of_the_run(program):
    done = program("serch")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f'senas: "serch" is no command; there are {", ".join(COMMANDS)}; did you mean "search"?\n'


# Every example of the help, and every one in brackets, is a command line that composes


@pytest.mark.parametrize(
    "line",
    [
        line.strip().split("   ")[0]
        for text in EXAMPLES.values()
        for line in text.splitlines()
        if line.startswith("  senas")
    ],
)
def test_every_example_composes(folder, monkeypatch, capsys, line):
    monkeypatch.setattr(sys, "argv", ["senas"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    arguments = [word for word in line.split()[1:] if word != "--multirun"]
    assert run([*(word if "[" in word else word.split(",")[0] for word in arguments), "--cfg", "job"]) == 0
    assert list(folder.iterdir()) == []
