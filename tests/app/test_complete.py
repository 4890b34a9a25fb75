"""Tab completion, as a shell asks for it."""

import shutil
import subprocess

import pytest

from senas.app.paths import conf_dir


@pytest.fixture
def completions(senas, monkeypatch):
    def ask(line):
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setenv("COMP_POINT", str(len(line)))
        said = senas("-sc", "query=bash")
        assert (said.code, said.err) == (0, "")
        return set(said.out.split())

    return ask


def stems(group):
    return {path.stem for path in (conf_dir() / group).glob("*.yaml")}


@pytest.mark.parametrize("group", ["data", "backbone", "space", "sampler"])
def test_a_group_completes_to_its_files(completions, group):
    assert completions(f"senas search {group}=") == {f"{group}={name}" for name in stems(group)}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("senas se", {"search"}),
        ("senas search", {"search"}),
        ("senas d", {"dashboard"}),
        (
            "senas ",
            {
                "search",
                "resume",
                "audit",
                "front",
                "effects",
                "report",
                "explain",
                "train",
                "sites",
                "export",
                "dashboard",
            },
        ),
        ("senas search data=fa", {"data=fashion_mnist"}),
        ("senas audit data=fa", {"data=fashion_mnist"}),
        ("senas audit audit.f", {"audit.full="}),
        ("senas search study.trials=48 sampler=t", {"sampler=tpe"}),
        ("senas search trainer.ep", {"trainer.epochs="}),
        ("senas front study.n", {"study.name="}),
        ("senas sites backbone=resnet1", {"backbone=resnet110", "backbone=resnet14", "backbone=resnet18"}),
    ],
)
def test_a_line_completes_to_what_can_follow(completions, line, words):
    assert completions(line) == words


def test_a_key_of_another_command_is_not_offered(completions):
    assert completions("senas export trainer.ep") == set()


def test_completion_writes_nothing(completions, folder):
    completions("senas search data=")
    assert list(folder.iterdir()) == []


def test_bash_completes_once_it_was_installed(folder, environment, script):
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    ask = """
    eval "$(senas -sc install=bash)"
    complete -p | grep -o 'hydra_bash_completion.*'
    COMP_LINE="senas search data=fas" COMP_WORDS=(senas search data=fas) COMP_CWORD=2 COMP_POINT=21
    hydra_bash_completion
    echo "${COMPREPLY[@]}"
    """
    path = f"{script.parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", ask], env={**environment, "PATH": path}, cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["hydra_bash_completion senas", "data=fashion_mnist"]
