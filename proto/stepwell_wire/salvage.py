"""What can be read of a damaged journal: a pure function over the bytes of its segments.

Of each damaged segment, the records before the first damage are kept, and those after the last
damage if the file is readable from there to its end. The bytes between are replaced by padding of
the same length: every other byte keeps its position, by which a daemon knows which bytes it has.
Gap events at the end name the lost data, and the data that was kept without a valid checksum.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.gaps import GapKind
from stepwell_wire.limits import JOURNAL_SEGMENT_BYTES, SCHEMAS_PER_WRITER_MAX
from stepwell_wire.records import (
    EVENT_SCHEMA,
    GAP,
    HEADER_BYTES,
    PADDING_SCHEMA,
    pack_event,
    scan_records,
)
from stepwell_wire.rows import DecodedRecords, decode_records
from stepwell_wire.segment import (
    PAGE_BYTES,
    SegmentEnd,
    checked_end,
    definitions,
    last_step,
    segment_end,
)

MISSING_RANGE_BYTES_MAX: Final = 1 << 30
"""A segment that begins further after the one before it is of another journal."""
_PADDING_BYTES_MAX: Final = 1 << 16

_Schemas = dict[int, tuple[str, ...]]
_Piece = tuple[int, int, DecodedRecords | None]
"""From position to position, records that decode, or None and bytes that are lost."""
_Moment = tuple[int, int]
"""When a row was logged, µs, and its step."""


class UnsalvageableError(ValueError):
    """The segments are not those of one journal."""


@dataclass(slots=True)
class SegmentDamage:
    """``size`` bytes from ``position`` on that are lost, or kept without a checksum."""

    position: int
    size: int
    what: str


@dataclass(slots=True)
class Salvaged:
    """The salvaged segments of one journal.

    Attributes:
        segments: the records of each segment that changes, by base.
        given_up: bases of segments that their writer made and did not use.
        last: base of the last segment.
        acked: the position before which all data is acknowledged or given up.
        unverified_bytes: readable bytes that are not used, because the machine restarted.
    """

    segments: dict[int, bytes] = field(default_factory=dict)
    given_up: list[int] = field(default_factory=list)
    damage: list[SegmentDamage] = field(default_factory=list)
    last: int = 0
    acked: int = 0
    unverified_bytes: int = 0


class _FoundSegment:
    """A segment's file; ``records`` are its used bytes, ``proven`` those with a valid checksum."""

    def __init__(
        self, base: int, data: bytes, following: int | None, *, restarted: bool, unverified: bool
    ) -> None:
        def read(size: int, offset: int) -> bytes:
            return data[offset : offset + size]

        page = data[:PAGE_BYTES]
        self.base, self.file_bytes, self.following = base, len(data), following
        self.end: SegmentEnd = segment_end(
            page, base, len(data), read, restarted=restarted, following=following
        )
        stop = self.end.claimed if unverified else self.end.end
        if following is not None:
            stop = min(stop, following - base + PAGE_BYTES)  # After that the file is unused.
        self.records = data[PAGE_BYTES:stop]
        self.limit = base + len(self.records)
        checked = checked_end(page, read) if self.end.has_page else PAGE_BYTES
        self.proven = min(checked, stop) - PAGE_BYTES
        self.is_changed = self.end.promised > checked
        self.is_wrong = self.end.is_wrong or not self.end.has_page
        self.is_end_lost = following is None and (self.is_wrong or self.end.is_followed)


def salvage(files: Mapping[int, bytes], *, restarted: bool, unverified: bool = False) -> Salvaged:
    """Return the salvaged journal whose segments' files are ``files``, by base.

    Args:
        restarted: the machine has restarted since: only data with a valid checksum is used.
        unverified: after a restart also use the rest, as far as it is readable.

    Raises:
        UnsalvageableError: The files are not of one journal.
    """
    done = Salvaged()
    found = _chain(files, done, restarted=restarted, unverified=unverified)
    first, last = found[0], found[-1]
    done.last = last.base
    done.acked = acked = max(segment.end.acked for segment in found)
    is_front_lost = first.base > acked and not restarted
    pieces: list[_Piece] = [(acked, first.base, None)] if is_front_lost else []
    doubts = b""
    for segment, kept in zip(found, _kept_of_all(found, acked), strict=True):
        is_known = segment.limit <= acked and not restarted  # It is not sent again.
        is_changed = segment.is_changed and not is_known
        is_doubtful = unverified or segment.is_wrong or is_changed
        size = len(segment.records) - segment.proven if is_doubtful else 0
        content = _content(segment, kept)
        if content != segment.records or segment.is_wrong or is_changed or size:
            done.segments[segment.base] = content
        if size and not is_known:
            at = segment.base + segment.proven
            done.damage.append(SegmentDamage(at, size, "kept without a valid checksum"))
            doubts += _doubt_event(kept, size, last_step(segment.records[: segment.proven]))
        if not unverified:
            done.unverified_bytes += segment.end.claimed - segment.end.end
        pieces += kept
    done.damage += [SegmentDamage(at, end - at, "lost") for at, end, rows in pieces if rows is None]
    done.damage.sort(key=lambda each: each.position)
    if last.is_end_lost:
        done.damage[-1].what = "lost at most: the end of the journal is unknown"
    if gaps := b"".join(_gap_events(pieces, acked, is_end_lost=last.is_end_lost)) + doubts:
        done.segments[last.base] = done.segments.get(last.base, last.records) + gaps
        # The gap of a missing first segment also ends the search for it.
        done.acked = acked if restarted else max(acked, first.base)
    return done


def _chain(
    files: Mapping[int, bytes], done: Salvaged, *, restarted: bool, unverified: bool
) -> list[_FoundSegment]:
    """Return the segments in order, each with its end as given by the next one's position."""
    found: list[_FoundSegment] = []
    how = {"restarted": restarted, "unverified": unverified}
    for base, data in sorted(files.items(), reverse=True):
        alone = _FoundSegment(base, data, None, **how)
        if found and found[-1].end.is_empty and alone.limit > found[-1].base:
            done.given_up.append(found.pop().base)  # Its writer continued before it.
        segment = _FoundSegment(base, data, found[-1].base, **how) if found else alone
        if (
            segment.following is not None
            and segment.following - segment.limit > MISSING_RANGE_BYTES_MAX
        ):
            raise UnsalvageableError(
                f"{segment.following - segment.limit} bytes are missing before position "
                f"{segment.following}, more than a journal can have; if that file belongs to "
                "another journal, move it away"
            )
        found.append(segment)
    if len(found) > 1 and found[-1].end.is_empty and found[-1].limit != found[-1].following:
        done.given_up.append(found.pop().base)  # The segment that replaced it is freed.
    return found[::-1]


def _kept_of_all(found: Sequence[_FoundSegment], acked: int) -> list[list[_Piece]]:
    """Return the pieces of each segment, with the schemas that the kept ones define.

    Rows whose schema's definition is lost are lost as well; otherwise the result would need
    another salvage.
    """
    schemas: _Schemas = {}
    for segment in found:
        schemas |= definitions(segment.records)
    while True:
        kept = [_kept(segment, schemas, acked) for segment in found]
        left: _Schemas = {}
        for segment, pieces in zip(found, kept, strict=True):
            left |= definitions(_content(segment, pieces))
        agreed = {number: keys for number, keys in schemas.items() if left.get(number) == keys}
        if agreed == schemas:
            return kept
        schemas = agreed


def _kept(segment: _FoundSegment, schemas: _Schemas, acked: int) -> list[_Piece]:
    """Return the decoded and the padded pieces of a segment, up to where the next one begins."""
    records, base, end = segment.records, segment.base, len(segment.records)
    front, back = _readable(records, schemas)
    target = end + _lost_behind(segment, acked)
    if (
        segment.following is None and front < back == target
    ):  # No later data has to keep its position.
        target = max(target, front + HEADER_BYTES)
    pieces: list[_Piece] = []
    at = 0
    for start, stop in [(front, back), (end, target)] if back < end else [(front, target)]:
        if 0 < stop - start < HEADER_BYTES:
            # Too short for a record of its own: the record before is padded as well.
            before = deque(scan_records(records, start=at, end=start), 1)
            if not before:
                raise UnsalvageableError(
                    f"{stop - start} bytes at position {base + start} are too short for a record"
                )
            start = before[0].offset
        if start > at:
            pieces.append((base + at, base + start, decode_records(records[at:start], schemas)[0]))
        if stop > start:
            pieces.append((base + start, base + stop, None))
        at = stop
    if at < end:
        pieces.append((base + at, base + end, decode_records(records[at:], schemas)[0]))
    return pieces


def _content(segment: _FoundSegment, kept: Sequence[_Piece]) -> bytes:
    base = segment.base
    return b"".join(
        padding(end - at) if rows is None else segment.records[at - base : end - base]
        for at, end, rows in kept
    )


def _lost_behind(segment: _FoundSegment, acked: int) -> int:
    """Return how many bytes are missing after a segment's records.

    After the last segment this is the largest possible number: a daemon may have some of them.
    """
    if segment.following is not None:
        return segment.following - segment.limit
    room = max(segment.file_bytes, JOURNAL_SEGMENT_BYTES) - PAGE_BYTES & ~7
    if segment.end.is_followed:
        return room
    if segment.is_wrong:
        return max(room - len(segment.records), HEADER_BYTES)
    cut_bytes = segment.end.cut_bytes
    is_cut = segment.limit + cut_bytes > max(segment.limit, acked)
    return max(cut_bytes, HEADER_BYTES) if is_cut else 0


def _readable(records: bytes, schemas: _Schemas) -> tuple[int, int]:
    """Return the end of the first decodable part of ``records``, and the start of the last one."""
    whole = memoryview(records)
    try:
        decode_records(whole, schemas)
        return len(records), len(records)
    except MalformedRecordsError as error:
        front = error.offset
    start = front + HEADER_BYTES
    while (start := _next_header(records, start, schemas)) < len(records):
        try:
            decode_records(whole[start:], schemas)
            break
        except MalformedRecordsError as error:
            start += max(error.offset, 8)
    return front, start


def _next_header(records: bytes, start: int, schemas: _Schemas) -> int:
    """Return where the next event, or row of a known schema, may begin; else the end."""
    if start >= len(records):
        return len(records)
    heads = np.frombuffer(records, dtype="<u8")[start // 8 :]
    rows = [
        number | (HEADER_BYTES + 8 * len(keys)) << 32
        for number, keys in schemas.items()
        if 0 < number <= SCHEMAS_PER_WRITER_MAX  # A damaged definition may have any number.
    ]
    events = (heads & np.uint64(0xFFFFFFFF) == EVENT_SCHEMA) & (heads >> np.uint64(32) != 0)
    places = np.flatnonzero(np.isin(heads, np.array(rows, dtype=np.uint64)) | events)
    return start + 8 * int(places[0]) if len(places) else len(records)


# ---------------------------------------------------------------------------- what is written


def padding(size: int) -> bytes:
    """Return padding records of ``size`` bytes, which is at least a header's size.

    A record can be read from any of its words on: a daemon that has the data up to some former
    record here continues there. (Not from the last two words: no record is so short.)
    """
    left = np.arange(size, 0, -8, dtype=np.uint64)
    # The bytes after a record must again be a whole record.
    sizes = np.where(left <= _PADDING_BYTES_MAX, left, _PADDING_BYTES_MAX - HEADER_BYTES)
    words = sizes << np.uint64(32) | np.uint64(PADDING_SCHEMA)
    return words.astype("<u8").tobytes()


def _gap_events(pieces: Sequence[_Piece], acked: int, *, is_end_lost: bool) -> Iterator[bytes]:
    """Yield an event for each missing range between rows; bytes before ``acked`` are not lost."""
    before: _Moment | None = None
    lost_bytes = 0
    for start, end, decoded in pieces:
        if decoded is None:
            lost_bytes += max(0, end - max(start, acked))
        elif moments := _moments(decoded):
            if lost_bytes:
                yield _damage_event(f"{lost_bytes} bytes", before, moments[0])
                lost_bytes = 0
            before = moments[1]
    if lost_bytes:
        at_most = "up to " if is_end_lost else ""
        yield _damage_event(f"{at_most}{lost_bytes} bytes", before, None)


def _doubt_event(pieces: Sequence[_Piece], size: int, before: int | None) -> bytes:
    """Return the event for rows that were kept without a valid checksum; b"" without rows.

    Args:
        before: the step of the last row with a valid checksum, None if there is none.
    """
    moments = [at for _, _, decoded in pieces if decoded is not None for at in _moments(decoded)]
    if not moments:
        return b""
    first = moments[0] if before is None else (moments[0][0], before)
    what = f"{size} bytes of the journal kept without a valid checksum"
    return _gap_event(GapKind.JOURNAL_IN_DOUBT, what, first, moments[-1])


def _moments(decoded: DecodedRecords) -> list[_Moment]:
    """Return the first and the last of the rows; nothing without rows."""
    ends = [(int(rows.times[at]), int(rows.steps[at])) for rows in decoded.rows for at in (0, -1)]
    return [min(ends), max(ends)] if ends else []


def _damage_event(size: str, before: _Moment | None, after: _Moment | None) -> bytes:
    return _gap_event(GapKind.JOURNAL_DAMAGED, f"journal damaged, {size}", before, after)


def _gap_event(kind: GapKind, reason: str, before: _Moment | None, after: _Moment | None) -> bytes:
    time_us, first = before or after or (time.time_ns() // 1000, 0)
    last = max(first, after[1]) if after else first
    # The numbers of lost rows and points are unknown.
    steps = {"rows": 0, "points": 0, "first_step": first, "last_step": last}
    body = {"kind": kind.value, "reason": reason, **steps}
    return pack_event(GAP, body, step=first, time_us=time_us)
