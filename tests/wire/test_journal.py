"""A journal gives back whole records, of a live writer, a dead one, and after a crash."""

import fcntl
import os
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell_wire.errors import JournalError
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import LOCK_FILE, WRITER_FILE, WriterFile, boot_id, find_journals
from stepwell_wire.records import HEADER, aligned, pack_event
from stepwell_wire.segment import (
    ACKED_AT,
    COMMITTED_AT,
    PAGE_BYTES,
    checked_slot_at,
    last_step,
    pack_checked,
    pack_page,
    scan_events,
    segment_name,
    whole_records,
)

BOOT = boot_id()


def row(schema: int, step: int, *values: float) -> bytes:
    import struct

    size = HEADER.size + 8 * len(values)
    return HEADER.pack(schema, size, step, 1000 + step) + struct.pack(f"<{len(values)}d", *values)


def event(kind: str = "run", **body: object) -> bytes:
    return pack_event(kind, body, step=0, time_us=1)


def write_segment(
    folder: Path, base: int, records: bytes, *, checked: int | None = None, acked: int = 0
) -> Path:
    """Write a segment; ``checked`` bytes of it get a checksum."""
    page = bytearray(pack_page(base))
    page[COMMITTED_AT : COMMITTED_AT + 8] = (PAGE_BYTES + len(records)).to_bytes(8, "little")
    page[ACKED_AT : ACKED_AT + 8] = acked.to_bytes(8, "little")
    if checked is not None:
        at = checked_slot_at(0)
        slot = pack_checked(PAGE_BYTES + checked, zlib.crc32(records[:checked]))
        page[at : at + len(slot)] = slot
    path = folder / segment_name(base)
    path.write_bytes(bytes(page) + records + bytes(4096))
    return path


def write_journal(parent: Path, *segments: bytes, boot: str = BOOT, name: str = "run1-w1") -> Path:
    folder = parent / name
    folder.mkdir(parents=True)
    info = WriterFile(project="p", run_id="run1", writer_id=name, boot_id=boot)
    (folder / WRITER_FILE).write_text(info.to_json())
    base = 0
    for records in segments:
        write_segment(folder, base, records)
        base += len(records)
    return folder


def read_all(reader: JournalReader, bytes_max: int = 1 << 20) -> bytes:
    position, found = reader.oldest, b""
    while part := reader.read(position, bytes_max):
        assert whole_records(part) == len(part)
        found += part
        position += len(part)
    return found


rows = st.builds(
    lambda schema, step, values: row(schema, step, *values),
    st.integers(1, 3),
    st.integers(0, 1000),
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=5),
)
records = st.one_of(rows, st.builds(lambda text: event(name=text), st.text(max_size=40)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(records, min_size=1, max_size=20), min_size=1, max_size=4), st.data())
def test_all_records_come_back_whole_in_order_whatever_the_size_of_a_read(
    tmp_path_factory: pytest.TempPathFactory, written: list[list[bytes]], data: st.DataObject
) -> None:
    parent = tmp_path_factory.mktemp("journals")
    segments = [b"".join(part) for part in written]
    reader = JournalReader(write_journal(parent, *segments))
    bytes_max = data.draw(st.integers(1, 400))
    assert read_all(reader, bytes_max) == b"".join(segments)
    assert reader.committed == sum(map(len, segments))
    assert reader.oldest == 0
    reader.close()


@pytest.mark.holds("kill-trainer")
@settings(deadline=None)
@given(st.lists(records, max_size=100), st.data())
@pytest.mark.slow
def test_a_cut_at_any_byte_keeps_exactly_the_records_before_it(
    written: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(written)
    cut = data.draw(st.integers(0, len(whole)))
    expected, end = 0, 0
    for record in written:
        end += len(record)
        expected = end if end <= cut else expected
    assert whole_records(whole[:cut]) == expected


def test_long_stretches_of_one_schema_are_walked_right(tmp_path: Path) -> None:
    one = b"".join(row(1, step, 1.0, 2.0) for step in range(300))
    written = one + event(name="a") + row(2, 300, 1.0) + one + row(2, 77, 0.5)
    assert whole_records(written + b"\1") == len(written)
    assert len(list(scan_events(written))) == 1
    assert last_step(written) == 77
    assert last_step(one) == 299
    assert last_step(event()) is None


def test_schemas_are_found_in_every_segment(tmp_path: Path) -> None:
    first = event("schema", id=1, keys=["a"]) + row(1, 0, 1.0)
    second = event("schema", id=2, keys=["b", "c"]) + row(2, 0, 1.0, 2.0)
    reader = JournalReader(write_journal(tmp_path, first, second))
    assert reader.schemas() == {1: ("a",), 2: ("b", "c")}


def test_a_live_writer_is_seen_and_what_it_adds_is_read(tmp_path: Path) -> None:
    first, second, third = row(1, 0, 1.0), row(1, 1, 2.0), row(1, 2, 3.0)
    folder = write_journal(tmp_path, first)
    with (folder / LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reader = JournalReader(folder)
        assert reader.writer_is_alive()
        assert not reader.take_lock()
        assert read_all(reader) == first
        write_segment(folder, 0, first + second)
        write_segment(folder, len(first + second), third)
        assert reader.committed == len(first + second + third)
        assert reader.read(len(first), 1 << 20) == second
        assert reader.read(len(first + second), 1 << 20) == third
        with pytest.raises(JournalError, match="still runs"):
            reader.remove()
    assert not reader.writer_is_alive()
    assert reader.take_lock()
    assert not JournalReader(folder).take_lock()
    reader.close()


def test_freed_segments_move_the_oldest_position(tmp_path: Path) -> None:
    one, two = row(1, 0, 1.0), row(1, 1, 2.0)
    folder = write_journal(tmp_path, one, two)
    (folder / segment_name(0)).unlink()
    reader = JournalReader(folder)
    assert reader.oldest == len(one)
    with pytest.raises(JournalError, match="position 0 is no longer"):
        reader.read(0, 100)
    assert reader.read(len(one), 100) == two


def test_what_was_acknowledged_survives_and_allows_removal(tmp_path: Path) -> None:
    folder = write_journal(tmp_path, row(1, 0, 1.0) * 3)
    reader = JournalReader(folder)
    with pytest.raises(JournalError, match="not acknowledged"):
        reader.remove()
    reader.mark_acked(reader.committed)
    reader.close()
    again = JournalReader(folder)
    assert again.acked == again.committed == 96
    again.remove()
    assert not folder.exists()
    again.close()
    again.close()


def test_spare_segments_are_nobodys_business(tmp_path: Path) -> None:
    folder = write_journal(tmp_path, row(1, 0, 1.0))
    (folder / "spare-2").write_bytes(pack_page(0) + bytes(8192))
    reader = JournalReader(folder)
    assert read_all(reader) == row(1, 0, 1.0)
    assert reader.unverified_bytes == 0


@pytest.mark.holds("power-loss")
def test_after_a_restart_only_what_was_checked_is_believed(tmp_path: Path) -> None:
    good, doubtful = row(1, 0, 1.0) * 5, row(1, 5, 2.0) * 3
    folder = write_journal(tmp_path, boot="another start of this machine")
    write_segment(folder, 0, good + doubtful, checked=len(good))
    write_segment(folder, len(good + doubtful), doubtful, checked=len(doubtful))
    reader = JournalReader(folder)
    assert read_all(reader) == good
    # The second segment holds a good checksum, but it cannot be joined to the first.
    assert reader.unverified_bytes == 2 * len(doubtful)
    reader.mark_acked(len(good))
    reader.remove()
    assert sorted(path.name for path in folder.iterdir()) == [
        segment_name(0) + ".unverified",
        segment_name(len(good + doubtful)) + ".unverified",
        WRITER_FILE + ".unverified",
    ]
    assert find_journals(tmp_path) == []


@pytest.mark.holds("flipped-bit")
@settings(deadline=None)
@given(st.data())
def test_after_a_restart_a_byte_that_changed_is_never_believed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    written = b"".join(row(1, step, float(step)) for step in range(4))
    folder = write_journal(tmp_path_factory.mktemp("j"), boot="before")
    path = write_segment(folder, 0, written, checked=len(written))
    at = data.draw(st.integers(0, len(written) - 1))
    damaged = bytearray(path.read_bytes())
    damaged[PAGE_BYTES + at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(damaged))
    reader = JournalReader(folder)
    assert reader.committed == 0
    assert reader.unverified_bytes == len(written)
    reader.close()


def test_a_torn_slot_leaves_the_other_one(tmp_path: Path) -> None:
    written = b"".join(row(1, step, float(step)) for step in range(4))
    folder = write_journal(tmp_path, boot="before")
    path = write_segment(folder, 0, written, checked=64)
    with path.open("r+b") as file:
        slot = pack_checked(PAGE_BYTES + 128, zlib.crc32(written))
        file.seek(checked_slot_at(1))
        file.write(slot[:9])
    assert read_all(JournalReader(folder)) == written[:64]


def test_a_segment_that_was_cut_off_gives_what_is_left(tmp_path: Path) -> None:
    folder = write_journal(tmp_path, row(1, 0, 1.0) * 10)
    os.truncate(folder / segment_name(0), PAGE_BYTES + 3 * 32)
    assert JournalReader(folder).committed == 3 * 32


def test_bytes_that_are_no_records_are_an_error_with_the_place(tmp_path: Path) -> None:
    folder = write_journal(tmp_path, b"\xff" * 64)
    with pytest.raises(JournalError, match="offset 4096"):
        JournalReader(folder).read(0, 8)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[]", "expected a JSON object"),
        ('{"version": 9, "project": "p", "run_id": "r", "writer_id": "w"}', "expected version"),
        ('{"version": 1, "project": "p", "run_id": "r"}', "writer_id is missing"),
        ('{"version": 1, "project": 3, "run_id": "r", "writer_id": "w"}', "project: expected str"),
    ],
)
def test_a_writer_file_that_cannot_be_read_says_why(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / WRITER_FILE).write_text(text)
    with pytest.raises(JournalError, match=reason):
        JournalReader(tmp_path)


def test_a_folder_without_a_writer_file_is_no_journal(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="not a journal"):
        JournalReader(tmp_path)
    assert find_journals(tmp_path / "missing") == []


def test_a_writer_file_of_a_newer_minor_keeps_its_unknown_names_out(tmp_path: Path) -> None:
    info = WriterFile(project="p", run_id="r", writer_id="w", pid=7)
    text = info.to_json().replace("{", '{"later": 1, ', 1)
    assert WriterFile.from_json(text) == info


def test_journals_are_listed_oldest_first(tmp_path: Path) -> None:
    for age, name in ((3, "c"), (1, "a"), (2, "b")):
        folder = write_journal(tmp_path, name=name)
        os.utime(folder / WRITER_FILE, (1000 - age, 1000 - age))
    (tmp_path / ".half-made").mkdir()
    (tmp_path / ".half-made" / WRITER_FILE).write_text("{}")
    assert [path.name for path in find_journals(tmp_path)] == ["c", "b", "a"]


def test_sizes_are_padded_to_eight_bytes() -> None:
    assert [aligned(size) for size in (24, 25, 31, 32)] == [24, 32, 32, 32]
