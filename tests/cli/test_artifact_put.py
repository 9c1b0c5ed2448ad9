"""`artifact put` without a daemon: an error at once, and nothing is logged."""

from pathlib import Path

import pytest

from stepwell import _spawn
from stepwell_wire.journal_files import find_journals
from tests.cli.conftest import Call


def test_where_no_daemon_can_start_nothing_is_logged_and_nobody_waits(
    call: Call, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = place / "model.bin"
    file.write_bytes(b"weights")
    monkeypatch.setenv("STEPWELL_DATA", str(file / "data"))  # Below a file: no folder can be made.
    told = call("artifact", "put", file, "--name", "p/x")
    assert told.code == 3
    assert f"no daemon on {place / 's.sock'}" in told.err
    assert "nothing was logged" in told.err
    assert find_journals(place / "journals") == []


@pytest.mark.parametrize(
    ("name", "value", "code", "told"),
    [
        ("STEPWELL_NO_DAEMON", "1", 3, "start one with `stepwell up`"),
        ("STEPWELL_MODE", "offline", 1, "`stepwell sync` sends both"),
    ],
)
def test_no_daemon_is_started_against_the_settings(
    call: Call,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    code: int,
    told: str,
) -> None:
    file = place / "model.bin"
    file.write_bytes(b"weights")
    started: list[object] = []
    monkeypatch.setattr(_spawn, "start_daemon", lambda *given: started.append(given))
    monkeypatch.setenv(name, value)
    outcome = call("artifact", "put", file, "--name", "p/x")
    assert (outcome.code, started) == (code, [])
    assert told in outcome.err
