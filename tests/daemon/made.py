"""Records, writers and spools for tests."""

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from stepwell_daemon.counters import Counters
from stepwell_daemon.session import Session
from stepwell_daemon.spool.disk import Disk
from stepwell_daemon.spool.reader import SpoolReader
from stepwell_daemon.spool.segment import PAGE_BYTES, Location
from stepwell_daemon.spool.settings import SpoolSettings
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.spool.walker import SpooledFrame
from stepwell_daemon.writer_state import WriterState
from stepwell_store.writer import WriterInfo
from stepwell_wire.ingest_pb2 import Frame, Hello
from stepwell_wire.records import FINISH, HEADER, HEADER_BYTES, SCHEMA, pack_event
from stepwell_wire.rows import decode_records
from tests.daemon.backoffs import no_wait

KEYS = ("loss", "accuracy")


def schema_event(keys: Sequence[str] = KEYS, number: int = 1) -> bytes:
    return pack_event(SCHEMA, {"id": number, "keys": list(keys)}, step=0, time_us=1)


def row(step: int, values: Sequence[float] = (0.5, 0.25), *, schema: int = 1) -> bytes:
    body = struct.pack(f"<{len(values)}d", *values)
    return HEADER.pack(schema, HEADER_BYTES + len(body), step, 1_000_000 + step) + body


def finish_event(state: str = "finished") -> bytes:
    return pack_event(FINISH, {"state": state, "exit_code": 0}, step=0, time_us=2)


def writer_info(name: str = "w1", **changes: Any) -> WriterInfo:
    fields = {
        "project": "demo",
        "run_id": f"run-{name}",
        "writer_id": name,
        "label": "",
        "scope": "run",
        "host": "here",
        "pid": 1,
    }
    return WriterInfo(**{**fields, **changes})


def hello(name: str = "w1", **changes: Any) -> Hello:
    info = writer_info(name)
    fields = {
        "protocol_major": 1,
        "project": info.project,
        "run_id": info.run_id,
        "writer_id": info.writer_id,
        "scope": "run",
        "host": info.host,
        "pid": info.pid,
    }
    return Hello(**{**fields, **changes})


def frame(position: int, records: bytes) -> Frame:
    import zlib

    return Frame(position=position, records=records, crc32=zlib.crc32(records))


def append(spool: Spool, state: WriterState, records: bytes) -> None:
    """Take ``records`` as the receiver would."""
    taken = Session(state).take(frame(state.accepted, records))
    state.learn(taken.defined)
    spool.append(state, taken.position, taken.records, points=taken.points, flags=taken.flags)


def new_writer(spool: Spool, name: str = "w1") -> WriterState:
    state = spool.registry.get(name)
    if state is None:
        state = WriterState(writer_info(name), seen_at=1e12)
        spool.registry.add(state)
    return state


@asynccontextmanager
async def spool_running(
    folder: Path, *, disk: Disk | None = None, **settings: Any
) -> AsyncIterator[Spool]:
    """A spool that commits, closed in order at the end."""
    values = {"segment_bytes": 1 << 16, "commit_interval_seconds": 0.0, **settings}
    spool = Spool(
        folder, SpoolSettings(**values), counters=Counters(), disk=disk, new_backoff=no_wait
    )
    committing = asyncio.create_task(spool.run())
    try:
        yield spool
    finally:
        committing.cancel()
        await asyncio.wait([committing])
        spool.close()


def spooled_in(spool: Spool) -> list[SpooledFrame]:
    """Return every frame in the spool, oldest first, read as the forwarder reads them."""
    found: list[SpooledFrame] = []
    number = spool.next_segment(0)
    while number is not None:
        end = spool.end_of(number)
        if end > PAGE_BYTES:
            with closing(SpoolReader(spool.folder, spool.number)) as reader:
                start = Location(number, PAGE_BYTES)
                found += reader.read_extent(
                    start, end, points_max=1 << 62, bytes_max=1 << 62
                ).frames
        number = spool.next_segment(number)
    return found


def steps_in(frames: Sequence[SpooledFrame]) -> list[int]:
    """Return the steps of all rows, in order."""
    steps: list[int] = []
    for each in frames:
        decoded, _ = decode_records(each.record.content(), each.schemas)
        for rows in decoded.rows:
            steps += rows.steps.tolist()
    return steps
