"""The daemon as a writer of its own: the node's series go the way of every other point."""

import os
import socket
import struct
import time
import uuid
from collections.abc import Mapping

from stepwell_daemon.bounds import SAMPLE_SPOOL_FAILING, SAMPLE_SPOOL_FULL, Dropped
from stepwell_daemon.spool import record
from stepwell_daemon.spool.spool import Spool
from stepwell_daemon.writers import WriterState
from stepwell_store.writer import NODE_SCOPE, WriterInfo
from stepwell_wire.records import HEADER, HEADER_BYTES, SCHEMA, pack_event


class NodeWriter:
    """Packs samples as rows of a writer with scope ``node``; its step is the unix second."""

    def __init__(self, spool: Spool, host: str | None = None) -> None:
        host = host or socket.gethostname()
        info = WriterInfo(
            project="",
            run_id=f"node-{host}",
            writer_id=f"node-{host[:64]}-{uuid.uuid4().hex[:16]}",
            label="",
            scope=NODE_SCOPE,
            host=host,
            pid=os.getpid(),
        )
        self.state = WriterState(info, client="stepwell-daemon")
        self._spool = spool
        self._numbers: dict[tuple[str, ...], int] = {}
        spool.registry.add(self.state)

    def append(self, values: Mapping[str, float], time_us: int) -> int:
        """Append one row of ``values`` and return its points.

        A spool that fails, or that has room for runs only, gets none: the row is dropped, counted.
        """
        if not values:
            return 0
        if self._spool.failure is not None or not self._spool.has_room_for_samples:
            failing = self._spool.failure is not None
            reason = SAMPLE_SPOOL_FAILING if failing else SAMPLE_SPOOL_FULL
            self._spool.counters.drop([Dropped(reason, 1, len(values))])
            return 0
        keys = tuple(values)
        pieces = []
        flags = 0
        number = self._numbers.get(keys)
        step = time_us // 1_000_000
        if number is None:
            number = self._numbers[keys] = len(self._numbers) + 1
            body = {"id": number, "keys": list(keys)}
            pieces.append(pack_event(SCHEMA, body, step=step, time_us=time_us))
            self.state.learn({number: keys})
            flags = record.DEFINES
        size = HEADER_BYTES + 8 * len(keys)
        pieces.append(HEADER.pack(number, size, step, time_us))
        pieces.append(struct.pack(f"<{len(keys)}d", *values.values()))
        self.state.seen_at = time.time()
        self._spool.append(
            self.state, self.state.accepted, b"".join(pieces), points=len(keys), flags=flags
        )
        return len(keys)
