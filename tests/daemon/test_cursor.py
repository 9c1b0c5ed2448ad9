"""The cursor file keeps the state before or after a write, never a mixture."""

from pathlib import Path

import pytest

from stepwell_daemon.errors import DamagedStateError
from stepwell_daemon.spool.cursor import CursorFile
from stepwell_daemon.spool.segment import Location, Progress
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


def test_a_flipped_bit_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cursor"
    cursor = CursorFile(path)
    cursor.open(FIRST)
    for state in STATES:
        cursor.save(state)
    cursor.close()
    whole = path.read_bytes()
    for at in range(len(whole)):
        if whole[at] or at % 2048 < 56:
            data = bytearray(whole)
            data[at] ^= 1 << at % 8
            path.write_bytes(data)
            assert last_saved(path) == STATES[-1], at


def test_one_lost_slot_costs_one_step_and_two_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cursor"
    cursor = CursorFile(path)
    cursor.open(FIRST)
    for state in STATES:
        cursor.save(state)
    cursor.close()
    whole = path.read_bytes()
    found = set()
    for slot in (0, 4096):
        path.write_bytes(whole[:slot] + bytes(4096) + whole[slot + 4096 :])
        found.add(last_saved(path))
    assert found == set(STATES[-2:])
    path.write_bytes(bytes(len(whole)))
    with pytest.raises(DamagedStateError, match="both slots"):
        last_saved(path)


def test_a_save_that_failed_halfway_never_touches_what_it_left(tmp_path: Path) -> None:
    """The new file may have its name already, with one slot: that slot is not written again."""
    path = tmp_path / "cursor"
    disk = FaultyDisk(lambda call, name: None)
    cursor = CursorFile(path, disk)
    cursor.open(FIRST)
    synced: list[str] = []

    def fail_both(_: int, name: str) -> OSError | None:
        if not name.startswith("sync") or (name == "sync" and name in synced):
            return None
        synced.append(name)
        return OSError(5, "Input/output error")

    disk.decide = fail_both
    with pytest.raises(OSError):
        cursor.save(STATES[0])
    assert synced == ["sync", "sync_folder"]
    assert last_saved(path) == STATES[0]
    disk.decide = lambda call, name: CrashError() if name == "write" else None
    with pytest.raises(CrashError):
        cursor.save(STATES[1])
    assert last_saved(path) == STATES[0]
    assert (tmp_path / "cursor.tmp").exists()
