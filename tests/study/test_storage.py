"""The journal's lock: what a killed process leaves of it is broken by the next one, wherever they were started."""

from pathlib import Path

from senas.study.storage import Journal, mend_journal


def test_a_lock_leads_to_the_journal_where_that_is_named_relative_to_the_folder(tmp_path, monkeypatch):
    """Optuna asks when the journal was last written through the lock's link, and waits without end where it cannot."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    journal = Journal(Path("runs/journal.log"))
    lock = tmp_path / "runs" / "journal.log.lock"
    journal._lock.acquire()
    try:
        assert lock.is_symlink()
        assert lock.exists()
    finally:
        journal._lock.release()


def test_a_lock_that_leads_nowhere_is_taken_away_and_any_other_stays(tmp_path):
    path, lock = tmp_path / "journal.log", tmp_path / "journal.log.lock"
    lock.symlink_to("runs/a/journal.log")
    mend_journal(path)
    assert not lock.is_symlink()
    path.write_text("{}\n")
    lock.symlink_to(path)
    mend_journal(path)
    assert lock.is_symlink()
