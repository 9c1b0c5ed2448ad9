"""The cursor file keeps the state before or after a write, never a mixture."""

from pathlib import Path

import pytest

from stepwell_daemon.errors import DamagedStateError
from stepwell_daemon.spool.cursor import CursorFile, Progress
from stepwell_daemon.spool.segment import Location
from tests.daemon.disks import CrashError, FaultyDisk, crashes_at, fails_at

FIRST = Progress(Location(1, 4096))
STATES = [Progress(Location(1, 4096 + 64 * n), 4096 + 64 * n + 32) for n in range(1, 6)]


def last_saved(path: Path) -> Progress:
    cursor = CursorFile(path)
    try:
        return cursor.open(FIRST)
    finally:
        cursor.close()


def test_what_was_saved_last_is_found(tmp_path: Path) -> None:
    cursor = CursorFile(tmp_path / "cursor")
    assert cursor.open(FIRST) == FIRST
    for state in STATES:
        cursor.save(state)
        assert last_saved(tmp_path / "cursor") == state
    cursor.close()


def test_a_crash_at_any_call_leaves_the_state_before_or_the_one_being_saved(
    tmp_path: Path,
) -> None:
    for number in range(1, 20):
        path = tmp_path / str(number)
        cursor = CursorFile(path, crashes_at(number))
        saved = [FIRST]
        try:
            cursor.open(FIRST)
            for state in STATES:
                saved.append(state)
                cursor.save(state)
        except CrashError:
            pass
        cursor.close()
        assert last_saved(path) in saved[-2:]


def test_a_failed_sync_moves_to_a_new_file(tmp_path: Path) -> None:
    for number in range(5, 12):
        path = tmp_path / str(number)
        disk = FaultyDisk(lambda call, name: None)
        cursor = CursorFile(path, disk)
        cursor.open(FIRST)
        disk.decide = fails_at(number).decide
        for state in STATES:
            cursor.save(state)
            assert last_saved(path) == state
        cursor.close()


def test_one_damaged_slot_costs_one_step_and_two_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cursor"
    cursor = CursorFile(path)
    cursor.open(FIRST)
    for state in STATES:
        cursor.save(state)
    cursor.close()
    whole = path.read_bytes()
    for slot, expected in ((0, {STATES[-1], STATES[-2]}), (4096, {STATES[-1], STATES[-2]})):
        data = bytearray(whole)
        data[slot + 30] ^= 1
        path.write_bytes(data)
        assert last_saved(path) in expected
    data = bytearray(whole)
    data[30] ^= 1
    data[4096 + 30] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedStateError, match="both slots"):
        last_saved(path)
