"""What the daemon remembers of writers, and for how long."""

import os
import random
from pathlib import Path
from typing import Any

import pytest

from stepwell_daemon.errors import DamagedStateError
from stepwell_daemon.spool.held import HeldSegments
from stepwell_daemon.spool.segment import PAGE_BYTES, Location
from stepwell_daemon.spool.writers_table import FILE, load_writers, save_writers
from stepwell_daemon.writer_packing import describe, unpack_description
from stepwell_daemon.writer_state import WriterState
from stepwell_daemon.writers import Registry
from tests.daemon.made import KEYS, writer_info

NOW = 1_800_000_000.0
DAY = 86_400.0


def state_of(name: str, **fields: object) -> WriterState:
    state = WriterState(writer_info(name), accepted=800, durable=800, seen_at=NOW)
    for field, value in fields.items():
        setattr(state, field, value)
    return state


def test_a_description_says_all_that_reading_a_segment_needs() -> None:
    state = state_of("w1", finished=True, journal_dir="/j/w1", last_time_us=5)
    state.learn({1: KEYS})
    found, schemas = unpack_description(describe(state))
    assert schemas == {1: KEYS}
    assert found.info == state.info
    assert (found.durable, found.accepted, found.finished) == (800, 800, True)


@pytest.mark.parametrize("seed", range(20))
def test_no_bytes_make_a_description_fail_otherwise_than_stated(seed: int) -> None:
    with pytest.raises(ValueError):
        unpack_description(random.Random(seed).randbytes(50))


def test_the_table_keeps_marks_and_what_they_cover(tmp_path: Path) -> None:
    states = [state_of("w1"), state_of("w2", durable=16, finished=True)]
    save_writers(tmp_path, states, Location(3, 5000), now=NOW)
    found, covers = load_writers(tmp_path)
    assert covers == Location(3, 5000)
    assert {each.info.writer_id: each.durable for each in found.values()} == {"w1": 800, "w2": 16}


def test_writers_unseen_for_a_month_are_forgotten(tmp_path: Path) -> None:
    old = state_of("old", seen_at=NOW - 31 * DAY)
    save_writers(tmp_path, [state_of("w1"), old], Location(1, PAGE_BYTES), now=NOW)
    assert [each.info.writer_id for each in load_writers(tmp_path)[0].values()] == ["w1"]
    registry = Registry({each.number: each for each in (state_of("w1"), old)})
    registry.forget_idle(now=NOW, monotonic=0.0)
    assert registry.get("old") is None
    assert registry.get("w1") is not None


def test_schemas_go_some_time_after_their_writer() -> None:
    state = state_of("w1", disconnected_at=100.0)
    state.learn({1: KEYS})
    registry = Registry({state.number: state})
    registry.forget_idle(now=NOW, monotonic=150.0)
    assert state.schemas == {1: KEYS}
    held = state.schemas
    registry.forget_idle(now=NOW, monotonic=161.0)
    assert state.schemas == {}
    assert held == {1: KEYS}


def test_every_damage_to_the_table_is_noticed(tmp_path: Path) -> None:
    save_writers(tmp_path, [state_of("w1")], Location(1, PAGE_BYTES), now=NOW)
    whole = (tmp_path / FILE).read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        (tmp_path / FILE).write_bytes(damaged)
        with pytest.raises(DamagedStateError):
            load_writers(tmp_path)
    os.truncate(tmp_path / FILE, 5)
    with pytest.raises(DamagedStateError):
        load_writers(tmp_path)


def test_stored_segments_go_by_age_by_size_and_oldest_first() -> None:
    now = 0.0
    ends = dict.fromkeys(range(1, 6), 9000)
    held = HeldSegments(ends, dict.fromkeys(range(1, 6), 10_000), Location(1, 0), lambda: now)
    limits: dict[str, Any] = {"keep_seconds": 60.0, "keep_bytes": 10**9, "bytes_max": 10**9}
    held.note_passed(Location(1, 0), Location(3, 0))
    now = 50.0
    held.note_passed(Location(3, 0), Location(5, 0))
    cursor = Location(5, 0)
    assert held.freeable(cursor, **limits) == []
    now = 61.0
    assert held.freeable(cursor, **limits) == [1, 2]
    assert held.freeable(cursor, **{**limits, "keep_bytes": 15_000}) == [1, 2, 3]
    assert held.freeable(cursor, **{**limits, "bytes_max": 25_000}) == [1, 2, 3]
    assert held.freeable(cursor, **{**limits, "keep_seconds": 0.0}) == [1, 2, 3, 4]
    held.forget([1, 2])
    assert held.disk_bytes == 30_000
    assert held.after(2) == 3
