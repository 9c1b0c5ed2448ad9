"""Segments: one file of a journal, its page and the records after it.

    segment := page of 4,096 bytes | records
    page    := magic "stepseg1" | base u64 | committed u64 | acked u64
             | checked × 2 | next u64 | ~acked u64 | zeros
    checked := end u64 | crc32 of records[4096:end] u32 | crc32 of the 12 bytes before u32

`base`, `acked` and `next` are positions; `committed` and `end` are offsets in the file, so that
`log` publishes a row by storing the very number it already has. `next` is 0 until a segment
follows, then its position: so a missing segment is detected. `committed` is valid as long as the
machine has not restarted since: the page cache survives any process. After a restart pages may be
missing below it, so only records that a checked slot covers are valid; there are two slots, so
that a torn write of one leaves the other. If `acked` and its complement differ, the earlier
position counts. A slot with a wrong checksum of its own 12 bytes is torn, and ignored. If a slot is
whole, but the records do not match its checksum, and the machine has not restarted, the records
were changed. Little-endian throughout. No I/O here.
"""

import contextlib
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from stepwell_wire.errors import MalformedRecordsError
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

PAGE_BYTES: Final = 4096
MAGIC: Final = b"stepseg1"
SEGMENT_SUFFIX: Final = ".seg"

# Offsets of the page's fields; words are the same in units of 8 bytes.
BASE_AT: Final = 8
COMMITTED_AT: Final = 16
ACKED_AT: Final = 24
CHECKED_AT: Final = 32
COMMITTED_WORD: Final = COMMITTED_AT // 8
ACKED_WORD: Final = ACKED_AT // 8
NO_BASE: Final = 2**64 - 1

PAGE = struct.Struct("<8sQQQ")
_CHECKED = struct.Struct("<QI")
_CHECKED_BYTES = 16
NEXT_AT: Final = CHECKED_AT + 2 * _CHECKED_BYTES
NEXT_WORD: Final = NEXT_AT // 8
ACKED_COPY_AT: Final = NEXT_AT + 8
ACKED_COPY_WORD: Final = ACKED_COPY_AT // 8

Read = Callable[[int, int], bytes]
"""Returns so many bytes of a segment's file from an offset on; fewer only at its end."""


def segment_name(base: int) -> str:
    return f"{base:020d}{SEGMENT_SUFFIX}"


def segment_base(name: str, suffix: str = SEGMENT_SUFFIX) -> int | None:
    """Return the position at which the segment ``name`` begins; None for other file names."""
    digits = name.removesuffix(suffix)
    if digits == name or not (digits.isascii() and digits.isdigit()) or int(digits) & 7:
        return None
    return int(digits)


def pack_page(base: int) -> bytes:
    """Return the page of an empty segment."""
    return PAGE.pack(MAGIC, base, PAGE_BYTES, 0).ljust(PAGE_BYTES, b"\0")


def pack_checked(end: int, crc: int) -> bytes:
    """Return one checked slot: the records up to file offset ``end`` have CRC-32 ``crc``."""
    packed = _CHECKED.pack(end, crc)
    return packed + zlib.crc32(packed).to_bytes(4, "little")


def checked_slot_at(turn: int) -> int:
    """Return the offset of the slot for the write number ``turn``."""
    return CHECKED_AT + _CHECKED_BYTES * (turn & 1)


def unpack_checked(page: bytes) -> list[tuple[int, int]]:
    """Return ``(end, crc)`` of the page's checked slots that are whole, the furthest first."""
    slots = []
    for turn in (0, 1):
        at = checked_slot_at(turn)
        packed = page[at : at + _CHECKED.size]
        if (
            zlib.crc32(packed).to_bytes(4, "little")
            == page[at + _CHECKED.size : at + _CHECKED_BYTES]
        ):
            slots.append(_CHECKED.unpack(packed))
    return sorted(slots, reverse=True)


def committed_end(committed: int, size: int) -> int:
    """Return the end of the records in a file of ``size`` bytes, as its page says."""
    return max(PAGE_BYTES, min(committed, size) & ~7)


def checked_end(page: bytes, read: Read, *, beyond: int = PAGE_BYTES) -> int:
    """Return the furthest checked end past ``beyond`` with a valid CRC, PAGE_BYTES without one."""
    for end, crc in unpack_checked(page):
        if end & 7 or end <= beyond:
            continue
        records = read(end - PAGE_BYTES, PAGE_BYTES)
        if len(records) == end - PAGE_BYTES and zlib.crc32(records) == crc:
            return end
    return PAGE_BYTES


def acked_copy(acked: int) -> int:
    """Return the complement of an ack, so that a flipped bit cannot make it a later one."""
    return ~acked & (1 << 64) - 1


def acked_in(page: bytes) -> int:
    """Return the acknowledged position in a page, 0 if it is invalid.

    Of the two copies the earlier one counts: a kill may come between their writes. Pages of
    releases with one copy have zeros in the place of the other.
    """
    acked = int.from_bytes(page[ACKED_AT : ACKED_AT + 8], "little")
    copy = int.from_bytes(page[ACKED_COPY_AT : ACKED_COPY_AT + 8], "little")
    found = min(acked, acked_copy(copy)) if copy else acked
    return 0 if found & 7 else found


def pack_acked(acked: int) -> list[tuple[int, bytes]]:
    """Return the bytes to write for an ack, and their offsets."""
    words = ((ACKED_AT, acked), (ACKED_COPY_AT, acked_copy(acked)))
    return [(at, word.to_bytes(8, "little")) for at, word in words]


def promised_end(page: bytes) -> int:
    """Return the furthest end in the page's whole slots, without checking the records.

    If it is beyond the result of `checked_end`, and the machine has not restarted, records between
    the two were changed, or the file was truncated.
    """
    return max((end for end, _ in unpack_checked(page) if not end & 7), default=PAGE_BYTES)


def is_end_wrong(committed: int, promised: int, size: int) -> bool:
    """Return whether a page's end is invalid, if the machine has not restarted.

    Args:
        committed: the end in the page.
        promised: the furthest end in a slot.
        size: of the file; a writer that ends truncates it to its records, which is normal.
    """
    is_offset = committed >= PAGE_BYTES and not committed & 7
    return not is_offset or (committed < promised and promised != size)


def end_before(end: int, size: int, claimed: int, read: Read) -> int:
    """Return the end of a segment whose next one begins at what would be ``end`` of this file.

    If its page has another end, and records reach up to ``end``, the page is damaged; else a
    segment between the two is missing, and the page is right.
    """
    if end == claimed or not PAGE_BYTES <= end <= size:
        return claimed
    start = claimed if claimed < end else PAGE_BYTES
    return end if whole_records(read(end - start, start)) == end - start else claimed


_CUT_BYTES_MAX: Final = 64 << 20
"""A page with a larger count of cut bytes, also larger than the file, is damaged."""


class SegmentEnd(NamedTuple):
    """The end of a segment's records, from its file and the next segment's position.

    Attributes:
        end: file offset up to which records are valid.
        claimed: file offset up to which the writer wrote, as its page says, within the file.
        cut_bytes: bytes that the writer wrote, as its page says, beyond the end of the file.
        acked: the acknowledged position in the page, 0 if it is invalid.
        promised: the furthest end in the page's whole slots; the records may not match it.
        has_page: the file begins with the page of this segment.
        is_wrong: the end in the page is invalid; a slot's end is used instead.
        is_followed: the page says that another segment begins where this one ends.
    """

    end: int = PAGE_BYTES
    claimed: int = PAGE_BYTES
    cut_bytes: int = 0
    acked: int = 0
    promised: int = PAGE_BYTES
    has_page: bool = False
    is_wrong: bool = False
    is_followed: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether the page says that nothing was written."""
        is_sound = self.has_page and not self.is_wrong
        return is_sound and self.claimed == PAGE_BYTES and not self.cut_bytes


def segment_end(
    page: bytes, base: int, size: int, read: Read, *, restarted: bool, following: int | None = None
) -> SegmentEnd:
    """Return where segment ``base`` ends.

    Args:
        page: the first page of its file.
        size: of the file.
        read: reads the file.
        restarted: the machine has restarted since: only data with a valid checksum is used.
        following: the position at which the next segment begins; None for the last.
    """
    fit = PAGE_BYTES if following is None else following - base + PAGE_BYTES
    if len(page) < PAGE_BYTES or PAGE.unpack_from(page)[:2] != (MAGIC, base):
        # The next segment begins where this one ends; the last segment has no such end.
        claimed = committed_end(fit, size)
        return SegmentEnd(PAGE_BYTES if restarted else claimed, claimed)
    committed = PAGE.unpack_from(page)[2]
    promised = PAGE_BYTES if restarted else promised_end(page)
    claimed = committed_end(committed, size)
    cut_bytes = 0 if restarted else max(0, (committed & ~7) - claimed)
    is_wrong = not restarted and (
        is_end_wrong(committed, promised, size) or cut_bytes > max(_CUT_BYTES_MAX, size)
    )
    if is_wrong:
        claimed, cut_bytes = committed_end(promised, size), 0
    checked = PAGE_BYTES
    if restarted or promised > claimed:  # Else only ends beyond the page's matter.
        checked = checked_end(page, read, beyond=PAGE_BYTES if restarted else claimed)
        claimed = max(claimed, checked)
    if following is not None:
        claimed = end_before(fit, size, claimed, read)
        if claimed == fit:
            cut_bytes, is_wrong = 0, False
    end = min(checked, claimed) if restarted else claimed
    acked = acked_in(page)
    next_word = int.from_bytes(page[NEXT_AT : NEXT_AT + 8], "little")
    return SegmentEnd(
        end,
        claimed,
        cut_bytes,
        # An ack beyond the written bytes is a damaged number.
        acked if acked <= base + claimed + cut_bytes - PAGE_BYTES else 0,
        promised,
        has_page=True,
        is_wrong=is_wrong,
        is_followed=next_word == base + end - PAGE_BYTES > base,
    )


def whole_records(records: bytes) -> int:
    """Return how many of the first bytes of ``records`` are whole records.

    ``records`` starts at a record and may end anywhere; the scan stops at an invalid record.
    """
    end = 0
    for offset, _, size, count in _spans(records):
        end = offset + aligned(size) * count
    return end


def scan_events(records: bytes) -> Iterator[Record]:
    """Yield the events of ``records``, oldest first, up to the first invalid record."""
    for offset, schema, size, _ in _spans(records):
        if schema == EVENT_SCHEMA:
            _, _, step, time_us = HEADER.unpack_from(records, offset)
            yield Record(offset, schema, size, step, time_us)


def definitions(records: bytes) -> dict[int, tuple[str, ...]]:
    """Return the schemas that ``records`` define, up to the first invalid record."""
    found: dict[int, tuple[str, ...]] = {}
    # Ignore a damaged definition: decoding refuses the rows of its schema.
    with contextlib.suppress(MalformedRecordsError, LookupError, TypeError, ValueError):
        for record in scan_events(records):
            kind, body = unpack_event(records, record)
            if kind == SCHEMA:
                found[int(body["id"])] = tuple(map(str, body["keys"]))
    return found


_RUN_ROWS = 64


def _spans(records: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield ``(offset, schema, size, count)`` of consecutive records with equal headers.

    A training loop is mostly rows of one schema; those are stepped over 64 at a time, so that
    a journal of a gigabyte is walked in seconds without numpy.
    """
    total = len(records) & ~7
    words = memoryview(records)[:total].cast("Q")
    unpack = HEADER.unpack_from
    offset = 0
    while offset + HEADER_BYTES <= total:
        schema, size, _, _ = unpack(records, offset)
        try:
            check_header(schema, size, offset, total)
        except MalformedRecordsError:
            return
        count = 1
        if schema != EVENT_SCHEMA:
            stride = aligned(size) >> 3
            first = offset >> 3
            same = [words[first]] * _RUN_ROWS
            while (first + (count + _RUN_ROWS) * stride) <= len(words):
                start = first + count * stride
                if words[start : start + _RUN_ROWS * stride : stride].tolist() != same:
                    break
                count += _RUN_ROWS
        yield offset, schema, size, count
        offset += aligned(size) * count


def last_step(records: bytes) -> int | None:
    """Return the step of the last row in ``records``, None without a row."""
    step = None
    for offset, schema, size, count in _spans(records):
        if schema not in (EVENT_SCHEMA, PADDING_SCHEMA):
            step = int(HEADER.unpack_from(records, offset + aligned(size) * (count - 1))[2])
    return step
