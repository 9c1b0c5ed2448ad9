"""Gap records of the daemon: the missing data of a run, as rows of the table ``gaps``, or as events
for a gateway.

Pure functions of the spool's frames, so that a gap that is sent again is stored once.
"""

from typing import Any, Final, NamedTuple

from stepwell_daemon.errors import BAD_DATA
from stepwell_daemon.spool.dead_letter import FOLDER
from stepwell_daemon.spool.walker import SpooledFrame
from stepwell_store import Block, BlockBuilder
from stepwell_store.writer import WriterInfo
from stepwell_wire.gaps import GapKind
from stepwell_wire.records import GAP, pack_event
from stepwell_wire.rows import DecodedRecords, decode_records

_TABLE: Final = "gaps"
_POINTS: Final = ("", "all", "points")
"""Tables whose rejection costs a frame's points; every other table has no points."""


class Gap(NamedTuple):
    """A row of ``gaps``, and the number of missing rows in it."""

    block: Block
    missing_rows: int


def points_of(frame: SpooledFrame, table: str) -> int:
    """Return the number of missing points if ``table`` rejected ``frame``."""
    return frame.record.points if table in _POINTS else 0


def gap_of(
    frame: SpooledFrame, table: str, file: str, *, shard: int = 0, replayed: bool = False
) -> Gap | None:
    """Return the gap row for the rows of ``frame`` that ``table`` rejected.

    None for telemetry of a node, which belongs to no run, and if the table of gaps itself rejected
    it. Rows and steps are 0 if the frame cannot be decoded.

    Args:
        file: the name of the file that contains the frame.
        replayed: the row marks the gap of that file as filled.
    """
    if frame.info.is_node or table == _TABLE:
        return None
    kind = GapKind.REPLAYED if replayed else GapKind.DEAD_LETTER
    body = _missing(frame, table, kind, file)
    builder = BlockBuilder(shard)
    _add(builder, frame.info, _packed(body, frame))
    (block,) = builder.build()
    return Gap(block, body["rows"])


def event_of_missing(frame: SpooledFrame, file: str) -> bytes | None:
    """Return the gap event for all of ``frame``, which is kept in ``file``.

    None for telemetry of a node.
    """
    if frame.info.is_node:
        return None
    return _packed(_missing(frame, "", GapKind.DEAD_LETTER, file), frame)


def event_of_damage(frame: SpooledFrame) -> bytes | None:
    """Return the gap event for damage of the spool just before ``frame``.

    None without damage. The number of lost rows is unknown: rows and points are 0, and the steps
    are those of ``frame``.
    """
    if not frame.missing_bytes or frame.info.is_node:
        return None
    first, _, _ = _content(frame)
    body = {
        "kind": GapKind.SPOOL_DAMAGED.value,
        "reason": f"damaged in the spool, {frame.missing_bytes} bytes of records",
        "rows": 0,
        "points": 0,
        "first_step": first,
        "last_step": first,
    }
    return _packed(body, frame)


def add_damage(builder: BlockBuilder, frame: SpooledFrame) -> None:
    """Add the gap of damage of the spool just before ``frame``, if there is one."""
    event = event_of_damage(frame)
    if event is not None:
        _add(builder, frame.info, event)


def _missing(frame: SpooledFrame, table: str, kind: GapKind, file: str) -> dict[str, Any]:
    filled = "replayed: " if kind is GapKind.REPLAYED else ""
    first, last, rows = _content(frame)
    return {
        "kind": kind.value,
        "reason": f"{filled}refused by the store, kept in {FOLDER}/{file}",
        "file": file,
        "rows": rows if table in _POINTS else 0,
        "points": points_of(frame, table),
        "first_step": first,
        "last_step": last,
    }


def _content(frame: SpooledFrame) -> tuple[int, int, int]:
    """Return the first step, the last step and the row count of ``frame``; 0 if unreadable."""
    try:
        decoded, _ = decode_records(frame.record.content(), frame.schemas)
    except BAD_DATA:
        return 0, 0, 0  # Its decoding failed; that is why it was dead-lettered.
    return *_steps(decoded), decoded.row_count


def _packed(body: dict[str, Any], frame: SpooledFrame) -> bytes:
    return pack_event(GAP, body, step=0, time_us=frame.record.time_us)


def _add(builder: BlockBuilder, info: WriterInfo, event: bytes) -> None:
    told, _ = decode_records(event, {})
    builder.add(info, told, {})


def _steps(decoded: DecodedRecords) -> tuple[int, int]:
    """Return the lowest and the highest step of the rows, or of the events if there are no rows."""
    steps = [int(end) for each in decoded.rows for end in (each.steps.min(), each.steps.max())]
    steps = steps or [event.step for event in decoded.events]
    return min(steps, default=0), max(steps, default=0)
