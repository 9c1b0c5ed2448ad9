"""`sync` of journals that a daemon is importing."""

import socket
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import stepwell
from stepwell import _sync
from stepwell._sync import SyncProgress
from stepwell.testing import RecordingDaemon
from stepwell_wire.journal import JournalReader

# The environment of the oldest packages has no packages of the daemon.
pytest.importorskip("lz4")

from tests.daemon.journals import make_journal
from tests.daemon.made import row, schema_event


@pytest.mark.parametrize("is_imported", [True, False])
def test_a_journal_that_a_daemon_imports_is_reported_as_it_is(
    folder: Path, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch, is_imported: bool
) -> None:
    monkeypatch.setattr(_sync, "LOCK_SECONDS_MAX", 60.0 if is_imported else 0.1)
    with subprocess.Popen(["true"]) as dead:
        pass
    records = schema_event() + row(1)
    facts: dict[str, Any] = {"project": "p", "run_id": "killed", "pid": dead.pid}
    journal = make_journal(folder, "w", records, host=socket.gethostname(), **facts)
    importer = JournalReader(journal)
    assert importer.take_lock()
    importer.mark_acked(importer.committed)
    removal = threading.Timer(0.3, importer.remove)
    if is_imported:
        removal.start()
    report = stepwell.sync(journal)
    if is_imported:
        assert (report.sent, report.live, report.failed) == (("p/killed",), (), ())
        removal.join()
    else:
        assert (report.sent, report.live, report.failed) == ((), (journal,), ())
    importer.close()
    assert daemon.points() == []


def test_all_held_journals_are_waited_for_together_until_one_is_done(
    folder: Path, daemon: RecordingDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    waits: list[int] = []  # The number of the journal of each pause.
    number = 0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        waits.append(number)
        if len(waits) == 1:
            importers[0].remove()  # A daemon is done with the first one.

    def note(progress: SyncProgress) -> None:
        nonlocal number
        number = progress.journal_number

    with subprocess.Popen(["true"]) as dead:
        pass
    facts: dict[str, Any] = {"project": "p", "pid": dead.pid, "host": socket.gethostname()}
    importers: list[JournalReader] = []
    for i in range(4):
        journal = make_journal(
            folder / str(i), "w", schema_event() + row(1), run_id=str(i), **facts
        )
        importers.append(JournalReader(journal))
        assert importers[-1].take_lock()
        importers[-1].mark_acked(importers[-1].committed)
    clock = SimpleNamespace(monotonic=lambda: now, sleep=sleep)
    monkeypatch.setattr(_sync, "time", clock)
    report = stepwell.sync([each.path for each in importers], progress=note)
    assert report.sent == ("p/0",)
    assert report.live == tuple(each.path for each in importers[1:])
    assert waits[:2] == [1, 2]
    assert set(waits) == {1, 2}
    assert now == pytest.approx(_sync.LOCK_SECONDS_MAX, abs=0.2)
    for importer in importers:
        importer.close()
    assert daemon.points() == []
