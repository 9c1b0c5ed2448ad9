"""Decides what part of a frame is new, and whether its writer may send it. No I/O, no clock.

The position decides. The daemon has every byte of a writer up to the writer's mark: bytes before
the mark are duplicates, and a frame that begins after the mark leaves a gap.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from stepwell_daemon.bounds import Dropped, reported_by_writers
from stepwell_daemon.refusal import StreamRefusedError
from stepwell_daemon.spool.record import DEFINES, FINISHES, SYNTHETIC
from stepwell_daemon.writer_state import Schemas, WriterState
from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.ingest_pb2 import GAP, LIMIT, MALFORMED, Frame, RelayFrame
from stepwell_wire.limits import (
    FRAME_BYTES_MAX,
    METRIC_NAME_BYTES_MAX,
    METRICS_PER_WRITER_MAX,
    NAMES_BYTES_MAX,
    names_size,
)
from stepwell_wire.records import FINISH
from stepwell_wire.rows import DecodedRecords, decode_records


@dataclass(frozen=True, slots=True)
class Taken:
    """The part of a frame that goes into the spool; ``records`` is empty if the frame has no new
    bytes."""

    position: int
    records: bytes
    duplicate_bytes: int = 0
    points: int = 0
    flags: int = 0
    defined: Schemas = field(default_factory=dict)
    last_time_us: int = 0
    dropped: tuple[Dropped, ...] = ()
    """The gaps that the writer reports."""


def check_bytes(frame: Frame | RelayFrame, mark: int) -> None:
    """Raise StreamRefusedError if ``frame`` is too large or was damaged on its way."""
    size = len(frame.records)
    if size > FRAME_BYTES_MAX:
        raise StreamRefusedError(
            LIMIT,
            f"a frame of {size} bytes; the maximum is {FRAME_BYTES_MAX}, send smaller frames",
            mark,
            bound="frame_bytes",
        )
    if zlib.crc32(frame.records) != frame.crc32:
        raise StreamRefusedError(
            MALFORMED, f"frame at {frame.position}: the bytes do not match their checksum", mark
        )


def new_part(state: WriterState, frame: Frame | RelayFrame, mark: int) -> Taken:
    """Return the part of ``frame`` after ``mark``; the bytes of the frame are checked already.

    Raises:
        StreamRefusedError: The frame begins after the mark, or its new part is malformed.
    """
    position = frame.position
    if position > mark:
        raise StreamRefusedError(
            GAP,
            f"frame at {position}: the daemon has everything up to {mark}; continue there",
            mark,
        )
    known = min(mark - position, len(frame.records))
    if known == len(frame.records):
        return Taken(mark, b"", known)
    records = frame.records[known:] if known else frame.records
    return read_records(state, mark, records, duplicate_bytes=known)


def read_records(
    state: WriterState, position: int, records: bytes, *, flags: int = 0, duplicate_bytes: int = 0
) -> Taken:
    """Return what ``records`` of the writer ``state`` contain.

    Raises:
        StreamRefusedError: They are malformed, or exceed a writer's bound on names.
    """
    try:
        decoded, defined = decode_records(records, state.schemas)
    except MalformedRecordsError as error:
        raise StreamRefusedError(
            MALFORMED, f"frame at {position}: {error}", state.accepted
        ) from error
    check_names(defined, state.accepted)
    check_count(state, defined)
    if defined:
        flags |= DEFINES
    if any(event.kind == FINISH for event in decoded.events):
        flags |= FINISHES
    return Taken(
        position,
        records,
        duplicate_bytes,
        decoded.point_count,
        flags,
        defined,
        _last_time_us(decoded),
        () if flags & SYNTHETIC else reported_by_writers(decoded.events),
    )


def check_count(state: WriterState, schemas: Mapping[int, tuple[str, ...]]) -> None:
    """Raise StreamRefusedError if ``state`` would have more metrics than a writer may have."""
    fresh = [keys for number, keys in schemas.items() if number not in state.schemas]
    size = state.names_bytes + sum(map(names_size, fresh))
    if size > NAMES_BYTES_MAX:
        raise StreamRefusedError(
            LIMIT,
            f"{size} bytes of metric names in all schemas of one writer; the maximum is "
            f"{NAMES_BYTES_MAX}: use fewer or shorter names, or fewer different sets of "
            "names",
            state.accepted,
            bound="metrics_per_writer",
        )
    added = {key for keys in fresh for key in keys if key not in state.names}
    if len(state.names) + len(added) > METRICS_PER_WRITER_MAX:
        raise StreamRefusedError(
            LIMIT,
            f"{len(state.names) + len(added)} metrics in one writer; the maximum is "
            f"{METRICS_PER_WRITER_MAX}: use fewer names",
            state.accepted,
            bound="metrics_per_writer",
        )


def check_names(schemas: Mapping[int, tuple[str, ...]], position: int = 0) -> None:
    """Raise StreamRefusedError if a metric's name is too long."""
    for keys in schemas.values():
        for key in keys:
            # The cheap test first: a character has at most four bytes.
            if len(key) * 4 > METRIC_NAME_BYTES_MAX and len(key.encode()) > METRIC_NAME_BYTES_MAX:
                raise StreamRefusedError(
                    LIMIT,
                    f"a metric name of {len(key.encode())} bytes ({key[:40]}…); the maximum "
                    f"is {METRIC_NAME_BYTES_MAX}",
                    position,
                    bound="metric_name_bytes",
                )


def check_schemas(state: WriterState, schemas: Schemas) -> None:
    """Raise StreamRefusedError if ``schemas`` and those of ``state`` together exceed a bound."""
    for number, keys in schemas.items():
        if state.schemas.get(number, keys) != keys:
            raise StreamRefusedError(
                MALFORMED, f"schema {number} was defined before with other names", state.durable
            )
    check_count(state, schemas)


def _last_time_us(decoded: DecodedRecords) -> int:
    """Return the time of the last row or event, 0 without one."""
    times = [int(rows.times[-1]) for rows in decoded.rows if len(rows.times)]
    times += [event.time_us for event in decoded.events[-1:]]
    return max(times, default=0)
