"""The spool: what writers sent, on disk before it is acknowledged, until the store has it.

    append  frames wait in memory
    commit  one write and one fdatasync for all that wait, then their futures are set
    read    an extent of a segment, for the forwarder
    free    segments that the cursor passed, after a grace

One thread commits at a time. After a failed write or sync the segment is poisoned: it is never
written or synced again (its pages may be gone while the next sync succeeds), and what waits is
written to a new one from memory.
"""

import asyncio
import logging
import os
import time
import uuid
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgpack

from stepwell_daemon.errors import SpoolFullError
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.record import (
    FRAME,
    HAS_FINISH,
    HAS_SCHEMAS,
    PAGE_BYTES,
    WRITER,
    compress,
    decompress,
    pack_page,
    pack_record,
    payload_of,
    record_bytes,
    segment_seed,
)
from stepwell_daemon.spool.segment import Damage, list_segments, page_of, segment_path, walk
from stepwell_daemon.spool.state import Cursor, CursorFile, KnownWriter, read_writers, write_writers
from stepwell_wire.rows import decode_records

logger = logging.getLogger("stepwell_daemon")

WRITERS_KEPT_SECONDS = 30 * 86_400.0
"""How long a finished writer is remembered, so that a late resend of it is recognised."""


@dataclass(slots=True)
class Writer:
    """One writer as the daemon knows it.

    Attributes:
        schemas: every schema that it defined.
        accepted: position up to which frames were taken into memory.
        high_water: position up to which everything is durable.
    """

    known: KnownWriter
    schemas: dict[int, tuple[str, ...]] = field(default_factory=dict)
    accepted: int = 0

    @property
    def high_water(self) -> int:
        return self.known.high_water


@dataclass(slots=True)
class _Waiting:
    writer: Writer
    position: int
    records: bytes
    flags: int
    future: asyncio.Future[None]


@dataclass(slots=True)
class _Segment:
    number: int
    fd: int
    end: int  # where the next record goes
    size: int
    writers: dict[str, int] = field(default_factory=dict)  # writer id -> number in this segment


class Spool:
    """Owner of the spool's folder. Its methods run on the loop unless they say otherwise."""

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int,
        bytes_max: int,
        disk: Disk | None = None,
    ) -> None:
        self.folder = folder
        self.disk = disk or Disk()
        self.segment_bytes = segment_bytes
        self.bytes_max = bytes_max
        self.writers: dict[str, Writer] = {}
        self.quarantined_records = 0
        self.problem = ""
        self.appended = asyncio.Event()  # something durable is new; the forwarder clears it
        self.sync_seconds = 0.0
        self.commits = 0
        self._waiting: list[_Waiting] = []
        self._last_future: asyncio.Future[None] | None = None
        self.waiting_bytes = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._active: _Segment | None = None
        self._ends: dict[int, int] = {}  # sealed and active segments: number -> durable end
        self._passed_at: dict[int, float] = {}
        self._names: dict[int, dict[int, str]] = {}  # segment -> writer's number -> writer id
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        self.spool_id = self._read_id()
        self._cursor_file = CursorFile(folder / "cursor", self.disk)
        self._recover()

    # ------------------------------------------------------------------ opening

    def _read_id(self) -> str:
        path = self.folder / "id"
        try:
            text = path.read_text().strip()
            if len(text) == 16:
                return text
        except FileNotFoundError:
            pass
        made = uuid.uuid4().hex[:16]
        self.disk.replace(path, made.encode())
        return made

    def _recover(self) -> None:
        for known in read_writers(self.folder / "writers.json").values():
            self.writers[known.writer_id] = Writer(known, accepted=known.high_water)
        for leftover in self.folder.glob("*.tmp"):
            self.disk.unlink(leftover)
        segments = list_segments(self.folder)
        for index, (number, path) in enumerate(segments):
            self._recover_segment(number, path, is_last=index == len(segments) - 1)
        self._next_number = (segments[-1][0] + 1) if segments else 1
        cursor = self._cursor_file.read()
        if cursor is None or (segments and cursor.segment < segments[0][0]):
            first = segments[0][0] if segments else self._next_number
            cursor = Cursor(first, PAGE_BYTES)
        self._next_number = max(self._next_number, cursor.segment + (not segments))
        self.cursor = cursor

    def _recover_segment(self, number: int, path: Path, *, is_last: bool) -> None:
        fd = self.disk.open(path, write=is_last)
        size = os.fstat(fd).st_size
        try:
            page = page_of(self.disk, fd)
            if page is None or page != (self.spool_id, number):
                self._set_segment_aside(path, "no segment of this spool")
                return
            data = self.disk.read(fd, size, 0)
            end = self._read_writers_of(data, number, check=is_last)
            self._ends[number] = end
            if is_last and end < size:
                # Cut the torn tail: what follows the last good record must be zeros.
                self.disk.truncate(fd, end)
                self.disk.sync(fd)
        finally:
            self.disk.close(fd)

    def _read_writers_of(self, data: bytes, number: int, *, check: bool) -> int:
        """Learn writers, schemas and marks from a segment; return the end of its records."""
        seed = segment_seed(self.spool_id, number)
        numbers: dict[int, Writer] = {}
        end = PAGE_BYTES
        for found in walk(data, seed=seed, start=PAGE_BYTES, check=check):
            if isinstance(found, Damage):
                self._quarantine(data[found.start : found.end], number, found.start)
                continue
            end = found.end
            if found.kind == WRITER:
                writer = _read_writer(payload_of(data, found))
                held = self.writers.get(writer.known.writer_id)
                if held is None:
                    held = self.writers[writer.known.writer_id] = writer
                held.schemas.update(writer.schemas)
                held.known.high_water = max(held.known.high_water, writer.known.high_water)
                held.accepted = held.known.high_water
                numbers[found.writer] = held
                self._names.setdefault(number, {})[found.writer] = held.known.writer_id
            elif (owner := numbers.get(found.writer)) is not None:
                top = found.position + found.raw
                owner.known.high_water = max(owner.known.high_water, top)
                owner.accepted = owner.known.high_water
                if found.flags & HAS_FINISH:
                    owner.known.finished = True
                if found.flags & HAS_SCHEMAS:
                    records = decompress(payload_of(data, found), found.raw)
                    owner.schemas.update(decode_records(records, owner.schemas)[1])
        return end

    def _set_segment_aside(self, path: Path, why: str) -> None:
        aside = self.folder / "quarantine"
        aside.mkdir(exist_ok=True)
        self.disk.rename(path, aside / path.name)
        self.quarantined_records += 1
        logger.error("segment set aside path=%s reason=%s", aside / path.name, why)

    def _quarantine(self, data: bytes, number: int, offset: int) -> None:
        aside = self.folder / "quarantine"
        aside.mkdir(exist_ok=True)
        path = aside / f"{number:016d}-{offset}.damaged"
        if not path.exists():
            path.write_bytes(data)
            self.quarantined_records += 1
            logger.error("damaged bytes set aside path=%s bytes=%d", path, len(data))

    # ------------------------------------------------------------------ writing

    def append(
        self, writer: Writer, position: int, records: bytes, *, flags: int
    ) -> "asyncio.Future[None]":
        """Queue whole records for the next commit; the future is done when they are durable.

        Raises:
            SpoolFullError: The spool is at its limit; nothing was taken.
        """
        if self.held_bytes + self.waiting_bytes >= self.bytes_max:
            raise SpoolFullError(self.folder, self.held_bytes, self.bytes_max)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last_future = future
        self._waiting.append(_Waiting(writer, position, records, flags, future))
        self.waiting_bytes += len(records)
        if self.waiting_bytes > 64 * 1024 * 1024:
            self._room.clear()
        writer.accepted = position + len(records)
        self._wake.set()
        return future

    async def room(self) -> None:
        """Wait while too much is in memory and not on disk yet."""
        await self._room.wait()

    async def commit_forever(self, executor: Executor) -> None:
        """Commit what waits, group by group, until cancelled; then commit the rest."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            group, self._waiting = self._waiting, []
            if not group:
                continue
            delay = 0.05
            while True:
                try:
                    end = await loop.run_in_executor(executor, self._commit, group)
                    break
                except OSError as error:
                    if not self.problem:
                        logger.error("spool cannot write, not acknowledging error=%s", error)
                    self.problem = (
                        f"spool {self.folder}: {error.strerror or error}; nothing is acknowledged, "
                        "writers keep their journals; free space or mend the disk"
                    )
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, 2.0)
            if self.problem:
                logger.warning("spool writes again folder=%s", self.folder)
                self.problem = ""
            self._ends.update(end)
            for item in group:
                self.waiting_bytes -= len(item.records)
                mark = item.position + len(item.records)
                item.writer.known.high_water = max(item.writer.known.high_water, mark)
                item.writer.known.seen_at = time.time()
                if item.flags & HAS_FINISH:
                    item.writer.known.finished = True
                if not item.future.done():
                    item.future.set_result(None)
            if self.waiting_bytes <= 32 * 1024 * 1024:
                self._room.set()
            self.appended.set()

    async def committed(self) -> None:
        """Wait until all that was appended before this call is durable."""
        if self._last_future is not None:
            await asyncio.wait([self._last_future])

    def _commit(self, group: list[_Waiting]) -> dict[int, int]:
        """Write and sync ``group``; return the durable ends of the segments touched.

        Runs in the commit thread. Raises OSError when neither the active segment nor a new
        one takes it; nothing of the group counts as durable then.
        """
        compressed = [compress(item.records) for item in group]
        fresh_failed = False
        while True:
            was_fresh = self._active is None
            try:
                return self._commit_to_segments(group, compressed)
            except OSError:
                if self._active is not None:
                    logger.error("segment poisoned number=%d", self._active.number)
                    self._close_active()
                if fresh_failed or was_fresh:
                    raise
                fresh_failed = True

    def _commit_to_segments(self, group: list[_Waiting], compressed: list[bytes]) -> dict[int, int]:
        ends: dict[int, int] = {}
        pieces: list[bytes] = []
        start = end = 0
        for item, payload in zip(group, compressed, strict=True):
            needed = record_bytes(len(payload)) + _writer_bytes(item.writer)
            active = self._active
            if active is None or (end + needed > active.size and end > PAGE_BYTES):
                if active is not None and pieces:
                    self._write_and_sync(active, pieces, start, end, ends)
                    pieces = []
                self._close_active()
                active = self._create_segment(max(self.segment_bytes, PAGE_BYTES + needed))
                start = end = active.end
            elif not pieces:
                start = end = active.end
            seed = segment_seed(self.spool_id, active.number)
            number = active.writers.get(item.writer.known.writer_id)
            if number is None:
                number = active.writers[item.writer.known.writer_id] = len(active.writers) + 1
                names = self._names.setdefault(active.number, {})
                names[number] = item.writer.known.writer_id
                body = _pack_writer(item.writer)
                made = pack_record(
                    seed, end, kind=WRITER, payload=body, raw=len(body), writer=number, position=0
                )
                pieces += made
                end += record_bytes(len(body))
            pieces += pack_record(
                seed,
                end,
                kind=FRAME,
                payload=payload,
                raw=len(item.records),
                writer=number,
                position=item.position,
                flags=item.flags,
            )
            end += record_bytes(len(payload))
        assert self._active is not None
        self._write_and_sync(self._active, pieces, start, end, ends)
        return ends

    def _write_and_sync(
        self, segment: _Segment, pieces: list[bytes], start: int, end: int, ends: dict[int, int]
    ) -> None:
        self.disk.write(segment.fd, pieces, start)
        before = time.monotonic()
        self.disk.sync(segment.fd)
        self.sync_seconds += time.monotonic() - before
        self.commits += 1
        segment.end = end
        ends[segment.number] = end

    def _create_segment(self, size: int) -> _Segment:
        number = self._next_number
        path = segment_path(self.folder, number)
        temporary = path.with_suffix(".tmp")
        fd = self.disk.create(temporary, size)
        try:
            self.disk.write(fd, [pack_page(self.spool_id, number)], 0)
            self.disk.sync(fd)
            self.disk.rename(temporary, path)
            self.disk.sync_folder(self.folder)
        except BaseException:
            self.disk.close(fd)
            raise
        self._next_number = number + 1
        self._active = _Segment(number, fd, PAGE_BYTES, size)
        return self._active

    def _close_active(self) -> None:
        if self._active is not None:
            self.disk.close(self._active.fd)
            self._active = None

    # ------------------------------------------------------------------ reading and freeing

    @property
    def held_bytes(self) -> int:
        return sum(self._ends.values())

    @property
    def segment_count(self) -> int:
        return len(self._ends)

    def unforwarded_bytes(self) -> int:
        """Return how many durable bytes the cursor has not passed."""
        total = 0
        for number, end in self._ends.items():
            if number > self.cursor.segment:
                total += end - PAGE_BYTES
            elif number == self.cursor.segment:
                total += max(0, end - self.cursor.offset)
        return total

    def next_stretch(self) -> tuple[int, int, int] | None:
        """Return (segment, start, end) of what follows the cursor, or None."""
        for number in sorted(self._ends):
            if number < self.cursor.segment:
                continue
            start = self.cursor.offset if number == self.cursor.segment else PAGE_BYTES
            if self._ends[number] > start:
                return number, start, self._ends[number]
        return None

    def durable_end(self) -> tuple[int, int]:
        """Return (segment, offset) of the end of all that is durable."""
        if not self._ends:
            return self.cursor.segment, self.cursor.offset
        last = max(self._ends)
        return last, self._ends[last]

    def write_cursor(self, cursor: Cursor) -> None:
        """Store the cursor durably. Runs in a thread."""
        self._cursor_file.write(cursor)
        self.cursor = cursor

    def doomed(self, *, keep_bytes: int, keep_seconds: float, now: float) -> list[int]:
        """Return the segments that may go: the cursor passed them, and the grace is over."""
        last = max(self._ends, default=0)
        passed = sorted(n for n in self._ends if n < self.cursor.segment and n != last)
        for number in passed:
            self._passed_at.setdefault(number, now)
        kept = sum(self._ends[number] for number in passed)
        doomed = []
        for number in passed:
            if kept <= keep_bytes and now - self._passed_at[number] < keep_seconds:
                break
            kept -= self._ends[number]
            doomed.append(number)
        return doomed

    async def free(self, doomed: list[int], executor: Executor) -> None:
        """Unlink segments. The marks of their writers are made durable before."""
        loop = asyncio.get_running_loop()
        table = self._writers_table()
        await loop.run_in_executor(executor, self._unlink, doomed, table)
        for number in doomed:
            del self._ends[number]
            self._passed_at.pop(number, None)
            self._names.pop(number, None)

    def _unlink(self, doomed: list[int], table: dict[str, KnownWriter]) -> None:
        write_writers(self.folder / "writers.json", table, self.disk)
        for number in doomed:
            self.disk.unlink(segment_path(self.folder, number))
        self.disk.sync_folder(self.folder)

    def read(self, segment: int, start: int, end: int) -> bytes:
        """Return bytes of a segment. Runs in a thread."""
        fd = self.disk.open(segment_path(self.folder, segment))
        try:
            return self.disk.read(fd, end - start, start)
        finally:
            self.disk.close(fd)

    def writer_of(self, segment: int, number: int) -> Writer | None:
        """Return the writer that a segment calls ``number``."""
        name = self._names.get(segment, {}).get(number)
        return self.writers.get(name) if name else None

    def _writers_table(self) -> dict[str, KnownWriter]:
        """Return a copy of what must be remembered of every writer, without what is forgotten."""
        oldest = time.time() - WRITERS_KEPT_SECONDS
        for name in [n for n, w in self.writers.items() if _is_forgettable(w, oldest)]:
            del self.writers[name]
        return {name: replace(writer.known) for name, writer in self.writers.items()}

    def save_writers(self) -> None:
        """Write the marks of all writers down."""
        write_writers(self.folder / "writers.json", self._writers_table(), self.disk)

    def close(self) -> None:
        self._close_active()
        self._cursor_file.close()


def _is_forgettable(writer: Writer, oldest: float) -> bool:
    return writer.known.finished and writer.known.seen_at < oldest


def _writer_bytes(writer: Writer) -> int:
    """Return an upper bound of the bytes of a WRITER record."""
    names = sum(len(key.encode()) + 9 for keys in writer.schemas.values() for key in keys)
    return 4096 + names + 16 * len(writer.schemas)


def _pack_writer(writer: Writer) -> bytes:
    known = writer.known
    body: dict[str, Any] = {
        "project": known.project,
        "run_id": known.run_id,
        "writer_id": known.writer_id,
        "label": known.label,
        "scope": known.scope,
        "host": known.host,
        "pid": known.pid,
        "journal_dir": known.journal_dir,
        "high_water": known.high_water,
        "finished": known.finished,
        "seen_at": known.seen_at,
        "schemas": {number: list(keys) for number, keys in list(writer.schemas.items())},
    }
    return bytes(msgpack.packb(body, unicode_errors="replace"))


def _read_writer(payload: bytes | memoryview) -> Writer:
    body = msgpack.unpackb(payload, strict_map_key=False)
    schemas = {int(number): tuple(keys) for number, keys in body.pop("schemas").items()}
    known = KnownWriter(**body)
    return Writer(known, schemas, known.high_water)
