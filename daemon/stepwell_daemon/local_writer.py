"""A writer inside the daemon: what the daemon itself has to say goes the way of every record."""

import asyncio
import os
import socket
import struct
import time
import uuid
from collections.abc import Mapping

from stepwell_daemon.spool.record import HAS_SCHEMAS
from stepwell_daemon.spool.spool import Spool, Writer
from stepwell_daemon.spool.state import KnownWriter
from stepwell_wire import __version__
from stepwell_wire.records import HEADER, HEADER_BYTES, SCHEMA, START, pack_event


class LocalWriter:
    """Writes rows and events under scope ``node`` into the spool."""

    def __init__(self, spool: Spool) -> None:
        host = socket.gethostname()
        self._spool = spool
        self._ids: dict[tuple[str, ...], int] = {}
        known = KnownWriter(
            project="",
            run_id=f"node-{host}"[:128],
            writer_id=uuid.uuid4().hex,
            label="",
            scope="node",
            host=host,
            pid=os.getpid(),
            journal_dir="",
            high_water=0,
            finished=False,
            seen_at=time.time(),
        )
        self._writer = Writer(known)
        spool.writers[known.writer_id] = self._writer
        body = {
            "project": "",
            "run_id": known.run_id,
            "writer_id": known.writer_id,
            "host": host,
            "pid": known.pid,
            "started_at": time.time_ns() // 1000,
            "client": f"stepwelld/{__version__}",
        }
        self._start = pack_event(START, body, step=0, time_us=time.time_ns() // 1000)

    def log(self, values: Mapping[str, float], *, at_us: int) -> "asyncio.Future[None]":
        """Append one row; its step is the whole second of ``at_us``.

        Raises:
            SpoolFullError: Nothing was taken.
        """
        keys = tuple(values)
        step = at_us // 1_000_000
        records, flags = self._start, 0
        number = self._ids.get(keys)
        if number is None:
            number = self._ids[keys] = len(self._ids) + 1
            self._writer.schemas[number] = keys
            body = {"id": number, "keys": list(keys)}
            records += pack_event(SCHEMA, body, step=step, time_us=at_us)
            flags = HAS_SCHEMAS
        size = HEADER_BYTES + 8 * len(keys)
        records += HEADER.pack(number, size, step, at_us)
        records += struct.pack(f"<{len(keys)}d", *values.values())
        future = self._spool.append(self._writer, self._writer.accepted, records, flags=flags)
        self._start = b""
        return future
