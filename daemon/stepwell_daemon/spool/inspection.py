"""Reading a spool without changing it: its content, and whether it is intact.

This module takes no lock and writes no file: it works beside a running daemon and on a copy.
"""

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from stepwell_daemon.errors import DamagedStateError, NewerSpoolError
from stepwell_daemon.spool import dead_letter, identity, quarantine, record
from stepwell_daemon.spool.cursor import CursorFile
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.record import Damage, SpoolRecord
from stepwell_daemon.spool.recovery import known_synced_end
from stepwell_daemon.spool.segment import (
    PAGE_BYTES,
    SUFFIX,
    Location,
    Progress,
    and_more,
    list_segments,
    missing_segments,
    read_page,
    segment_path,
)
from stepwell_daemon.spool.walker import Binding, SegmentFile, Walked, walk_all
from stepwell_daemon.spool.writers_table import load_writers

_UNKNOWN_END: Final = 1 << 62


@dataclass(slots=True)
class WriterReport:
    """The part of one writer in the spool; positions are bytes of the writer's stream."""

    writer_id: str
    project: str
    run_id: str
    frames: int = 0
    points: int = 0
    first_position: int = 0
    end_position: int = 0


@dataclass(slots=True)
class SpoolReport:
    """The result of ``verify_spool``.

    Attributes:
        damage: the damages, each with file, offset, the expected content and whether a repair can
            treat it; empty if intact.
        torn_bytes: bytes written after the last sync and never acknowledged; a kill leaves such a
            tail.
        quarantined_places: damaged places that a start or a repair has quarantined; they need no
            more work.
        noted: notes of starts about missing or truncated segments, unless the notes were removed.
        waiting_bytes: valid bytes after the cursor.
    """

    spool: str
    segments: int = 0
    records: int = 0
    frames: int = 0
    points: int = 0
    bytes: int = 0
    torn_bytes: int = 0
    quarantined_files: int = 0
    quarantined_places: int = 0
    dead_letter_files: int = 0
    noted: list[str] = field(default_factory=list)
    waiting_bytes: int = 0
    cursor_segment: int = 0
    cursor_offset: int = 0
    writers: list[WriterReport] = field(default_factory=list)
    damage: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.damage

    @property
    def is_repairable(self) -> bool:
        return any(each["repairable"] for each in self.damage)

    def as_json(self) -> dict[str, Any]:
        return {"whole": self.is_whole, **asdict(self)}


def verify_spool(folder: Path, disk: Disk | None = None) -> SpoolReport:
    """Read every byte of the spool in ``folder`` and check it.

    Raises:
        FileNotFoundError: There is no spool.
        OSError: It cannot be read.
    """
    look = _Look(folder, disk or Disk())
    look.check_files()
    writers: dict[int, WriterReport] = {}
    for number in look.numbers:
        with suppress(FileNotFoundError), look.opened(number) as segment:
            look.verify_segment(segment, writers)  # It may be freed since it was listed.
    look.report.writers = list(writers.values())
    return look.report


def damage_text(damage: dict[str, Any]) -> str:
    """Return a line for one of the damages of a report."""
    place = f" at {damage['offset']} to {damage['end']}" if damage["end"] else ""
    return f"{damage['file']}{place}: {damage['what']}"


def glance_at_spool(folder: Path, disk: Disk | None = None) -> SpoolReport:
    """Return the part of ``verify_spool`` that needs only the last segment.

    Raises:
        FileNotFoundError: There is no spool.
        OSError: It cannot be read.
    """
    look = _Look(folder, disk or Disk())
    look.check_files()
    for number in look.numbers:
        with suppress(FileNotFoundError), look.opened(number) as segment:
            look.measure_segment(segment)
    return look.report


def damaged_places(folder: Path, disk: Disk | None = None) -> Iterator[tuple[SegmentFile, Damage]]:
    """Yield each place, with its segment, where ``verify_spool`` finds no valid record."""
    look = _Look(folder, disk or Disk())
    for number in look.numbers:
        with look.opened(number) as segment:
            durable = look.durable_end(segment)
            for item, _, _ in look.walk(segment):
                if not isinstance(item, Damage) or item.offset >= min(item.end, durable):
                    continue
                if not quarantine.path_of(folder, number, item).exists():
                    yield segment, item


class _PageFault(NamedTuple):
    """The fault of a segment's first page, "" for none, and whether its records can be read."""

    what: str = ""
    is_readable: bool = True


class _Look:
    """Reads the spool in ``folder`` once and collects the report."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self.numbers = list_segments(folder)
        if not folder.is_dir() or not ((folder / identity.FILE).exists() or self.numbers):
            raise FileNotFoundError(2, "no spool in this folder", str(folder))
        self._folder = folder
        self._disk = disk
        self._spool, self._is_number_held = identity.find_number(folder, disk)
        self.report = SpoolReport(spool=f"{self._spool:016x}" if self._spool else "")
        self._progress: Progress | None = None
        self._covers = Location(0, 0)
        self._read_small_files()

    def _read_small_files(self) -> None:
        """Use the facts of cursor and table of writers about the segments."""
        folder, report = self._folder, self.report
        try:
            self._progress = CursorFile(folder / "cursor", self._disk).peek()
        except DamagedStateError as error:
            self._damaged(folder / "cursor", str(error), is_repairable=True)
        if self._progress is None and self.numbers and not (folder / "cursor").exists():
            what = (
                "missing; a daemon that starts sends everything again, and the store recognises "
                "duplicates"
            )
            self._damaged(folder / "cursor", what, is_repairable=True)
        if self._progress is not None:
            report.cursor_segment, report.cursor_offset = self._progress.cursor
        try:
            _, self._covers = load_writers(folder)
        except DamagedStateError as error:
            self._damaged(folder / "writers.tbl", str(error), is_repairable=True)

    def check_files(self) -> None:
        """Report missing files, and count quarantined and dead-lettered ones."""
        folder, report = self._folder, self.report
        report.quarantined_files = _count_files(folder / quarantine.FOLDER, ".bytes")
        report.dead_letter_files = len(dead_letter.list_dead_letters(folder))
        report.noted = quarantine.notes(folder)
        if not self._is_number_held and self._spool:
            what = (
                "missing or damaged; a daemon that starts reads the spool's number from the "
                "segments"
            )
            self._damaged(folder / identity.FILE, what, is_repairable=True)
        # Listed again: a running daemon may make and free segments meanwhile.
        present = {*self.numbers, *list_segments(folder)}
        for run in missing_segments(present, self._progress, self._covers):
            self._damaged(segment_path(folder, run.start), f"missing{and_more(run)}")

    # ------------------------------------------------------------------ segments

    def opened(self, number: int) -> "closing[SegmentFile]":
        return closing(SegmentFile(self._disk, self._folder, number, self._spool, is_live=True))

    def walk(self, segment: SegmentFile) -> Iterator[Walked]:
        """Yield the content of ``segment``; none if it belongs to another spool."""
        return walk_all(segment) if self._fault_of(segment).is_readable else iter(())

    def _fault_of(self, segment: SegmentFile) -> "_PageFault":
        """Return the problem of a segment's page."""
        try:
            page = segment.page()
        except NewerSpoolError as error:
            return _PageFault(str(error), is_readable=False)
        if page is None:
            return _PageFault("the checksum of the first page does not match; the records are read")
        if self._spool and page.spool != self._spool:
            what = f"belongs to another spool ({page.spool:016x})"
            return _PageFault(what, is_readable=False)
        return _PageFault()

    def measure_segment(self, segment: SegmentFile) -> int:
        """Report size and truncation of a segment; return the end of its valid part."""
        number, path = segment.number, segment.path
        size = path.stat().st_size
        durable = self.durable_end(segment)
        self.report.segments += 1
        self.report.bytes += size
        if size < durable < _UNKNOWN_END:
            self._damaged(path, "the file was truncated, it had more bytes", size, durable)
        if number >= self.report.cursor_segment:
            is_at_cursor = number == self.report.cursor_segment
            start = self.report.cursor_offset if is_at_cursor else PAGE_BYTES
            self.report.waiting_bytes += max(0, min(size, durable) - start)
        return durable

    def verify_segment(self, segment: SegmentFile, writers: dict[int, WriterReport]) -> None:
        durable = self.measure_segment(segment)
        fault = self._fault_of(segment)
        if fault.what:
            self._damaged(segment.path, fault.what, 0, PAGE_BYTES)
        chain_ok = True
        for item, writer, _ in self.walk(segment):
            if isinstance(item, Damage):
                chain_ok = self._note_damage(segment, item, durable) and chain_ok
                continue
            self.report.records += 1
            if item.kind == record.FRAME:
                self._count_frame(segment, item, writer, writers, is_chained=chain_ok)

    def durable_end(self, segment: SegmentFile) -> int:
        """Return the end of a segment: bytes beyond it were never acknowledged."""
        number = segment.number
        following = segment_path(self._folder, number + 1)
        if following.exists():
            try:
                page = read_page(self._disk, following)
            except NewerSpoolError:
                page = None
            return page.previous_end if page is not None else _UNKNOWN_END
        size = segment.path.stat().st_size
        synced = segment.synced_end() if self._fault_of(segment).is_readable else PAGE_BYTES
        return max(synced, known_synced_end(number, size, self._progress, self._covers))

    def _count_frame(
        self,
        segment: SegmentFile,
        item: SpoolRecord,
        writer: Binding | None,
        writers: dict[int, WriterReport],
        *,
        is_chained: bool,
    ) -> None:
        self.report.frames += 1
        self.report.points += item.points
        path = segment.path
        if writer is None:
            self._damaged(path, "a frame of a writer that is not described", item.offset, item.end)
            return
        info = writer.info
        seen = writers.get(item.writer)
        if seen is None:
            seen = WriterReport(info.writer_id, info.project, info.run_id)
            seen.first_position = seen.end_position = item.position
            writers[item.writer] = seen
        takes_place = not item.flags & record.SYNTHETIC
        jumps = item.flags & record.JUMPS
        if takes_place and item.position > seen.end_position and not jumps and is_chained:
            what = (
                f"writer {info.writer_id} continues at position {item.position}, expected "
                f"{seen.end_position}: {item.position - seen.end_position} bytes are missing"
            )
            self._damaged(path, what, item.offset, item.end)
        seen.frames += 1
        seen.points += item.points
        if takes_place:
            seen.end_position = max(seen.end_position, item.position + item.raw_bytes)

    def _note_damage(self, segment: SegmentFile, item: Damage, durable: int) -> bool:
        """Report damage; return whether no valid data is missing there."""
        path = segment.path
        if quarantine.path_of(self._folder, segment.number, item).exists():
            self.report.quarantined_places += 1
            return False
        place = (item.offset, item.end)
        if item.offset >= durable:
            if not segment.is_cut(item):
                self.report.torn_bytes += item.end - item.offset
                return True
            self._damaged(path, "the file was truncated within this record", *place)
        elif item.offset == item.end:
            self._damaged(path, "a record is missing here", *place)
        else:
            self._damaged(path, "no valid record", *place, is_repairable=True)
        return False

    def _damaged(
        self, path: Path, what: str, offset: int = 0, end: int = 0, *, is_repairable: bool = False
    ) -> None:
        report = self.report
        number = int(path.stem) if path.suffix == SUFFIX else None
        upto = end or _UNKNOWN_END  # A whole file.
        if number is not None and (number, upto) <= (report.cursor_segment, report.cursor_offset):
            what += " (before the cursor: already forwarded or skipped)"
        report.damage.append(
            {
                "file": str(path),
                "offset": offset,
                "end": end,
                "what": what,
                "repairable": is_repairable,
            }
        )


def _count_files(folder: Path, suffix: str) -> int:
    return sum(1 for _ in folder.glob(f"*{suffix}")) if folder.is_dir() else 0
