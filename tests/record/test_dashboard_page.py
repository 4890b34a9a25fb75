"""The whole way, as a person goes it: a search, the dashboard, and what a browser shows at its link."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from html import unescape
from itertools import zip_longest
from pathlib import Path
from urllib.parse import urlsplit

import pytest

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--window-size=1600,2600"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"),
)
SCATTER = ("se_params", "val_loss")
SENAS = (sys.executable, "-m", "senas")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}"),
]


@contextmanager
def dashboard(folder, *overrides):
    """The program `senas dashboard` and the link that it printed."""
    log = folder / "dashboard.log"
    with log.open("w") as out:
        process = subprocess.Popen([*SENAS, "dashboard", "port=0", *overrides], cwd=folder, stdout=out, stderr=out)
    try:
        end = time.monotonic() + 60
        while not (found := re.search(r"http://\S+(?=\s)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield process, found[0]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(20)


class Browser:
    """Chromium without a window, spoken to by its DevTools protocol over two pipes."""

    def __init__(self, folder):
        to, back = folder / "to_browser", folder / "from_browser"
        os.mkfifo(to)
        os.mkfifo(back)
        # Chromium reads from file 3, writes to file 4. A session of its own, so that all of it can be ended together.
        command = ["sh", "-c", f'exec "$@" 3<{to} 4>{back}', "sh", CHROMIUM, *ARGUMENTS]
        command += [f"--user-data-dir={folder / 'profile'}"]
        with (folder / "browser.log").open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._to, self._back = to.open("wb", buffering=0), back.open("rb", buffering=0)
        self._number, self._read = 0, b""

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._to.close()
        self._back.close()

    def ask(self, method, session=None, seconds=60, **params):
        """What the browser answers; what else it tells meanwhile is passed over."""
        self._number += 1
        question = {"id": self._number, "method": method, "params": params}
        question |= {"sessionId": session} if session else {}
        self._to.write(json.dumps(question).encode() + b"\0")
        end = time.monotonic() + seconds
        while True:
            while b"\0" not in self._read:
                assert select.select([self._back], [], [], max(0, end - time.monotonic()))[0], f"no answer to {method}"
                piece = self._back.read(65536)
                assert piece, "the browser ended"
                self._read += piece
            message, _, self._read = self._read.partition(b"\0")
            answer = json.loads(message)
            if answer.get("id") == self._number:
                assert "result" in answer, answer
                return answer["result"]


def page(link, browser, wanted, seconds=60):
    """The document at the link, as soon as it is as wanted, or as it is after so many seconds."""
    target = browser.ask("Target.createTarget", url=link)["targetId"]
    session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    end = time.monotonic() + seconds
    while True:
        found = browser.ask("Runtime.evaluate", session, expression="document.documentElement.outerHTML")
        document = found["result"].get("value", "")
        if wanted(document) or time.monotonic() > end:
            return document
        time.sleep(0.2)


def texts(document):
    """The pieces of text that stand between tags."""
    return {unescape(text).strip() for text in re.findall(r">([^<]+)<", document)}


def axes(document):
    """The axes' titles (x, y), chart by chart."""
    x, y = (re.findall(rf'<text class="{axis}title"[^>]*>([^<]*)<', document) for axis in "xy")
    return list(zip_longest(x, y))


def trials(document):
    names = re.findall(r">(trial \d+): [^<]+<", document)
    return sorted(set(names))


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def browser(tmp_path):
    browser = Browser(tmp_path)
    yield browser
    browser.close()


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
SEARCH = (*SENAS, "search", "study.name=page", "progress=false")


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A folder in which a search of four trials ended."""
    folder = tmp_path_factory.mktemp("searched")
    search = [*SEARCH, "study.trials=4", "trainer.epochs=3"]
    subprocess.run(search, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)
    return folder


def test_the_link_of_the_dashboard_shows_the_front_without_a_click_and_ctrl_c_leaves_nothing(searched, browser):
    def whole(document):
        return (
            SCATTER in axes(document)
            and len(trials(document)) == 4
            and "js-line" in document
            and texts(document) >= SITES
        )

    with dashboard(searched) as (process, link):
        port = urlsplit(link).port
        assert listens(port)
        document = page(link, browser, wanted=whole)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert not listens(port)
    assert SCATTER in axes(document)
    assert trials(document) == ["trial 0", "trial 1", "trial 2", "trial 3"]
    assert {"Front of page", "se_params vs. val_loss", "trial 0: none"} <= texts(document)
    assert "js-line" in document  # learning curves
    assert {"Parallel Coordinates", *SITES} <= texts(document)


SITES = {"layer1.0", "layer2.0", "layer3.0"}
