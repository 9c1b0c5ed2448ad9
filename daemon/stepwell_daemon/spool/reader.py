"""The reading end: stretches of the spool with what is needed to decode them. Synchronous."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stepwell_daemon.spool import record
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.quarantine import quarantine
from stepwell_daemon.spool.record import Damage, SpoolRecord
from stepwell_daemon.spool.segment import PAGE_BYTES, Location, seed_of, segment_path
from stepwell_daemon.writer_packing import unpack_description
from stepwell_daemon.writer_state import Schemas
from stepwell_store.tables import BLOCK_LAYOUT
from stepwell_store.writer import WriterInfo
from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.rows import decode_records

logger = logging.getLogger("stepwell_daemon.spool")

_WINDOW_BYTES: Final = 1 << 20


@dataclass(slots=True)
class Binding:
    """A writer as far as read: who it is and every schema that it defined up to here."""

    info: WriterInfo
    schemas: Schemas


@dataclass(frozen=True, slots=True)
class Stretch:
    """One frame of an extent, still packed."""

    record: SpoolRecord
    info: WriterInfo
    schemas: Schemas
    """Shared by all frames of the writer in this segment; only ever added to."""
    missing_bytes: int = 0
    """So much of the writer's stream was damaged just before it, in this segment."""


@dataclass(slots=True)
class Extent:
    """A piece of one segment: ``start`` to ``end``."""

    segment: int
    start: int
    end: int
    stretches: list[Stretch] = field(default_factory=list)
    points: int = 0
    raw_bytes: int = 0
    damaged: int = 0
    oldest_us: int = 0
    layout: int = BLOCK_LAYOUT
    """Of the blocks under which it may have been sent before."""


class SpoolReader:
    """Reads segments from any place on. One caller at a time."""

    def __init__(
        self,
        folder: Path,
        spool: int,
        *,
        fallback: Mapping[int, Binding] | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._folder = folder
        self._spool = spool
        self._disk = disk or Disk()
        self._bindings: dict[int, Binding] = dict(fallback or {})
        self._number = 0
        self._descriptor = -1
        self._read_until = PAGE_BYTES
        # Where each writer's stream has come to in this segment, as of ``_ends_at``.
        self._ends: dict[int, int] = {}
        self._ends_at = PAGE_BYTES
        self._window = b""
        self._window_offset = 0
        self._end = 0

    def read_extent(self, start: Location, end: int, *, points_max: int, bytes_max: int) -> Extent:
        """Return the extent from ``start`` up to the first limit, at least one record.

        Args:
            end: the segment's durable end, or that of an extent that is read again; then the
                limits must be what they were, or very large.
        """
        self._open(start, end)
        extent = Extent(start.segment, start.offset, start.offset)
        for item in record.scan(self._read, start.offset, end, self._seed):
            if isinstance(item, Damage):
                extent.damaged += 1
                quarantine(self._folder, start.segment, item, self._read, self._disk)
                extent.end = item.end
                continue
            if extent.stretches and (
                extent.points + item.points > points_max
                or extent.raw_bytes + item.raw_bytes > bytes_max
            ):
                break
            extent.end = item.end
            if item.kind == record.WRITER:
                self._bind(item)
                continue
            binding = self._bindings.get(item.writer)
            missing = self._missing_before(item)
            if binding is None:
                extent.damaged += 1
                damage = Damage(item.offset, item.end)
                quarantine(self._folder, start.segment, damage, self._read, self._disk)
                continue
            extent.stretches.append(Stretch(item, binding.info, binding.schemas, missing))
            if item.flags & record.DEFINES:
                self._learn(item, binding)
            extent.points += item.points
            extent.raw_bytes += item.raw_bytes
            extent.oldest_us = extent.oldest_us or item.time_us
        else:
            extent.end = end  # Zeros and damage up to here were passed as well.
        self._read_until = max(self._read_until, extent.end)
        self._ends_at = extent.end
        return extent

    def close(self) -> None:
        if self._descriptor >= 0:
            self._disk.close(self._descriptor)
            self._descriptor = -1
            self._number = 0
            self._window = b""

    @property
    def _seed(self) -> int:
        return seed_of(self._spool, self._number)

    def _open(self, start: Location, end: int) -> None:
        if self._number != start.segment:
            self.close()
            self._descriptor = self._disk.open_to_read(segment_path(self._folder, start.segment))
            self._number = start.segment
            self._read_until = PAGE_BYTES
            self._ends, self._ends_at = {}, PAGE_BYTES
        self._end = end
        if self._ends_at != start.offset:
            # A start in the middle, or an extent that is read again: what is missing before a
            # frame must come out as it did the first time.
            self._prime(start.offset)
        self._ends_at = -1  # Until the extent has been read to its end.

    def _prime(self, end: int) -> None:
        """Learn writers and schemas from what lies before the place to read from."""
        self._ends = {}
        for item in record.scan(self._read, PAGE_BYTES, end, self._seed):
            if isinstance(item, Damage):
                continue
            if item.kind != record.WRITER:
                self._missing_before(item)
            if item.end <= self._read_until:
                continue
            if item.kind == record.WRITER:
                self._bind(item)
            elif item.flags & record.DEFINES and (binding := self._bindings.get(item.writer)):
                self._learn(item, binding)
        self._read_until = max(self._read_until, end)

    def _missing_before(self, item: SpoolRecord) -> int:
        """Move the writer's end past ``item``; return how much of its stream lies between."""
        if item.flags & (record.SYNTHETIC | record.FILLS):
            return 0  # No part of the writer's own stream, or of what lies behind its end.
        end = self._ends.get(item.writer)
        self._ends[item.writer] = max(end or 0, item.position + item.raw_bytes)
        if end is None or item.flags & record.JUMPS:
            return 0  # What came before this segment is not known; a jump was counted as one.
        return max(0, item.position - end)

    def _bind(self, item: SpoolRecord) -> None:
        try:
            state, schemas = unpack_description(item.content())
        except (MalformedRecordsError, ValueError) as error:
            logger.error("a writer's description cannot be read: %s", error)
            return
        # A new dict: extents read before hold the old one.
        self._bindings[item.writer] = Binding(state.info, schemas)

    def _learn(self, item: SpoolRecord, binding: Binding) -> None:
        try:
            _, defined = decode_records(item.content(), binding.schemas)
        except MalformedRecordsError:
            return  # Dead-lettered when it is decoded for the store.
        binding.schemas.update(defined)

    def _read(self, size: int, offset: int) -> bytes:
        """Read through a window, so that many small records cost few system calls."""
        at = offset - self._window_offset
        if at < 0 or at + size > len(self._window):
            if size >= _WINDOW_BYTES:
                return self._disk.read(self._descriptor, size, offset)
            # Not past the end: what is there now may be written later.
            wanted = max(size, min(_WINDOW_BYTES, self._end - offset))
            self._window = self._disk.read(self._descriptor, wanted, offset)
            self._window_offset = offset
            at = 0
        return self._window[at : at + size]


def iterate_frames(
    folder: Path, spool: int, number: int, end: int, disk: Disk | None = None
) -> Iterator[Stretch]:
    """Yield every frame of one segment up to ``end``, for tools and tests."""
    reader = SpoolReader(folder, spool, disk=disk)
    try:
        start = Location(number, PAGE_BYTES)
        if end > PAGE_BYTES:
            yield from reader.read_extent(
                start, end, points_max=1 << 62, bytes_max=1 << 62
            ).stretches
    finally:
        reader.close()
