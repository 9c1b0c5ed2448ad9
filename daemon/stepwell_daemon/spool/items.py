"""Records of a spool as JSON, for people; changes no file."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stepwell_daemon.errors import NewerSpoolError
from stepwell_daemon.spool import record
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.identity import find_number
from stepwell_daemon.spool.record import Damage, SpoolRecord
from stepwell_daemon.spool.segment import list_segments
from stepwell_daemon.spool.walker import Binding, SegmentFile, Walked, walk_all
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


@dataclass(frozen=True, slots=True)
class SpoolItem:
    """A record with the facts of its writer at that place, or a damaged place."""

    segment: int
    walked: Walked

    @property
    def info(self) -> WriterInfo | None:
        writer = self.walked.writer
        return writer.info if writer is not None else None

    def as_json(self, *, rows: bool = False) -> dict[str, Any]:
        """Return the item as a flat object; with ``rows`` also the rows of a frame."""
        item, writer, _ = self.walked
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
        if writer is not None:
            found |= {
                "project": writer.info.project,
                "run_id": writer.info.run_id,
                "writer_id": writer.info.writer_id,
                "label": writer.info.label,
            }
        if rows and item.kind == record.FRAME:
            found |= _content(item, writer)
        return found


def _content(item: SpoolRecord, writer: Binding | None) -> dict[str, Any]:
    known = writer.schemas if writer is not None else {}
    try:
        decoded, defined = decode_records(item.content(), known)
    except (MalformedRecordsError, ValueError) as error:
        return {"error": str(error)}
    schemas = {**known, **defined}
    return {
        "rows": [
            {
                "step": int(step),
                "time_us": int(time_us),
                "values": dict(zip(schemas[group.schema], values.tolist(), strict=True)),
            }
            for group in decoded.rows
            for step, time_us, values in zip(group.steps, group.times, group.values, strict=True)
        ],
        "events": [
            {"kind": event.kind, "step": event.step, "body": event.body} for event in decoded.events
        ],
    }


def dump_spool(folder: Path, disk: Disk | None = None) -> Iterator[SpoolItem]:
    """Yield every record and every damaged place, oldest first.

    Segments of another spool or of a later release are skipped.
    """
    disk = disk or Disk()
    spool = find_number(folder, disk).number
    for number in list_segments(folder):
        with closing(SegmentFile(disk, folder, number, spool, is_live=True)) as segment:
            try:
                page = segment.page()
            except NewerSpoolError:
                continue
            if page is None or not spool or page.spool == spool:
                yield from (SpoolItem(number, each) for each in walk_all(segment))
