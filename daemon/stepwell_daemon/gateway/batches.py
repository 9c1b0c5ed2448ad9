"""Batches: frames of many writers, merged, split and packed for one hop. Pure, no I/O.

    extent  →  pieces: consecutive frames of one writer become one, up to FRAME_BYTES_TARGET
    pieces  →  open pieces: those not settled yet, each writer's in order
    open pieces  →  batches of about RELAY_BATCH_BYTES_TARGET, LZ4 as a whole

A piece that is refused is split into its frames; only a single frame is dead-lettered. Until that
frame is settled, the other end must not accept a later one of the same writer: it would take the
frame for lost. So only the first open piece of each writer ``may_jump``.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import lz4.block
from google.protobuf.message import DecodeError

from stepwell_daemon.gaps import event_of_damage
from stepwell_daemon.spool import record
from stepwell_daemon.spool.reader import Extent
from stepwell_daemon.spool.record import writer_number
from stepwell_daemon.spool.walker import SpooledFrame
from stepwell_daemon.writer_state import Schemas
from stepwell_store.writer import WriterInfo
from stepwell_wire.ingest_pb2 import Hello, PackedBatch, RelayBatch, RelayFrame, RelayWriter, Schema
from stepwell_wire.limits import (
    FRAME_BYTES_TARGET,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    RELAY_BATCH_BYTES_MAX,
    RELAY_BATCH_BYTES_TARGET,
)

_DESCRIPTION_BYTES_MAX: Final = 1 << 20
"""A writer with more bytes of names is described in several parts."""

assert _DESCRIPTION_BYTES_MAX < RELAY_BATCH_BYTES_TARGET


@dataclass(frozen=True, slots=True)
class Piece:
    """One frame to relay, and the frames of the spool that it consists of."""

    info: WriterInfo
    schemas: Schemas
    position: int
    records: bytes
    synthetic: bool
    members: tuple[SpooledFrame, ...]
    is_gap: bool = False
    """A gap event; sent once, and not kept if the gateway refuses it."""

    @property
    def number(self) -> int:
        return writer_number(self.info.writer_id)


def pieces_of(extent: Extent) -> list[Piece]:
    """Return ``extent`` as pieces: consecutive records of a writer are merged, in their order."""
    found: list[Piece] = []
    open_at: dict[int, int] = {}  # writer -> index of its last piece, which may be extended
    gathered: dict[int, list[bytes]] = {}
    sizes: dict[int, int] = {}
    for frame in extent.frames:
        item = frame.record
        content = item.kept()
        synthetic = bool(item.flags & record.SYNTHETIC)
        if (event := event_of_damage(frame)) is not None:
            found.append(gap_piece(frame, event))
        place = open_at.get(item.writer)
        if place is not None and not synthetic:
            last = found[place]
            size = sizes[place]
            joins = (
                not last.synthetic
                and last.position + size == item.position
                and size + len(content) <= FRAME_BYTES_TARGET
            )
            if joins:
                gathered[place].append(content)
                sizes[place] += len(content)
                found[place] = Piece(
                    frame.info,
                    frame.schemas,
                    last.position,
                    b"",
                    False,
                    (*last.members, frame),
                )
                continue
        open_at[item.writer] = len(found)
        gathered[len(found)] = [content]
        sizes[len(found)] = len(content)
        found.append(Piece(frame.info, frame.schemas, item.position, b"", synthetic, (frame,)))
    return [
        piece if piece.is_gap else _filled(piece, b"".join(gathered[place]))
        for place, piece in enumerate(found)
    ]


def gap_piece(frame: SpooledFrame, event: bytes) -> Piece:
    """Return a piece that reports the data missing at ``frame``, described by ``event``."""
    position = frame.record.position
    return Piece(frame.info, frame.schemas, position, event, True, (frame,), is_gap=True)


def _filled(piece: Piece, records: bytes) -> Piece:
    return Piece(piece.info, piece.schemas, piece.position, records, piece.synthetic, piece.members)


def split(piece: Piece) -> list[Piece]:
    """Return the frames of ``piece``, each as a separate piece."""
    return [
        Piece(
            member.info,
            piece.schemas,
            member.record.position,
            member.record.kept(),
            piece.synthetic,
            (member,),
        )
        for member in piece.members
    ]


def groups_of(pieces: Sequence[Piece]) -> Iterator[list[int]]:
    """Yield the indexes of the pieces of each batch, in order."""
    group: list[int] = []
    size = 0
    for place, piece in enumerate(pieces):
        if group and size + len(piece.records) > RELAY_BATCH_BYTES_TARGET:
            yield group
            group, size = [], 0
        group.append(place)
        size += len(piece.records)
    if group:
        yield group


def first_places(pieces: Iterable[Piece]) -> set[int]:
    """Return the index of each writer's first piece that has a position in its stream."""
    found: dict[int, int] = {}
    for place, piece in enumerate(pieces):
        if not piece.synthetic:
            found.setdefault(piece.number, place)
    return set(found.values())


def of_so_many_writers(
    pieces: Sequence[Piece], writers_max: int
) -> tuple[list[Piece], list[Piece]]:
    """Return the pieces of the first ``writers_max`` writers, and those of all others."""
    chosen: set[int] = set()
    now: list[Piece] = []
    later: list[Piece] = []
    for piece in pieces:
        if piece.number in chosen or len(chosen) < writers_max:
            chosen.add(piece.number)
            now.append(piece)
        else:
            later.append(piece)
    return now, later


def describe(
    index: int, info: WriterInfo, schemas: Mapping[int, tuple[str, ...]]
) -> Iterator[RelayWriter]:
    """Yield the description of a writer with ``schemas``, in parts of a bounded size."""
    part, size = _description(index, info), 0
    for number, keys in schemas.items():
        cost = sum(map(len, keys)) * 4 + 16 * len(keys)
        if size and size + cost > _DESCRIPTION_BYTES_MAX:
            yield part
            part, size = _description(index, info), 0
        part.writer.schemas.append(Schema(id=number, keys=keys))
        size += cost
    yield part


def _description(index: int, info: WriterInfo) -> RelayWriter:
    return RelayWriter(
        index=index,
        writer=Hello(
            protocol_major=PROTOCOL_MAJOR,
            protocol_minor=PROTOCOL_MINOR,
            project=info.project,
            run_id=info.run_id,
            writer_id=info.writer_id,
            label=info.label,
            scope=info.scope,
            host=info.host,
            pid=info.pid,
        ),
    )


def frame_of(piece: Piece, index: int, *, may_jump: bool) -> RelayFrame:
    return RelayFrame(
        writer=index,
        position=piece.position,
        records=piece.records,
        crc32=zlib.crc32(piece.records),
        synthetic=piece.synthetic,
        may_jump=may_jump,
    )


def pack_batch(number: int, batch: RelayBatch) -> PackedBatch:
    raw = batch.SerializeToString()
    return PackedBatch(
        number=number, raw_bytes=len(raw), payload=lz4.block.compress(raw, store_size=False)
    )


def unpack_batch(packed: PackedBatch) -> RelayBatch:
    """Return the batch in ``packed``; use at most RELAY_BATCH_BYTES_MAX of memory for it.

    Raises:
        ValueError: It is too large or damaged.
    """
    if packed.raw_bytes > RELAY_BATCH_BYTES_MAX:
        raise ValueError(
            f"a batch of {packed.raw_bytes} bytes; the maximum is {RELAY_BATCH_BYTES_MAX}"
        )
    try:
        raw = lz4.block.decompress(packed.payload, uncompressed_size=packed.raw_bytes)
        if len(raw) != packed.raw_bytes:
            raise ValueError(f"a batch has {len(raw)} bytes, its header says {packed.raw_bytes}")
        return RelayBatch.FromString(raw)
    except (lz4.block.LZ4BlockError, DecodeError) as error:
        raise ValueError(f"unpacking a batch failed: {error}") from error
