"""What of damaged records can be read, and what takes the place of the rest. No I/O here."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.records import (
    EVENT_SCHEMA,
    FINISH,
    GAP,
    HEADER,
    HEADER_BYTES,
    PADDING_SCHEMA,
    SCHEMA,
    Record,
    check_header,
    pack_event,
    scan_records,
    unpack_event,
)
from stepwell_wire.rows import DecodedRecords, Rows, decode_records

Schemas = dict[int, tuple[str, ...]]
_Moment = tuple[int, int]
"""When a row was logged, µs, and its step."""
_PADDING_BYTES_MAX: Final = 1 << 16
_AGREEMENT_ROUNDS_MAX: Final = 16
_SCHEMA_MAX: Final = (1 << 32) - 1


@dataclass(slots=True)
class Stretch:
    """Records that decode, or ``decoded`` None and bytes that do not.

    Attributes:
        defined: the schemas that they define.
    """

    start: int
    end: int
    decoded: DecodedRecords | None
    defined: Schemas = field(default_factory=dict)


def definitions(records: bytes) -> Schemas:
    """Return the schemas that ``records`` defines, wherever; a damaged definition is none."""
    found: Schemas = {}
    offset = 0
    while offset < len(records):
        try:
            for record in scan_records(records, start=offset):
                offset = record.end
                if record.schema == EVENT_SCHEMA:
                    kind, body = unpack_event(records, record)
                    if kind == SCHEMA:
                        found[int(body["id"])] = tuple(map(str, body["keys"]))
        except (MalformedRecordsError, LookupError, TypeError, ValueError):
            offset = _next_record(records, offset + 8, {})
    return found


def stretches(records: bytes, schemas: Mapping[int, tuple[str, ...]]) -> Iterator[Stretch]:
    """Yield what decodes and what does not, in turns; neither is shorter than a record."""
    known = dict(schemas)
    whole = memoryview(records)
    offset = 0
    while offset < len(records):
        try:
            yield Stretch(offset, len(records), *decode_records(whole[offset:], known))
            return
        except MalformedRecordsError as error:
            bad = offset + error.offset
        if bad > offset and len(records) - bad < HEADER_BYTES:
            # Too short for a record of its own: the one before goes as well.
            bad = deque(scan_records(records, start=offset, end=bad), 1)[0].offset
        if bad > offset:
            yield Stretch(offset, bad, *decode_records(whole[offset:bad], known))
        offset = _next_record(records, bad + HEADER_BYTES, known)
        yield Stretch(bad, offset, None)


def readable(pieces: Sequence[bytes]) -> list[list[Stretch]]:
    """Return the stretches of each of ``pieces``, with the schemas that all of them define.

    A definition that lies in what cannot be read is none: what only it explains is read anew.
    """
    schemas: Schemas = {}
    for records in pieces:
        schemas |= definitions(records)
    for _ in range(_AGREEMENT_ROUNDS_MAX):
        found = [list(stretches(records, schemas)) for records in pieces]
        kept: Schemas = {}
        for each in found:
            for stretch in each:
                kept |= stretch.defined
        if kept == schemas:
            break
        schemas = kept
    return found


def _next_record(records: bytes, start: int, schemas: Mapping[int, tuple[str, ...]]) -> int:
    """Return where the next event, or row of a known schema, begins; else the end."""
    end = len(records)
    if start >= end:
        return end
    heads = np.frombuffer(records, dtype="<u8")[start // 8 :]
    rows = np.array(
        [
            number | (HEADER_BYTES + 8 * len(keys)) << 32
            for number, keys in schemas.items()
            if 0 <= number <= _SCHEMA_MAX  # A damaged definition may name any.
        ],
        dtype=np.uint64,
    )
    events = (heads & np.uint64(0xFFFFFFFF) == EVENT_SCHEMA) & (heads >> np.uint64(32) != 0)
    for place in np.flatnonzero(np.isin(heads, rows) | events).tolist():
        offset = start + 8 * place
        if end - offset < HEADER_BYTES:
            break
        schema, size, step, time_us = HEADER.unpack_from(records, offset)
        try:
            check_header(schema, size, offset, end)
            if schema == EVENT_SCHEMA:
                unpack_event(records, Record(offset, schema, size, step, time_us))
        except MalformedRecordsError:
            continue
        return offset
    return end


def filled(records: bytes, found: Sequence[Stretch]) -> Iterator[bytes]:
    """Yield ``records`` with padding for what does not decode."""
    for each in found:
        if each.decoded is not None:
            yield records[each.start : each.end]
        else:
            yield padding(each.end - each.start)


def gap_events(journal: Iterable[Stretch], *, acked: int, lost_end: str = "") -> Iterator[bytes]:
    """Yield an event for each hole between rows of a journal.

    Args:
        journal: what stands in it, at positions; what does not decode is a hole.
        acked: what lies before this position is not lost.
        lost_end: what to say of the end, whose hole is as large as what is gone can have been.
    """
    before: _Moment | None = None
    lost_bytes = 0
    for each in journal:
        if each.decoded is None:
            lost_bytes += max(0, each.end - max(each.start, acked))
        elif rows := each.decoded.rows:
            if lost_bytes:
                after = min(_moment(group, 0) for group in rows)
                if before is None and not acked:
                    before = after[0], 0  # Of the run's beginning.
                yield _gap_event(_damaged(lost_bytes), before, after)
                lost_bytes = 0
            before = max(_moment(group, -1) for group in rows)
    if lost_bytes or lost_end:
        yield _gap_event(lost_end or _damaged(lost_bytes), before, None)


def taken_end(
    records: bytes, found: Iterable[Stretch], *, proven: int, before_us: int | None
) -> int:
    """Return where the last record ends that its writer wrote, where nothing says where it ended.

    What lay in the file before it was used anew is older than all that was written since: a
    writer's times go forward, unless its clock is set back.

    Args:
        found: what ``records`` reads as.
        proven: up to where a checksum holds.
        before_us: when the last record before ``records`` was logged; None where nobody knows.
    """
    end = proven
    for each in found:
        if each.decoded is None:
            continue
        for record in scan_records(records, start=each.start, end=each.end):
            if record.schema == PADDING_SCHEMA:
                continue
            if before_us is None:
                before_us = record.time_us
            if record.time_us >= before_us:
                end = max(end, record.end)
    return end


def last_time(records: bytes, found: Sequence[Stretch]) -> int | None:
    """Return when the last record that can be read was logged, µs; None without one."""
    for each in reversed(found):
        if each.decoded is not None:
            scanned = scan_records(records, start=each.start, end=each.end)
            for record in deque((one for one in scanned if one.schema != PADDING_SCHEMA), 1):
                return record.time_us
    return None


def ends_with_finish(records: bytes, found: Sequence[Stretch]) -> bool:
    """Return whether the last record is the ``finish`` that a writer ends with."""
    if not found or found[-1].decoded is None:
        return False
    (last,) = deque(scan_records(records, start=found[-1].start, end=found[-1].end), 1)
    if last.schema != EVENT_SCHEMA:
        return False
    return unpack_event(records, last)[0] == FINISH


def doubt_event(found: Iterable[Stretch], size: int, step: int | None) -> bytes:
    """Return the event for rows that were taken though no checksum holds; b"" without rows.

    Args:
        found: what a segment's records read as.
        size: for how many of its last bytes that is so.
        step: of the last row before them, None where there is none.
    """
    rows = [group for each in found if each.decoded is not None for group in each.decoded.rows]
    if not rows:
        return b""
    # All of them: a step may itself be what was changed.
    time_us, first = min(_moment(group, 0) for group in rows)
    first = min(first, *(int(group.steps.min()) for group in rows))
    last = time_us, max(int(group.steps.max()) for group in rows)
    what = f"journal taken as it reads, no checksum holds for {size} bytes"
    return _gap_event(what, (time_us, first if step is None else step), last)


def _damaged(lost_bytes: int) -> str:
    return f"journal damaged, {lost_bytes} bytes"


def _moment(rows: Rows, place: int) -> _Moment:
    return int(rows.times[place]), int(rows.steps[place])


def _gap_event(reason: str, before: _Moment | None, after: _Moment | None) -> bytes:
    time_us, first = before or after or (time.time_ns() // 1000, 0)
    body = {
        "reason": reason,
        "rows": 0,  # Nobody knows.
        "points": 0,
        "first_step": first,
        "last_step": max(first, after[1]) if after else first,
    }
    return pack_event(GAP, body, step=first, time_us=time_us)


def padding(size: int) -> bytes:
    """Return records of ``size`` bytes, at least a header's, that mean nothing.

    A record can be read from any of its words on: a daemon that has all up to some record that
    stood here goes on there. (Not from the last two words: no record is so short.)
    """
    left = np.arange(size, 0, -8, dtype=np.uint64)
    # What is left after a record must be a whole one again.
    sizes = np.where(left <= _PADDING_BYTES_MAX, left, _PADDING_BYTES_MAX - HEADER_BYTES)
    words = sizes << np.uint64(32) | np.uint64(PADDING_SCHEMA)
    return words.astype("<u8").tobytes()
