"""Records of the spool: the form of one frame, or of its writer's facts, in a segment.

    record   := magic u32 | crc u32 | chain u32 | kind u8 | flags u8 | 0 u16
                | stored u32 | raw u32 | points u32 | 0 u32
                | writer u64 | position u64 | time u64 | durable u64
                | payload[stored], padded to 8 bytes
    crc      :  CRC-32 of the rest, seeded with the segment's number and spool
    chain    :  crc of the record before; the segment's seed for the first
    kind     :  1 WRITER: msgpack, who writes and every schema so far
                2 FRAME: whole wire records, as they came
    writer   :  64-bit hash of the writer's id
    position :  of the first byte in the writer's stream
    time     :  µs since 1970 UTC when it was appended
    durable  :  bytes of this segment that a sync had covered when this was written

Each record has its own checksum, so one bad record hides no other. The chain shows a missing
record. A record beyond the highest ``durable`` may not have been acknowledged. All integers are
little-endian. No I/O here.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import lz4.block

from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.limits import FRAME_BYTES_MAX, MESSAGE_BYTES_MAX, POSITION_MAX

HEADER: Final = struct.Struct("<IIIBBHIIIIQQQQ")
HEADER_BYTES: Final = HEADER.size
MAGIC: Final = 0x31525753  # "SWR1"
_MAGIC_BYTES: Final = struct.pack("<I", MAGIC)
_AFTER_CRC: Final = 8

WRITER: Final = 1
FRAME: Final = 2

COMPRESSED: Final = 1
"""The payload is LZ4."""
DEFINES: Final = 2
"""The frame defines schemas."""
FINISHES: Final = 4
"""The frame holds the writer's ``finish``."""
SYNTHETIC: Final = 8
"""Made by the daemon for a dead writer; has no position in the writer's stream."""
JUMPS: Final = 16
"""The bytes between the writer's high-water mark and this frame are lost for this daemon."""
FILLS: Final = 32
"""The frame came late, from a missing range before the writer's high-water mark."""

_RAW_BYTES_MAX: Final = {WRITER: 2 * MESSAGE_BYTES_MAX, FRAME: FRAME_BYTES_MAX}
_POSITION_MAX: Final = 2 * POSITION_MAX
_COMPRESS_BYTES_MIN: Final = 128
_READ_BYTES: Final = 1 << 20

assert HEADER_BYTES == 64

Read = Callable[[int, int], bytes]
"""``read(size, offset)``: up to ``size`` bytes; fewer only at the end."""


@dataclass(frozen=True, slots=True)
class SpoolRecord:
    offset: int
    end: int
    crc: int
    chain: int
    kind: int
    flags: int
    raw_bytes: int
    points: int
    writer: int
    position: int
    time_us: int
    durable: int
    payload: bytes

    def content(self) -> bytes:
        """Return the payload before compression.

        Raises:
            MalformedRecordsError: It is not LZ4 with the record's number of bytes.
        """
        if not self.flags & COMPRESSED:
            return self.payload
        try:
            content: bytes = lz4.block.decompress(self.payload, uncompressed_size=self.raw_bytes)
        except lz4.block.LZ4BlockError as error:
            expected = f"an LZ4 block of {self.raw_bytes} bytes ({error})"
            raise MalformedRecordsError(0, len(self.payload), expected) from error
        if len(content) != self.raw_bytes:
            expected = f"an LZ4 block of {self.raw_bytes} bytes, not of {len(content)}"
            raise MalformedRecordsError(0, len(self.payload), expected)
        return content

    def kept(self) -> bytes:
        """Return the content, or the stored payload if it cannot be decompressed."""
        try:
            return self.content()
        except MalformedRecordsError:
            return self.payload


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are not a record."""

    offset: int
    end: int


def writer_number(writer_id: str) -> int:
    """Return the 64-bit number of a writer in records."""
    return int.from_bytes(blake2b(writer_id.encode(), digest_size=8).digest(), "little")


def pack_record(
    content: bytes,
    *,
    kind: int,
    writer: int,
    position: int,
    time_us: int,
    durable: int,
    chain: int,
    seed: int,
    flags: int = 0,
    points: int = 0,
) -> tuple[bytes, int]:
    """Return the record and its CRC, which is the next record's ``chain``."""
    payload = content
    if len(content) >= _COMPRESS_BYTES_MIN:
        compressed = lz4.block.compress(content, store_size=False)
        if len(compressed) < len(content):
            payload, flags = compressed, flags | COMPRESSED
    header = bytearray(
        HEADER.pack(
            *(MAGIC, 0, chain, kind, flags, 0),
            *(len(payload), len(content), points, 0),
            *(writer, position, time_us, durable),
        )
    )
    crc = zlib.crc32(payload, zlib.crc32(memoryview(header)[_AFTER_CRC:], seed))
    struct.pack_into("<I", header, 4, crc)
    return b"".join((header, payload, bytes(-len(payload) & 7))), crc


def parse_record(read: Read, offset: int, end: int, seed: int) -> SpoolRecord | None:
    """Return the record at ``offset``, or None without a valid one before ``end``."""
    if offset + HEADER_BYTES > end:
        return None
    head = read(HEADER_BYTES, offset)
    if len(head) < HEADER_BYTES:
        return None
    magic, crc, chain, kind, flags, _, stored, raw, points, _, *places = HEADER.unpack(head)
    writer, position, time_us, durable = places
    if position > _POSITION_MAX:
        # A writer may begin in the first half only, and no writer logs as much as the other half.
        return None
    last = offset + HEADER_BYTES + stored + (-stored & 7)
    if magic != MAGIC or last > end or raw > _RAW_BYTES_MAX.get(kind, 0) or durable > offset:
        return None
    if (stored >= raw and flags & COMPRESSED) or (stored != raw and not flags & COMPRESSED):
        return None
    payload = read(stored, offset + HEADER_BYTES)
    if len(payload) < stored:
        return None
    if zlib.crc32(payload, zlib.crc32(memoryview(head)[_AFTER_CRC:], seed)) != crc:
        return None
    return SpoolRecord(
        *(offset, last, crc, chain, kind, flags, raw, points, writer, position, time_us, durable),
        payload,
    )


def is_cut(read: Read, offset: int, end: int) -> bool:
    """Return whether a record at ``offset`` continues beyond ``end``, the file's end."""
    if offset >= end:
        return False
    head = read(min(HEADER_BYTES, end - offset), offset)
    if not head.startswith(_MAGIC_BYTES):
        return False
    if len(head) < HEADER_BYTES:
        return True
    stored = HEADER.unpack(head)[6]
    return bool(offset + HEADER_BYTES + stored > end)


def scan(read: Read, start: int, end: int, seed: int) -> Iterator[SpoolRecord | Damage]:
    """Yield records from ``start`` on, and each place without one.

    After damage the next valid record is searched. Zeros up to ``end`` are the unwritten rest, not
    damage.
    """
    offset = start
    chain: int | None = None
    while offset < end:
        record = parse_record(read, offset, end, seed)
        if record is not None:
            if chain is not None and record.chain != chain:
                yield Damage(offset, offset)
            yield record
            chain, offset = record.crc, record.end
            continue
        found = _next_record(read, offset + 8, end, seed)
        if found is None:
            written = _written_end(read, offset, end)
            if written > offset:
                yield Damage(offset, written)
            return
        yield Damage(offset, found.offset)
        chain, offset = None, found.offset


def _next_record(read: Read, start: int, end: int, seed: int) -> SpoolRecord | None:
    """Return the first valid record at or after ``start``; records begin at multiples of 8."""
    offset = start
    while offset < end:
        window = read(min(_READ_BYTES, end - offset), offset)
        if not window:
            return None
        found = window.find(_MAGIC_BYTES)
        while found >= 0:
            if not (offset + found) & 7:
                record = parse_record(read, offset + found, end, seed)
                if record is not None:
                    return record
            found = window.find(_MAGIC_BYTES, found + 1)
        offset += max(len(window) - 3, 1) if offset + len(window) < end else len(window)
    return None


def _written_end(read: Read, start: int, end: int) -> int:
    """Return the end of the last byte that is not zero, ``start`` if all are zero."""
    written = offset = start
    while offset < end:
        window = read(min(_READ_BYTES, end - offset), offset)
        if not window:
            break
        kept = len(window.rstrip(b"\0"))
        if kept:
            written = offset + kept
        offset += len(window)
    return written
