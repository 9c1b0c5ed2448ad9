"""Looking at a spool without changing it: what is there, whether it is whole, what it says.

Nothing here takes a lock or writes: it works beside a running daemon and on a copy.
"""

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from stepwell_daemon.errors import DamagedStateError, NewerSpoolError
from stepwell_daemon.spool import quarantine, record, set_aside
from stepwell_daemon.spool.cursor import CursorFile
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.record import Damage, SpoolRecord
from stepwell_daemon.spool.recovery import vouched_end
from stepwell_daemon.spool.segment import (
    PAGE_BYTES,
    SUFFIX,
    Location,
    Progress,
    SegmentPage,
    and_more,
    list_segments,
    missing_segments,
    read_page,
    seed_of,
    segment_path,
)
from stepwell_daemon.spool.writers_table import load_writers
from stepwell_daemon.writers import Schemas, unpack_description
from stepwell_store.writer import WriterInfo
from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.rows import decode_records

_UNKNOWN_END: Final = 1 << 62
_KINDS: Final = {record.WRITER: "writer", record.FRAME: "frame"}
_FLAGS: Final = {
    record.COMPRESSED: "compressed",
    record.DEFINES: "defines",
    record.FINISHES: "finishes",
    record.SYNTHETIC: "synthetic",
    record.JUMPS: "jumps",
    record.FILLS: "fills",
}


@dataclass(slots=True)
class WriterReport:
    """What the spool holds of one writer; positions are bytes of the writer's stream."""

    writer_id: str
    project: str
    run_id: str
    frames: int = 0
    points: int = 0
    first_position: int = 0
    end_position: int = 0


@dataclass(slots=True)
class SpoolReport:
    """What ``verify_spool`` found.

    Attributes:
        damage: what is wrong, each with file, offset, what was expected and whether a repair
            has something to do about it; empty when whole.
        torn_bytes: written after the last sync and never acknowledged; a kill leaves such a tail.
        quarantined_places: damaged places that a start or a repair has quarantined; nothing is
            left to do about them.
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
    set_aside_files: int = 0
    cursor_segment: int = 0
    cursor_offset: int = 0
    writers: list[WriterReport] = field(default_factory=list)
    damage: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.damage

    def as_json(self) -> dict[str, Any]:
        return {"whole": self.is_whole, **asdict(self)}


@dataclass(slots=True)
class SpoolItem:
    """A record with what is known of its writer at that place, or a damaged stretch."""

    segment: int
    path: Path
    item: SpoolRecord | Damage
    info: WriterInfo | None = None
    schemas: Schemas = field(default_factory=dict)

    def as_json(self, *, rows: bool = False) -> dict[str, Any]:
        """Return the item as a flat object; with ``rows`` also what a frame says."""
        item = self.item
        found: dict[str, Any] = {"segment": self.segment, "offset": item.offset, "end": item.end}
        if isinstance(item, Damage):
            return {**found, "kind": "damaged"}
        found |= {
            "kind": _KINDS[item.kind],
            "flags": [name for bit, name in _FLAGS.items() if item.flags & bit],
            "position": item.position,
            "points": item.points,
            "time_us": item.time_us,
            "raw_bytes": item.raw_bytes,
        }
        if self.info is not None:
            found |= {
                "project": self.info.project,
                "run_id": self.info.run_id,
                "writer_id": self.info.writer_id,
                "label": self.info.label,
            }
        if rows and item.kind == record.FRAME:
            found |= self._content(item)
        return found

    def _content(self, item: SpoolRecord) -> dict[str, Any]:
        try:
            decoded, defined = decode_records(item.content(), self.schemas)
        except (MalformedRecordsError, ValueError) as error:
            return {"error": str(error)}
        schemas = {**self.schemas, **defined}
        return {
            "rows": [
                {
                    "step": int(step),
                    "time_us": int(time_us),
                    "values": dict(zip(schemas[group.schema], values.tolist(), strict=True)),
                }
                for group in decoded.rows
                for step, time_us, values in zip(
                    group.steps, group.times, group.values, strict=True
                )
            ],
            "events": [
                {"kind": event.kind, "step": event.step, "body": event.body}
                for event in decoded.events
            ],
        }


def verify_spool(folder: Path, disk: Disk | None = None) -> SpoolReport:
    """Read every byte of the spool in ``folder`` and check it.

    Raises:
        FileNotFoundError: There is no spool.
        OSError: It cannot be read.
    """
    disk = disk or Disk()
    numbers = list_segments(folder)
    if not folder.is_dir() or not ((folder / "spool.id").exists() or numbers):
        raise FileNotFoundError(2, "no spool is there", str(folder))
    report = SpoolReport(spool=_spool_id(folder))
    progress, covers = _check_small_files(folder, disk, report)
    # Listed again: a daemon may run, make segments and free them meanwhile.
    present = {*numbers, *list_segments(folder)}
    for run in missing_segments(present, progress, covers):
        _damaged(report, segment_path(folder, run.start), 0, 0, f"missing{and_more(run)}")
    writers: dict[int, WriterReport] = {}
    for number in numbers:
        with contextlib.suppress(FileNotFoundError):  # Freed since it was listed.
            durable = _durable_end(folder, number, disk, progress, covers)
            _verify_segment(folder, number, durable, writers, report, disk)
    report.writers = list(writers.values())
    return report


def _verify_segment(
    folder: Path,
    number: int,
    durable: int,
    writers: dict[int, WriterReport],
    report: SpoolReport,
    disk: Disk,
) -> None:
    path = segment_path(folder, number)
    size = path.stat().st_size
    report.segments += 1
    report.bytes += size
    if size < durable < _UNKNOWN_END:
        _damaged(report, path, size, durable, "the file was cut: so much was written")
    chain_ok = True
    for each in _items(folder, number, disk, report):
        item = each.item
        if isinstance(item, Damage):
            chain_ok = _note_damage(folder, report, each, item, durable, disk) and chain_ok
            continue
        report.records += 1
        if item.kind == record.FRAME:
            _count_frame(report, each, item, writers, path, is_chained=chain_ok)


def damaged_places(folder: Path, disk: Disk | None = None) -> Iterator[tuple[int, Damage]]:
    """Yield segment and place of all that ``verify_spool`` calls no valid record."""
    disk = disk or Disk()
    progress, covers = _check_small_files(folder, disk, SpoolReport(spool=""))
    for number in list_segments(folder):
        durable = _durable_end(folder, number, disk, progress, covers)
        for each in _items(folder, number, disk, None):
            item = each.item
            if not isinstance(item, Damage) or item.offset >= min(item.end, durable):
                continue
            if not quarantine.path_of(folder, number, item).exists():
                yield number, item


def dump_spool(folder: Path, disk: Disk | None = None) -> Iterator[SpoolItem]:
    """Yield every record and every damaged stretch, oldest first."""
    disk = disk or Disk()
    for number in list_segments(folder):
        yield from _items(folder, number, disk, None)


def read_segment_file(path: Path, disk: Disk | None = None) -> list[SpoolItem]:
    """Return the items of one segment file that stands alone, such as a set-aside frame."""
    disk = disk or Disk()
    page = read_page(disk, path)
    if page is None:
        return [SpoolItem(0, path, Damage(0, path.stat().st_size))]
    return list(_items_of(path, page.number, page.seed, disk))


def _items(
    folder: Path, number: int, disk: Disk, report: SpoolReport | None
) -> Iterator[SpoolItem]:
    path = segment_path(folder, number)
    spool = int(_spool_id(folder) or "0", 16)
    page: SegmentPage | None = None
    try:
        page = read_page(disk, path)
    except NewerSpoolError as error:
        if report is not None:
            _damaged(report, path, 0, PAGE_BYTES, str(error))
        return
    if page is None and report is not None:
        _damaged(report, path, 0, PAGE_BYTES, "the first page does not check; records are read")
    if page is not None and spool and page.spool != spool:
        if report is not None:
            _damaged(report, path, 0, PAGE_BYTES, f"belongs to another spool ({page.spool:016x})")
        return
    yield from _items_of(path, number, seed_of(spool, number), disk)


def _items_of(path: Path, number: int, seed: int, disk: Disk) -> Iterator[SpoolItem]:
    descriptor = disk.open_to_read(path)
    known: dict[int, tuple[WriterInfo, Schemas]] = {}
    try:

        def read(size: int, offset: int) -> bytes:
            return disk.read(descriptor, size, offset)

        for item in record.scan(read, PAGE_BYTES, max(disk.size(descriptor), PAGE_BYTES), seed):
            each = SpoolItem(number, path, item)
            if isinstance(item, SpoolRecord):
                if item.kind == record.WRITER:
                    _learn_writer(item, known)
                if (found := known.get(item.writer)) is not None:
                    each.info, each.schemas = found[0], dict(found[1])
                    if item.flags & record.DEFINES:
                        _learn_schemas(item, found[1])
            yield each
    finally:
        disk.close(descriptor)


def _learn_writer(item: SpoolRecord, known: dict[int, tuple[WriterInfo, Schemas]]) -> None:
    try:
        state, schemas = unpack_description(item.content())
    except (MalformedRecordsError, ValueError):
        return
    known[item.writer] = (state.info, dict(schemas))


def _learn_schemas(item: SpoolRecord, schemas: Schemas) -> None:
    try:
        _, defined = decode_records(item.content(), schemas)
    except (MalformedRecordsError, ValueError):
        return
    schemas.update(defined)


def _count_frame(
    report: SpoolReport,
    each: SpoolItem,
    item: SpoolRecord,
    writers: dict[int, WriterReport],
    path: Path,
    *,
    is_chained: bool,
) -> None:
    report.frames += 1
    report.points += item.points
    if each.info is None:
        _damaged(report, path, item.offset, item.end, "a frame whose writer is not described")
        return
    info = each.info
    seen = writers.get(item.writer)
    if seen is None:
        seen = WriterReport(info.writer_id, info.project, info.run_id)
        seen.first_position = seen.end_position = item.position
        writers[item.writer] = seen
    takes_place = not item.flags & record.SYNTHETIC
    jumps = item.flags & record.JUMPS
    if takes_place and item.position > seen.end_position and not jumps and is_chained:
        what = (
            f"writer {info.writer_id} goes on at position {item.position}, expected "
            f"{seen.end_position}: {item.position - seen.end_position} bytes are missing"
        )
        _damaged(report, path, item.offset, item.end, what)
    seen.frames += 1
    seen.points += item.points
    if takes_place:
        seen.end_position = max(seen.end_position, item.position + item.raw_bytes)


def _note_damage(
    folder: Path, report: SpoolReport, each: SpoolItem, item: Damage, durable: int, disk: Disk
) -> bool:
    """Report damage; return whether nothing that counts is missing there."""
    path = each.path
    if quarantine.path_of(folder, each.segment, item).exists():
        report.quarantined_places += 1
        return False
    if item.offset >= durable:
        if not _is_cut(path, item.offset, disk):
            report.torn_bytes += item.end - item.offset
            return True
        _damaged(report, path, item.offset, item.end, "the file was cut within this record")
    elif item.offset == item.end:
        _damaged(report, path, item.offset, item.end, "a record is missing here")
    else:
        _damaged(report, path, item.offset, item.end, "no valid record", is_repairable=True)
    return False


def _is_cut(path: Path, offset: int, disk: Disk) -> bool:
    descriptor = disk.open_to_read(path)
    try:
        read = functools.partial(disk.read, descriptor)
        return record.is_cut(read, offset, disk.size(descriptor))
    finally:
        disk.close(descriptor)


def _durable_end(
    folder: Path, number: int, disk: Disk, progress: Progress | None, covers: Location
) -> int:
    """Return up to where segment ``number`` counts: what lies beyond was never acknowledged."""
    size = segment_path(folder, number).stat().st_size
    following = segment_path(folder, number + 1)
    if following.exists():
        try:
            page = read_page(disk, following)
        except NewerSpoolError:
            page = None
        return page.previous_end if page is not None else _UNKNOWN_END
    durable = PAGE_BYTES
    for each in _items(folder, number, disk, None):
        if isinstance(each.item, SpoolRecord):
            durable = max(durable, each.item.durable)
    return max(durable, vouched_end(number, size, progress, covers))


def _check_small_files(
    folder: Path, disk: Disk, report: SpoolReport
) -> tuple[Progress | None, Location]:
    """Report on cursor and table of writers; return what they say of the segments."""
    covers = Location(0, 0)
    try:
        progress = CursorFile(folder / "cursor", disk).peek()
    except DamagedStateError as error:
        _damaged(report, folder / "cursor", 0, 0, str(error), is_repairable=True)
        progress = None
    if progress is not None:
        report.cursor_segment, report.cursor_offset = progress.cursor
    try:
        _, covers = load_writers(folder)
    except DamagedStateError as error:
        _damaged(report, folder / "writers.tbl", 0, 0, str(error), is_repairable=True)
    report.quarantined_files = _count_files(folder / quarantine.FOLDER, ".bytes")
    report.set_aside_files = _count_files(folder / set_aside.FOLDER, SUFFIX)
    return progress, covers


def _spool_id(folder: Path) -> str:
    try:
        return (folder / "spool.id").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _count_files(folder: Path, suffix: str) -> int:
    return sum(1 for _ in folder.glob(f"*{suffix}")) if folder.is_dir() else 0


def _damaged(
    report: SpoolReport,
    path: Path,
    offset: int,
    end: int,
    what: str,
    *,
    is_repairable: bool = False,
) -> None:
    number = int(path.stem) if path.suffix == SUFFIX else None
    if number is not None and (number, end) <= (report.cursor_segment, report.cursor_offset):
        what += " (stored already)"
    report.damage.append(
        {
            "file": str(path),
            "offset": offset,
            "end": end,
            "what": what,
            "repairable": is_repairable,
        }
    )
