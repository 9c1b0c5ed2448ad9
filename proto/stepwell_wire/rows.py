"""Rows: find the runs of equal rows in a frame and view them as numpy arrays.

A frame of a training loop is mostly rows of one or two schemas. Where one schema repeats, its
rows lie at a constant stride, so a whole run is found and checked with one comparison per
column instead of one Python step per row; where schemas alternate, a plain walk is quicker.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.limits import SCHEMA_KEYS_MAX, SCHEMAS_PER_WRITER_MAX
from stepwell_wire.records import (
    EVENT_SCHEMA,
    HEADER,
    HEADER_BYTES,
    PADDING_SCHEMA,
    SCHEMA,
    Record,
    aligned,
    check_header,
    unpack_event,
)

_RUN_ROWS_MIN = 8  # Below this many equal consecutive rows, numpy costs more than the walk.


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one schema in log order.

    Attributes:
        schema: the schema id.
        steps: shape (n,), int64.
        times: shape (n,), int64, microseconds since 1970 UTC.
        values: shape (n, keys), float64; may be a view into the frame.
    """

    schema: int
    steps: NDArray[np.int64]
    times: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Event:
    step: int
    time_us: int
    kind: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DecodedRecords:
    """Rows and events of consecutive records; rows grouped by schema, order kept within each."""

    rows: list[Rows]
    events: list[Event]
    row_count: int
    point_count: int


def decode_records(
    records: bytes | memoryview, schemas: Mapping[int, tuple[str, ...]]
) -> tuple[DecodedRecords, dict[int, tuple[str, ...]]]:
    """Decode whole records and return them with the schemas that they define.

    Args:
        records: whole records.
        schemas: the schemas known before the first of them; left as it is.

    Returns:
        The rows and events, and the new definitions found among the events.

    Raises:
        MalformedRecordsError: Not whole records; a row of an undefined schema or of another
            width than its schema; a schema defined twice with different names. Nothing is
            returned then: a frame is taken whole or not at all.
    """
    total = len(records)
    if total & 7:
        raise MalformedRecordsError(total & ~7, total, "a multiple of 8 bytes")
    words = np.frombuffer(records, dtype="<i8")
    heads = np.frombuffer(records, dtype="<u8")[: len(words)]
    runs: dict[int, list[tuple[int, int]]] = {}  # schema -> [(first word, rows)]
    widths: dict[int, int] = {}
    defined: dict[int, tuple[str, ...]] = {}
    events: list[Event] = []
    unpack = HEADER.unpack_from
    offset = 0
    row_count = point_count = 0
    short_runs = 0
    while offset < total:
        if offset + HEADER_BYTES > total:
            raise MalformedRecordsError(offset, total, f"a header of {HEADER_BYTES} bytes")
        schema, size, step, time_us = unpack(records, offset)
        check_header(schema, size, offset, total)
        if schema == EVENT_SCHEMA:
            record = Record(offset, schema, size, step, time_us)
            kind, body = unpack_event(records, record)
            if kind == SCHEMA:
                _define(body, schemas, defined, offset, total)
            else:
                events.append(Event(step, time_us, kind, body))
            offset = record.end
            continue
        if schema == PADDING_SCHEMA:
            offset += aligned(size)
            continue
        width = widths.get(schema)
        if width is None:
            keys = defined.get(schema) or schemas.get(schema)
            if keys is None:
                raise MalformedRecordsError(
                    offset, total, f"a definition of schema {schema} before its rows"
                )
            width = widths[schema] = len(keys)
            runs[schema] = []
        if size != HEADER_BYTES + 8 * width:
            raise MalformedRecordsError(
                offset, total, f"{width} values for schema {schema}, not a size of {size}"
            )
        count = 1
        remaining = (total - offset) // size
        if remaining >= _RUN_ROWS_MIN and short_runs < 64:
            first, stride = offset >> 3, size >> 3
            count = _run_length(heads, first, stride, remaining)
            short_runs = 0 if count >= _RUN_ROWS_MIN else short_runs + 1
        elif short_runs:
            short_runs = (short_runs + 1) % 1024  # Check again at intervals.
        runs[schema].append((offset >> 3, count))
        row_count += count
        point_count += count * width
        offset += count * size
    rows = [_gather(words, schema, widths[schema], spans) for schema, spans in runs.items()]
    return DecodedRecords(rows, events, row_count, point_count), defined


def _run_length(heads: NDArray[np.uint64], first: int, stride: int, remaining: int) -> int:
    """Return how many rows from ``first`` on have the same schema and size."""
    want = heads[first]
    probe = min(remaining, 64)
    while True:
        same = heads[first : first + probe * stride : stride] == want
        if not same.all():
            return int(same.argmin())
        if probe == remaining:
            return probe
        probe = min(remaining, probe * 16)


def _gather(
    words: NDArray[np.int64], schema: int, width: int, spans: list[tuple[int, int]]
) -> Rows:
    stride = HEADER_BYTES // 8 + width
    if len(spans) == 1:
        first, count = spans[0]
        table = words[first : first + count * stride].reshape(count, stride)
    elif all(count == 1 for _, count in spans):
        starts = np.fromiter((first for first, _ in spans), dtype=np.intp, count=len(spans))
        table = words[starts[:, None] + np.arange(stride)]
    else:
        table = np.concatenate(
            [words[first : first + n * stride].reshape(n, stride) for first, n in spans]
        )
    return Rows(schema, table[:, 1], table[:, 2], table[:, 3:].view("<f8"))


def _define(
    body: dict[str, Any],
    schemas: Mapping[int, tuple[str, ...]],
    defined: dict[int, tuple[str, ...]],
    offset: int,
    total: int,
) -> None:
    number, keys = body.get("id"), body.get("keys")
    if (
        not isinstance(number, int)
        or not 1 <= number <= SCHEMAS_PER_WRITER_MAX
        or not isinstance(keys, list)
        or not 1 <= len(keys) <= SCHEMA_KEYS_MAX
        or not all(isinstance(key, str) for key in keys)
    ):
        raise MalformedRecordsError(offset, total, "a schema: {id: 1…, keys: [name, …]}")
    names = tuple(keys)
    known = defined.get(number) or schemas.get(number)
    if known is not None and known != names:
        raise MalformedRecordsError(offset, total, f"the same names for schema {number} as before")
    defined[number] = names
