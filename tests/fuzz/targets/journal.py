"""A writer's folder, as a daemon or `stepwell sync` finds it after any damage."""

import contextlib
import shutil
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from stepwell_daemon.spool.record import writer_number
from stepwell_wire import salvage
from stepwell_wire.errors import JournalError, WireError
from stepwell_wire.journal import JournalReader
from stepwell_wire.journal_files import WRITER_FILE, WriterFile, boot_id
from stepwell_wire.limits import IDENTIFIER_BYTES_MAX
from stepwell_wire.repair import KEPT_FOLDER, plan_repair
from stepwell_wire.rows import decode_records
from stepwell_wire.segment import (
    ACKED_AT,
    COMMITTED_AT,
    NEXT_AT,
    PAGE_BYTES,
    checked_slot_at,
    pack_checked,
    pack_page,
    segment_name,
    whole_records,
)
from tests.fuzz.inputs import entries, entry, number, records_of, seed_records
from tests.fuzz.invariants import require
from tests.fuzz.restart import fast_folder
from tests.fuzz.targets.target import Target

_SEGMENT, _WRITER, _RAW_SEGMENT, _FILE, _RESTARTED = range(5)
_BOOT = boot_id()
_INFO = WriterFile("demo", "run-1", "w1")


class Journals(Target):
    allowed = (JournalError,)

    def __init__(self) -> None:
        self._folder = fast_folder()

    def seeds(self) -> list[bytes]:
        writer = WriterFile("demo", "run-1", "w1", boot_id="", pid=1).to_json().encode()
        segments = [entry(_SEGMENT, bytes([0, 0, 0]) + payload) for payload in seed_records()]
        return [
            *segments,
            b"".join(segments),
            entry(_RESTARTED) + b"".join(segments[:3]),
            entry(_WRITER, writer) + segments[0],
            segments[0] + entry(_RAW_SEGMENT, pack_page(0)[:64] + bytes(64)),
            segments[0] + entry(_FILE, b"00000000000000000099.seg") + segments[1],
            segments[0] + entry(_SEGMENT, bytes([16, 0, 0]) + seed_records()[0]),
            segments[0] + entry(_RAW_SEGMENT),
            segments[0] + entry(_SEGMENT, bytes([1, 8, 8]) + seed_records()[0]),
        ]

    def feed(self, data: bytes) -> int:
        folder = self._folder / "run-w"
        folder.mkdir()
        try:
            self._make(folder, data)
            try:
                return self._use(folder, data)
            except self.allowed:
                return 1
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(self._folder / KEPT_FOLDER, ignore_errors=True)

    def _use(self, folder: Path, data: bytes) -> int:
        return self._read(folder, 1 + (data[-1] if data else 0) * 8)

    def _make(self, folder: Path, data: bytes) -> None:
        writer = WriterFile("demo", "run-1", "w1", boot_id=_BOOT, pid=1).to_json().encode()
        base = 0
        for op, payload in entries(data):
            op %= 5
            if op == _SEGMENT:
                records = records_of(payload[3:])
                page = _page(base, records, payload)
                (folder / segment_name(base)).write_bytes(page + records)
                base += len(records) & ~7
            elif op == _WRITER:
                writer = payload
            elif op == _RAW_SEGMENT:
                raw = payload.ljust(PAGE_BYTES, b"\0") if payload else b""
                (folder / segment_name(base)).write_bytes(raw)
            elif op == _FILE:
                name = payload.decode("utf-8", "ignore").replace("/", "").replace("\0", "")[:60]
                if name not in ("", ".", "..", WRITER_FILE):
                    (folder / name).write_bytes(pack_page(base))
            else:
                writer = WriterFile("demo", "run-1", "w1", boot_id="before").to_json().encode()
        (folder / WRITER_FILE).write_bytes(writer)

    def _read(self, folder: Path, bytes_max: int) -> int:
        reader = JournalReader(folder)
        try:
            writer_number(reader.info.writer_id)
            for name in ("project", "run_id", "writer_id", "label"):
                size = len(getattr(reader.info, name).encode())
                require(size <= IDENTIFIER_BYTES_MAX, f"{name} is longer than a daemon takes")
            require(0 <= reader.info.pid < 2**32, "a process that cannot be")
            require(not reader.acked & 7, "an ack in the middle of a record")
            reader.schemas()
            count, position = 1, reader.oldest
            while records := reader.read(position, bytes_max):
                require(
                    len(records) <= bytes_max or whole_records(records) in (0, len(records)),
                    "more than one record beyond the limit",
                )
                position += len(records)
                count += 1
                require(position <= reader.committed, "records beyond what is committed")
            if reader.take_lock():
                reader.mark_acked(reader.committed)
                reader.release_lock()
                reader.remove()
            return count
        finally:
            reader.close()

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class Repairs(Journals):
    """The same folders repaired: what is left can be read to its end, every byte of it."""

    def __init__(self) -> None:
        super().__init__()
        salvage.JOURNAL_SEGMENT_BYTES = 1 << 16  # The bridge for a lost end: 8 MiB are slow.

    def _use(self, folder: Path, data: bytes) -> int:
        unverified = bool(data and data[-1] & 1)
        whole = _whole_rows(folder)
        planned = plan_repair(folder, info=_INFO, unverified=unverified)
        planned.apply()
        again = plan_repair(folder, info=_INFO, unverified=unverified)
        require(not again.is_needed, "what was repaired needs repair")
        with closing(JournalReader(folder)) as reader:
            taken = list(_taken(reader, reader.schemas()))
            end = taken[-1][1] if taken else reader.oldest
            require(end == reader.committed, "a repaired journal that ends too early")
            require(not reader.damage(), "a repaired journal that misses something")
        rows = sum(row_count for row_count, _ in taken)
        # Of a last segment with a damaged page only what a checksum covers is kept.
        is_end_lost = any(each.what.startswith("lost at most") for each in planned.damage)
        require(rows >= whole or is_end_lost, "rows before the first damage were lost")
        return 1 + len(taken)


def _whole_rows(folder: Path) -> int:
    """Return how many rows a reader takes before the first damage, by what is defined before."""
    rows = 0
    with contextlib.suppress(WireError), closing(JournalReader(folder)) as reader:
        for row_count, _ in _taken(reader, {}):
            rows += row_count
    return rows


def _taken(reader: JournalReader, schemas: dict[int, tuple[str, ...]]) -> Iterator[tuple[int, int]]:
    """Yield the rows of each piece of a journal as a daemon takes them, and where it ends."""
    position = reader.oldest
    while records := reader.read(position, 1 << 20):
        decoded, defined = decode_records(records, schemas)
        schemas |= defined
        position += len(records)
        yield decoded.row_count, position


def _page(base: int, records: bytes, payload: bytes) -> bytes:
    """Return a page that is right but for what the first bytes of ``payload`` change."""
    page = bytearray(pack_page(base))
    odd, committed, acked = (number(payload, at) for at in range(3))
    end = PAGE_BYTES + len(records) + (committed if odd & 1 else 0)
    page[COMMITTED_AT : COMMITTED_AT + 8] = end.to_bytes(8, "little")
    page[ACKED_AT : ACKED_AT + 8] = (base + acked if odd & 2 else 0).to_bytes(8, "little")
    if odd & 16:
        following = base + (len(records) & ~7)
        page[NEXT_AT : NEXT_AT + 8] = following.to_bytes(8, "little")
    slot = pack_checked(PAGE_BYTES + len(records), zlib.crc32(records) ^ (odd >> 2 & 1))
    at = checked_slot_at(odd >> 3 & 1)
    page[at : at + len(slot)] = slot
    return bytes(page)
