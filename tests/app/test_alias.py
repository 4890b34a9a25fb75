"""When a study's pick gets its alias in MLflow's registry: wherever it may have changed."""

import pytest

from senas.app import search
from senas.app.calls import called
from senas.app.main import INTERRUPTED
from senas.study.loop import Search

AUDIT = ("audit.configs=2", "audit.seeds=2", "trainer.epochs=1", "tracking=none", "progress=false")


@pytest.fixture
def registered(monkeypatch):
    """Whether a new version might be made, for each time that a pick was to be registered."""
    asked = []
    monkeypatch.setattr(search, "register", lambda *_, new: asked.append(new))
    return asked


@pytest.mark.usefixtures("copied")
def test_an_audit_of_a_study_that_was_searched_may_change_its_pick(registered, monkeypatch):
    monkeypatch.setattr(search, "conduct", lambda *_: None)
    search.run(called("audit", [*AUDIT, "study.name=pilot"], {}), only_audit=True)
    assert registered == [True]


@pytest.mark.slow
def test_an_audit_alone_picks_nothing(senas, registered):
    assert senas("audit", *AUDIT, "study.name=new").code == 0
    assert registered == []


@pytest.mark.usefixtures("copied")
def test_a_search_that_is_stopped_moves_the_alias_and_makes_no_version(searched, registered, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Search, "run", stop)
    assert searched("study.name=pilot", "study.trials=8").code == INTERRUPTED
    assert registered == [False]
