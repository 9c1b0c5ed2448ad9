"""Records: the layout of rows and events, the same in a journal, a frame and the spool.

    record  := schema u32 | size u32 | step i64 | time i64 | body, padded to 8 bytes
    schema  :  0            event: body is msgpack [kind, {…}]
               1 … 2^32-2   row: body is float64 × keys of that schema
               2^32-1       padding: body has no meaning
    size    :  header and body without the padding; little-endian throughout
    time    :  microseconds since 1970 UTC

Rows and events of one writer share one byte stream; a byte's number in it is its *position*.
No I/O here and nothing but the standard library at import: training processes import this.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.limits import (
    EVENT_BYTES_MAX,
    EVENT_DEPTH_MAX,
    ROW_BYTES_MAX,
    SCHEMAS_PER_WRITER_MAX,
)

HEADER: Final = struct.Struct("<IIqq")
HEADER_BYTES: Final = HEADER.size
EVENT_SCHEMA: Final = 0
PADDING_SCHEMA: Final = 0xFFFF_FFFF

# Event kinds. A reader keeps kinds it does not know (they go to the `events` table).
SCHEMA: Final = "schema"  # {"id": int, "keys": [str, …]}
START: Final = "start"  # first event of a writer; see docs/formats/records.md
RUN: Final = "run"  # run-level: {"name", "notes", "tags", "group", "job_type", "sweep"}, any subset
CONFIG: Final = "config"  # {"set": {…nested…}, "delete": ["path", …]}
SUMMARY: Final = "summary"  # {"set": {…nested…}, "delete": ["path", …]}
METADATA: Final = "metadata"  # {"set": {…nested…}}: git, host, command, environment
DEFINE_METRIC: Final = "define_metric"  # {"name", "step_metric", "summary", "goal", "hidden", …}
CONSOLE: Final = "console"  # {"stream": "stdout"|"stderr", "lines": [[number, time, text], …]}
VALUES: Final = "values"  # history values that are not floats: {"values": {key: value}}
HISTOGRAMS: Final = "histograms"  # {"values": {key: {"counts", "low", "high" or "edges", …}}}
GAP: Final = "gap"  # {"kind", "reason": str, "rows": int, "points": int, "first_step", …} (gaps.py)
BLOB: Final = "blob"  # made by a daemon: {"id", "state", "digest", "size", …} (formats/blobs.md)
ENVIRONMENT: Final = "environment"  # of each writer: {"CUDA_VISIBLE_DEVICES": str, …}
DEVICE: Final = "device"  # of a node's writer: {"kind", "label", "id", "name", "facts": {…}}
FINISH: Final = "finish"  # {"state": "finished"|"failed"|"killed"|"crashed", "exit_code": int}

FAILED_ARTIFACTS: Final = "failed_artifacts"
"""A path in the metadata: ``{digest of a name: {"name", "reason", "at"}}``, made by a daemon."""


class Record(NamedTuple):
    """One record in place: ``body`` starts at ``offset + HEADER_BYTES``."""

    offset: int
    schema: int
    size: int
    step: int
    time_us: int

    @property
    def end(self) -> int:
        return self.offset + aligned(self.size)


def aligned(size: int) -> int:
    """Return ``size`` rounded up to a multiple of 8."""
    return (size + 7) & ~7


def pack_event(kind: str, body: Mapping[str, Any], *, step: int, time_us: int) -> bytes:
    """Return one whole event record.

    Raises:
        ValueError: The packed body is larger than ``EVENT_BYTES_MAX``, or nested deeper than
            ``EVENT_DEPTH_MAX``.
    """
    import msgpack

    packed: bytes = msgpack.packb(
        [kind, body], use_bin_type=True, unicode_errors="backslashreplace"
    )
    size = HEADER_BYTES + len(packed)
    if size > EVENT_BYTES_MAX:
        raise ValueError(f"a {kind} event of {size} bytes; at most {EVENT_BYTES_MAX} are allowed")
    if len(packed) > EVENT_DEPTH_MAX and _is_deeper(body, EVENT_DEPTH_MAX - 1):
        raise ValueError(f"a {kind} event nested deeper than {EVENT_DEPTH_MAX} levels, the maximum")
    padding = aligned(size) - size
    return HEADER.pack(EVENT_SCHEMA, size, step, time_us) + packed + b"\0" * padding


def unpack_event(records: bytes | memoryview, record: Record) -> tuple[str, dict[str, Any]]:
    """Return kind and body of the event ``record`` in ``records``.

    Raises:
        MalformedRecordsError: The body is not msgpack ``[kind, {…}]``, or nested deeper than
            ``EVENT_DEPTH_MAX``.
    """
    import msgpack

    body = memoryview(records)[record.offset + HEADER_BYTES : record.offset + record.size]
    try:
        kind, fields = msgpack.unpackb(body, raw=False, strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise MalformedRecordsError(
            record.offset, len(records), "an event body: msgpack [kind, {…}]"
        ) from error
    if not isinstance(kind, str) or not isinstance(fields, dict):
        raise MalformedRecordsError(
            record.offset, len(records), "an event body: msgpack [kind, {…}]"
        )
    if record.size - HEADER_BYTES > EVENT_DEPTH_MAX and _is_deeper(fields, EVENT_DEPTH_MAX - 1):
        raise MalformedRecordsError(
            record.offset,
            len(records),
            f"a {kind[:40]} event nested at most {EVENT_DEPTH_MAX} levels deep",
        )
    return kind, fields


def _is_deeper(nested: Mapping[Any, Any], depth: int) -> bool:
    """Return whether lists and dicts are nested deeper than ``depth``; checks level by level."""
    level: list[Any] = [nested]
    while level:
        if not depth:
            return True
        depth -= 1
        level = [
            item
            for held in level
            for item in (held.values() if isinstance(held, dict) else held)
            if isinstance(item, dict | list | tuple)
        ]
    return False


def scan_records(
    records: bytes | memoryview, *, start: int = 0, end: int | None = None
) -> Iterator[Record]:
    """Yield each record's header, oldest first; rows' widths are not checked here.

    Raises:
        MalformedRecordsError: A record is short, oversized or misaligned. Those before it
            were yielded.
    """
    total = len(records) if end is None else end
    offset = start
    unpack = HEADER.unpack_from
    while offset < total:
        if offset + HEADER_BYTES > total:
            raise MalformedRecordsError(offset, total, f"a header of {HEADER_BYTES} bytes")
        schema, size, step, time_us = unpack(records, offset)
        check_header(schema, size, offset, total)
        yield Record(offset, schema, size, step, time_us)
        offset += aligned(size)


def check_header(schema: int, size: int, offset: int, total: int) -> None:
    """Raise MalformedRecordsError unless the header at ``offset`` is valid."""
    if size < HEADER_BYTES or offset + aligned(size) > total:
        raise MalformedRecordsError(
            offset, total, f"a size of {HEADER_BYTES} to {total - offset}, not {size}"
        )
    if schema == EVENT_SCHEMA:
        if size > EVENT_BYTES_MAX:
            raise MalformedRecordsError(
                offset, total, f"an event of at most {EVENT_BYTES_MAX} bytes"
            )
    elif schema != PADDING_SCHEMA:
        if schema > SCHEMAS_PER_WRITER_MAX:
            raise MalformedRecordsError(offset, total, f"a schema id, not {schema}")
        if size > ROW_BYTES_MAX or size & 7:
            raise MalformedRecordsError(offset, total, f"a row of float64 values, not {size} bytes")
