"""A segment record by record, with the known facts of its writers. Changes no file.

Forwarding, recovery, inspection and the command line all read the spool with this module.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from stepwell_daemon.spool import record
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.record import Damage, SpoolRecord
from stepwell_daemon.spool.segment import PAGE_BYTES, SegmentPage, read_page, seed_of, segment_path
from stepwell_daemon.writer_packing import unpack_description
from stepwell_daemon.writer_state import Schemas
from stepwell_store.writer import WriterInfo
from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.rows import decode_records

_WINDOW_BYTES: Final = 1 << 20


class SegmentFile:
    """A segment that is open for reading. One caller at a time."""

    def __init__(
        self,
        disk: Disk,
        folder: Path,
        number: int,
        spool: int,
        *,
        path: Path | None = None,
        is_live: bool = False,
    ) -> None:
        """
        Args:
            path: of a separate file, outside of its spool's folder.
            is_live: a daemon may be writing to it, so there is no reading ahead.
        """
        self.path = path or segment_path(folder, number)
        self.number = number
        self.disk = disk
        self._seed = seed_of(spool, number)
        self._is_live = is_live
        self._descriptor = disk.open_to_read(self.path)
        self._window = b""
        self._window_offset = 0
        self._end = 0

    @property
    def size(self) -> int:
        return max(self.disk.size(self._descriptor), PAGE_BYTES)

    def page(self) -> SegmentPage | None:
        """Return the fields of the first page, None if it is damaged.

        Raises:
            NewerSpoolError: A later release wrote it.
        """
        return read_page(self.disk, self.path)

    def scan(self, start: int, end: int) -> Iterator[SpoolRecord | Damage]:
        """Yield the records from ``start`` up to ``end``, and each place without one."""
        self._end = end
        return record.scan(self.read, start, end, self._seed)

    def synced_end(self) -> int:
        """Return the offset up to which the segment was synced, according to its records."""
        items = self.scan(PAGE_BYTES, self.size)
        synced = (item.durable for item in items if isinstance(item, SpoolRecord))
        return max(synced, default=PAGE_BYTES)

    def is_cut(self, damage: Damage) -> bool:
        """Return whether a record begins at ``damage`` that continues beyond the file's end."""
        return record.is_cut(self.read, damage.offset, self.size)

    def read(self, size: int, offset: int) -> bytes:
        """Read through a window, so that many small records cost few system calls."""
        at = offset - self._window_offset
        if at < 0 or at + size > len(self._window):
            if size >= _WINDOW_BYTES or self._is_live:
                return self.disk.read(self._descriptor, size, offset)
            # Not past the end: the bytes there may be written later.
            wanted = max(size, min(_WINDOW_BYTES, self._end - offset))
            self._window = self.disk.read(self._descriptor, wanted, offset)
            self._window_offset = offset
            at = 0
        return self._window[at : at + size]

    def close(self) -> None:
        self.disk.close(self._descriptor)


@dataclass(slots=True)
class Binding:
    """A writer at this point: its identity and every schema that it has defined so far."""

    info: WriterInfo
    schemas: Schemas


class Walked(NamedTuple):
    """A place of a segment, and the facts known there."""

    item: SpoolRecord | Damage
    writer: Binding | None = None
    """The record's writer; None if unknown, or if a description cannot be read."""
    missing_bytes: int = 0
    """Damaged bytes of the writer's stream just before it, in this segment."""


class SegmentWalker:
    """Walks one segment, from any place, also repeatedly."""

    def __init__(self, segment: SegmentFile, known: dict[int, Binding] | None = None) -> None:
        """
        Args:
            known: writers by number, for those that the segment does not describe; new ones are
                added.
        """
        self.segment = segment
        self._known = {} if known is None else known
        # The end of each writer's stream in this segment, as of ``_at``.
        self._ends: dict[int, int] = {}
        self._at = PAGE_BYTES

    def walk(self, start: int, end: int) -> Iterator[Walked]:
        """Yield the items from ``start`` to ``end``.

        An item counts as passed when the next one is requested: a caller that stops earlier can
        continue there.
        """
        if start != self._at:
            # In the middle, or repeated: the known and missing facts must be those of the first
            # time.
            self._ends = {}
            for item in self.segment.scan(PAGE_BYTES, start):
                self._look_at(item)
                self._pass(item)
        for item in self.segment.scan(start, end):
            yield self._look_at(item)
            self._pass(item)
        self._at = end  # Zeros up to here were skipped as well.

    def _look_at(self, item: SpoolRecord | Damage) -> Walked:
        if isinstance(item, Damage):
            return Walked(item)
        if item.kind == record.WRITER:
            return Walked(item, self._bind(item))
        return Walked(item, self._known.get(item.writer), self._missing_before(item))

    def _bind(self, item: SpoolRecord) -> Binding | None:
        try:
            state, schemas = unpack_description(item.content())
        except (MalformedRecordsError, ValueError):
            return None
        # A new dict: frames that were read earlier hold the old one.
        binding = self._known[item.writer] = Binding(state.info, schemas)
        return binding

    def _missing_before(self, item: SpoolRecord) -> int:
        """Return the bytes of its writer's stream between the previous item and ``item``."""
        end = self._ends.get(item.writer)
        if end is None or item.flags & (record.SYNTHETIC | record.FILLS | record.JUMPS):
            return 0  # Unknown, not the next part of the writer's own stream, or counted as a jump.
        return max(0, item.position - end)

    def _pass(self, item: SpoolRecord | Damage) -> None:
        if isinstance(item, SpoolRecord) and item.kind == record.FRAME:
            if not item.flags & (record.SYNTHETIC | record.FILLS):
                end = self._ends.get(item.writer, 0)
                self._ends[item.writer] = max(end, item.position + item.raw_bytes)
            if item.flags & record.DEFINES and (writer := self._known.get(item.writer)):
                _learn(writer, item)
        self._at = item.end


def _learn(writer: Binding, item: SpoolRecord) -> None:
    try:
        _, defined = decode_records(item.content(), writer.schemas)
    except (MalformedRecordsError, ValueError):
        return  # It is dead-lettered when it is decoded for the store.
    writer.schemas.update(defined)


@dataclass(frozen=True, slots=True)
class SpooledFrame:
    """One frame of the spool, and the facts that decode it."""

    record: SpoolRecord
    info: WriterInfo
    schemas: Schemas
    """Shared by all frames of the writer in this segment; entries are only added."""
    missing_bytes: int = 0
    """Damaged bytes of the writer's stream just before it, in this segment."""


def walk_all(segment: SegmentFile) -> Iterator[Walked]:
    """Yield all items of ``segment``."""
    return SegmentWalker(segment).walk(PAGE_BYTES, segment.size)


def walk_lone_file(path: Path, disk: Disk | None = None) -> Iterator[Walked]:
    """Yield the items of a separate segment file, such as a dead-lettered frame."""
    disk = disk or Disk()
    page = read_page(disk, path)
    if page is None:
        yield Walked(Damage(0, path.stat().st_size))
        return
    segment = SegmentFile(disk, path.parent, page.number, page.spool, path=path)
    with closing(segment):
        yield from walk_all(segment)


def frames_in(walked: Iterator[Walked]) -> Iterator[SpooledFrame]:
    """Yield the frames among ``walked`` whose writer is known."""
    for item, writer, missing in walked:
        if isinstance(item, SpoolRecord) and item.kind == record.FRAME and writer is not None:
            yield SpooledFrame(item, writer.info, writer.schemas, missing)
