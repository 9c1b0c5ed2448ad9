"""Opening a spool after any kind of end: valid records, the end of each segment, the writers.

The end of the spool is known up to the highest place that later data confirms: a record that was
written after a sync, the cursor, or the page of the next segment. Records beyond it in the last
segment may or may not have been acknowledged, and may be only in the page cache. Those that are
valid and continue at their writer's high-water mark are written again.
"""

import itertools
import logging
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from stepwell_daemon import failpoints
from stepwell_daemon.errors import DamagedStateError
from stepwell_daemon.spool import record
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.quarantine import quarantine
from stepwell_daemon.spool.record import Damage, SpoolRecord
from stepwell_daemon.spool.segment import (
    PAGE_BYTES,
    Location,
    Progress,
    and_more,
    list_segments,
    missing_segments,
    segment_path,
)
from stepwell_daemon.spool.walker import SegmentFile
from stepwell_daemon.spool.writer import Append
from stepwell_daemon.spool.writers_table import FILE, load_writers
from stepwell_daemon.writer_packing import describe, unpack_description
from stepwell_daemon.writer_state import WriterState
from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.rows import decode_records

logger = logging.getLogger("stepwell_daemon.spool")


@dataclass(slots=True)
class RecoveredSpool:
    """The result of the recovery. ``salvage`` must be appended before all other records."""

    writers: dict[int, WriterState] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    salvage: list[Append] = field(default_factory=list)
    quarantined: int = 0
    torn_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    losses: dict[str, str] = field(default_factory=dict)
    """Those of the problems that leave no other trace, each with a name."""
    missing: list[range] = field(default_factory=list)
    """Numbers of missing segments that held unstored records, or may have."""
    newest: int = 0
    """The highest known number of a segment."""

    def lose(self, name: str, what: str) -> None:
        """Note a loss that is reported and stored."""
        self.problems.append(what)
        self.losses[name] = what

    @property
    def last(self) -> Location:
        number = max(self.ends, default=0)
        return Location(number, self.ends.get(number, PAGE_BYTES))


def recover_spool(
    folder: Path, spool: int, progress: Progress | None, disk: Disk | None = None
) -> RecoveredSpool:
    """Read the spool in ``folder``.

    Args:
        spool: the spool's number; segments of another spool are left alone and reported.
        progress: the content of the cursor file; None if it has none.

    Raises:
        OSError: The disk cannot be read.
    """
    disk = disk or Disk()
    found = RecoveredSpool()
    covers = Location(0, 0)
    try:
        found.writers, covers = load_writers(folder)
    except DamagedStateError as error:
        found.problems.append(str(error))
        disk.rename(folder / FILE, folder / f"{FILE}.damaged")
    for path in folder.glob("*.tmp"):
        disk.unlink(path)  # It never had its final name, so none of its records was acknowledged.
        failpoints.hit("recover.temporary-removed")
    with ExitStack() as opened:
        segments = [
            segment
            for number in list_segments(folder)
            if (segment := _open(folder, number, spool, disk, opened, found)) is not None
        ]
        for segment, after in itertools.zip_longest(segments, segments[1:]):
            size = segment.size
            if after is None:
                vouched = known_synced_end(segment.number, size, progress, covers)
                _note_cut(segment, vouched, found)
                end = _read_last(segment, found, min(vouched, size))
            else:
                end = _end_before(after, segment) if after.number == segment.number + 1 else size
                _note_cut(segment, end, found)
                end = min(end, size)
                if segment.number >= covers.segment:
                    _take_all(segment, found, end)
            found.newest = segment.number
            found.ends[segment.number], found.sizes[segment.number] = end, size
    found.missing = missing_segments(found.ends, progress, covers)
    found.newest = max(found.newest, covers.segment)
    for run in found.missing:
        found.lose(
            f"{run.start:016d}-missing",
            f"{segment_path(folder, run.start)}{and_more(run)}: missing; its "
            "unforwarded records are lost, forwarding continues",
        )
    return found


def _open(
    folder: Path, number: int, spool: int, disk: Disk, opened: ExitStack, found: RecoveredSpool
) -> SegmentFile | None:
    segment = opened.enter_context(closing(SegmentFile(disk, folder, number, spool)))
    page = segment.page()
    if page is None:
        found.problems.append(
            f"{segment.path}: the first page is damaged; its records are read nevertheless"
        )
    elif page.spool != spool or page.number != number:
        found.problems.append(
            f"{segment.path}: belongs to another spool ({page.spool:016x}, segment "
            f"{page.number}); it is left unchanged and not forwarded"
        )
        return None
    return segment


def _note_cut(segment: SegmentFile, end: int, found: RecoveredSpool) -> None:
    size = segment.size
    if end > size:
        found.lose(
            f"{segment.number:016d}-{size}-cut",
            f"{segment.path}: {size} bytes, but at least {end} were written; another program "
            "truncated the file, and unforwarded records in the missing part are lost",
        )


def known_synced_end(number: int, size: int, progress: Progress | None, covers: Location) -> int:
    """Return the offset up to which segment ``number`` was synced, from cursor and table.

    Args:
        size: of its file, the last one that exists.
        covers: the end of the spool that the table of writers covers.
    """
    vouched = PAGE_BYTES
    places = [covers]  # The table's marks are of durable frames.
    if progress is not None:
        places += [progress.cursor, Location(progress.cursor.segment, progress.extent_end)]
    for place in places:
        if place.segment == number:
            vouched = max(vouched, place.offset)
        elif place.segment > number:
            vouched = max(vouched, size)  # No more records were written to it.
    return vouched


def _end_before(after: SegmentFile, segment: SegmentFile) -> int:
    """Return the end of ``segment`` according to ``after``, the next one."""
    if (page := after.page()) is not None:
        return page.previous_end
    # The page of the next segment is damaged. A segment that replaces another's tail begins with
    # that tail.
    first = next(_places(after, PAGE_BYTES), None)
    synced = segment.synced_end()
    if first is None or first not in _places(segment, synced):
        return segment.size
    return synced


def _places(segment: SegmentFile, start: int) -> Iterator[tuple[int, int, int]]:
    """Yield writer, position and size of each frame from ``start`` on."""
    for item in segment.scan(start, segment.size):
        if isinstance(item, SpoolRecord) and item.kind == record.FRAME:
            yield item.writer, item.position, item.raw_bytes


def _read_last(segment: SegmentFile, found: RecoveredSpool, vouched: int) -> int:
    """Accept the surely durable records and salvage the rest; return the end of the first part."""
    size = segment.size
    durable = max(vouched, segment.synced_end())
    _take_all(segment, found, durable)
    for item in segment.scan(durable, size):
        if isinstance(item, Damage):
            found.torn_bytes += item.end - item.offset
            if segment.is_cut(item):
                found.lose(
                    f"{segment.number:016d}-{size}-cut",
                    f"{segment.path}: ends within a record, at {size}; another program "
                    "truncated the file, and unforwarded records in the missing part are "
                    "lost",
                )
        elif item.kind == record.WRITER:
            _describe(item, found)
        else:
            _salvage(segment, item, found)
    return durable


def _take_all(segment: SegmentFile, found: RecoveredSpool, end: int) -> None:
    for item in segment.scan(PAGE_BYTES, end):
        if isinstance(item, Damage):
            found.quarantined += 1
            quarantine(segment, item)
        elif item.kind == record.WRITER:
            _describe(item, found)
        elif (state := found.writers.get(item.writer)) is not None:
            _advance(state, item)


def _describe(item: SpoolRecord, found: RecoveredSpool) -> None:
    try:
        state, schemas = unpack_description(item.content())
    except (MalformedRecordsError, ValueError) as error:
        found.problems.append(f"a writer's description is invalid: {error}")
        return
    found.writers.setdefault(item.writer, state).read_description(state, schemas)


def _advance(state: WriterState, item: SpoolRecord) -> None:
    state.read_back(item.position, item.raw_bytes, item.flags, seen_at=item.time_us / 1e6)
    if item.flags & record.DEFINES:
        # Frames that are written again go to a new segment, whose readers know only the
        # description before them.
        with suppress(MalformedRecordsError, ValueError):
            _, defined = decode_records(item.content(), dict(state.schemas))
            state.learn(defined)


def _salvage(segment: SegmentFile, item: SpoolRecord, found: RecoveredSpool) -> None:
    state = found.writers.get(item.writer)
    jumps = item.flags & (record.JUMPS | record.SYNTHETIC)
    records: bytes | None
    try:
        records = item.content()
    except MalformedRecordsError:
        records = None
    if records is None or state is None or (item.position > state.durable and not jumps):
        # A record before it is missing: its writer sends it again, or it is lost.
        found.quarantined += 1
        quarantine(segment, Damage(item.offset, item.end))
        return
    _advance(state, item)
    description = describe(state)
    found.salvage.append(
        Append(
            writer=item.writer,
            describe=lambda: description,
            position=item.position,
            records=records,
            points=item.points,
            time_us=item.time_us,
            flags=item.flags & ~record.COMPRESSED,
        )
    )
