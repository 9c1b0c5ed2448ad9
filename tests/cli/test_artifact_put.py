"""`artifact put` without a daemon: an error at once, and nothing is logged."""

from pathlib import Path

import pytest

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
