"""Appends to the spool: groups of frames, made durable by one sync each. Synchronous.

After a failed write or sync the segment is given up: its pages may be lost although the next sync
succeeds. Records that were not synced are written again, from memory, into a new segment. Its page
has the valid length of the old segment.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from stepwell_daemon import failpoints
from stepwell_daemon.errors import SpoolUnavailableError
from stepwell_daemon.spool import record
from stepwell_daemon.spool.disk import Disk, write_halting
from stepwell_daemon.spool.segment import (
    PAGE_BYTES,
    Location,
    SegmentPage,
    create_segment,
    segment_path,
)

SEGMENT_BYTES_DEFAULT: Final = 64 << 20
_GROUP_BYTES_MAX: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Append:
    """One frame on its way into the spool."""

    writer: int
    describe: Callable[[], bytes]
    """The content of the WRITER record that a segment needs before this frame."""
    position: int
    records: bytes
    points: int
    time_us: int
    flags: int = 0
    redescribe: bool = False
    """Write the description of the writer even if the segment has one."""


@dataclass(slots=True)
class _Active:
    number: int
    descriptor: int
    seed: int
    size: int
    end: int
    chain: int
    described: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Group:
    """Packed records of several appends that go into one segment."""

    pieces: list[bytes]
    size: int
    chain: int
    described: set[int]
    count: int
    points: int


class SpoolLog:
    """The writing end. One caller at a time; every call may block on the disk.

    Attributes:
        end: the durable end of the spool.
        ends: the end of each segment that this object no longer writes to.
        sizes: bytes that each segment takes on disk.
    """

    def __init__(
        self,
        folder: Path,
        spool: int,
        *,
        first_number: int,
        previous_end: int,
        segment_bytes: int = SEGMENT_BYTES_DEFAULT,
        disk: Disk | None = None,
        sync_groups: bool = True,
        observe_sync: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.ends: dict[int, int] = {}
        self.sizes: dict[int, int] = {}
        self.end = Location(first_number - 1, previous_end)
        self._folder = folder
        self._spool = spool
        self._next_number = first_number
        self._previous_end = previous_end
        self._segment_bytes = segment_bytes
        self._disk = disk or Disk()
        self._sync_groups = sync_groups
        self._observe_sync = observe_sync
        self._active: _Active | None = None

    def commit(self, appends: Sequence[Append]) -> None:
        """Make all of ``appends`` durable, in order.

        Raises:
            SpoolUnavailableError: Neither the active segment nor a new one could be written.
                ``done`` of the appends are durable. The others are not: after a restart they are
                found only if a later call writes them.
        """
        done = failures = 0
        while done < len(appends):
            try:
                done += self._commit_some(appends, done)
                failures = 0
            except OSError as error:
                self._give_up_segment()
                failures += 1
                if failures == 2:
                    path = segment_path(self._folder, self._next_number)
                    raise SpoolUnavailableError(path, error, done) from error

    def adopt(self, appends: Sequence[Append]) -> None:
        """Write all of ``appends`` into a new segment that appears with all of them or not at all.

        For the salvaged records at the end of the spool: the new segment's page cuts them off there
        at the moment at which they are durable here.

        Raises:
            OSError: The segment could not be written; the spool is unchanged.
        """
        active, group = self._open_next(appends, 0, at_least=len(appends))
        self._advance(active, group)

    def close(self) -> None:
        """Seal the active segment. Can be called twice."""
        if self._active is not None:
            self._seal(self._active)

    def _commit_some(self, appends: Sequence[Append], start: int) -> int:
        active = self._active
        if active is not None:
            group = self._pack(appends, start, active, active.size - active.end)
            if group.count:
                content = b"".join(group.pieces)
                failpoints.hit("group.before-write")
                write_halting(
                    self._disk, active.descriptor, content, active.end, "group.mid-record"
                )
                failpoints.hit("group.written")
                self._sync(active.descriptor)
                failpoints.hit("group.synced")
                self._advance(active, group)
                return group.count
            self._seal(active)
        active, group = self._open_next(appends, start)
        self._advance(active, group)
        return group.count

    def _open_next(
        self, appends: Sequence[Append], start: int, *, at_least: int = 1
    ) -> tuple[_Active, _Group]:
        page = SegmentPage(
            self._spool, self._next_number, self._previous_end, time.time_ns() // 1000
        )
        empty = _Active(page.number, -1, page.seed, 0, PAGE_BYTES, page.seed)
        group = self._pack(
            appends, start, empty, self._segment_bytes - PAGE_BYTES, at_least=at_least
        )
        size = max(self._segment_bytes, PAGE_BYTES + group.size)
        started = time.perf_counter()
        empty.descriptor = create_segment(
            self._disk, self._folder, page, size, b"".join(group.pieces)
        )
        self._observe_sync(time.perf_counter() - started)
        empty.size = size
        self._active = empty
        self._next_number += 1
        self.sizes[page.number] = size
        return empty, group

    def _pack(
        self,
        appends: Sequence[Append],
        start: int,
        active: _Active,
        room: int,
        *,
        at_least: int = 0,
    ) -> _Group:
        """Return as many of ``appends`` as fit; at least ``at_least``, also if they are larger."""
        group = _Group([], 0, active.chain, set(), 0, 0)
        durable = active.end
        for append in appends[start:]:
            pieces: list[bytes] = []
            chain = group.chain
            describes = append.redescribe or append.writer not in active.described | group.described
            if describes:
                packed, chain = record.pack_record(
                    append.describe(),
                    kind=record.WRITER,
                    writer=append.writer,
                    position=append.position,
                    time_us=append.time_us,
                    durable=durable,
                    chain=chain,
                    seed=active.seed,
                )
                pieces.append(packed)
            packed, chain = record.pack_record(
                append.records,
                kind=record.FRAME,
                writer=append.writer,
                position=append.position,
                time_us=append.time_us,
                durable=durable,
                chain=chain,
                seed=active.seed,
                flags=append.flags,
                points=append.points,
            )
            pieces.append(packed)
            size = sum(map(len, pieces))
            # A single frame may be larger than a group, but not larger than the room.
            fits = size <= room - group.size and (
                not group.count or group.size + size <= _GROUP_BYTES_MAX
            )
            if group.count >= at_least and not fits:
                break
            group.pieces += pieces
            group.size += size
            group.chain = chain
            group.count += 1
            if describes:
                group.described.add(append.writer)
        return group

    def _sync(self, descriptor: int) -> None:
        if not self._sync_groups:
            return
        started = time.perf_counter()
        self._disk.sync(descriptor)
        self._observe_sync(time.perf_counter() - started)

    def _advance(self, active: _Active, group: _Group) -> None:
        active.end += group.size
        active.chain = group.chain
        active.described |= group.described
        self.end = Location(active.number, active.end)

    def _seal(self, active: _Active) -> None:
        """Close a segment whose every record is durable; its reserved space is released."""
        self._active = None
        self._closed(active)
        failpoints.hit("segment.before-seal")
        try:
            self._disk.truncate(active.descriptor, active.end)
            self.sizes[active.number] = active.end
        except OSError:
            pass  # Otherwise it only keeps its reserved space until it is freed.
        self._close_quietly(active.descriptor)
        failpoints.hit("segment.sealed")

    def _give_up_segment(self) -> None:
        active = self._active
        if active is None:
            return
        self._active = None
        self._closed(active)
        try:
            self._disk.truncate(active.descriptor, active.end)
        except OSError:
            pass  # The next segment's page has the end of this one.
        self._close_quietly(active.descriptor)
        failpoints.hit("segment.given-up")

    def _closed(self, active: _Active) -> None:
        self.ends[active.number] = active.end
        self._previous_end = active.end

    def _close_quietly(self, descriptor: int) -> None:
        try:
            self._disk.close(descriptor)
        except OSError:
            pass  # Linux releases the descriptor also when close reports an error.
