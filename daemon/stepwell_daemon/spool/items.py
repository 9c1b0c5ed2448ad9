"""Records of a spool one by one, with what is known of their writers; changes nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stepwell_daemon.errors import NewerSpoolError
from stepwell_daemon.spool import record
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.identity import find_number
from stepwell_daemon.spool.record import Damage, SpoolRecord
from stepwell_daemon.spool.segment import (
    PAGE_BYTES,
    SegmentPage,
    list_segments,
    read_page,
    seed_of,
    segment_path,
)
from stepwell_daemon.writer_packing import unpack_description
from stepwell_daemon.writer_state import Schemas
from stepwell_store.writer import WriterInfo
from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.rows import decode_records

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


def dump_spool(folder: Path, disk: Disk | None = None) -> Iterator[SpoolItem]:
    """Yield every record and every damaged stretch, oldest first."""
    disk = disk or Disk()
    spool = find_number(folder, disk).number
    for number in list_segments(folder):
        yield from segment_items(folder, number, spool, disk)


def read_segment_file(path: Path, disk: Disk | None = None) -> list[SpoolItem]:
    """Return the items of one segment file that stands alone, such as a dead-lettered frame."""
    disk = disk or Disk()
    page = read_page(disk, path)
    if page is None:
        return [SpoolItem(0, path, Damage(0, path.stat().st_size))]
    return list(_items_of(path, page.number, page.seed, disk))


def segment_items(
    folder: Path,
    number: int,
    spool: int,
    disk: Disk,
    tell: Callable[[str], None] = lambda what: None,
) -> Iterator[SpoolItem]:
    """Yield the items of segment ``number``; none of one that belongs elsewhere.

    Args:
        spool: the spool's number, 0 where nothing says it.
        tell: is called with what is wrong with the segment's page.
    """
    path = segment_path(folder, number)
    page: SegmentPage | None = None
    try:
        page = read_page(disk, path)
    except NewerSpoolError as error:
        tell(str(error))
        return
    if page is None:
        tell("the first page does not check; records are read")
    elif spool and page.spool != spool:
        tell(f"belongs to another spool ({page.spool:016x})")
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
