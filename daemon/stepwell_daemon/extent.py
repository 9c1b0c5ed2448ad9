"""Extents: a stretch of one segment as blocks. The same stretch makes the same blocks, always."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from stepwell_daemon.spool.record import (
    FRAME,
    HEADER_BYTES,
    PAGE_BYTES,
    Record,
    decompress,
    is_intact,
    read_header,
    segment_seed,
)
from stepwell_daemon.spool.spool import Spool
from stepwell_store import Block, BlockBuilder, WriterInfo
from stepwell_wire.errors import MalformedRecordsError
from stepwell_wire.rows import decode_records

logger = logging.getLogger("stepwell_daemon")

READ_BYTES = 8 * 1024 * 1024
"""Stored bytes of one extent at most, whatever it holds: bounds the forwarder's memory."""


@dataclass(slots=True)
class Extent:
    """[start, end) of a segment, decoded."""

    segment: int
    start: int
    end: int
    point_count: int = 0
    blocks: list[Block] = field(default_factory=list)
    damaged: list[tuple[int, bytes, str]] = field(default_factory=list)

    def token(self, spool_id: str, block: Block) -> str:
        """Return the name under which the store takes ``block`` once."""
        place = f"{self.segment}-{self.start}-{self.end}"
        return f"{spool_id}-{place}-{block.table}-{block.digest()}"


def read_extent(
    spool: Spool, segment: int, start: int, end: int, *, points_max: int | None
) -> Extent:
    """Read and decode an extent. Runs in a thread.

    Args:
        start, end: where it begins, and where what is durable ends.
        points_max: cut it at about so many points; None reads exactly to ``end``.
    """
    limit = end if points_max is None else min(end, start + READ_BYTES)
    data = spool.read(segment, start, limit)
    extent = Extent(segment, start, start)
    builder = BlockBuilder()
    for record, payload, problem in _records(spool, segment, start, data, durable_end=end):
        if record is None:  # The stretch ends inside a record: read on from its start next time.
            break
        if problem:
            extent.damaged.append((record.offset, bytes(payload), problem))
        elif record.kind == FRAME:
            problem = add_frame(builder, spool, segment, record, payload)
            if problem:
                extent.damaged.append((record.offset, bytes(payload), problem))
        extent.end = record.end
        if points_max is not None and builder.point_count >= points_max:
            break
    if extent.end == start and end > start:
        if limit < end:  # One record larger than the stretch.
            found = read_header(spool.read(segment, start, start + HEADER_BYTES + 8), start - start)
            size = found[0].end if found else end - start
            return read_extent(spool, segment, start, min(end, start + size), points_max=None)
        extent.damaged.append((start, data, "no record"))
        extent.end = end
    extent.point_count = builder.point_count
    extent.blocks = builder.build()
    return extent


def add_frame(
    builder: BlockBuilder, spool: Spool, segment: int, record: Record, payload: memoryview
) -> str:
    """Add a frame's rows and events; return what is wrong with it, or nothing."""
    if not record.raw:
        return ""
    writer = spool.writer_of(segment, record.writer)
    if writer is None:
        return "of a writer that its segment does not name"
    try:
        records = decompress(payload, record.raw)
        decoded, defined = decode_records(records, writer.schemas)
    except (MalformedRecordsError, RuntimeError, ValueError) as error:
        return str(error)
    known = writer.known
    info = WriterInfo(
        project=known.project,
        run_id=known.run_id,
        writer_id=known.writer_id,
        label=known.label,
        scope=known.scope,
        host=known.host,
        pid=known.pid,
    )
    builder.add(info, decoded, {**writer.schemas, **defined} if defined else writer.schemas)
    return ""


def _records(
    spool: Spool, segment: int, start: int, data: bytes, *, durable_end: int
) -> Iterator[tuple[Record | None, memoryview, str]]:
    """Yield (record, payload, problem) of each record in ``data``, which starts at ``start``."""
    seed = segment_seed(spool.spool_id, segment)
    view = memoryview(data)
    offset = 0
    while offset < len(view):
        found = read_header(view, offset)
        if found is None:
            if start + len(view) < durable_end:
                yield None, view[:0], ""
                return
            whole = Record(start + offset, len(view) - offset - HEADER_BYTES, 0, 0, 0, 0, 0)
            yield whole, view[offset:], "no record"
            return
        inside, crc = found
        record = Record(
            start + offset,
            inside.stored,
            inside.raw,
            inside.kind,
            inside.flags,
            inside.writer,
            inside.position,
        )
        payload = view[offset + HEADER_BYTES : offset + HEADER_BYTES + inside.stored]
        intact = is_intact(seed, record, crc, payload)
        yield record, payload, "" if intact else "the checksum does not fit"
        offset = record.end - start


def rebuild(
    spool: Spool, extent: Extent, keep: Callable[[Block], bool]
) -> Iterator[tuple[int, int, bytes, list[Block]]]:
    """Yield (start, end, payload, blocks) of each record of ``extent`` by itself."""
    data = spool.read(extent.segment, extent.start, extent.end)
    for record, payload, problem in _records(
        spool, extent.segment, extent.start, data, durable_end=extent.end
    ):
        if record is None or problem or record.kind != FRAME:
            continue
        builder = BlockBuilder()
        if not add_frame(builder, spool, extent.segment, record, payload):
            blocks = [block for block in builder.build() if keep(block)]
            yield record.offset, record.end, bytes(payload), blocks


assert PAGE_BYTES < READ_BYTES
