"""Gap records of the daemon's own: what is missing from a run, as rows of the table ``gaps``, or
as events for a gateway.

Pure functions of what is in the spool, so that a gap that is sent again is stored once.
"""

from typing import Any, Final, NamedTuple

from stepwell_daemon.errors import BAD_DATA
from stepwell_daemon.spool.dead_letter import FOLDER
from stepwell_daemon.spool.reader import Stretch
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


def points_of(stretch: Stretch, table: str) -> int:
    """Return how many points are missing where ``table`` refused ``stretch``."""
    return stretch.record.points if table in _POINTS else 0


def gap_of(
    stretch: Stretch, table: str, file: str, *, shard: int = 0, replayed: bool = False
) -> Gap | None:
    """Return the row that says that ``table`` lacks what ``stretch`` holds: the store refused it.

    None for telemetry of a node, which is no run's, and where the table of gaps itself refused.
    Rows and steps are 0 where the frame cannot be decoded.

    Args:
        file: the name of the file that keeps the frame.
        replayed: the row says that the gap of that file has been filled.
    """
    if stretch.info.is_node or table == _TABLE:
        return None
    kind = GapKind.REPLAYED if replayed else GapKind.DEAD_LETTER
    body = _missing(stretch, table, kind, file)
    builder = BlockBuilder(shard)
    _add(builder, stretch.info, _packed(body, stretch))
    (block,) = builder.build()
    return Gap(block, body["rows"])


def event_of_missing(stretch: Stretch, file: str) -> bytes | None:
    """Return the event that says that all of ``stretch`` is missing, and kept in ``file``.

    None for telemetry of a node.
    """
    if stretch.info.is_node:
        return None
    return _packed(_missing(stretch, "", GapKind.DEAD_LETTER, file), stretch)


def event_of_damage(stretch: Stretch) -> bytes | None:
    """Return the event of the gap that damage of the spool has left just before ``stretch``.

    None where it has left none. How many rows that was nobody knows: rows and points are 0, the
    steps those that follow.
    """
    if not stretch.missing_bytes or stretch.info.is_node:
        return None
    first, _, _ = _content(stretch)
    body = {
        "kind": GapKind.SPOOL_DAMAGED.value,
        "reason": f"damaged in the spool, {stretch.missing_bytes} bytes of records",
        "rows": 0,
        "points": 0,
        "first_step": first,
        "last_step": first,
    }
    return _packed(body, stretch)


def add_damage(builder: BlockBuilder, stretch: Stretch) -> None:
    """Add the gap that damage of the spool has left just before ``stretch``, if it has."""
    event = event_of_damage(stretch)
    if event is not None:
        _add(builder, stretch.info, event)


def _missing(stretch: Stretch, table: str, kind: GapKind, file: str) -> dict[str, Any]:
    filled = "replayed: " if kind is GapKind.REPLAYED else ""
    first, last, rows = _content(stretch)
    return {
        "kind": kind.value,
        "reason": f"{filled}refused by the store, kept in {FOLDER}/{file}",
        "file": file,
        "rows": rows if table in _POINTS else 0,
        "points": points_of(stretch, table),
        "first_step": first,
        "last_step": last,
    }


def _content(stretch: Stretch) -> tuple[int, int, int]:
    """Return the least and the greatest step of ``stretch`` and its rows; 0 where nobody knows."""
    try:
        decoded, _ = decode_records(stretch.record.content(), stretch.schemas)
    except BAD_DATA:
        return 0, 0, 0  # That is why it was dead-lettered.
    return *_steps(decoded), decoded.row_count


def _packed(body: dict[str, Any], stretch: Stretch) -> bytes:
    return pack_event(GAP, body, step=0, time_us=stretch.record.time_us)


def _add(builder: BlockBuilder, info: WriterInfo, event: bytes) -> None:
    told, _ = decode_records(event, {})
    builder.add(info, told, {})


def _steps(decoded: DecodedRecords) -> tuple[int, int]:
    """Return the least and the greatest step of the rows, or of the events where there are none."""
    steps = [int(end) for each in decoded.rows for end in (each.steps.min(), each.steps.max())]
    steps = steps or [event.step for event in decoded.events]
    return min(steps, default=0), max(steps, default=0)
