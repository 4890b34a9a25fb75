"""Mistakes of every kind on the real command line: a process each, its streams files, its exit code the system's.

Importing torch takes seconds, so that the processes are forked from one that has imported everything.
"""

import contextlib
import json
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

WARM = """
import atexit, gc, importlib, json, os, runpy, signal, sys, traceback
for command in ("search", "front", "train", "sites", "export", "dashboard"):
    importlib.import_module(f"senas.app.{command}")
import senas.record.mlflow, sklearn.datasets
given = json.load(sys.stdin)
gc.freeze()
running, codes = {}, {}

def wait():
    process, status = os.wait()
    codes[running.pop(process)] = os.waitstatus_to_exitcode(status)

for number, arguments in enumerate(given["commands"]):
    if len(running) == 2:
        wait()
    if process := os.fork():
        running[process] = number
        continue
    signal.alarm(60)  # a command that is no mistake after all
    os.chdir(given["folder"])
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{given['streams']}/{number}.{name}", os.O_WRONLY | os.O_CREAT), stream)
    sys.argv = ["senas", *arguments]
    code = 0
    try:
        runpy.run_module("senas", run_name="__main__")
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking torch down costs a second, and says nothing
while running:
    wait()
print(json.dumps([codes[number] for number in range(len(codes))]))
"""
NOTHING_ANSWERS = "tracking.uri: nothing answers at http://127.0.0.1:"
COMMANDS = [
    # words
    ("serch", '"serch" is no command; '),
    ("search study.trails=3", 'study.trails: there is no such key; did you mean "study.trials"?'),
    ("search dta=digits", 'dta: there is no such key; did you mean "data"?'),
    ("search --trials 4", "keys are written without dashes: study.trials=4"),
    ("search study.trials='3", "this cannot be read"),
    ("search backbone=resnet21", 'did you mean "resnet20"?'),
    ("search data=digitz", 'data: there is no "digitz"; there are '),
    ("search sampler=annealing", "there are effects, gp, nsga2, random, tpe"),
    # values
    ("search study.trials=-1", "study.trials must be at least 1, got -1"),
    ("search study.trials=many", 'study.trials must be a whole number, got "many"'),
    ("search trainer.epochs=0", "trainer.epochs must be at least 1, got 0"),
    ("search trainer.lr=nan", "trainer.lr must be a number above 0, got nan"),
    ("search space.reduction=[128]", "128 is more than the channels of every chosen site"),
    ("search space.sites=[layer9.*]", "the sites are layer1.0, layer2.0, layer3.0"),
    ("search space.placement=[sideways]", "space.placement must be one of pre, "),
    ("search study.name=a/b", "study.name must be a plain name, not a path"),
    ("search study.trails=3 data=digitz", "study.trails: there is no such key"),
    # images of one's own
    ("search data=image_folder", "data.root must be given"),
    ("search data=image_folder data.root=photos/missing", "photos/missing does not exist"),
    ("search data=image_folder data.root=photos/empty", "photos/empty holds no folders"),
    ("search data=image_folder data.root=photos/one", 'photos/one has only one class, "a"'),
    ("search data=image_folder data.root=photos/broken", "photos/broken/a/3.png is broken"),
    ("search data=image_folder data.root=photos/sizes", "photos/sizes/b/5.png is 8 x 9"),
    ("search data=image_folder data.root=photos/good data.channels=2", "data.channels must be 1, 3 or null"),
    ("search data=cifar10 data.root=nowhere", "data.root: no CIFAR10 in nowhere"),
    # code of one's own
    ("search data=custom data.target=nowhere.data:Mine", "data.target: there is no module nowhere"),
    ("search data=custom data.target=own:Nothing", "has no Nothing"),
    ("search data=custom data.target=own:Plain", "is no LightningDataModule"),
    ("search objective.metric=nowhere.metrics:f1", "objective.metric: there is no module nowhere"),
    ("search objective.metric=own:raises", "own:raises raised ZeroDivisionError"),
    ("search objective.metric=own:lost", "own:lost gave nan; it must give one finite number"),
    # servers
    ("search tracking.uri=http://127.0.0.1:{closed}", f"{NOTHING_ANSWERS}{{closed}} (Connection refused)"),
    ("search tracking.uri=http://127.0.0.1:{swallowing}", f"{NOTHING_ANSWERS}{{swallowing}} (no answer within 4 s)"),
    ("search tracking.uri=http://127.0.0.1:{silent}", f"{NOTHING_ANSWERS}{{silent}} (no answer within 4 s)"),
    ("search tracking.uri=http://127.0.0.1:{noisy}", f"{NOTHING_ANSWERS}{{noisy}} (no answer that can be read)"),
    (
        "search root=new tracking.uri=http://127.0.0.1:{other}",
        "tracking.uri: MLflow cannot be used at http://127.0.0.1",
    ),
    ("search storage.url=postgresql://me:s3cret@127.0.0.1:{closed}/x", "me:***@127.0.0.1:{closed}/x (Connection"),
    ("search storage.url=postgresql://me:s3cret@127.0.0.1:{swallowing}/x", "/x (no answer within 4 s)"),
    # where things are written
    ("search root=/proc/none", "root: /proc/none/"),
    ("search root=own.py", "cannot be written: Not a directory; choose another root"),
    # studies and what is exported
    ("front study.name=pilto", 'there is no study "pilto" in runs; there are pilot'),
    (
        "front study.name=pilot pick=cheapest",
        "pick must be one of recommended, best, knee, smallest, budget:<params> or trial:<n>",
    ),
    ("export study.name=pilot pick=trial:99", "this study has no trial 99"),
    ("export study.name=pilot pick=budget:-1", "a budget is a whole number of SE parameters, of at least 0"),
    ("export study.name=pilot format=tf", 'format must be one of torch, onnx, got "tf"'),
    ("export study.name=pilot to=diary", "to: diary holds something else (diary.txt); name a new folder"),
    ("train", "se must be given"),
    ("train se=nowhere", 'se: there is no "nowhere"'),
    ("train se=none data=digits", "backbone must be given"),
    ("train se=none data=digits backbone=resnet8 seeds=0", "seeds must be at least 1, got 0"),
    ("train se=cut", "cut/se.yaml is damaged: input is missing"),
    ("train se=diary/diary.txt", "diary/diary.txt is not an SE configuration of senas"),
    ("dashboard port=-1", "port must be between 0 and 65535, got -1"),
    ("dashboard dashboard=grafana", "dashboard must be one of mlflow, optuna"),
]


@pytest.fixture
def prepared(copied, folder):
    """A folder with a study, half an export, images, and code of one's own."""
    random = np.random.default_rng(0)
    for name, classes in {"good": "ab", "one": "a", "broken": "ab", "sizes": "ab"}.items():
        for word in classes:
            place = folder / "photos" / name / word
            place.mkdir(parents=True)
            for number in range(10):
                Image.fromarray(random.integers(0, 255, (8, 8), dtype=np.uint8)).save(place / f"{number}.png")
    (folder / "photos" / "empty").mkdir()
    broken = folder / "photos" / "broken" / "a" / "3.png"
    broken.write_bytes(broken.read_bytes()[:60])
    Image.new("L", (9, 8)).save(folder / "photos" / "sizes" / "b" / "5.png")
    (folder / "own.py").write_text(
        "class Plain: pass\ndef raises(logits, labels): return 1 / 0\ndef lost(logits, labels): return float('nan')\n"
    )
    for name, text in {
        "diary/diary.txt": "mine",
        "cut/se.yaml": "format: senas-se-1\nbackbone: {name: resnet8}\n",
    }.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def ports():
    """Of servers that do not serve, by what they do instead."""
    with contextlib.ExitStack() as stack:

        def listening(backlog):
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=backlog))
            return server, server.getsockname()[1]

        def answering(text):
            server, port = listening(50)

            def answer():
                with contextlib.suppress(OSError):  # it was closed: the test is over
                    while True:
                        connection, _ = server.accept()
                        with connection:
                            connection.recv(4096)
                            connection.sendall(text)

            threading.Thread(target=answer, daemon=True).start()
            return port

        with socket.create_server(("127.0.0.1", 0)) as gone:
            closed = gone.getsockname()[1]
        _, silent = listening(50)
        full, swallowing = listening(0)
        for _ in range(4):  # a queue that is full: further packets are dropped, as by a firewall
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield {
            "closed": closed,
            "silent": silent,
            "swallowing": swallowing,
            "noisy": answering(b"SSH-2.0-OpenSSH\r\n\r\n"),
            "other": answering(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>another page"),
        }


@pytest.fixture
def answered(tmp_path_factory, environment):
    """`answered(folder, commands)`: (exit code, standard output, standard error) of each, run in that folder."""

    def call(folder, commands):
        streams = tmp_path_factory.mktemp("streams")
        given = {"folder": str(folder), "streams": str(streams), "commands": commands}
        done = subprocess.run(
            [sys.executable, "-c", WARM],
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        said = [
            [(streams / f"{number}.{name}").read_text() for name in ("out", "err")] for number in range(len(commands))
        ]
        return [(code, *texts) for code, texts in zip(json.loads(done.stdout), said, strict=True)]

    return call


@pytest.mark.slow
def test_mistakes_of_every_kind_are_one_line_of_the_real_program_and_nothing_is_written(
    prepared, ports, answered, tree
):
    before = tree(prepared)
    commands = [command.format(**ports).split() for command, _ in COMMANDS]
    for (_, words), command, (code, _, err) in zip(COMMANDS, commands, answered(prepared, commands), strict=True):
        assert (code, len(err.splitlines())) == (2, 1), (command, code, err)
        assert err.startswith("senas: "), err
        assert words.format(**ports) in err
        assert "s3cret" not in err
    assert tree(prepared) == before
