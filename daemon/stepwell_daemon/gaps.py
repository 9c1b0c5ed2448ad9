"""Gap records of the daemon's own: what is missing from a run, as rows of the table ``gaps``, or
as events for a gateway.

Pure functions of what is in the spool, so that a gap that is sent again is stored once.
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
"""Tables whose refusal takes a frame's points along; every other one holds something besides."""


class Gap(NamedTuple):
    """A row of ``gaps``, and how many rows it says are missing."""

    block: Block
    missing_rows: int


def points_of(frame: SpooledFrame, table: str) -> int:
    """Return how many points are missing where ``table`` refused ``frame``."""
    return frame.record.points if table in _POINTS else 0


def gap_of(
    frame: SpooledFrame, table: str, file: str, *, shard: int = 0, replayed: bool = False
) -> Gap | None:
    """Return the row that says that ``table`` lacks what ``frame`` holds: the store refused it.

    None for telemetry of a node, which is no run's, and where the table of gaps itself refused.
    Rows and steps are 0 where the frame cannot be decoded.

    Args:
        file: the name of the file that keeps the frame.
        replayed: the row says that the gap of that file has been filled.
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
    """Return the event that says that all of ``frame`` is missing, and kept in ``file``.

    None for telemetry of a node.
    """
    if frame.info.is_node:
        return None
    return _packed(_missing(frame, "", GapKind.DEAD_LETTER, file), frame)


def event_of_damage(frame: SpooledFrame) -> bytes | None:
    """Return the event of the gap that damage of the spool has left just before ``frame``.

    None where it has left none. How many rows that was nobody knows: rows and points are 0, the
    steps those that follow.
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
    """Add the gap that damage of the spool has left just before ``frame``, if it has."""
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
        return 0, 0, 0  # That is why it was dead-lettered.
    return *_steps(decoded), decoded.row_count


def _packed(body: dict[str, Any], frame: SpooledFrame) -> bytes:
    return pack_event(GAP, body, step=0, time_us=frame.record.time_us)


def _add(builder: BlockBuilder, info: WriterInfo, event: bytes) -> None:
    told, _ = decode_records(event, {})
    builder.add(info, told, {})


def _steps(decoded: DecodedRecords) -> tuple[int, int]:
    """Return the least and the greatest step of the rows, or of the events where there are none."""
    steps = [int(end) for each in decoded.rows for end in (each.steps.min(), each.steps.max())]
    steps = steps or [event.step for event in decoded.events]
    return min(steps, default=0), max(steps, default=0)
