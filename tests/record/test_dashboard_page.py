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


def opened(link, browser):
    """A session with a new page at the link."""
    target = browser.ask("Target.createTarget", url=link)["targetId"]
    return browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]


def page(link, browser, wanted, seconds=60):
    """The document at the link, as soon as it is as wanted, or as it is after so many seconds."""
    session, end = opened(link, browser), time.monotonic() + seconds
    while True:
        document = evaluated("document.documentElement.outerHTML", browser, session)
        if wanted(document) or time.monotonic() > end:
            return document
        time.sleep(0.2)


def evaluated(expression, browser, session):
    return browser.ask("Runtime.evaluate", session, expression=expression)["result"].get("value", "")


def framed(browser, seconds=60):
    """A session with the first frame that has a process of its own, as MLflow's preview of a page has."""
    end = time.monotonic() + seconds
    while not (found := [t for t in browser.ask("Target.getTargets")["targetInfos"] if t["type"] == "iframe"]):
        assert time.monotonic() < end, "there is no frame"
        time.sleep(0.2)
    return browser.ask("Target.attachToTarget", targetId=found[0]["targetId"], flatten=True)["sessionId"]


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


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
SEARCH = (*SENAS, "search", "progress=false")
ALIAS = re.compile(r"@(?:\s|&nbsp;|<[^>]*>)*leading")  # of four trainings none is recommended
SITES = {"layer1.0", "layer2.0", "layer3.0"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which a search of four trials ended."""
    folder = tmp_path_factory.mktemp("searched")
    search = [*SEARCH, "study.name=page", "study.trials=4", "trainer.epochs=3"]
    subprocess.run(search, cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def link(folder):
    """What `senas dashboard` printed in that folder; it serves while these tests run."""
    with dashboard(folder) as (_, link):
        yield link


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


def test_the_link_of_the_dashboard_shows_the_front_without_a_click(link, browser):
    def whole(document):
        drawn = SCATTER in axes(document) and "js-line" in document
        return drawn and len(trials(document)) == 4 and texts(document) >= SITES

    document = page(link, browser, wanted=whole)
    assert SCATTER in axes(document)
    assert trials(document) == ["trial 0", "trial 1", "trial 2", "trial 3"]
    assert {"Front of page", "se_params vs. val_loss", "trial 0: none"} <= texts(document)
    assert "js-line" in document  # learning curves
    assert {"Parallel Coordinates", *SITES} <= texts(document)


def test_ctrl_c_ends_the_dashboard_and_leaves_nothing(folder):
    with dashboard(folder) as (process, link):
        port = urlsplit(link).port
        assert listens(port)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert not listens(port)


def test_the_network_that_leads_is_a_model_with_its_alias_and_a_description(link, browser):
    models = link.partition("/#/")[0] + "/#/models/senas-page"
    document = page(models, browser, lambda found: ALIAS.search(found) and "What the senas study" in found)
    assert ALIAS.search(document)
    assert "Version 1" in texts(document)
    assert "What the senas study page recommends: resnet8 for digits" in document
    document = page(f"{models}/versions/1", browser, lambda found: "Found by the study" in found)
    assert "expected over seeds" in document


def test_the_page_of_the_front_is_drawn_among_the_artifacts_of_the_study(link, browser):
    base, experiment, run = re.fullmatch(r"(http://[^/]+)/#/experiments/(\d+)/.*senas-([0-9a-f]{32})&.*", link).groups()
    address = f"{base}/#/experiments/{experiment}/runs/{run}/artifacts/front.html"
    opened(address, browser)
    frame = framed(browser)
    points = "document.querySelectorAll('circle.dot.one').length"  # single trainings: four trials, two replicates
    end = time.monotonic() + 60
    while evaluated(points, browser, frame) != 6 and time.monotonic() < end:
        time.sleep(0.2)
    assert evaluated(points, browser, frame) == 6
    # Its script runs in MLflow's sandbox too.
    assert evaluated(
        "document.getElementById('more').click(), document.querySelector('tbody.all') !== null", browser, frame
    )


def test_a_trial_that_is_still_training_has_a_curve(folder, link, browser):
    server = link.partition("/#/")[0]
    search = [*SEARCH, "study.name=live", "study.trials=1", "trainer.epochs=1000000"]
    with (folder / "live.log").open("w") as log:
        training = subprocess.Popen(search, cwd=folder, env=ENVIRONMENT, stdout=log, stderr=log)
    try:
        asked = [*SENAS, "dashboard", f"tracking.uri={server}", "study.name=live"]
        end = time.monotonic() + 60
        while (said := subprocess.run(asked, capture_output=True, text=True, cwd=folder)).returncode:
            assert training.poll() is None
            assert time.monotonic() < end, said.stderr
        document = page(said.stdout.strip(), browser, lambda found: "js-line" in found and trials(found) == ["trial 0"])
        assert training.poll() is None
        assert trials(document) == ["trial 0"]
        assert "js-line" in document
    finally:
        training.send_signal(signal.SIGINT)
        assert training.wait(30) == 130
